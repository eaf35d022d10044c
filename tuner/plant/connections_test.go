package plant

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

// TestConnectionsPinRequests: with one connection at a time (one slot, little load), requests
// stay with a replica until the connection is too old, and then go anywhere.
func TestConnectionsPinRequests(t *testing.T) {
	law := SlotsLaw(1, constant(0.01, 0.01))
	m := compile(t, Spec{Law: law, Balancer: Aged, Connections: Connections{Age: 10 * time.Second}, ArrivalCV2: 1})
	var e Exact
	e.Reset(m, 4, 3, nil, nil)
	ticks := make([]results.Tick, 1)
	e.ticks = ticks
	moves, last := 0, -1
	const seconds = 4000
	for i := range seconds {
		r := Request{At: float64(i), Index: i}
		s, wire := e.pick(&r, r.At)
		if s.index != last {
			moves++
		}
		last = s.index
		e.hangUp(&call{conn: wire}, false)
	}
	// A connection lives for 8.75 s on average (in whole seconds: 9.25), and three in four new
	// ones go to another replica.
	if want := seconds / 9.25 * 0.75; math.Abs(float64(moves)/want-1) > 0.15 {
		t.Errorf("requests moved %d times in %d s, want about %.0f", moves, seconds, want)
	}
	if n := len(e.conns); math.Abs(float64(n)/(seconds/9.25)-1) > 0.1 {
		t.Errorf("%d connections were opened, want about %.0f", n, seconds/9.25)
	}
}

// TestANewReplicaWaitsForConnections: a replica that has just become ready gets no requests as
// long as clients use their open connections.
func TestANewReplicaWaitsForConnections(t *testing.T) {
	share := func(age time.Duration) float64 {
		m := compile(t, Spec{Law: SlotsLaw(4, constant(0.1, 0.1)), Balancer: Aged, Connections: Connections{Pools: 8, Age: age}, ArrivalCV2: 1,
			Start: []PhaseSample{{Ready: time.Second}}})
		var e Exact
		e.Reset(m, 1, 3, make([]results.Tick, 40), nil)
		requests := poisson(2, 20, 40)
		next, late, all := 0, 0.0, 0.0
		for i := range 40 {
			if i == 20 {
				e.Scale(2, 20)
			}
			from := next
			for next < len(requests) && requests[next].At < float64(i+1) {
				next++
			}
			e.Step(requests[from:next])
			if i >= 22 && i < 27 {
				for _, s := range e.ready {
					all += float64(s.load.done)
					if s.index == 1 {
						late += float64(s.load.done)
					}
				}
			}
		}
		return late / all
	}
	if old, young := share(0), share(2*time.Second); old > 0.25 || young < 0.3 {
		t.Errorf("a new replica gets %.2f of the load beside connections that never age, and %.2f beside those of 2 s; want few, and about half", old, young)
	}
}
