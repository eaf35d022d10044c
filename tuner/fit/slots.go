package fit

import (
	"container/heap"
	"math"
	"slices"
)

// slotsOf fits how many requests a replica works on at once, and when each call
// got its slot. spread is how well that explains the log (see spreadOf); 0 where
// the replicas are hidden.
func slotsOf(l *log, streams bool) (slots int, spread float64, start []float64) {
	if !l.visible && len(l.traffic) > 0 {
		slots, start = hiddenSlots(l, streams)
		return slots, 0, start
	}
	most := 0
	for i := range l.calls {
		most = max(most, l.calls[i].inside+1)
	}
	best, least := 1, math.Inf(1)
	for m := 1; ; m = min(most, max(m+1, m*21/20)) {
		// More slots must explain clearly more to be believed: where nothing ever
		// waited, the fewest that say so are the evidence.
		if s := spreadOf(l, startsUnder(l, m), streams); s < least*0.98-1e-4 {
			best, least = m, s
		}
		if m == most {
			break
		}
	}
	return best, least, startsUnder(l, best)
}

// startsUnder is when each call got its slot if a replica has m of them and its
// queue is first in, first out: when all but m-1 of those before it had ended.
// That needs nothing but the recorded ends.
func startsUnder(l *log, m int) []float64 {
	out := make([]float64, len(l.calls))
	for _, s := range l.servers {
		var last floats // the m latest ends so far; the top is the m-th latest
		for _, i := range s.calls {
			c := &l.calls[i]
			out[i] = c.sent
			if len(last) == m {
				out[i] = max(c.sent, last[0])
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
	return out
}

// spreadOf is how much the requests' own part of their latency varies under the
// given starts: the mean absolute deviation from what its class takes (by
// tokens, where answers come in one piece), over the median. With too many
// slots waits are taken for service; with too few, service for waits. The right
// number has the least.
func spreadOf(l *log, start []float64, streams bool) float64 {
	type points struct{ x, y []float64 }
	byClass := map[int16]*points{}
	for i := range l.calls {
		c := &l.calls[i]
		if !c.ok {
			continue
		}
		p := byClass[c.class]
		if p == nil {
			p = &points{}
			byClass[c.class] = p
		}
		x, y := 0.0, c.first-start[i] // the first token's time does not depend on how many follow
		if !streams {
			x, y = c.tokens, c.done-start[i]
		}
		p.x, p.y = append(p.x, x), append(p.y, y)
	}
	sum, n := 0.0, 0.0
	for _, p := range byClass {
		a, b := theilSen(thin(p.x, 400), thin(p.y, 400))
		middle := max(1e-6, math.Abs(median(slices.Clone(p.y))))
		for i, x := range p.x {
			sum += math.Abs(p.y[i]-a-b*x) / middle
			n++
		}
	}
	return sum / n
}

// hiddenSlots fits slots where it is not visible which replica answered. What a
// request itself takes is then what its class's quickest tenth took to the
// first token (in one piece: what those took that came to the emptiest
// replicas, by tokens), the rest is wait; and slots are what keeps the fullest
// stretches' throughput going, C·E[S]. Replicas that a balancer left idle in
// those stretches make it too low.
func hiddenSlots(l *log, streams bool) (int, []float64) {
	type class struct{ first, tokens, total []float64 }
	classes := map[int16]*class{}
	var inside []float64
	for i := range l.calls {
		inside = append(inside, float64(l.calls[i].inside))
	}
	slices.Sort(inside)
	quiet := int(inside[len(inside)/4])
	for i := range l.calls {
		c := &l.calls[i]
		if !c.ok {
			continue
		}
		if classes[c.class] == nil {
			classes[c.class] = &class{}
		}
		k := classes[c.class]
		k.first = append(k.first, c.first-c.sent)
		if c.inside <= quiet {
			k.tokens, k.total = append(k.tokens, c.tokens), append(k.total, c.done-c.sent)
		}
	}
	type own struct{ first, a, b float64 }
	owns := map[int16]own{}
	for k, c := range classes {
		slices.Sort(c.first)
		a, b := theilSen(thin(c.tokens, 400), thin(c.total, 400))
		owns[k] = own{c.first[len(c.first)/10], a, b}
	}
	start := make([]float64, len(l.calls))
	sum, n := 0.0, 0.0
	for i := range l.calls {
		c := &l.calls[i]
		o := owns[c.class]
		start[i] = c.sent
		if streams && c.first-c.sent > 1.25*o.first {
			start[i] = max(c.sent, c.first-o.first)
		} else if !streams && c.inside > quiet {
			start[i] = max(c.sent, c.done-o.a-o.b*c.tokens)
		}
		if c.ok {
			sum, n = sum+c.done-start[i], n+1
		}
	}
	mean := sum / n
	width := max(15, 3*mean)
	s := service{log: l, start: start}
	var rates []float64
	for from := l.calls[0].sent; from+width <= l.calls[len(l.calls)-1].sent; from += width / 2 {
		// Work done in the window, in requests, over the replicas that were there.
		rates = append(rates, s.did(0, from, from+width).done/float64(l.sharing(from+width/2)))
	}
	if len(rates) == 0 {
		return 1, start
	}
	slices.Sort(rates)
	return max(1, int(math.Round(rates[len(rates)*9/10]*mean))), start
}
