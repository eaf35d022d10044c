package fit

import (
	"cmp"
	"math"
	"slices"

	"github.com/hpatune/hpatune/tuner/plant"
)

// slowing is how services stretch as slots fill. With k in service, each takes
//
//	s(k) = 1 + per·max(0, k − from)
//
// times its own time. The zero slowing is no slowdown.
type slowing struct {
	per  float64 // for each other request in service beyond from
	from float64 // ≥ 1
}

// at is s(k), the stretch with k in service: 1 or more.
func (s slowing) at(k float64) float64 { return 1 + s.per*max(0, k-s.from) }

// slowest is the stretch below which a slowdown cannot be told from chance.
const slowest = 1.15

// slowingOf fits how services stretch with the mean number in service while they last: by a
// line, or by a level and a line, whichever has the smaller error. A call's time is compared
// with its class's line over tokens, so that long answers do not count as slow ones.
//
// Note: it was fitted over the number in service when a call came, and a sample of calls that
// had not waited was scaled by the stretch of all calls. That gave 3.80 requests per second
// instead of 3.33.
func slowingOf(s *service, slots int) (slowing, notes) {
	var said notes
	if slots < 2 {
		return slowing{}, said
	}
	beside := s.over(func(n float64) float64 { return n })
	expect := s.expected()
	bins := map[int]*[3]float64{} // by twice k: Σ k, Σ relative time, n
	for i := range s.calls {
		c := &s.calls[i]
		took := c.done - s.start[i]
		if !c.ok || took <= 0 || expect[i] <= 0 {
			continue
		}
		k := beside[i] / took
		b := bins[int(2*k)]
		if b == nil {
			b = &[3]float64{}
			bins[int(2*k)] = b
		}
		b[0], b[1], b[2] = b[0]+k, b[1]+took/expect[i], b[2]+1
	}
	var xs, ys, ws []float64
	for _, b := range bins {
		if b[2] >= 10 {
			xs, ys, ws = append(xs, b[0]/b[2]), append(ys, b[1]/b[2]), append(ws, b[2])
		}
	}
	if len(xs) < 3 {
		return slowing{}, said
	}
	best, a, b, from := math.Inf(1), 0.0, 0.0, 1.0
	for f := 1.0; f <= max(1, 0.8*float64(slots)); f = max(f+0.5, f*1.05) {
		hinge := make([]float64, len(xs))
		for i, x := range xs {
			hinge[i] = max(0, x-f)
		}
		u, v := line(hinge, ys, ws)
		left := 0.0
		for i := range xs {
			left += ws[i] * (ys[i] - u - v*hinge[i]) * (ys[i] - u - v*hinge[i])
		}
		if left < best*0.95 { // a later bend must explain clearly more
			best, a, b, from = left, u, v, f
		}
	}
	if a <= 0 {
		return slowing{}, said
	}
	out := slowing{max(0, b/a), from}
	// Beyond what was seen, nothing shows that the line goes on.
	said.quality(
		"slowing",
		out.at(float64(slots)),
		len(s.calls),
		"service time with all slots busy, relative to one busy slot",
	)
	if out.at(min(float64(slots), slices.Max(xs))) < slowest {
		return slowing{}, said
	}
	return out, said
}

// expected returns what each call takes for its tokens by a line through all calls of its
// class, in seconds; 0 if the class has too few.
func (s *service) expected() []float64 {
	byClass := map[int16][]int{}
	for i := range s.calls {
		if c := &s.calls[i]; c.ok && c.done > s.start[i] {
			byClass[c.class] = append(byClass[c.class], i)
		}
	}
	out := make([]float64, len(s.calls))
	for _, of := range byClass {
		few := thin(of, 400)
		xs, ys := make([]float64, len(few)), make([]float64, len(few))
		for j, i := range few {
			xs[j], ys[j] = s.calls[i].tokens, s.calls[i].done-s.start[i]
		}
		a, b := theilSen(xs, ys)
		middle := median(ys)
		for _, i := range of {
			out[i] = max(a+b*s.calls[i].tokens, middle/20)
		}
	}
	return out
}

// over returns, for each call, the integral of pace(n) over its service, where n is the number
// in service including it (of the mean replica, if replicas are hidden).
func (s *service) over(pace func(n float64) float64) []float64 {
	return s.overTo(pace, func(c *call) float64 { return c.done })
}

// overTo is over up to the time that until returns, which is not after the call's end.
func (s *service) overTo(pace func(n float64) float64, until func(*call) float64) []float64 {
	out := make([]float64, len(s.calls))
	type event struct {
		at   float64
		i    int
		what int8 // 0 = it ends, 1 = it begins, 2 = until
	}
	for _, k := range s.servers {
		events := make([]event, 0, 2*len(k.calls))
		for _, i := range k.calls {
			if s.start[i] < s.calls[i].done {
				c := &s.calls[i]
				events = append(events, event{s.start[i], i, 1}, event{c.done, i, 0},
					event{max(s.start[i], until(c)), i, 2})
			}
		}
		slices.SortFunc(events, func(a, b event) int {
			if c := cmp.Compare(a.at, b.at); c != 0 {
				return c
			}
			return cmp.Compare(a.i, b.i)
		})
		n, sum, last := 0.0, 0.0, 0.0
		for _, e := range events {
			if n > 0 {
				sum += (e.at - last) * pace(n/float64(s.sharing(last)))
			}
			last = e.at
			switch e.what {
			case 0:
				n--
			case 1:
				out[e.i] -= sum
				n++
			case 2:
				out[e.i] += sum
			}
		}
	}
	return out
}

// unstretched returns what a call took by itself from its start on, in seconds. alone is its
// own share of its service, in seconds by index.
func (s *service) unstretched(i int, alone []float64) plant.ServiceTime {
	c := &s.calls[i]
	took := c.done - s.start[i]
	by := 1.0
	if alone != nil && alone[i] > 0 {
		by = alone[i] / took
	}
	first := max(0, min(c.first, c.done)-s.start[i])
	return plant.ServiceTime{Class: c.class, First: first * by, Total: took * by, Tokens: c.tokens, Streamed: c.streamed}
}
