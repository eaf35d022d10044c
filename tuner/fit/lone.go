package fit

import (
	"maps"
	"math"
	"slices"

	"github.com/hpatune/hpatune/tuner/plant"
)

// lone is what requests take that are alone. None is in the server when they come, none comes
// while they last, and the server was idle for a whole period before, since earlier requests
// use up the period's budget.
type lone struct {
	sample []plant.ServiceTime
	line   func(*call) plant.ServiceTime // the time of a lone call of its class and tokens
	mean   float64                       // of the line over all good calls, seconds
	// by is the time of lone requests over their line, at 256 even ranks. A longer request is
	// joined by another more often, and is then no longer alone: it counts as one that took
	// longer than until then (Kaplan–Meier).
	by []float64
	at map[int]float64 // of single calls, by their index
	// drift is the standard deviation of the logarithm of by from one half minute to the next,
	// beyond its scatter within each of them.
	drift float64
}

// loneOf finds lone requests; ok is false for fewer than 5.
func loneOf(l *log) (out lone, ok bool) {
	type seen struct {
		i     int
		until float64 // seconds for which it was alone
		whole bool    // it was alone to its end
	}
	var all []seen
	for _, k := range l.servers {
		last := math.Inf(-1)
		for j, i := range k.calls {
			c := &l.calls[i]
			if c.ok && c.sent >= last+quotaPeriod && c.done > c.sent {
				until, whole := c.done, true
				if j+1 < len(k.calls) && l.calls[k.calls[j+1]].sent < c.done {
					until, whole = l.calls[k.calls[j+1]].sent, false
				}
				all = append(all, seen{i, until - c.sent, whole})
				if whole {
					out.sample = append(out.sample, plant.ServiceTime{Class: c.class, First: min(c.first, c.done) - c.sent,
						Total: c.done - c.sent, Tokens: c.tokens, Streamed: c.streamed})
				}
			}
			last = max(last, c.done)
		}
	}
	if len(out.sample) < 5 {
		return out, false
	}
	shares := firstShares(l)
	for i := range out.sample {
		t := &out.sample[i]
		if share, ok := shares[t.Class]; ok && t.Streamed && t.First == t.Total {
			t.First *= share
		}
	}
	out.line = linesOf(out.sample)
	sum, n := 0.0, 0.0
	for i := range l.calls {
		if c := &l.calls[i]; c.ok {
			sum, n = sum+out.line(c).Total, n+1
		}
	}
	out.mean = sum / n
	if !(out.mean > 0) {
		return out, false
	}
	out.at = map[int]float64{}
	type ended struct {
		by    float64
		whole bool
	}
	ratios := make([]ended, len(all))
	for j, x := range all {
		ratios[j] = ended{x.until / out.line(&l.calls[x.i]).Total, x.whole}
		if x.whole {
			out.at[x.i] = ratios[j].by
		}
	}
	out.drift = out.drifts(l)
	slices.SortStableFunc(ratios, func(a, b ended) int { return sign(a.by - b.by) })
	const ranks = 256
	left, by := 1.0, 0.0 // share of requests that take longer
	for j, x := range ratios {
		if x.whole {
			by = x.by
			left *= 1 - 1/float64(len(ratios)-j)
		}
		for len(out.by) < ranks && 1-left > (float64(len(out.by))+0.5)/ranks {
			out.by = append(out.by, by)
		}
	}
	for len(out.by) < ranks {
		out.by = append(out.by, by)
	}
	return out, true
}

// drifts returns the drift of lone requests, by analysis of variance over half minutes.
func (a *lone) drifts(l *log) float64 {
	type block struct{ n, sum, squares float64 }
	blocks := map[int]*block{}
	n, sum := 0.0, 0.0
	for i := range l.calls {
		by, ok := a.at[i]
		if !ok {
			continue
		}
		k := int(math.Floor(l.calls[i].sent / costBlock))
		if blocks[k] == nil {
			blocks[k] = &block{}
		}
		v := math.Log(by)
		b := blocks[k]
		b.n, b.sum, b.squares = b.n+1, b.sum+v, b.squares+v*v
		n, sum = n+1, sum+v
	}
	k := float64(len(blocks))
	if k < 5 || n < 4*k {
		return 0
	}
	within, between, sizes := 0.0, 0.0, 0.0
	for _, at := range slices.Sorted(maps.Keys(blocks)) { // a fixed order gives the same rounding errors
		b := blocks[at]
		mean := b.sum / b.n
		within += b.squares - b.n*mean*mean
		between += b.n * (mean - sum/n) * (mean - sum/n)
		sizes += b.n * b.n
	}
	return math.Sqrt(max(0, (between-within/(n-k)*(k-1))/(n-sizes/n)))
}

// fullSpeed returns the share of a lone request's measured time that it would take without the
// quota: with the quota it then takes the measured time. A request uses at most one core. If
// it is throttled for most of its time, its speed in between is not visible and makes no
// difference; it is assumed to use one core.
func fullSpeed(q plant.Quota, l lone) float64 {
	took := meanTotal(l.sample)
	quickest := min(1, q.Each/l.mean)
	switch {
	case loneUnder(q, l, quickest) >= took*0.9:
		return quickest
	case loneUnder(q, l, 1) <= took*1.02:
		return 1
	}
	lo, hi := quickest, 1.0
	for range 20 {
		if mid := (lo + hi) / 2; loneUnder(q, l, mid) > took {
			hi = mid
		} else {
			lo = mid
		}
	}
	return lo
}

// loneUnder returns the mean time of lone requests under a quota, averaged over phases of the
// period. At full speed they take scale times their measured time.
func loneUnder(q plant.Quota, l lone, scale float64) float64 {
	const phases = 20
	size := q.Cores * quotaPeriod
	sum, n := 0.0, 0.0
	for _, t := range thin(l.sample, 100) {
		c := call{class: t.Class, tokens: t.Tokens, first: 1, done: 1} // only its Total is used
		burn := q.Base + q.Each*l.line(&c).Total/l.mean/(t.Total*scale)
		for p := range phases {
			at := (float64(p) + 0.5) / phases * quotaPeriod // into the period
			left, budget, took := t.Total*scale, size-q.Base*at, 0.0
			for range 10_000 {
				run := min(left, budget/burn, quotaPeriod-at)
				left, took = left-run, took+run
				if left <= 1e-9 {
					break
				}
				took += quotaPeriod - at - run
				at, budget = 0, size
			}
			sum, n = sum+took, n+1
		}
	}
	return sum / n
}

// firstShares returns how much of an answer's time had passed at its first token, by class:
// the median of the answers that came in pieces, for classes with 20 or more of them. An idle
// server writes a short answer faster than the client reads once, so the whole answer comes in
// one piece. A busy server does not, and its requests get a first token well before the end.
func firstShares(l *log) map[int16]float64 {
	byClass := map[int16][]float64{}
	for i := range l.calls {
		if c := &l.calls[i]; c.ok && c.streamed && c.first > c.sent && c.first < c.done {
			byClass[c.class] = append(byClass[c.class], (c.first-c.sent)/(c.done-c.sent))
		}
	}
	out := map[int16]float64{}
	for class, shares := range byClass {
		if len(shares) >= 20 {
			out[class] = median(shares)
		}
	}
	return out
}

// linesOf returns what a call takes by a line over tokens, fitted to the sample of its class.
func linesOf(sample []plant.ServiceTime) func(*call) plant.ServiceTime {
	type points struct{ x, first, total []float64 }
	byClass := map[int16]*points{}
	for _, t := range sample {
		p := byClass[t.Class]
		if p == nil {
			p = &points{}
			byClass[t.Class] = p
		}
		p.x, p.first, p.total = append(p.x, t.Tokens), append(p.first, t.First), append(p.total, t.Total)
	}
	type fitted struct{ a, b, first, least float64 }
	lines := map[int16]fitted{}
	for k, p := range byClass {
		x, y := thin(p.x, 300), thin(p.total, 300)
		a, b := theilSen(x, y)
		lines[k] = fitted{a, b, median(slices.Clone(p.first)), slices.Min(p.total)}
	}
	return func(c *call) plant.ServiceTime {
		f, ok := lines[c.class]
		if !ok { // no request of this class was alone: use the first class's line
			f = lines[sample[0].Class]
		}
		total := max(f.least, f.a+f.b*c.tokens)
		first := total
		if c.streamed {
			first = min(f.first, total)
		}
		return plant.ServiceTime{Class: c.class, First: first, Total: total, Tokens: c.tokens, Streamed: c.streamed}
	}
}
