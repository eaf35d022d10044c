package sim

import (
	"math"
	"testing"
)

// alone sends requests to one server at given times and runs it to the end.
func alone(s Service, at []float64, prompt, output int) []*request {
	v := s.Server(newSource(1))
	var qs []*request
	var ended []*request
	to := func(t float64) {
		for n := v.next(); n <= t && !math.IsInf(n, 1); n = v.next() {
			v.advance(n)
			ended = append(ended, v.ended()...)
		}
		v.advance(t)
	}
	for _, t := range at {
		to(t)
		q := &request{at: t, sent: t, prompt: prompt, output: output, first: math.Inf(1)}
		qs = append(qs, q)
		v.take(t, q)
		v.advance(t)
		ended = append(ended, v.ended()...)
	}
	to(1e6)
	if len(ended) != len(qs) {
		return nil
	}
	return qs
}

func near(t *testing.T, what string, got, want, by float64) {
	t.Helper()
	if math.Abs(got-want) > by {
		t.Errorf("%s: %.5f, want %.5f", what, got, want)
	}
}

func TestIterations(t *testing.T) {
	l := &LLM{Alpha: 0.01, Beta: 0.001, Gamma: 0.0001, Delta: 1e-6, Budget: 512, Most: 4}
	// 1,000 prompt tokens are two iterations; then 9 decodes with a context of 1,001 and more.
	q := alone(l, []float64{5}, 1000, 10)[0]
	first := 2*0.01 + 1000*0.0001
	near(t, "first token", q.first-5, first, 1e-9)
	decode := 0.0
	for c := 1001; c < 1010; c++ {
		decode += 0.01 + 0.001 + 1e-6*float64(c)
	}
	near(t, "end", q.done-5, first+decode, 1e-9)
	// The second comes while the first decodes: it waits for the current iteration, and makes the
	// first slower.
	qs := alone(l, []float64{0, 0.5}, 100, 200)
	slow, fast := qs[0], alone(l, []float64{0}, 100, 200)[0]
	if !(slow.done > fast.done+0.05) || qs[1].first < 0.5+0.02 {
		t.Errorf("ends %.3f beside another and %.3f alone; the other's first token at %.3f", slow.done, fast.done,
			qs[1].first)
	}
	near(t, "longest gap", slow.gapMax, 0.01+0.001+100*0.0001+1e-6*float64(100+46), 0.0002)
	// Beyond Most they wait.
	qs = alone(l, []float64{0, 0, 0, 0, 0}, 10, 50)
	if qs[4].start < qs[0].done {
		t.Errorf("the fifth began at %.3f, before the first ended at %.3f", qs[4].start, qs[0].done)
	}
	// Jumps over equal iterations change nothing: a neighbour that forces single steps gives the
	// same result.
	if alone(&LLM{Alpha: 0.01, Beta: 0.001, Gamma: 0.0001, Budget: 512, Most: 4, KV: 300}, []float64{0, 0, 0}, 80,
		100) == nil {
		t.Error("with room for 300 tokens not all of three requests of 180 ended")
	}
}

func TestQuotaStretches(t *testing.T) {
	c := &Quota{Limit: 0.2, Threads: 4, Work: Work{First: 0.01, PerToken: 0}}
	// 10 ms of work fit into the 20 ms of one period, so it is not stopped. Eight at once are 80
	// ms: four periods.
	q := alone(c, []float64{0.5}, 1, 1)[0]
	near(t, "alone", q.done-q.at, 0.01, 1e-9)
	qs := alone(c, []float64{0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5}, 1, 1)
	if last := qs[7].done - 0.5; last < 0.2 || last > 0.32 {
		t.Errorf("eight at once end after %.3f s, want what is left of one period and 3 more", last)
	}
	// In the long run it uses its limit, whatever the load.
	var at []float64
	for i := range 1000 {
		at = append(at, float64(i)*0.01)
	}
	qs = alone(c, at, 1, 1)
	near(t, "the thousandth of 10 ms each at 0.2 cores", qs[999].done, 50, 0.5)
}

func TestSlowingShares(t *testing.T) {
	s := &Slowing{Most: 4, Drag: 0.5, Work: Work{First: 1, PerToken: 0}}
	near(t, "alone", alone(s, []float64{0}, 1, 1)[0].done, 1, 1e-9)
	// Two together run at 1/1.5: 1.5 s each.
	for _, q := range alone(s, []float64{0, 0}, 1, 1) {
		near(t, "two at once", q.done, 1.5, 1e-6)
	}
	qs := alone(s, []float64{0, 0, 0, 0, 0}, 1, 1)
	near(t, "the fifth begins when four end", qs[4].start, 2.5, 1e-6)
}
