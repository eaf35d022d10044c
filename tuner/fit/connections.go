package fit

import (
	"container/heap"
	"math"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/plant"
)

// reused returns the share of calls sent over a connection that was already open.
func (l *log) reused() float64 {
	n, opened := 0.0, 0.0
	for i := range l.calls {
		if n++; l.calls[i].request.NewConn {
			opened++
		}
	}
	return 1 - opened/max(1, n)
}

// connectionsOf returns how clients kept connections: the pools and age in the load
// generator's profile; without a profile, one pool, and the age at which it opens as many
// connections as were recorded. ok is false if no opening was recorded, or if each connection
// was used only once.
func connectionsOf(l *log) (c plant.Connections, ok bool) {
	reused := l.reused()
	if reused < 0.3 || reused == 1 {
		return c, false
	}
	if l.run.Meta.Target.Connections == results.Realistic {
		if p, _ := profiles.Parse("profile.yaml", l.run.Profile, nil); p != nil && p.Connections.Mode == results.Realistic {
			return plant.Connections{Pools: p.Connections.Pools, Age: p.Connections.MaxAge}, true
		}
	}
	want := (1 - reused) * float64(len(l.calls))
	if opensUnder(l, math.Inf(1)) >= want { // only concurrency opened connections: none was closed because of its age
		return plant.Connections{}, true
	}
	lo, hi := 0.1, 3600.0
	for range 24 {
		if age := math.Sqrt(lo * hi); opensUnder(l, age) > want {
			lo = age
		} else {
			hi = age
		}
	}
	return plant.Connections{Age: seconds(lo).Round(100 * time.Millisecond)}, true
}

// opensUnder returns how many connections one pool would have opened if each lived for 7/8 of
// age (seconds). A call takes the idle connection that was used last.
func opensUnder(l *log, age float64) float64 {
	type open struct{ until float64 }
	var idle []open
	var busy ends
	opens := 0.0
	for i := range l.calls {
		c := &l.calls[i]
		for len(busy) > 0 && busy[0].at <= c.sent {
			idle = append(idle, open{heap.Pop(&busy).(end).until})
		}
		until := math.Inf(-1)
		for n := len(idle); n > 0 && until < c.sent; n = len(idle) {
			until, idle = idle[n-1].until, idle[:n-1]
		}
		if until < c.sent {
			opens++
			until = c.sent + age*0.875
		}
		heap.Push(&busy, end{c.done, until})
	}
	return opens
}

// end is when a call returns its connection to the pool, and until when the connection lives.
type end struct{ at, until float64 }

// ends is a heap of connections in use (container/heap), the one that is given back soonest on top.
type ends []end

// Len is how many connections are in use.
func (h ends) Len() int { return len(h) }

// Less orders by when a call gives its connection back: the soonest is at index 0.
func (h ends) Less(i, j int) bool { return h[i].at < h[j].at }

// Swap exchanges two connections; heap calls it.
func (h ends) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push appends x; call heap.Push, which restores the order.
func (h *ends) Push(x any) { *h = append(*h, x.(end)) }

// Pop removes the last connection; call heap.Pop, which moves the soonest there.
func (h *ends) Pop() any {
	n := len(*h) - 1
	x := (*h)[n]
	*h = (*h)[:n]
	return x
}

// pinned reports whether requests stay with a replica for as long as a connection lasts. If
// so, over long windows the replicas' counts are much less even than with independent choice,
// and less even than over short windows.
func (l *log) pinned() bool {
	short, long := l.evenness(10), l.evenness(60)
	return long > 1.8 && long > 1.2*short
}

// emptiest looks at the calls that came while one replica's queue was longer than another's.
// It returns the share of them that went to a replica with the shortest queue, and their
// number.
func (s *service) emptiest() (share float64, n int) {
	inside := make([]floats, len(s.servers))
	hit, slots := 0, s.law.Slots()
	for _, span := range s.stable() {
		for i := span.from; i < span.to; i++ {
			c := &s.calls[i]
			least, most, its := math.MaxInt, 0, 0
			for _, k := range span.servers {
				for len(inside[k]) > 0 && inside[k][0] <= c.sent {
					heap.Pop(&inside[k])
				}
				q := max(0, len(inside[k])-slots)
				least, most = min(least, q), max(most, q)
				if k == c.server {
					its = q
				}
			}
			if most > least {
				if n++; its == least {
					hit++
				}
			}
			heap.Push(&inside[c.server], c.done)
		}
	}
	return float64(hit) / float64(max(1, n)), n
}
