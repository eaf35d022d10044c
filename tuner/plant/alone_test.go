package plant

import (
	"math"
	"testing"
)

// Requests behind a balancer, by hand: each replica serves one at a time.
func TestServeBehind(t *testing.T) {
	at := func(at float64, i int, total float64) Request {
		return Request{At: at, Index: i, Time: ServiceTime{First: total / 2, Total: total}}
	}
	law := SlotsLaw(1, []ServiceTime{{First: 0.5, Total: 1}})
	for _, c := range []struct {
		sentence    string
		balancer    Balancer
		n           int
		requests    []Request
		took, first []float64
	}{
		{"one replica serves in order", RoundRobin, 1, []Request{at(0, 0, 1), at(0, 1, 1), at(1.5, 2, 1)},
			[]float64{1, 2, 1.5}, []float64{0.5, 1.5, 1}},
		{"two in turn", RoundRobin, 2, []Request{at(0, 0, 3), at(0.1, 1, 1), at(0.2, 2, 1), at(2, 3, 1)},
			[]float64{3, 1, 3.8, 1}, []float64{1.5, 0.5, 3.3, 0.5}},
		{"least connections avoids the busy one", LeastConnections, 2,
			[]Request{at(0, 0, 3), at(0.1, 1, 1), at(1.2, 2, 1), at(2.3, 3, 0.5)}, []float64{3, 1, 1, 0.5},
			[]float64{1.5, 0.5, 0.5, 0.25}},
	} {
		took, first := make([]float64, len(c.requests)), make([]float64, len(c.requests))
		law.ServeBehind(c.balancer, c.n, c.requests, 1, func(i int, f, d float64) { first[i], took[i] = f, d })
		for i := range took {
			if math.Abs(took[i]-c.took[i]) > 1e-6 || math.Abs(first[i]-c.first[i]) > 1e-6 {
				t.Errorf("%s: request %d takes %v s, first token after %v s; want %v, %v", c.sentence, i, took[i], first[i],
					c.took[i], c.first[i])
			}
		}
	}
}
