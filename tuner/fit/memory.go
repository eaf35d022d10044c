package fit

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// nearby is how long after a rescale its pods are created or deleted.
const nearby = 5 * time.Second

// memoryOf returns what the controller remembered when the run began: its rescales of the hour
// before, from the events that the API server still had. A rescale's size is its difference
// from the rescale before; for the first one, it is the number of pods created or deleted with
// it. Without this memory, rate policies would start afresh, and a scale-down just before the
// start could be repeated.
//
// It contains no proposals: a controller that rescaled had proposed that size, and the core
// starts with that size, too.
func memoryOf(l *log) (hpa.Memory, notes) {
	var m hpa.Memory
	var n notes
	before := int32(-1)
	events := slices.Clone(l.run.Events)
	slices.SortStableFunc(events, func(a, b results.Event) int { return int(a.At - b.At) })
	for i := range events {
		e := &events[i]
		if e.Reason != results.RescaleEvent || e.At >= 0 || e.At < -time.Hour {
			continue
		}
		size, why, ok := strings.Cut(strings.TrimPrefix(e.Message, "New size: "), "; reason: ")
		to, err := strconv.Atoi(size)
		if !ok || err != nil {
			continue
		}
		change := int32(to) - before
		if before < 0 {
			if change = l.changed(e.At); strings.Contains(why, "below target") {
				change = -change
			}
		}
		before = int32(to)
		switch {
		case change > 0:
			m.ScaleUp = append(m.ScaleUp, hpa.ScaleEvent{At: e.At, Change: change})
		case change < 0:
			m.ScaleDown = append(m.ScaleDown, hpa.ScaleEvent{At: e.At, Change: -change})
		}
	}
	if k := len(m.ScaleUp) + len(m.ScaleDown); k > 0 {
		n.quality("remembered", float64(k), k, "rescales before the run began, which the rate policies count")
	}
	return m, n
}

// changed returns how many pods were created or deleted with a rescale at the given time.
func (l *log) changed(at time.Duration) int32 {
	made, gone := int32(0), int32(0)
	for _, p := range l.lives {
		if results.Happened(p.created) && p.created >= at-time.Second && p.created <= at+nearby {
			made++
		}
		if results.Happened(p.ended) && p.ended >= at-time.Second && p.ended <= at+nearby {
			gone++
		}
	}
	return max(made, gone)
}
