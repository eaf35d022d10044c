package fit

import (
	"slices"

	"github.com/hpatune/hpatune/tuner/plant"
)

// A pod under a CPU limit that has several requests inside for many of the limit's periods uses
// all of it. What it serves meanwhile says what a request costs, without any sample of CPU.
const (
	busyInside = 3    // requests in a pod when such a stretch begins; it ends with fewer than two
	busyLead   = 0.25 // seconds at its start that do not count: what was left of the limit is spent first
	busyLeast  = 1.0  // seconds that must remain
	busyWork   = 100  // requests' worth in all stretches, at least
	// busyOff is how much more than by the CPU samples a request may seem to cost. Beyond that,
	// requests waited for something else than the limit.
	busyOff = 1.25
)

// costWhenBusy returns the core-seconds of the mean request in the stretches in which pods used
// all of their limit, and the seconds of these; 0, 0 = there were too few. did says what a server
// did in a stretch.
//
// It is less than what samples of pods at ease show: on a real node, a pod that is never idle
// serves a request with 5 to 10 % less CPU (tuner/MODEL.md, On a real cluster).
func costWhenBusy(s *service, q plant.Quota, did func(k int, from, to float64) reading) (each, seconds float64) {
	work := 0.0
	for k := range s.servers {
		for _, span := range s.busyIn(k) {
			r := did(k, span[0], span[1])
			if took := span[1] - span[0]; r.done > 0 && (q.Cores-q.Base)/r.done <= busyOff*q.Each {
				work, seconds = work+r.done*took, seconds+took
			}
		}
	}
	if work < busyWork {
		return 0, 0
	}
	return (q.Cores - q.Base) * seconds / work, seconds
}

// busyIn returns the stretches, in seconds, in which a server had several requests all the while.
func (s *service) busyIn(k int) (out [][2]float64) {
	type event struct {
		at   float64
		more int
	}
	var events []event
	for _, i := range s.servers[k].calls {
		events = append(events, event{s.calls[i].sent, 1}, event{s.calls[i].done, -1})
	}
	slices.SortStableFunc(events, func(a, b event) int { return sign(a.at - b.at) })
	inside, from, busy := 0, 0.0, false
	for _, e := range events {
		inside += e.more
		switch {
		case !busy && inside >= busyInside:
			busy, from = true, e.at+busyLead
		case busy && inside < 2:
			if busy = false; e.at-from >= busyLeast {
				out = append(out, [2]float64{from, e.at})
			}
		}
	}
	return out
}
