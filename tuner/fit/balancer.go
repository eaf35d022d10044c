package fit

import (
	"container/heap"
	"math"

	"github.com/hpatune/hpatune/tuner/plant"
)

// balancer says who gets the next request, by two signs: a balancer that takes
// turns gives every replica the same count within few requests, one that looks
// at load gives the next to a replica with the fewest inside.
func (f *fitting) balancer() {
	f.w.Balancer = plant.RoundRobin
	if !f.visible || len(f.servers) < 2 {
		f.w.Balancer = plant.Random
		f.assume("requests are spread at random over the replicas: the recording does not show how")
		return
	}
	even, fewest := f.evenness(), f.fewest()
	switch {
	case fewest > 0.9 && even > 0.05:
		f.w.Balancer = plant.LeastConnections
	case even < 0.4:
		f.w.Balancer = plant.RoundRobin
	default:
		f.w.Balancer = plant.Random
	}
	f.quality("balancer", even, len(f.served), "%s: variance of replicas' counts over that of random spreading; the least busy one was taken in %.0f %% of the cases", f.w.Balancer, fewest*100)
	if f.w.Balancer == plant.Random && even > 2 {
		f.warn("requests are spread less evenly than at random (variance %.1f times as large): connections are pinned, or replicas are not alike; the replay knows neither", even)
	}
}

// evenness is the variance of counts per replica over windows of ten requests a
// replica, divided by what independent random choice would give.
func (f *fitting) evenness() float64 {
	sum, n := 0.0, 0.0
	counts := make([]float64, len(f.servers))
	for _, span := range f.stable() {
		k := len(span.servers)
		if k < 2 {
			continue
		}
		size := 10 * k
		for from := span.from; from+size <= span.to; from += size {
			clear(counts)
			for i := from; i < from+size; i++ {
				counts[f.served[i].server]++
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
func (f *fitting) fewest() float64 {
	inside := make([]floats, len(f.servers))
	hit, n := 0.0, 0.0
	for _, span := range f.stable() {
		for i := span.from; i < span.to; i++ {
			c := &f.served[i]
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
