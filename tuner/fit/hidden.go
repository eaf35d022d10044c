package fit

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/hpatune/hpatune/tuner/plant"
)

// hidden is what is found about replicas behind one address, if no header names the one that
// answered.
type hidden struct {
	slots
	balancer plant.Balancer
	// off is how far the latencies of the best (slots, balancer) are from the recorded ones: a
	// mean of absolute differences of logarithms, so 0.1 is about 10 %.
	off float64
}

// hiddenOff is the largest off at which hidden replicas count as understood: latencies a
// quarter off on average.
const hiddenOff = 0.25

// hiddenOf finds the slots and the balancer of hidden replicas by playing the log. It is known
// when pods came and went, and what a request takes by itself (own), so each pair of slots and
// balancer predicts the clients' latencies. It takes the pair whose latencies are closest to
// the recorded ones, over time and in their quantiles. With too few slots requests wait too
// long; with another balancer the tail differs.
//
// Note: slots were the 90th percentile of throughput over all ready replicas, times the mean
// service time of calls that had not waited. That treated all calls as short ones, and saw too
// few slots if a random balancer left replicas idle.
func hiddenOf(l *log, streams bool, patience float64, seed uint64) hidden {
	p := newPuppets(l, streams, patience, seed)
	best := hidden{off: math.Inf(1)}
	tried := map[[2]int]float64{}
	try := func(m int, b plant.Balancer) float64 {
		k := [2]int{m, int(b)}
		if v, ok := tried[k]; ok {
			return v
		}
		v := p.off(m, b)
		tried[k] = v
		if v < best.off {
			best.n, best.balancer, best.off = m, b, v
		}
		return v
	}
	most := 1
	for i := range l.calls {
		most = max(most, 2*l.calls[i].inside+2)
	}
	for _, b := range plant.Balancers[:3] {
		// Double first, then search in between: latency falls as slots grow.
		for m := 1; m < 2*most; m *= 2 {
			try(m, b)
		}
		for step := max(1, nearest(tried, b)/2); step >= 1; step /= 2 {
			for moved := true; moved; {
				moved = false
				at := nearest(tried, b)
				for _, m := range []int{at - step, at + step} {
					if m >= 1 && try(m, b) < tried[[2]int{at, int(b)}] {
						moved = true
					}
				}
			}
		}
	}
	// Round robin and least connections make about as many requests wait, but not the same
	// ones. Both choices depend only on what is known, so compare call by call.
	if best.balancer != plant.Random {
		apart := math.Inf(1)
		for _, b := range []plant.Balancer{plant.RoundRobin, plant.LeastConnections} {
			m := nearest(tried, b)
			if v := tried[[2]int{m, int(b)}]; v > 2*best.off+0.02 {
				continue
			}
			if d := p.apart(m, b); d < apart {
				apart, best.n, best.balancer = d, m, b
			}
		}
		best.off = tried[[2]int{best.n, int(best.balancer)}]
	}
	best.lo, best.hi = best.n, best.n
	for k, v := range tried {
		if v <= best.off*1.1+0.002 && plant.Balancer(k[1]) == best.balancer {
			best.lo, best.hi = min(best.lo, k[0]), max(best.hi, k[0])
		}
	}
	// If more slots are no worse, the log shows only the fewest.
	if v := tried[[2]int{best.hi, int(best.balancer)}]; best.hi >= most && v <= best.off*1.1+0.002 {
		best.n = best.lo
	}
	best.start = p.starts()
	for i := range best.start {
		best.waited = best.waited || best.start[i] > l.calls[i].sent
	}
	best.spread = p.noise()
	return best
}

// nearest returns the number of slots whose latencies are closest to the recording so far,
// under b.
func nearest(tried map[[2]int]float64, b plant.Balancer) int {
	at, off := 1, math.Inf(1)
	for k, v := range tried {
		if k[1] == int(b) && (v < off || v == off && k[0] < at) {
			at, off = k[0], v
		}
	}
	return at
}

// puppets replays the log of hidden replicas.
type puppets struct {
	l        *log
	streams  bool
	patience float64
	seed     uint64
	own      func(*call) float64 // what a call takes by itself, up to the point that is measured, seconds
	from, to int                 // the part of log.calls that is played
	first    []float64           // own time up to the measured point (first token, or end), by index from `from`
	rest     []float64           // from there to the end
	took     []float64           // recorded latency
	low      []float64           // deviations of quiet calls below their line, in logarithms
	pods     []span
	cuts     []int // of the part, into windows
}

// span is a stretch of time in seconds: from ≤ t < to.
type span struct{ from, to float64 }

const (
	playedCalls   = 40_000 // of the log, around its busiest moment
	playedWindows = 40
)

// newPuppets prepares the replay of a log whose replicas are not visible. Of a long log, it
// plays the calls around the busiest moment. patience is the client's timeout, in seconds.
func newPuppets(l *log, streams bool, patience float64, seed uint64) *puppets {
	p := &puppets{l: l, streams: streams, patience: patience, seed: seed, to: len(l.calls)}
	if len(l.calls) > playedCalls {
		p.from, p.to = fullest(l, playedCalls)
	}
	for _, t := range l.traffic {
		p.pods = append(p.pods, span{t[0], t[1]})
	}
	p.own = p.lines()
	r := rand.New(rand.NewPCG(seed, 0x68696465))
	for i := p.from; i < p.to; i++ {
		c := &l.calls[i]
		first := p.own(c)
		if n := len(p.low); n > 0 { // deviations above the line include waits, so mirror those below
			d := p.low[r.IntN(n)]
			if r.IntN(2) == 0 {
				d = -d
			}
			first *= math.Exp(d)
		}
		rest, took := 0.0, c.done-c.sent
		if streams {
			rest, took = c.done-c.first, c.first-c.sent
		}
		p.first, p.rest, p.took = append(p.first, first), append(p.rest, rest), append(p.took, took)
	}
	n := len(p.first)
	for k := 0; k <= playedWindows; k++ {
		p.cuts = append(p.cuts, k*n/playedWindows)
	}
	return p
}

// lines returns what a call of its class takes by itself, up to the measured point. It fits
// the calls that came to the emptiest replicas with a line over prompt tokens if answers
// stream, otherwise over answer tokens. It also fills low.
func (p *puppets) lines() func(*call) float64 {
	type fitted struct{ a, b float64 }
	byClass := map[int16][][2]float64{}
	quiet := p.l.quiet()
	for i := range p.l.calls {
		if c := &p.l.calls[i]; c.ok && c.inside <= quiet {
			byClass[c.class] = append(byClass[c.class], [2]float64{p.size(c), p.measured(c)})
		}
	}
	lines := map[int16]fitted{}
	for k, points := range byClass {
		few := thin(points, 500)
		xs, ys := make([]float64, len(few)), make([]float64, len(few))
		for i, x := range few {
			xs[i], ys[i] = x[0], x[1]
		}
		a, b := theilSen(xs, ys)
		// Some of these calls waited, so their median may be late. In logarithms, ratios to the
		// line are about as wide above as below, so the fastest quarter shows the middle (for a
		// normal distribution, the 25 % quantile plus 0.695 times its distance from the 5 %
		// quantile) and the width.
		dev := make([]float64, 0, len(few))
		for i := range few {
			if e := a + b*xs[i]; e > 0 && ys[i] > 0 {
				dev = append(dev, math.Log(ys[i]/e))
			}
		}
		if len(dev) == 0 {
			continue
		}
		slices.Sort(dev)
		low, lower := dev[len(dev)/20], dev[len(dev)/4]
		middle := min(dev[len(dev)/2], lower+0.695*(lower-low))
		lines[k] = fitted{a * math.Exp(middle), b * math.Exp(middle)}
		for _, d := range dev {
			if d < middle {
				p.low = append(p.low, d-middle)
			}
		}
	}
	all := fitted{}
	for _, f := range lines {
		all = f
	}
	return func(c *call) float64 {
		f, ok := lines[c.class]
		if !ok {
			f = all
		}
		return max(1e-6, f.a+f.b*p.size(c))
	}
}

// size is what a call's own time is fitted over, in tokens: those of the prompt where answers stream, else those of
// the answer.
func (p *puppets) size(c *call) float64 {
	if p.streams {
		return float64(c.request.Prompt)
	}
	return c.tokens
}

// measured is the recorded latency of a call in seconds: to the first token where answers stream, else to the end.
func (p *puppets) measured(c *call) float64 {
	if p.streams {
		return c.first - c.sent
	}
	return c.done - c.sent
}

// noise returns the mean unexplained deviation of own times, in logarithms.
func (p *puppets) noise() float64 {
	v := 0.0
	for _, d := range p.low {
		v -= d
	}
	return v / float64(max(1, len(p.low)))
}

// puppet is one replayed replica.
type puppet struct {
	free   floats // when its slots become free; with fewer than m entries, the other slots are free
	inside floats // ends of the requests in it
	end    float64
}

// off plays the log with m slots and a balancer, and returns how far the latencies are from
// the recorded ones.
func (p *puppets) off(m int, b plant.Balancer) float64 {
	took := p.play(m, b)
	log := func(v float64) float64 { return math.Log(max(v, 1e-3)) }
	sum, n := 0.0, 0.0
	for k := 0; k+1 < len(p.cuts); k++ {
		lo, hi := p.cuts[k], p.cuts[k+1]
		if hi-lo < 20 {
			continue
		}
		d := 0.0
		for i := lo; i < hi; i++ {
			d += log(took[i]) - log(p.took[i])
		}
		sum, n = sum+math.Abs(d)/float64(hi-lo), n+1
	}
	if n == 0 {
		return math.Inf(1)
	}
	mine, theirs := slices.Clone(took), slices.Clone(p.took)
	slices.Sort(mine)
	slices.Sort(theirs)
	tail := 0.0
	quantiles := []float64{0.5, 0.75, 0.9, 0.95, 0.98}
	for _, q := range quantiles {
		i := int(q * float64(len(mine)-1))
		tail += math.Abs(log(mine[i]) - log(theirs[i]))
	}
	return (sum/n + tail/float64(len(quantiles))) / 2
}

// apart returns how far calls are from their own recorded latency on average, in logarithms.
func (p *puppets) apart(m int, b plant.Balancer) float64 {
	sum := 0.0
	for i, v := range p.play(m, b) {
		sum += math.Abs(math.Log(max(v, 1e-3) / max(p.took[i], 1e-3)))
	}
	return sum / float64(len(p.took))
}

// play simulates the stretch with m slots a pod behind balancer b. It returns the
// latency of each call in seconds, up to what is measured (see measured): p.patience
// for a call that would have waited longer than that for a slot, and the recorded
// latency for a call that came while no pod had traffic. One seed gives one result.
func (p *puppets) play(m int, b plant.Balancer) []float64 {
	r := rand.New(rand.NewPCG(p.seed, 0x706c6179))
	pods := make([]puppet, len(p.pods))
	for i := range pods {
		pods[i].end = p.pods[i].to
	}
	out := make([]float64, len(p.first))
	var ready []int
	turn, stale := 0, math.Inf(-1)
	for i := range out {
		at := p.l.calls[p.from+i].sent
		if at >= stale { // the set of ready pods changes only at a few instants
			ready, stale = ready[:0], math.Inf(1)
			for k, s := range p.pods {
				if s.from <= at && at < s.to {
					ready = append(ready, k)
				}
				for _, t := range []float64{s.from, s.to} {
					if t > at {
						stale = min(stale, t)
					}
				}
			}
		}
		if len(ready) == 0 {
			out[i] = p.took[i]
			continue
		}
		k := ready[turn%len(ready)]
		switch b {
		case plant.Random:
			k = ready[r.IntN(len(ready))]
		case plant.LeastConnections:
			least := math.MaxInt
			for j := range ready {
				x := ready[(turn+j)%len(ready)]
				s := &pods[x]
				for len(s.inside) > 0 && s.inside[0] <= at {
					heap.Pop(&s.inside)
				}
				if len(s.inside) < least {
					k, least = x, len(s.inside)
				}
			}
		}
		turn++
		s := &pods[k]
		start := at
		if len(s.free) >= m {
			start = max(at, s.free[0])
		}
		if p.patience > 0 && start >= at+p.patience {
			out[i] = p.patience
			if b == plant.LeastConnections {
				heap.Push(&s.inside, at+p.patience)
			}
			continue
		}
		done := start + p.first[i] + p.rest[i]
		if len(s.free) >= m {
			s.free[0] = done
			heap.Fix(&s.free, 0)
		} else {
			heap.Push(&s.free, done)
		}
		if b == plant.LeastConnections {
			heap.Push(&s.inside, done)
		}
		out[i] = start + p.first[i] - at
	}
	return out
}

// starts returns when each call of the whole log got its slot: its first token (or end) minus
// its own time, if that is clearly after its arrival.
func (p *puppets) starts() []float64 {
	margin := 1 + 2.5*p.noise()
	out := make([]float64, len(p.l.calls))
	for i := range out {
		c := &p.l.calls[i]
		out[i] = c.sent
		if f := p.own(c); p.measured(c) > margin*f {
			out[i] = max(c.sent, c.sent+p.measured(c)-f)
		}
	}
	return out
}
