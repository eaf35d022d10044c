package profiles

import (
	"bufio"
	"encoding/json"
	"io"
	"iter"
	"math"
	"slices"
	"strconv"
	"time"
)

// Arrivals yields the profile's exact schedule in order of time, without ever
// holding it: same profile and seed, same arrivals. The profile comes from
// Parse, Load or Complete.
//
// In a stage with rate r(t) and integral Λ(t), counted from its start, arrivals
// are where Λ reaches u₀, u₁, u₂, …:
//
//	constant: k + ½; what is left of Λ at the stage's end is carried into the
//	          next one, so that the count never drifts by more than one
//	random:   the sums of gaps of mean 1, exponential (poisson) or gamma; the
//	          gap under way at the stage's end is carried into the next one if
//	          that has the same law, otherwise a new one is drawn
//
// A trace's rows are sent at (t − from)·scale_time. With scale_rate r each row is
// sent ⌊r⌋ times, and once more with probability r − ⌊r⌋: the first copy at the
// row's own time, the others uniformly between it and the next row, so that
// bursts stay where they are without many arrivals at one instant. At
// scale_rate 1 the trace is exact, whatever the seed.
//
// Times are rounded to nanoseconds. Tokens are drawn from the class; a trace's
// own counts come first where it has them.
func (p *Profile) Arrivals(seed int64) iter.Seq[Arrival] {
	return func(yield func(Arrival) bool) {
		s := schedule{profile: p, seed: seed, yield: yield, constant: 0.5}
		for _, c := range p.Classes {
			s.weights = append(s.weights, c.Weight+s.weight())
		}
		for i := range p.Stages {
			st := &p.Stages[i]
			s.stage = i
			s.classes, s.prompts, s.outputs = newStream(
				seed,
				i,
				forClasses,
			), newStream(
				seed,
				i,
				forPrompts,
			), newStream(
				seed,
				i,
				forOutputs,
			)
			ok := false
			if st.Trace != nil {
				ok = s.recorded(st)
			} else {
				ok = s.computed(st)
			}
			if !ok {
				return
			}
		}
	}
}

type schedule struct {
	profile *Profile
	seed    int64
	yield   func(Arrival) bool

	stage                     int
	index                     int
	last                      time.Duration
	weights                   []float64 // cumulated
	classes, prompts, outputs *stream

	constant float64 // Λ still to pass before the next constant arrival, in [0, 1]
	pending  float64 // the same for the random process under way
	law      Process // whose gap pending is; zero = none
}

func (s *schedule) weight() float64 {
	if len(s.weights) == 0 {
		return 0
	}
	return s.weights[len(s.weights)-1]
}

// computed yields a stage that is given by its rate; false = stop.
func (s *schedule) computed(st *Stage) bool {
	c := st.curve()
	var gaps *stream
	first, u := s.constant, s.constant
	if st.Process.Law != Even {
		gaps = newStream(s.seed, s.stage, forGaps)
		if first, u = s.pending, s.pending; s.law != st.Process {
			u = st.Process.gap(gaps)
		}
	}
	t := 0.0
	for k := 0; u < c.top; {
		t = c.inverse(u, t)
		if !s.emit(st, st.From+time.Duration(math.Round(t*1e9)), unrecorded, unrecorded) {
			return false
		}
		if k++; gaps == nil {
			u = first + float64(k) // not u++: a sum would gather rounding errors
		} else {
			u += st.Process.gap(gaps)
		}
	}
	if gaps == nil {
		s.constant, s.law = u-c.top, Process{}
		return true
	}
	s.pending, s.law = u-c.top, st.Process
	s.constant -= c.top
	s.constant -= math.Floor(s.constant)
	return true
}

func (p Process) gap(s *stream) float64 {
	if p.Law == Gamma {
		return s.gamma(p.CV)
	}
	return s.exponential()
}

// recorded yields a trace's slice; false = stop.
func (s *schedule) recorded(st *Stage) bool {
	tr := st.Trace
	s.law = Process{}
	copies := newStream(s.seed, s.stage, forCopies)
	whole, part := math.Modf(tr.ScaleRate)
	var extra []time.Duration
	for i, r := range tr.rows {
		n := int(whole)
		if part > 0 && copies.uniform() < part {
			n++
		}
		if n == 0 {
			continue
		}
		at := tr.sent(r.at)
		if !s.emit(st, st.From+at, int(r.in), int(r.out)) {
			return false
		}
		next := st.Duration
		if i+1 < len(tr.rows) {
			next = tr.sent(tr.rows[i+1].at)
		}
		extra = extra[:0]
		for range n - 1 {
			extra = append(extra, at+time.Duration(copies.uniform()*float64(next-at)))
		}
		slices.Sort(extra)
		for _, at := range extra {
			if !s.emit(st, st.From+at, int(r.in), int(r.out)) {
				return false
			}
		}
	}
	return true
}

// emit yields one arrival; in and out are a trace's own tokens. If it has 0, the request is
// for 1, since no server accepts 0.
func (s *schedule) emit(st *Stage, at time.Duration, in, out int) bool {
	// Rounding may touch the stage's end, or pass the arrival before by 1 ns.
	at = max(s.last, min(at, st.To-1))
	s.last = at
	a := Arrival{Index: s.index, At: at, Stage: int16(s.stage), Prompt: asked(in), Max: asked(out)}
	s.index++
	if n := len(s.weights); n > 0 {
		if n > 1 {
			x := s.classes.uniform() * s.weight()
			for a.Class = 0; int(a.Class) < n-1 && x >= s.weights[a.Class]; a.Class++ {
			}
		}
		c := &s.profile.Classes[a.Class]
		if in == unrecorded {
			a.Prompt = c.Prompt.draw(s.prompts)
		}
		if out == unrecorded {
			a.Max = c.Output.draw(s.outputs)
		}
	}
	return s.yield(a)
}

// asked is the number of tokens to request if a trace has n of them; 0 = unknown.
func asked(n int) int {
	if n == unrecorded {
		return 0
	}
	return max(1, n)
}

// AppendArrival appends a line of `profile arrivals`, with its newline:
//
//	{"i":0,"t_s":0.012345678,"stage":0,"class":"chat","prompt_tokens":512,"output_tokens":128}
//
// class is "" where the profile has none.
func (p *Profile) AppendArrival(b []byte, a Arrival) []byte {
	b = append(b, `{"i":`...)
	b = strconv.AppendInt(b, int64(a.Index), 10)
	b = append(b, `,"t_s":`...)
	b = strconv.AppendInt(b, int64(a.At/time.Second), 10)
	b = append(b, '.')
	// One digit more, whose leading 1 is overwritten: nine decimals with their zeros.
	dot := len(b)
	b = strconv.AppendInt(b, int64(time.Second+a.At%time.Second), 10)
	b = append(b[:dot], b[dot+1:]...)
	b = append(b, `,"stage":`...)
	b = strconv.AppendInt(b, int64(a.Stage), 10)
	b = append(b, `,"class":`...)
	name := ""
	if int(a.Class) < len(p.Classes) {
		name = p.Classes[a.Class].Name
	}
	q, _ := json.Marshal(name) // text always marshals
	b = append(b, q...)
	b = append(b, `,"prompt_tokens":`...)
	b = strconv.AppendInt(b, int64(a.Prompt), 10)
	b = append(b, `,"output_tokens":`...)
	b = strconv.AppendInt(b, int64(a.Max), 10)
	return append(b, '}', '\n')
}

// WriteArrivals writes the schedule, one JSON line per arrival.
func (p *Profile) WriteArrivals(w io.Writer, seed int64) error {
	b := bufio.NewWriterSize(w, 1<<16)
	var line []byte
	for a := range p.Arrivals(seed) {
		line = p.AppendArrival(line[:0], a)
		if _, err := b.Write(line); err != nil {
			return err
		}
	}
	return b.Flush()
}
