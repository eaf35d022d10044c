package tuner

import (
	"math"
	"slices"

	"github.com/hpatune/hpatune/tuner/replay"
)

// The smallest relative standard errors of a fit, which no number of observations in one
// run reduces. They were set between two measurements on fresh days of known worlds
// (test/evaluate): with 1 % each and nearest ranks, 64 to 77 % of 70 days lay within the 90
// % intervals; with 2 % and 1.5 % and order statistics, all of 30 did, for attainment and
// p95.
const (
	leastService = 0.015
	leastPipe    = 0.01
)

// doubtOf is how far a fit may be off, given its data: the standard errors of means over
// what was observed.
func doubtOf(f *Fitted) replay.Doubt {
	w := f.World
	d := replay.Doubt{Starts: true, Off: replay.NotOff, Service: leastService}
	arrivals := 0.0
	for _, n := range w.Demand.Bins {
		arrivals += n
	}
	if arrivals > 0 {
		d.Rate = math.Sqrt(w.Demand.CV2 / arrivals)
	}
	mean, sq := 0.0, 0.0
	for _, t := range w.Service.Times {
		mean += t.Total
		sq += t.Total * t.Total
	}
	if n := float64(len(w.Service.Times)); mean > 0 {
		cv2 := max(0, sq*n/mean/mean-1)
		d.Service = max(d.Service, math.Sqrt(cv2/n))
	}
	if q := &w.Service.Quota; q.Cores > 0 {
		// Under a CPU limit it is what requests cost that counts. What drifts within a run
		// is taken to drift as much from run to run: neighbours on a node come and go at all
		// time scales, and one run shows no more. What was recorded is one draw of that, and
		// a new day another.
		d.Service, d.Waits = math.Hypot(leastService, math.Sqrt2*q.Spread), math.Sqrt2*q.Waits
	}
	for i := range w.Pipes {
		d.Pipes = append(d.Pipes, leastPipe)
		for _, q := range f.Quality {
			if q.Part == w.Pipes[i].Name && q.N > 0 {
				d.Pipes[i] = max(leastPipe, q.Value/math.Sqrt(float64(q.N)))
			}
		}
	}
	return d
}

// offOf compares what a run recorded with the model's result, day by day for the same
// arrivals and other luck.
func offOf(m *Measured, own *trial) replay.Off {
	ratioOf := func(recorded *float64, figure func(*outcome) float64) float64 {
		if recorded == nil {
			return 1
		}
		vs := slices.DeleteFunc(own.of(figure), func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
		if len(vs) < 5 {
			return 1
		}
		slices.Sort(vs)
		near := min(max(*recorded, rank(vs, 0.25)), rank(vs, 0.75))
		if k := *recorded / near; k > 0 && !math.IsInf(k, 0) {
			return k
		}
		return 1
	}
	var misses *float64
	if m.Attainment != nil {
		misses = known(missed(*m.Attainment))
	}
	return replay.Off{
		Misses: ratioOf(misses, func(o *outcome) float64 { return missed(o.attainment) }),
		TTFT:   ratioOf(m.TTFTP95, func(o *outcome) float64 { return o.ttft }),
		E2E:    ratioOf(m.E2EP95, func(o *outcome) float64 { return o.e2e }),
		Hours:  ratioOf(m.ReplicaHours, hours), Capacity: ratioOf(m.TimeToCapacity, toCapacity),
	}
}

// missed is the share of requests outside the limits, at least one in ten thousand, so that
// it can be the denominator of a ratio.
func missed(attainment float64) float64 { return max(1-attainment, 1e-4) }

// carried widens an interval by the error of the model on the recorded run: on the side on
// which the record lay, and by the same factor.
func carried(i *Interval, off float64) *Interval {
	if i == nil || i.Lo == nil || i.Hi == nil || off <= 0 {
		return i
	}
	lo, hi := *i.Lo*min(1, off), *i.Hi*max(1, off)
	return &Interval{i.Value, &lo, &hi}
}

// carriedShare is carried for a share of requests within the limits; the factor applies to
// the share outside.
func carriedShare(i *Interval, off float64) *Interval {
	if i == nil || i.Lo == nil || i.Hi == nil || off <= 0 {
		return i
	}
	lo, hi := max(0, 1-(1-*i.Lo)*max(1, off)), 1-(1-*i.Hi)*min(1, off)
	return &Interval{i.Value, &lo, &hi}
}

// widened makes an interval k times as wide on both sides: a prediction may be this far off
// if it relies on a target beyond the sampled range (fit.Fitted.Beyond).
func widened(i *Interval, k float64) *Interval {
	if i == nil || i.Lo == nil || i.Hi == nil || k <= 1 {
		return i
	}
	lo, hi := *i.Lo/k, *i.Hi*k
	return &Interval{i.Value, &lo, &hi}
}

// widenedShare is widened for a share of requests within the limits; the factor applies to
// the share outside.
func widenedShare(i *Interval, k float64) *Interval {
	if i == nil || i.Lo == nil || i.Hi == nil || k <= 1 {
		return i
	}
	lo, hi := max(0, 1-(1-*i.Lo)*k), 1-(1-*i.Hi)/k
	return &Interval{i.Value, &lo, &hi}
}

// atLeast widens an interval of hours to at least half a percent on both sides: even a size
// that never changes starts and ends within a second or two.
func atLeast(i *Interval) *Interval {
	if i == nil || i.Lo == nil || i.Hi == nil {
		return i
	}
	lo, hi := min(*i.Lo, i.Value*0.995), max(*i.Hi, i.Value*1.005)
	return &Interval{i.Value, &lo, &hi}
}

// stepped widens an interval of seconds that are counted in steps by one step on both sides:
// what takes n whole steps may have begun up to a step before, and ended up to a step after.
func stepped(i *Interval, step float64) *Interval {
	if i == nil || i.Lo == nil || i.Hi == nil || i.Value == 0 {
		return i
	}
	lo, hi := max(0, *i.Lo-step), *i.Hi+step
	return &Interval{i.Value, &lo, &hi}
}
