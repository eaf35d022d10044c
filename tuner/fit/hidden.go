package fit

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/hpatune/hpatune/tuner/plant"
)

// hidden is what is found of replicas behind one address, where no header says
// which one answered.
type hidden struct {
	slots
	balancer plant.Balancer
	// off is how far the latencies of the best (slots, balancer) are from the
	// recorded ones: a mean of absolute differences of logarithms, so 0.1 is some
	// 10 %.
	off float64
}

// hiddenOff is from where on hidden replicas are not understood: latencies a
// quarter off on the average.
const hiddenOff = 0.25

// hiddenOf finds slots and balancer of hidden replicas by playing the log: when
// pods came and went is known, and so is what a request takes by itself (own), so
// each pair of slots and balancer says what clients would have met. The pair whose
// latencies are nearest to the recorded ones, over time and in their quantiles, is
// the one; with too few slots they wait too long, with another balancer the tail is
// another.
//
// Note: slots were the 90th percentile of throughput over all ready replicas, times
// the mean service of calls that had not waited. That takes the short ones for all,
// and replicas that a random balancer leaves idle for slots that are not there.
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
		// Doubling, then between: latency falls as slots grow.
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
	// Turns and fewest inside are much alike in how many wait, and not in who: both
	// are decided by what is known, so it is seen call by call.
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
	// Where more slots are no worse, the fewest are the evidence.
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

// nearest is the number of slots that is nearest to the recording so far, under b.
func nearest(tried map[[2]int]float64, b plant.Balancer) int {
	at, off := 1, math.Inf(1)
	for k, v := range tried {
		if k[1] == int(b) && (v < off || v == off && k[0] < at) {
			at, off = k[0], v
		}
	}
	return at
}

// puppets play the log of hidden replicas.
type puppets struct {
	l        *log
	streams  bool
	patience float64
	seed     uint64
	own      func(*call) float64 // what a call takes by itself to what is measured, seconds
	from, to int                 // of log.calls, the stretch that is played
	first    []float64           // own part to what is measured (first token, or end), by index from `from`
	rest     []float64           // from there to the end
	took     []float64           // recorded latency
	low      []float64           // quiet calls' deviations below their line, as ratios of it
	pods     []span
	cuts     []int // of the stretch, into windows
}

// span is a stretch of time in seconds: from ≤ t < to.
type span struct{ from, to float64 }

const (
	playedCalls   = 40_000 // of the log, around its fullest moment
	playedWindows = 40
)

// newPuppets prepares the replay of a log whose replicas are not visible: of a long
// one, the calls around the fullest moment. patience is the client's, in seconds.
func newPuppets(l *log, streams bool, patience float64, seed uint64) *puppets {
	p := &puppets{l: l, streams: streams, patience: patience, seed: seed, to: len(l.calls)}
	if len(l.calls) > playedCalls {
		fullest := 0
		for i := range l.calls {
			if l.calls[i].inside > l.calls[fullest].inside {
				fullest = i
			}
		}
		p.from = min(max(0, fullest-playedCalls/2), len(l.calls)-playedCalls)
		p.to = p.from + playedCalls
	}
	for _, t := range l.traffic {
		p.pods = append(p.pods, span{t[0], t[1]})
	}
	p.own = p.lines()
	r := rand.New(rand.NewPCG(seed, 0x68696465))
	for i := p.from; i < p.to; i++ {
		c := &l.calls[i]
		first := p.own(c)
		if n := len(p.low); n > 0 { // deviations above the line are waits too; those below are mirrored
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

// lines is what a call of its class takes by itself to what is measured, from the
// calls that came to the emptiest replicas: a line over prompt tokens where answers
// stream, over answered tokens else. It fills low.
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
		// Some of them waited, so their middle may be late. Ratios to the line are
		// about as wide above as below, in logarithms: the quickest quarter says where
		// the middle is (for a normal spread 0.695 of the way from the 5 % to the 25 %
		// quantile beyond the latter), and how wide it is.
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

// noise is the mean deviation of own times that is not explained, in logarithms.
func (p *puppets) noise() float64 {
	v := 0.0
	for _, d := range p.low {
		v -= d
	}
	return v / float64(max(1, len(p.low)))
}

// puppet is one replica that is played.
type puppet struct {
	free   floats // when its slots come free; fewer than m = others are free
	inside floats // ends of those inside
	end    float64
}

// off plays the log under m slots and a balancer, and says how far latencies are
// from the recorded ones.
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

// apart is how far calls are from their own recorded latency on the average, in
// logarithms.
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
		if at >= stale { // who gets traffic changes at few instants
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

// starts is when each call of the whole log got its slot: as much before its first
// token (or end) as it takes by itself, where that is clearly after it came.
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
