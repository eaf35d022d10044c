package fit

import "math"

// slowedCalls is how many calls are compared, around the moment with the most inside.
const slowedCalls = 40_000

// slowedSlots compares numbers of slots again if services slow down as slots fill. slotsOf takes
// a request's time for its own, so waits in a shorter queue seem to explain why requests take
// longer in full pods, and it finds too few slots. Here the time that a number of slots predicts
// is what a request takes by itself, times the stretch by those beside it. Of the numbers that
// explain the log equally well, it returns the middle one.
func slowedSlots(s *service, found slots) slots {
	l, streams := s.log.around(slowedCalls), s.streams()
	most := 1
	for i := range l.calls {
		most = max(most, l.calls[i].inside+1)
	}
	shape := newShape(l, streams)
	at, best := map[int]float64{}, math.Inf(1)
	for n := max(2, found.lo/2); n <= most; n = max(n+1, min(most, n*21/20)) {
		at[n] = shape.slowedSpread(l, n)
		best = min(best, at[n])
	}
	if math.IsInf(best, 1) {
		return found
	}
	out := slots{lo: most, waited: found.waited}
	for n, v := range at {
		if v <= best*(1+asGood)+1e-4 {
			out.lo, out.hi = min(out.lo, n), max(out.hi, n)
		}
	}
	out.n = (out.lo + out.hi) / 2
	out.spread, out.start = at[out.n], startsUnder(s.log, out.n)
	return out
}

// slowedSpread returns the mean absolute deviation of what calls took from what n slots and the
// slowdown that they show predict, in seconds; +Inf if more than lateStarts of them would have
// begun after they answered.
func (h *shape) slowedSpread(l *log, n int) float64 {
	s := service{log: l, start: startsUnder(l, n)}
	s.slowing, _ = slowingOf(&s, n)
	until := func(c *call) float64 { return c.done }
	if h.streams {
		until = func(c *call) float64 { return c.first }
	}
	alone := s.overTo(func(k float64) float64 { return 1 / s.slowing.at(k) }, until)
	sum, count, late := 0.0, 0.0, 0.0
	var xs, ys, by []float64
	for _, k := range h.classes {
		xs, ys, by = xs[:0], ys[:0], by[:0]
		for _, i := range h.byClass[k] {
			took, stretch := h.took(&l.calls[i], s.start[i]), 1.0
			if took < -1e-3 {
				late++
			}
			if took > 0 && alone[i] > 0 {
				stretch = took / alone[i]
			}
			xs, ys, by = append(xs, h.size[i]), append(ys, took/stretch), append(by, stretch)
		}
		a, b := theilSen(thin(xs, 250), thin(ys, 250))
		for i, x := range xs {
			sum += math.Abs(ys[i]-a-b*x) * by[i]
			count++
		}
	}
	if late > lateStarts*count {
		return math.Inf(1)
	}
	return sum / count
}

// around returns the part of a log with at most n calls around the one that met the most inside
// its replica. Calls from before that last on are missing in it.
func (l *log) around(n int) *log {
	if len(l.calls) <= n {
		return l
	}
	from, to := fullest(l, n)
	out := *l
	out.calls = l.calls[from:to]
	out.servers = nil
	for _, s := range l.servers {
		part := server{backend: s.backend}
		for k, i := range s.calls {
			if i >= from && i < to {
				part.calls, part.latest = append(part.calls, i-from), append(part.latest, s.latest[k])
			}
		}
		out.servers = append(out.servers, part)
	}
	return &out
}

// fullest returns the ends of the n calls around the one that met the most inside.
func fullest(l *log, n int) (from, to int) {
	at := 0
	for i := range l.calls {
		if l.calls[i].inside > l.calls[at].inside {
			at = i
		}
	}
	from = min(max(0, at-n/2), len(l.calls)-n)
	return from, from + n
}
