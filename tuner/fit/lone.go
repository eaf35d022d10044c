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
	by   []float64
	at   map[int]float64 // of single calls, by their index
	seen []seen
	// drift is the standard deviation of the logarithm of by from one half minute to the next,
	// beyond its scatter within each of them.
	drift float64
}

// seen is a call that came to an idle pod.
type seen struct {
	i     int
	until float64 // seconds for which it was alone
	whole bool    // it was alone to its end
}

// loneOf finds lone requests; ok is false for fewer than 5.
func loneOf(l *log) (out lone, ok bool) {
	for _, k := range l.servers {
		last := math.Inf(-1)
		for j, i := range k.calls {
			c := &l.calls[i]
			if c.ok && c.sent >= last+quotaPeriod && c.done > c.sent {
				until, whole := c.done, true
				if j+1 < len(k.calls) && l.calls[k.calls[j+1]].sent < c.done {
					until, whole = l.calls[k.calls[j+1]].sent, false
				}
				out.seen = append(out.seen, seen{i, until - c.sent, whole})
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
	out.scatter(func(x seen) float64 { return x.until / out.line(&l.calls[x.i]).Total })
	out.drift = out.drifts(l)
	return out, true
}

// scatter fills in by and at, given how many times as long as its line each one was alone.
func (a *lone) scatter(of func(seen) float64) {
	type ended struct {
		by    float64
		whole bool
	}
	a.at, a.by = map[int]float64{}, nil
	ratios := make([]ended, len(a.seen))
	for j, x := range a.seen {
		ratios[j] = ended{of(x), x.whole}
		if x.whole {
			a.at[x.i] = ratios[j].by
		}
	}
	slices.SortStableFunc(ratios, func(a, b ended) int { return sign(a.by - b.by) })
	const ranks = 256
	left, by := 1.0, 0.0 // share of requests that take longer
	for j, x := range ratios {
		if x.whole {
			by = x.by
			left *= 1 - 1/float64(len(ratios)-j)
		}
		for len(a.by) < ranks && 1-left > (float64(len(a.by))+0.5)/ranks {
			a.by = append(a.by, by)
		}
	}
	for len(a.by) < ranks {
		a.by = append(a.by, by)
	}
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

// atFullSpeed returns what calls take without the quota, by class and tokens: a line through the
// times that lone requests would take then, and its mean over all calls, in seconds. Each time is
// the one that under the quota comes to the measured time, averaged over phases of the period. (A
// share of the measured time would not do: a short request is not throttled at all, and a long one
// for half of its time, so the line of measured times is too steep.) by and at become those
// times over that line, less what the phases make them scatter.
//
// A request uses at most one core. If it is throttled for most of its time, its speed in between
// is not visible and makes no difference; it is assumed to use one core.
func (a *lone) atFullSpeed(q plant.Quota, l *log) (line func(*call) plant.ServiceTime, mean float64) {
	var full unthrottled
	at := func(cores float64) {
		full = unthrottledBy(q, cores, a)
		sample := slices.Clone(a.sample)
		for i := range sample {
			sample[i].First, sample[i].Total = full.time(sample[i].First), full.time(sample[i].Total)
		}
		line = linesOf(sample)
		sum, n := 0.0, 0.0
		for i := range l.calls {
			if c := &l.calls[i]; c.ok {
				sum, n = sum+line(c).Total, n+1
			}
		}
		mean = sum / n
	}
	if at(1); 0.9*mean > q.Each {
		lo, hi := 0.0, 1.0
		for range 12 {
			cores := (lo + hi) / 2
			if at(cores); cores*mean > q.Each {
				hi = cores
			} else {
				lo = cores
			}
		}
	}
	ratio := func(x seen) float64 { return math.Log(full.time(x.until) / line(&l.calls[x.i]).Total) }
	n, sum, squares, phases := 0.0, 0.0, 0.0, 0.0
	for _, x := range a.seen {
		if x.whole {
			r := ratio(x)
			n, sum, squares, phases = n+1, sum+r, squares+r*r, phases+full.scatter(x.until)
		}
	}
	own := 1.0 // share of the logarithm's scatter that is the requests' own
	if spread := squares - sum*sum/n; spread > 0 {
		own = math.Sqrt(max(0, 1-phases/spread))
	}
	a.scatter(func(x seen) float64 { return math.Exp(own * ratio(x)) })
	return line, mean
}

// unthrottled is what lone requests would take without the quota, at even steps of that time, and
// what they take with it: the mean over phases of the period, and the variance. In seconds.
type unthrottled struct{ free, took, variance []float64 }

// unthrottledBy returns it for requests that use so many cores.
func unthrottledBy(q plant.Quota, cores float64, a *lone) unthrottled {
	const steps = 256
	longest := 0.0
	for _, x := range a.seen {
		longest = max(longest, x.until)
	}
	u := unthrottled{make([]float64, steps+1), make([]float64, steps+1), make([]float64, steps+1)}
	for i := range u.free {
		u.free[i] = longest * float64(i) / steps
		u.took[i], u.variance[i] = underQuota(q, u.free[i], q.Base+cores)
	}
	return u
}

// cell is the step in which a measured time lies, and the slope of free times there; ok is false
// for a time of 0, or beyond the longest.
func (u *unthrottled) cell(t float64) (i int, slope float64, ok bool) {
	i, _ = slices.BinarySearch(u.took, t)
	if i == 0 || i == len(u.took) {
		return i, 1, false
	}
	return i, (u.free[i] - u.free[i-1]) / (u.took[i] - u.took[i-1]), true
}

// time returns what a request would take without the quota that takes t with it.
func (u *unthrottled) time(t float64) float64 {
	i, slope, ok := u.cell(t)
	if !ok {
		return t
	}
	return u.free[i-1] + slope*(t-u.took[i-1])
}

// scatter is the variance of the logarithm of that time that comes from the phases.
func (u *unthrottled) scatter(t float64) float64 {
	i, slope, ok := u.cell(t)
	if !ok {
		return 0
	}
	return u.variance[i] * slope * slope / max(1e-12, u.time(t)*u.time(t))
}

// underQuota returns how long a request takes that comes to a pod that was idle, over phases of
// the period: free seconds of work, during which the pod uses burn cores.
func underQuota(q plant.Quota, free, burn float64) (mean, variance float64) {
	const phases = 20
	size := q.Cores * quotaPeriod
	sum, squares := 0.0, 0.0
	for p := range phases {
		at := (float64(p) + 0.5) / phases * quotaPeriod // into the period
		left, budget, took := free, size-q.Base*at, 0.0
		for range 10_000 {
			run := min(left, budget/burn, quotaPeriod-at)
			left, took = left-run, took+run
			if left <= 1e-9 {
				break
			}
			took += quotaPeriod - at - run
			at, budget = 0, size
		}
		sum, squares = sum+took, squares+took*took
	}
	mean = sum / phases
	return mean, max(0, squares/phases-mean*mean)
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
