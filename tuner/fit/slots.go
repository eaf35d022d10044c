package fit

import (
	"container/heap"
	"math"
	"slices"

	"github.com/hpatune/hpatune/results"
)

// slots is how many requests a replica works on at once, and which other numbers also explain
// the log.
type slots struct {
	n      int     // the number that explains the log best
	lo, hi int     // those that explain it equally well, within the noise
	spread float64 // mean deviation of a request's own time from that of its class, seconds
	start  []float64
	// waited means that some calls were seen to wait. If none did, n is the most seen at once,
	// which is a lower bound.
	waited bool
}

// How different numbers of slots are compared.
const (
	// asGood is how much worse another number may explain a log and still count as explaining
	// it equally well: the sampling error of the spread over the few hundred calls that waits
	// affect.
	asGood = 0.02
	// lateStarts is the share of calls that a number of slots may start after their first token
	// and still be possible: clocks differ, and other clients may send requests.
	lateStarts = 0.01
)

// slotsOf fits how many requests a replica works on at once, if the log shows which replica
// answered. With n slots and a first-in-first-out queue it follows when each call began, and
// the right n gives the calls' own times the least spread. With too many slots, waits count as
// service; with too few, calls begin after they answered, which is impossible.
//
// The spread is in seconds. Note: it was a ratio of the median, which grows if waits count as
// service, so that a log full of waits gave 13 to 30 slots instead of 8.
func slotsOf(l *log, streams bool) slots {
	most := 1
	for i := range l.calls {
		most = max(most, l.calls[i].inside+1)
	}
	shape := newShape(l, streams)
	starts := startsOfSome(l, shape.points())
	at := map[int]float64{}
	try := func(n int) float64 {
		if _, done := at[n]; !done {
			at[n] = shape.spread(l, starts(n))
		}
		return at[n]
	}
	best := most
	for n := 1; ; n = min(most, max(n+1, n*21/20)) {
		if try(n) < try(best) {
			best = n
		}
		if n == most {
			break
		}
	}
	for n := max(1, best*20/21); n <= min(most, best*21/20+1); n++ {
		if try(n) < try(best) {
			best = n
		}
	}
	// If nothing ever waited, all numbers from some n on are the same; and if several are
	// equally good, the log shows only the fewest.
	out := slots{lo: best, hi: best}
	for n, v := range at {
		if v <= at[best]*(1+asGood)+1e-4 {
			out.lo, out.hi = min(out.lo, n), max(out.hi, n)
		}
	}
	out.n = best
	if at[most] <= at[best]*(1+asGood)+1e-4 {
		out.n = out.lo
	}
	out.spread, out.start = at[out.n], startsUnder(l, out.n)
	for i := range l.calls {
		if out.start[i] > l.calls[i].sent {
			out.waited = true
			break
		}
	}
	return out
}

// startsUnder returns when each call got its slot (seconds) if a replica has m slots and its
// queue is first in, first out: when all but m-1 of the calls before it had ended. That needs
// only the recorded ends. A call whose client gave up while it waited held no slot.
func startsUnder(l *log, m int) []float64 {
	out := make([]float64, len(l.calls))
	for k := range l.servers {
		l.startsIn(k, m, out)
	}
	return out
}

// startsIn does what startsUnder does for one server.
func (l *log) startsIn(server, m int, out []float64) {
	var last floats // the m latest ends so far; the top is the m-th latest
	for _, i := range l.servers[server].calls {
		c := &l.calls[i]
		out[i] = c.sent
		if len(last) == m {
			out[i] = max(c.sent, last[0])
		}
		if out[i] >= c.done && c.request.Outcome != results.OK {
			out[i] = c.done
			continue
		}
		switch {
		case len(last) < m:
			heap.Push(&last, c.done)
		case c.done > last[0]:
			last[0] = c.done
			heap.Fix(&last, 0)
		}
	}
}

// startsOfSome returns a function of m that gives the same starts as startsUnder for some of the
// calls, by index, and anything for the others. The result is valid until the next call of it.
//
// If all calls of a server succeeded, each held a slot until its end. Then a call's start depends
// only on the ends of those that were inside when it came, which are collected once. Otherwise
// the server is played from its first call on.
func startsOfSome(l *log, some []int) func(m int) []float64 {
	failed := make([]bool, len(l.servers))
	for i := range l.calls {
		if c := &l.calls[i]; c.request.Outcome != results.OK {
			failed[c.server] = true
		}
	}
	ends := make([][]float64, len(some)) // of the calls inside, the latest first
	for k, i := range some {
		c := &l.calls[i]
		if failed[c.server] {
			continue
		}
		for _, j := range l.servers[c.server].within(c.sent) {
			if j == i {
				break
			}
			if done := l.calls[j].done; done > c.sent {
				ends[k] = append(ends[k], done)
			}
		}
		slices.SortFunc(ends[k], func(a, b float64) int { return sign(b - a) })
	}
	out := make([]float64, len(l.calls))
	return func(m int) []float64 {
		for k := range l.servers {
			if failed[k] {
				l.startsIn(k, m, out)
			}
		}
		for k, i := range some {
			if c := &l.calls[i]; !failed[c.server] {
				out[i] = c.sent
				if len(ends[k]) >= m {
					out[i] = ends[k][m-1]
				}
			}
		}
		return out
	}
}

// shape is what requests of a class take by themselves, as far as the log shows it: to the
// first token by prompt tokens if answers stream, otherwise to the end by answer tokens.
type shape struct {
	streams bool
	classes []int16
	byClass map[int16][]int // of the good calls, thinned
	size    []float64       // x of each call
}

// shapePoints is how many calls of a class are used for its line and spread.
const shapePoints = 4000

// newShape sorts the calls of a log by class, each with its size: the tokens of its prompt if
// answers stream, otherwise those of its answer.
func newShape(l *log, streams bool) *shape {
	s := &shape{streams: streams, byClass: map[int16][]int{}, size: make([]float64, len(l.calls))}
	for i := range l.calls {
		c := &l.calls[i]
		s.size[i] = c.tokens
		if streams {
			s.size[i] = float64(c.request.Prompt)
		}
		if c.ok {
			if s.byClass[c.class] == nil {
				s.classes = append(s.classes, c.class)
			}
			s.byClass[c.class] = append(s.byClass[c.class], i)
		}
	}
	for k, v := range s.byClass {
		s.byClass[k] = thin(v, shapePoints)
	}
	return s
}

// points returns the calls that the shape is made of, as indices into log.calls.
func (s *shape) points() []int {
	var out []int
	for _, k := range s.classes {
		out = append(out, s.byClass[k]...)
	}
	return out
}

// took returns what a call took from its start, up to the point that the shape uses.
func (s *shape) took(c *call, start float64) float64 {
	if s.streams {
		return c.first - start
	}
	return c.done - start
}

// spread returns the mean absolute deviation of what calls took, from their starts on, from
// their class's line, in seconds; +Inf if more than lateStarts of them would have begun after
// they answered.
func (s *shape) spread(l *log, start []float64) float64 {
	sum, n, late := 0.0, 0.0, 0.0
	var xs, ys []float64
	for _, k := range s.classes {
		xs, ys = xs[:0], ys[:0]
		for _, i := range s.byClass[k] {
			y := s.took(&l.calls[i], start[i])
			if y < -1e-3 {
				late++
			}
			xs, ys = append(xs, s.size[i]), append(ys, y)
		}
		a, b := theilSen(thin(xs, 250), thin(ys, 250))
		for i, x := range xs {
			sum += math.Abs(ys[i] - a - b*x)
			n++
		}
	}
	if late > lateStarts*n {
		return math.Inf(1)
	}
	return sum / n
}

// quiet returns the first quartile of the requests in the replica when a call came.
func (l *log) quiet() int {
	inside := make([]int, len(l.calls))
	for i := range l.calls {
		inside[i] = l.calls[i].inside
	}
	slices.Sort(inside)
	return inside[len(inside)/4]
}
