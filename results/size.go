package results

import (
	"math"
	"time"
)

// FlapWindow is how soon a change of size must be followed by one the other
// way to count as a flap (MODEL.md 5).
const FlapWindow = 600 * time.Second

// Replicas is how large the workload was, warm-up included; nil = not observed.
type Replicas struct {
	Min        *float64 `json:"min"` // of billed pods: not yet gone, starting and draining too
	Max        *float64 `json:"max"`
	Mean       *float64 `json:"mean"`
	Hours      *float64 `json:"hours"`
	ReadyHours *float64 `json:"ready_hours"`
	Flaps      *int     `json:"flaps"`
	// Longest time from more replicas being wanted until as many were ready.
	TimeToCapacityS *float64 `json:"time_to_capacity_s"`
}

// Replicas sums up the sizes of the run, exactly, from its records.
func (r *Run) Replicas() Replicas {
	s, end := r.sizes(), r.End()
	var out Replicas
	hours := end.Hours()
	if len(s.pods) > 0 && end > 0 {
		lo, hi := s.pods.bounds(0, end)
		mean := s.pods.mean(0, end)
		out.Min, out.Max, out.Mean, out.Hours = &lo, &hi, &mean, number(mean*hours)
	}
	if len(s.ready) > 0 && end > 0 {
		out.ReadyHours = number(s.ready.mean(0, end) * hours)
	}
	if len(s.spec) > 0 {
		n := flaps(s.spec)
		out.Flaps = &n
	}
	if len(s.desired) > 0 && len(s.ready) > 0 {
		out.TimeToCapacityS = number(timeToCapacity(s.desired, s.ready, end).Seconds())
	}
	return out
}

// bounds returns the smallest and largest level over [from, to).
func (ls levels) bounds(from, to time.Duration) (lo, hi float64) {
	lo = ls.before(from + 1)
	hi = lo
	for _, l := range ls {
		if l.at > from && l.at < to {
			lo, hi = min(lo, l.v), max(hi, l.v)
		}
	}
	return lo, hi
}

// flaps counts changes of direction less than FlapWindow apart.
func flaps(spec levels) int {
	n := 0
	var last time.Duration
	direction := 0.0
	for i := 1; i < len(spec); i++ {
		step := spec[i].v - spec[i-1].v
		if step == 0 || math.IsNaN(step) {
			continue
		}
		if step*direction < 0 && spec[i].at-last < FlapWindow {
			n++
		}
		direction, last = step, spec[i].at
	}
	return n
}

// timeToCapacity returns the longest stretch in which fewer were ready than
// desired, up to end.
func timeToCapacity(desired, ready levels, end time.Duration) time.Duration {
	var longest, since time.Duration
	short := false
	i, j := 0, 0
	d, u := math.NaN(), math.NaN()
	for i < len(desired) || j < len(ready) {
		var at time.Duration
		if j == len(ready) || i < len(desired) && desired[i].at <= ready[j].at {
			at = desired[i].at
		} else {
			at = ready[j].at
		}
		for ; i < len(desired) && desired[i].at == at; i++ {
			d = desired[i].v
		}
		for ; j < len(ready) && ready[j].at == at; j++ {
			u = ready[j].v
		}
		switch at = max(at, 0); {
		case u < d && !short:
			short, since = true, at
		case !(u < d) && short:
			short = false
			longest = max(longest, at-since)
		}
	}
	if short {
		longest = max(longest, end-since)
	}
	return longest
}

// sizeFigures are the figures of the run's size, by the names of objectives.
func (r *Run) sizeFigures() []Figure {
	s := r.Replicas()
	syncs := len(r.Syncs)
	fs := []Figure{
		fromPointer("replica_hours", s.Hours, len(r.Pods), "h"),
		fromPointer("ready_hours", s.ReadyHours, len(r.Pods), "h"),
		fromPointer("time_to_capacity", s.TimeToCapacityS, syncs, "s"),
	}
	if s.Flaps != nil {
		fs = append(fs, Exactly("flaps", float64(*s.Flaps), syncs, ""))
	}
	return fs
}

func fromPointer(name string, v *float64, n int, unit string) Figure {
	if v == nil {
		return Exactly(name, math.NaN(), 0, unit)
	}
	return Exactly(name, *v, n, unit)
}

// sizeFigures are the figures of a timeline's size, by the names of objectives.
func (t *Timeline) sizeFigures() []Figure {
	var spec, desired, ready levels
	pods, readyHours := 0.0, 0.0
	for i, k := range t.Ticks {
		at := time.Duration(i) * t.Step
		spec, desired, ready = append(spec, level{at, k.Spec}), append(desired, level{at, k.Desired}), append(ready, level{at, k.Ready})
		pods += k.Pods * t.Step.Hours()
		readyHours += k.Ready * t.Step.Hours()
	}
	n := len(t.Ticks)
	if n == 0 {
		return nil
	}
	end := time.Duration(n) * t.Step
	fs := []Figure{Exactly("replica_hours", pods, n, "h"), Exactly("ready_hours", readyHours, n, "h")}
	if !math.IsNaN(spec[0].v) {
		fs = append(fs, Exactly("flaps", float64(flaps(spec)), n, ""))
	}
	if !math.IsNaN(desired[0].v) && !math.IsNaN(ready[0].v) {
		fs = append(fs, Exactly("time_to_capacity", timeToCapacity(desired, ready, end).Seconds(), n, "s"))
	}
	return fs
}
