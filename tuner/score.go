package tuner

import (
	"math"
	"time"

	"github.com/hpatune/hpatune/results"
)

// tally adds up the ticks of one simulated (or recorded) timeline. Warm-up
// ticks count for replicas only.
type tally struct {
	step   time.Duration
	warmup func(tick int) bool // nil = no warm-up

	ticks                                      int
	arrivals, shed, failed, done, good, tokens float64
	podSeconds, readySeconds, readyMax, podMax float64
	nodeSeconds                                float64 // 0 where there are no nodes
	flaps                                      int
	spec                                       float64
	direction                                  int  // of the last change of spec
	changed                                    int  // tick of it
	short, shortMax                            int  // ticks in a row with fewer ready than the HPA wanted
	sized                                      bool // how many it wanted, and how many were ready, is known
	goodBy, arrivalsBy                         []float64
	by                                         int // ticks a window of goodBy; 0 = none kept

	// While the size is zero, or no pod is ready.
	asleep, wakes int     // ticks with spec.replicas 0, and the number of times that this ended
	lost          float64 // requests that failed since no pod was ready
	firstWait     float64 // ticks from the first request of such a period to a ready pod, in total
	firsts        int     // stretches that had one
	waiting       bool    // the present stretch had one
}

// tick adds the next tick. It does not keep t.
func (a *tally) tick(t *results.Tick) {
	i := a.ticks
	a.ticks++
	dt := a.step.Seconds()
	a.podSeconds += t.Pods * dt
	a.nodeSeconds += t.Nodes * dt
	a.readySeconds += t.Ready * dt
	a.readyMax = max(a.readyMax, t.Ready)
	a.podMax = max(a.podMax, t.Spec)
	a.zero(t)
	if i == 0 {
		a.spec = t.Spec
	}
	if t.Spec != a.spec {
		d := 1
		if t.Spec < a.spec {
			d = -1
		}
		if a.direction == -d && time.Duration(i-a.changed)*a.step < results.FlapWindow {
			a.flaps++
		}
		a.direction, a.changed, a.spec = d, i, t.Spec
	}
	a.sized = a.sized || !math.IsNaN(t.Ready) && !math.IsNaN(t.Desired)
	if t.Short() {
		a.short++
		a.shortMax = max(a.shortMax, a.short)
	} else {
		a.short = 0
	}
	if a.warmup != nil && a.warmup(i) {
		return
	}
	a.arrivals += t.Judged()
	a.shed += t.Shed
	a.done += t.Done
	a.failed += t.Failed
	a.good += t.Good
	a.tokens += t.Tokens
	if a.by > 0 {
		for len(a.goodBy) <= i/a.by {
			a.goodBy, a.arrivalsBy = append(a.goodBy, 0), append(a.arrivalsBy, 0)
		}
		a.goodBy[i/a.by] += t.Good
		a.arrivalsBy[i/a.by] += t.Arrivals
	}
}

// zero tracks the periods without a ready pod. A period without requests has no first
// request; one that the end of the recording cuts off counts as long as it was seen.
func (a *tally) zero(t *results.Tick) {
	if t.Spec == 0 {
		a.asleep++
	} else if a.ticks > 1 && a.spec == 0 {
		a.wakes++
	}
	switch {
	case t.Ready > 0:
		a.waiting = false
	case a.waiting:
		a.firstWait++
	case t.Arrivals > 0:
		a.waiting = true
		a.firstWait++
		a.firsts++
	}
	if t.Ready == 0 {
		a.lost += t.Failed
	}
}

// meanFirstWait is how long the first request of a period without a ready pod waits for
// one, or would wait, in seconds: the mean over the periods; NaN without any.
func (a *tally) meanFirstWait() float64 {
	return ratio(a.firstWait*a.step.Seconds(), float64(a.firsts))
}

// attainment is the share of scheduled requests that met every per-request
// limit; NaN without arrivals.
func (a *tally) attainment() float64 { return ratio(a.good, a.arrivals) }

// errorRatio is the share of scheduled requests that failed or were shed.
func (a *tally) errorRatio() float64 { return ratio(a.failed+a.shed, a.arrivals) }

func (a *tally) hours() float64      { return a.podSeconds / 3600 }
func (a *tally) readyHours() float64 { return a.readySeconds / 3600 }

// timeToCapacity is the longest period in which fewer replicas were ready than the HPA
// wanted, in seconds, as for a run; NaN if either is unknown.
func (a *tally) timeToCapacity() float64 {
	if !a.sized {
		return math.NaN()
	}
	return float64(a.shortMax) * a.step.Seconds()
}

// spanHours is how much time the timeline covers, in hours.
func (a *tally) spanHours() float64 { return float64(a.ticks) * a.step.Hours() }

func ratio(a, b float64) float64 {
	if b == 0 {
		return math.NaN()
	}
	return a / b
}
