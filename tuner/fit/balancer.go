package fit

import (
	"container/heap"
	"math"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/tuner/plant"
)

// balancerOf finds how requests are balanced, from these signs. A balancer that takes turns
// gives every replica the same count within a few requests. One that looks at load chooses a
// replica with the fewest requests in it, or with the shortest queue. Kept connections pin
// requests to replicas for as long as the connections last. If replicas are hidden, it is the
// balancer whose latencies are closest to the recorded ones (hiddenOf). If no pods were seen,
// or only one replica answered, random is assumed. The connections are those of plant.Aged.
func balancerOf(s *service) (plant.Balancer, plant.Connections, notes) {
	var n notes
	l := s.log
	wires, kept := connectionsOf(l)
	if h := s.hidden; h != nil {
		b := h.balancer
		if b == plant.Random && kept {
			b = plant.Aged
		}
		n.quality("balancer", h.off, len(l.calls), "%s: of those tried, it reproduces the recorded latencies "+
			"best; mean difference of the logarithms", b)
		return b, wires, n
	}
	if !l.visible || len(l.servers) < 2 {
		n.assume("requests are spread at random over the replicas (the recording does not show how)")
		return plant.Random, plant.Connections{}, n
	}
	b := plant.Random
	even, fewest := l.evenness(10), l.fewest()
	shortest, decided := s.emptiest()
	switch {
	case fewest > 0.9 && even > 0.05:
		b = plant.LeastConnections
	case even < 0.4:
		b = plant.RoundRobin
	case decided >= 50 && shortest > 0.9:
		b = plant.LeastWaiting
	case kept && l.pinned():
		b = plant.Aged
	}
	n.quality("balancer", even, len(l.calls), "%s: variance of the requests per replica, relative to random; the "+
		"least busy replica was chosen in %s of the cases", b, figure.Percent(fewest))
	if b == plant.Aged {
		n.quality("connections", wires.Age.Seconds(), len(l.calls),
			"maximum age of a connection in seconds (0 = none), over %d pools; %s of the requests used an open "+
				"connection", max(1, wires.Pools), figure.Percent(l.reused()))
		return b, wires, n
	}
	if b == plant.Random && even > 2 {
		n.warn("requests are spread less evenly than at random (variance %.1f times as large): the replicas "+
			"differ, and the replay treats them as equal", even)
	}
	return b, plant.Connections{}, n
}

// evenness returns the variance of the counts per replica over windows of `each` requests per
// replica, divided by the variance that independent random choice would give. It is NaN if
// there is no such window.
func (l *log) evenness(each int) float64 {
	sum, n := 0.0, 0.0
	counts := make([]float64, len(l.servers))
	for _, span := range l.stable() {
		k := len(span.servers)
		if k < 2 {
			continue
		}
		size := each * k
		for from := span.from; from+size <= span.to; from += size {
			clear(counts)
			for i := from; i < from+size; i++ {
				counts[l.calls[i].server]++
			}
			for _, s := range span.servers {
				sum += (counts[s] - float64(each)) * (counts[s] - float64(each))
			}
			n += float64(k) * float64(each) * (1 - 1/float64(k))
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return sum / n
}

// fewest returns the share of requests that went to a replica with the fewest requests in it.
func (l *log) fewest() float64 {
	inside := make([]floats, len(l.servers))
	hit, n := 0.0, 0.0
	for _, span := range l.stable() {
		for i := span.from; i < span.to; i++ {
			c := &l.calls[i]
			least := math.MaxInt
			for _, s := range span.servers {
				for len(inside[s]) > 0 && inside[s][0] <= c.sent {
					heap.Pop(&inside[s])
				}
				least = min(least, len(inside[s]))
			}
			if len(span.servers) > 1 {
				n++
				if len(inside[c.server]) <= least {
					hit++
				}
			}
			heap.Push(&inside[c.server], c.done)
		}
	}
	if n == 0 {
		return 0
	}
	return hit / n
}
