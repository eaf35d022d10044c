package fit

import (
	"container/heap"
	"math"

	"github.com/hpatune/hpatune/tuner/plant"
)

// balancerOf says who gets the next request, by two signs: a balancer that takes
// turns gives every replica the same count within few requests, one that looks
// at load gives the next to a replica with the fewest inside. Where replicas are
// hidden, it is the one whose latencies are nearest (hiddenOf). Where no pods were
// seen, or only one replica answered, random is assumed.
func balancerOf(s *service) (plant.Balancer, notes) {
	var n notes
	l := s.log
	if h := s.hidden; h != nil {
		n.quality("balancer", h.off, len(l.calls), "%s: of those tried, its latencies are nearest to the recorded ones; mean difference of their logarithms", h.balancer)
		return h.balancer, n
	}
	if !l.visible || len(l.servers) < 2 {
		n.assume("requests are spread at random over the replicas: the recording does not show how")
		return plant.Random, n
	}
	b := plant.Random
	even, fewest := l.evenness(), l.fewest()
	switch {
	case fewest > 0.9 && even > 0.05:
		b = plant.LeastConnections
	case even < 0.4:
		b = plant.RoundRobin
	}
	n.quality("balancer", even, len(l.calls), "%s: variance of replicas' counts over that of random spreading; the least busy one was taken in %.0f %% of the cases", b, fewest*100)
	if b == plant.Random && even > 2 {
		n.warn("requests are spread less evenly than at random (variance %.1f times as large): connections are pinned, or replicas are not alike; the replay knows neither", even)
	}
	return b, n
}

// evenness is the variance of counts per replica over windows of ten requests a
// replica, divided by what independent random choice would give.
func (l *log) evenness() float64 {
	sum, n := 0.0, 0.0
	counts := make([]float64, len(l.servers))
	for _, span := range l.stable() {
		k := len(span.servers)
		if k < 2 {
			continue
		}
		size := 10 * k
		for from := span.from; from+size <= span.to; from += size {
			clear(counts)
			for i := from; i < from+size; i++ {
				counts[l.calls[i].server]++
			}
			for _, s := range span.servers {
				sum += (counts[s] - 10) * (counts[s] - 10)
			}
			n += float64(k) * 10 * (1 - 1/float64(k))
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return sum / n
}

// fewest is the share of requests that went to a replica with no more inside
// than any other.
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
