package tuner

import (
	"math"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// needSpan is the span over which the load is averaged before it is converted to replicas:
// shorter than any start-up, longer than random variation.
const needSpan = 30 * time.Second

// capacity returns the highest arrival rate per replica, per second, at which n ready
// replicas keep the wanted share of requests within the limits. It is found to a millionth
// by bisection, with replays of a constant load at a fixed size.
//
// It is 0 if even an idle replica misses the limits.
func capacity(w *replay.World, n int32, want float64) (float64, error) {
	const span = 600 // seconds: a queue that grows shows itself
	flat := *w
	flat.Demand = replay.Demand{
		Step:   w.Demand.Step,
		Bins:   make([]float64, int(span*float64(time.Second)/float64(w.Demand.Step))),
		Source: w.Demand.Source,
		CV2:    w.Demand.CV2,
	}
	top := w.Service.Capacity() * float64(n)
	for i := range flat.Demand.Bins {
		flat.Demand.Bins[i] = top * w.Demand.Step.Seconds()
	}
	flat.Replicas, flat.Memory = n, hpa.Memory{}
	flat.Loop = nil // at a fixed size
	world, err := replay.New(flat)
	if err != nil {
		return 0, err
	}
	fixed := hpa.DefaultConfig(n)
	fixed.MinReplicas = n
	var s replay.Scratch
	holds := func(k float64) bool {
		a := tally{step: w.Demand.Step}
		replay.Simulate(world.Scaled(k), fixed, &s, a.tick)
		return a.attainment() >= want
	}
	lo, hi := 0.0, 1.0
	for range 20 {
		mid := (lo + hi) / 2
		if holds(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo * w.Service.Capacity(), nil
}

// needs converts the offered load to the number of ready replicas that it needs in each
// tick: the load averaged over needSpan, divided by what one replica can serve within the
// limits.
func needs(bins []float64, step time.Duration, perReplica float64) []float64 {
	out := smoothed(bins, step, needSpan)
	for i, b := range out {
		out[i] = math.Ceil(b/step.Seconds()/perReplica - 1e-9)
	}
	return out
}

func peak(v []float64) float64 {
	m := 0.0
	for _, x := range v {
		m = max(m, x)
	}
	return m
}

// smoothed averages bins over a centred span, so that a random second does not count as a
// need.
func smoothed(bins []float64, step, span time.Duration) []float64 {
	half := int(span / step / 2)
	sum := make([]float64, len(bins)+1)
	for i, b := range bins {
		sum[i+1] = sum[i] + b
	}
	out := make([]float64, len(bins))
	for i := range bins {
		lo, hi := max(i-half, 0), min(i+half+1, len(bins))
		out[i] = (sum[hi] - sum[lo]) / float64(hi-lo)
	}
	return out
}
