package fit

import (
	"math"
	"slices"
)

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
