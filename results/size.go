package results

import (
	"math"
	"time"
)

// FlapWindow is how soon a change of size must be reversed to count as a flap (MODEL.md 5).
const FlapWindow = 600 * time.Second

// Replicas is how large the workload was, warm-up included; nil = not observed.
type Replicas struct {
	Min        *float64 `json:"min"` // of billed pods: not yet gone, starting and draining too
	Max        *float64 `json:"max"`
	Mean       *float64 `json:"mean"`
	Hours      *float64 `json:"hours"`
	ReadyHours *float64 `json:"ready_hours"`
	Flaps      *int     `json:"flaps"`
	// The longest period with fewer ready replicas than the HPA wanted.
	TimeToCapacityS *float64 `json:"time_to_capacity_s"`
}

// Replicas summarises the sizes of the run from its records.
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

// timeToCapacity returns the longest period with fewer ready replicas than desired, up to
// end.
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

// hours is the time integral of a level over the ticks, in hours; NaN where a
// tick does not know it.
func (t *Timeline) hours(of func(*Tick) float64) float64 {
	sum := 0.0
	for i := range t.Ticks {
		sum += of(&t.Ticks[i]) * t.Step.Hours()
	}
	return sum
}

// levels are a level of the ticks as a step function.
func (t *Timeline) levels(of func(*Tick) float64) levels {
	ls := make(levels, 0, len(t.Ticks))
	for i := range t.Ticks {
		ls = append(ls, level{time.Duration(i) * t.Step, of(&t.Ticks[i])})
	}
	return ls
}

// flaps counts the timeline's flaps; NaN where its size is not known.
func (t *Timeline) flaps() float64 {
	spec := t.levels(func(k *Tick) float64 { return k.Spec })
	if len(spec) == 0 || math.IsNaN(spec[0].v) {
		return math.NaN()
	}
	return float64(flaps(spec))
}

// timeToCapacity is the longest period with fewer ready replicas than desired, in seconds;
// NaN if either is unknown.
func (t *Timeline) timeToCapacity() float64 {
	longest, short := 0, 0
	known := false
	for i := range t.Ticks {
		k := &t.Ticks[i]
		known = known || !math.IsNaN(k.Ready) && !math.IsNaN(k.Desired)
		if short++; !k.Short() {
			short = 0
		}
		longest = max(longest, short)
	}
	if !known {
		return math.NaN()
	}
	return (time.Duration(longest) * t.Step).Seconds()
}
