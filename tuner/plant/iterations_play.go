package plant

import "math"

// Call is one request of a log, for Play.
type Call struct {
	At             float64 // arrival, seconds
	Prompt, Output int     // tokens
}

// Played is the outcome of a call.
type Played struct {
	Start       float64 // when it was admitted to an iteration, seconds
	First, Last float64 // when its first and its last token were written, seconds
	Gap         float64 // longest time between two tokens, seconds
	// Wait is the server's work between the call's arrival and its first token, idle time
	// excluded. Write is its work between the first token and the last.
	Wait, Write Work
}

// Play serves calls, in order of arrival, on one server that starts empty. It returns the
// outcome of each call, in the same order, and the number of preemptions.
func (l *Iterations) Play(calls []Call) ([]Played, int) {
	out := make([]Played, len(calls))
	came := make([]Work, len(calls))
	var e engine
	e.onTok = func(id int, e *engine) {
		out[id].First = e.at
		out[id].Wait = e.done.Minus(came[id])
		came[id] = e.done
	}
	e.onEnd = func(f finished, e *engine) {
		p := &out[f.id]
		p.Start, p.Last, p.Gap = f.started, f.last, f.gap
		p.Write = e.done.Minus(came[f.id])
	}
	if len(calls) == 0 {
		return out, 0
	}
	e.reset(l, calls[0].At)
	for i, c := range calls {
		at := c.At + l.Own
		e.advance(at)
		came[i] = e.workAt(at)
		e.push(at, i, c.Prompt, c.Output)
	}
	e.advance(math.Inf(1))
	return out, e.preempt
}
