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
// replicas keep the wanted share of requests within the limits. It is found to a thousandth
// by bisection, with replays of a constant load at a fixed size.
//
// It is 0 if even an idle replica misses the limits. The fluid plant decides that, because
// in a short replay one slow request is a large share. The exact plant decides the rest,
// because whether a request misses a limit depends on what it waits behind.
func capacity(w *replay.World, n int32, want float64) (float64, error) {
	f, err := newFlat(w, n)
	if err != nil {
		return 0, err
	}
	return f.capacity(want), nil
}

// capacity is what capacity returns, of a world that is already compiled.
func (f *flat) capacity(want float64) float64 {
	fluid := func(k float64) bool { return f.within(k) >= want }
	exact := func(k float64) bool {
		a := tally{step: f.world.Demand.Step}
		for day := range daysAt(k) {
			replay.SimulateExact(f.world.Scaled(k), f.fixed, replicate(1, day), &f.scratch, a.tick)
		}
		return a.attainment() >= want
	}
	return mostThatHolds(fluid, exact) * f.world.Service.Capacity()
}

// idleShare is the share of requests that meet all limits on replicas with next to no load,
// by the fluid plant: 0 to 1. More replicas cannot raise it.
func idleShare(w *replay.World) (float64, error) {
	f, err := newFlat(w, 2)
	if err != nil {
		return 0, err
	}
	return f.within(least), nil
}

// least is the smallest share of a load that is tried.
const least = 1.0 / (1 << 20)

// flat is a constant load, as high as n ready replicas can serve, and a fixed size of n.
type flat struct {
	world   *replay.World
	fixed   hpa.Config
	scratch replay.Scratch
}

func newFlat(w *replay.World, n int32) (*flat, error) {
	top := w.Service.Capacity() * float64(n)
	out := *w
	out.Demand = replay.Demand{
		Step:   w.Demand.Step,
		Bins:   make([]float64, int(spanFor(top)*float64(time.Second)/float64(w.Demand.Step))),
		Source: w.Demand.Source,
		CV2:    w.Demand.CV2,
	}
	for i := range out.Demand.Bins {
		out.Demand.Bins[i] = top * w.Demand.Step.Seconds()
	}
	out.Replicas, out.Memory, out.Doubt = n, hpa.Memory{}, replay.Doubt{}
	out.Loop = nil // at a fixed size
	world, err := replay.New(out)
	if err != nil {
		return nil, err
	}
	fixed := hpa.DefaultConfig(n)
	fixed.MinReplicas = n
	return &flat{world: world, fixed: fixed}, nil
}

// within is the share of requests that meet all limits at a share k of the load, by the fluid
// plant.
func (f *flat) within(k float64) float64 {
	a := tally{step: f.world.Demand.Step}
	replay.Simulate(f.world.Scaled(k), f.fixed, &f.scratch, a.tick)
	return a.attainment()
}

// spanFor is how long to replay a load of up to top requests per second, in seconds:
// 20,000 requests, but a minute at least, in which a queue that grows shows itself, and
// an hour at most.
func spanFor(top float64) float64 { return min(3600, max(60, 20_000/top)) }

// daysAt is how many times a share k of the load is replayed, so that there are about as
// many requests at every share; 8 at most.
func daysAt(k float64) int { return int(min(8, math.Ceil(1/k))) }

// mostThatHolds returns the largest share, from 0 to 1, at which the exact plant holds, to
// a thousandth. It is 0 where the fluid plant holds at no share, and the fluid plant's
// where the exact one holds at none.
func mostThatHolds(fluid, exact func(float64) bool) float64 {
	most := bisect(20, fluid)
	if most == 0 {
		return 0
	}
	if x := bisect(10, exact); x > 0 {
		return x
	}
	return most
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
