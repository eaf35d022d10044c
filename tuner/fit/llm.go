package fit

import (
	"math"
	"slices"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/plant"
)

// answer is one logged request to a server of language models, in seconds and tokens.
// NaN = not measured.
type answer struct {
	plant.Call
	server      int
	arrival     int // index in the run
	class       int16
	seen        bool    // its measurements may be used
	first, last float64 // from the run's start
	gap         float64
}

// answers returns the requests that a server worked on, in order of arrival. ok is false if
// too few have both token counts.
func answers(run *results.Run) (out []answer, left int) {
	out = make([]answer, 0, len(run.Requests))
	for i := range run.Requests {
		r := &run.Requests[i]
		switch r.Outcome {
		case results.Shed, results.Connect, results.HTTP429, results.HTTP4xx, results.HTTP5xx:
			continue // the server did no work for it
		}
		if r.Prompt <= 0 || r.Tokens <= 0 || r.TokensFrom == results.TokensChunks && r.Outcome != results.OK {
			left++
			continue
		}
		a := answer{Call: plant.Call{At: r.Scheduled.Seconds(), Prompt: r.Prompt, Output: r.Tokens}, server: int(r.Backend),
			arrival: r.Arrival, class: r.Class,
			first: math.NaN(), last: math.NaN(), gap: math.NaN(), seen: r.Outcome == results.OK}
		if results.Happened(r.First) {
			a.first = r.First.Seconds()
		}
		switch {
		case results.Happened(r.Last):
			a.last = r.Last.Seconds()
		case results.Happened(r.Done):
			a.last = r.Done.Seconds()
		}
		if r.GapMax > 0 {
			a.gap = r.GapMax.Seconds()
		}
		out = append(out, a)
	}
	slices.SortStableFunc(out, func(a, b answer) int { return sign(a.At - b.At) })
	return out, left
}

// LLM is the fitted law of a server of language models.
type LLM struct {
	Law plant.Iterations
	// Slots is the law if the run's requests have no token counts; Law is empty then. nil = Law
	// holds.
	Slots *plant.Law
	// Name is the simplest of the laws that explain the log: "slots" (an iteration takes a
	// constant time), "batch" (it takes longer with more answers in it), or "iterations"
	// (prompts and context count, too).
	Name string
	// Error is the mean size of ln(predicted/measured) over the measured times.
	Error float64
	N     int // requests that were fitted
	Terms []Term
	// Rivals are simpler laws, and how much they leave unexplained.
	Rivals []Rival
	// Unsure says in words what the log cannot distinguish.
	Unsure   []string
	Warnings []string
	Classes  []LoadClass // how well it fits, by the number of requests in the server
	// SeqsSeen and KVSeen mean that the limit was reached in the log. If not, Law has the least
	// value that the log allows, or none.
	SeqsSeen, KVSeen bool
	Most             int // answers written at once at most, by the log
}

// Term is one coefficient of the law.
type Term struct {
	Name     string
	Value    float64
	StdError float64 // NaN = not known
	Unit     string
}

// Rival is a law that was not chosen.
type Rival struct {
	Name  string
	Error float64 // as LLM.Error
}

// LoadClass is how well the law fits for a range of requests in the server.
type LoadClass struct {
	From, To        int // requests in the server when a request came, by the log
	N               int
	TTFT, Predicted float64 // medians, seconds; NaN = not measured
}

// stretchOf is calls of one server that are played together.
type stretchOf struct {
	calls  []plant.Call
	about  []answer
	inside []int     // requests in the server when each came, by the log
	weight []float64 // of each call's measurements; 0 = played, but not compared
}

// engineFit is a law of iterations while it is being fitted.
type engineFit struct {
	stretches []stretchOf
	n         int     // measured calls
	most      int     // answers written at once at most, by the log
	slots     float64 // what slots leave unexplained; 0 = not known, and the fit does not give up
}

// softening (seconds) limits how much a client's own few milliseconds count in a ratio.
const softening = 0.005

// loss returns the mean |ln(predicted/measured)| over times to the first token and times from
// there to the end. It calls each with every call's part in it.
func (f *engineFit) loss(l *plant.Iterations, each func(float64)) float64 {
	sum, n := 0.0, 0.0
	for i := range f.stretches {
		s := &f.stretches[i]
		played, _ := l.Play(s.calls)
		for k := range s.about {
			if s.weight[k] == 0 {
				continue
			}
			e, m := misfit(&s.about[k], &played[k])
			if m == 0 {
				continue
			}
			sum, n = sum+s.weight[k]*e, n+s.weight[k]*m
			if each != nil {
				each(e / m)
			}
		}
	}
	return sum / n
}

// misfit returns the sum of |ln| for one call, and how many terms it has.
func misfit(a *answer, p *plant.Played) (sum, n float64) {
	off := func(got, want float64) {
		if math.IsNaN(want) || want < 0 {
			return
		}
		sum += math.Abs(math.Log((got + softening) / (want + softening)))
		n++
	}
	if math.IsNaN(a.first) {
		off(p.Last-a.At, a.last-a.At)
		return sum, n
	}
	off(p.First-a.At, a.first-a.At)
	if a.Output > 1 {
		off(p.Last-p.First, a.last-a.first)
	}
	return sum, n
}

// The coefficients, by index.
const (
	alpha = iota
	beta
	gamma
	delta
	own
	coefficients
)

// theta is the coefficients as a vector, in that order.
type theta [coefficients]float64

// into returns l with the coefficients of t; the rest of l stays.
func (t theta) into(l plant.Iterations) plant.Iterations {
	l.Alpha, l.Beta, l.Gamma, l.Delta, l.Own = t[alpha], t[beta], t[gamma], t[delta], t[own]
	return l
}

// thetaOf returns a law's coefficients as a vector.
func thetaOf(l *plant.Iterations) theta {
	return theta{l.Alpha, l.Beta, l.Gamma, l.Delta, l.Own}
}

// normal returns the normal equations of the measured times. Each time is linear in the
// coefficients as long as the same requests are served together.
func (f *engineFit) normal(l *plant.Iterations, free [coefficients]bool) (a [coefficients][coefficients]float64,
	b theta, rss, n float64) {
	t := thetaOf(l)
	row := func(w plant.Work, overhead, y, weight float64) {
		x := theta{w.Iterations, w.Answers, w.Prompt, w.Context, overhead}
		got := 0.0
		for i := range x {
			got += x[i] * t[i]
		}
		// Residuals are relative. Above a fifth they count by size, not by square.
		scale := 1 / (y + 4*softening)
		r := (y - got) * scale
		k := weight * scale * scale
		if math.Abs(r) > 0.2 {
			k *= 0.2 / math.Abs(r)
		}
		for i := range x {
			if !free[i] {
				y -= x[i] * t[i]
			}
		}
		for i := range x {
			for j := range x {
				a[i][j] += k * x[i] * x[j]
			}
			b[i] += k * x[i] * y
		}
		rss += k * r * r / (scale * scale)
		n++
	}
	for i := range f.stretches {
		s := &f.stretches[i]
		played, _ := l.Play(s.calls)
		for k := range s.about {
			c, p := &s.about[k], &played[k]
			if s.weight[k] == 0 {
				continue
			}
			if !math.IsNaN(c.first) {
				row(p.Wait, 1, c.first-c.At, s.weight[k])
				if c.Output > 1 && !math.IsNaN(c.last) {
					row(p.Write, 0, c.last-c.first, s.weight[k])
				}
			} else if !math.IsNaN(c.last) {
				w := p.Wait
				w.Iterations += p.Write.Iterations
				w.Answers += p.Write.Answers
				w.Prompt += p.Write.Prompt
				w.Context += p.Write.Context
				row(w, 1, c.last-c.At, s.weight[k])
			}
		}
	}
	return a, b, rss, n
}

// solve minimizes x'ax/2 − b'x over x ≥ 0 by coordinate descent. Coefficients that are not
// free do not change.
func solve(a [coefficients][coefficients]float64, b, x theta, free [coefficients]bool) theta {
	for range 5000 {
		moved := 0.0
		for i := range x {
			if !free[i] || a[i][i] == 0 {
				continue
			}
			g := b[i]
			for j := range x {
				if j != i && free[j] {
					g -= a[i][j] * x[j]
				}
			}
			v := max(0, g/a[i][i])
			moved = max(moved, math.Abs(v-x[i])*math.Sqrt(a[i][i]))
			x[i] = v
		}
		if moved < 1e-9 {
			break
		}
	}
	return x
}
