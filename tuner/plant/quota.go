package plant

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/hpatune/hpatune/results"
)

// Quota is a container's CPU limit as Linux enforces it. In each period, whose phase is the
// container's own, the container may use Cores·Period core-seconds. It runs at full speed
// until they are used up, and is then throttled until the next period.
//
// A request costs Each times its worth (ServiceTime.Work), spread over its service time at
// full speed. The zero Quota is no limit.
//
// The kernel hands the budget to CPUs in slices (sched_cfs_bandwidth_slice, 5 ms). When the
// container's threads leave a CPU, the rest of its slice comes back late, or not in this
// period. So a container that works only now and then gets a Share of a period's budget. A
// container that was throttled when the period began has threads waiting for every slice, and
// gets all of it.
//
// Source: Documentation/scheduler/sched-bwc.rst of Linux. cpu.cfs_burst_us is not modelled.
type Quota struct {
	Cores  float64       // the limit; 0 = none
	Period time.Duration // cpu.cfs_period_us; 0 = 100 ms, its default
	Base   float64       // used at rest, cores; below Cores
	Each   float64       // core-seconds of the mean request
	// Spread is the standard deviation of the logarithm of the cost of the same work from one
	// half minute to the next: neighbors on the node, clock speed, garbage collection.
	// 0 = none.
	Spread float64
	// Waits is the same for the time that requests wait for a processor. That time is part of
	// their time at full speed, but costs nothing.
	Waits float64 `json:",omitempty"`
	// Share is the share of a period's budget that a container gets if it was not throttled
	// when the period began, over 0 and up to 1; 0 = all of it.
	Share float64 `json:",omitempty"`
	// ShareError is the standard error of Share; drawn days vary by it.
	ShareError float64 `json:",omitempty"`
}

// leastShare is the smallest share of a period's budget that a drawn day may get.
const leastShare = 0.7

// off returns the quota with Share moved by z standard errors, up to 1.
func (q Quota) off(z float64) Quota {
	q.Share = min(max(q.share()+z*q.ShareError, leastShare, q.Base/q.Cores+1e-3), 1)
	return q
}

// share returns Share, with 0 read as 1.
func (q *Quota) share() float64 {
	if q.Share == 0 {
		return 1
	}
	return q.Share
}

// Most returns how many mean requests per second the quota allows in the long run; +Inf = no
// limit.
func (q *Quota) Most() float64 {
	if q.Cores <= 0 || q.Each <= 0 {
		return math.Inf(1)
	}
	return (q.Cores - q.Base) / q.Each
}

func (q *Quota) check(bad func(string, ...any)) {
	if q.Cores < 0 || q.Period < 0 || q.Base < 0 || q.Each < 0 || q.Spread < 0 || q.Waits < 0 ||
		q.Cores > 0 && q.Base >= q.Cores*q.share() || q.Share < 0 || q.Share > 1 {
		bad("law: a quota of %g cores, period %v, %g used at rest, %g core-seconds a request, spread %g, share %g; none "+
			"may be negative, rest must be under the limit, and the share at most 1", q.Cores, q.Period, q.Base, q.Each,
			q.Spread, q.Share)
	}
}

// bucket is what a container may still use. The zero bucket has no quota.
type bucket struct {
	period float64 // seconds
	size   float64 // core-seconds per period, of a pod that was throttled when the period began
	fresh  float64 // the same for one that was not
	left   float64 // of them, at the server's present time
	edge   float64 // when the next period begins
}

// newBucket returns a full bucket at time now, with the phase of the index-th pod.
func (q *Quota) newBucket(seed uint64, index int, now float64) bucket {
	if q.Cores <= 0 {
		return bucket{}
	}
	p := q.Period.Seconds()
	if p == 0 {
		p = 0.1
	}
	phase := float64(mix(seed^0x71756f7461, uint64(index))%1000) / 1000 * p
	size := q.Cores * p
	fresh := size * q.share()
	return bucket{period: p, size: size, fresh: fresh, left: fresh, edge: now + p - phase}
}

// refill starts the periods that have begun by time now. In the last of them, the pod has
// already used rest cores since the period began.
func (b *bucket) refill(now, rest float64) {
	if now < b.edge {
		return
	}
	budget := b.fresh
	k := math.Floor((now-b.edge)/b.period) + 1
	if k == 1 && b.left <= 1e-10 { // it was throttled when this period began
		budget = b.size
	}
	b.edge += k * b.period
	b.left = max(0, budget-rest*(now-(b.edge-b.period)))
}

// run plays at most d seconds from now on, in which a pod wants to use cores. It returns for
// how many seconds the pod ran, and how many seconds passed: the pod either runs all the time,
// or is throttled all the time, or, over whole periods, runs for a part of each.
//
// need is the running time until something ends; the pod runs for no longer than that.
func (b *bucket) run(now, d, need, cores float64) (ran, took float64) {
	if b.period == 0 {
		d = min(d, need)
		return d, d
	}
	if now >= b.edge-1e-9 {
		b.refill(now+1e-9, 0)
	}
	toEdge := max(0, b.edge-now)
	if b.left <= 1e-10 { // throttled until the period is over
		return 0, min(d, toEdge)
	}
	switch spent := b.left / max(1e-9, cores); {
	case cores*b.period <= b.fresh && spent >= toEdge:
		// It can use up neither a whole period's budget nor what is left of this one.
		d = min(d, need)
		if d < toEdge {
			b.left -= d * cores
		} else {
			b.edge += (math.Floor((d-toEdge)/b.period) + 1) * b.period
			b.left = b.fresh - cores*(now+d-(b.edge-b.period))
		}
		return d, d
	case b.left >= b.size*(1-1e-9) && toEdge >= b.period*(1-1e-9) && b.size/cores < b.period:
		// A period begins: play as many whole periods as end before anything happens.
		each := b.size / cores
		if k := min(math.Floor(need/each), math.Floor(d/b.period)); k >= 2 {
			k--
			b.edge += k * b.period
			return k * each, k * b.period
		}
		fallthrough
	default:
		d = min(d, need, spent, toEdge)
		b.left = max(0, b.left-d*cores)
		return d, d
	}
}

// costs returns the cost of work at a time relative to its average cost. It is constant for
// half a minute: lognormal with mean 1.
func (q *Quota) costs(seed uint64, at float64) float64 { return drift(q.Spread, seed^0x636f737473, at) }

// waits returns the service time at full speed at a time relative to its average, beyond the
// effect of costs.
func (q *Quota) waits(seed uint64, at float64) float64 { return drift(q.Waits, seed^0x7761697473, at) }

// drift returns a factor that is constant for half a minute: lognormal with mean 1. spread is
// the standard deviation of its logarithm.
func drift(spread float64, seed uint64, at float64) float64 {
	if spread == 0 {
		return 1
	}
	k := uint64(int64(math.Floor(at/30)) + 1<<20)
	u := float64(mix(seed, 2*k)>>11+1) / (1 << 53)
	v := float64(mix(seed, 2*k+1)>>11) / (1 << 53)
	z := math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
	return math.Exp(spread*z - spread*spread/2)
}

// Under a quota the fluid plant's tables are measured: one replica (all of them, for least
// connections) is played at constant loads.
const (
	quotaRequests = 12_000 // at the highest load, where a queue takes long to become stationary
	quotaFewest   = 1500   // at the lowest load
	quotaLoads    = 16
)

// compileQuota fills a pool's stationary rows by playing the exact plant at quotaLoads loads
// up to rhoSteady. Rows in between are interpolated; beyond, the number in the system grows as
// 1/(1−ρ). All loads have the same gaps and the same requests, only faster, so the results
// increase with the load.
func (m *Model) compileQuota(p *pool, servers int, ca2 float64) {
	play := *m
	play.Pipes, play.pipes, play.inOrder = nil, nil, 0
	play.toEnd, play.toFirst, play.wait, play.Law.Queue = math.Inf(1), math.Inf(1), math.Inf(1), 0
	play.Law.Quota.Spread = 0
	play.Limits = Limits{}
	if servers == 1 {
		play.Balancer = RoundRobin
	}
	r := rand.New(rand.NewPCG(m.Seed, 0x71756f7461))
	gaps := make([]float64, quotaRequests*min(servers, 4))
	for i := range gaps {
		gaps[i] = gammaGap(r, ca2)
	}
	type row struct {
		serving, waiting float64
		met              []ServiceTime
	}
	var rows []row
	for k := range quotaLoads {
		rho := rhoSteady * (float64(k) + 0.5) / quotaLoads
		few := gaps[:quotaFewest+int(float64(len(gaps)-quotaFewest)*rho*rho*rho)]
		s, w, met := play.constant(few, rho*m.cap*float64(servers), servers)
		rows = append(rows, row{s, w, met})
		if k > 0 { // chance aside, more load never leaves fewer requests
			before := rows[k-1]
			rows[k].serving, rows[k].waiting = max(s, before.serving), max(w, before.waiting)
		}
	}
	p.met = make([][]ServiceTime, len(p.st))
	for j := range p.st {
		rho := min(float64(j)/rhoCells, 0.9999)
		x := min(max(rho/rhoSteady*quotaLoads-0.5, 0), quotaLoads-1)
		i := min(int(x), quotaLoads-2)
		f := x - float64(i)
		st := steady{stretch: 1, serving: rows[i].serving + (rows[i+1].serving-rows[i].serving)*f,
			waiting: rows[i].waiting + (rows[i+1].waiting-rows[i].waiting)*f}
		if low := 0.5 * rhoSteady / quotaLoads; rho < low {
			st.serving, st.waiting = rows[0].serving*rho/low, rows[0].waiting*rho/low
		}
		if high := rhoSteady * (quotaLoads - 0.5) / quotaLoads; rho > high {
			more := (st.serving + st.waiting) * (1 - high) / (1 - rho)
			st.serving = min(more, m.slots)
			st.waiting = more - st.serving
		}
		p.st[j] = st
		p.met[j] = rows[min(quotaLoads-1, int(math.Round(x)))].met
	}
}

// constant plays the given servers at a constant load (requests per second, for all of them
// together). It returns the requests in service and queued per replica, and the requests'
// times, in goodPoints groups sorted by time.
func (m *Model) constant(gaps []float64, rate float64, servers int) (serving, waiting float64, met []ServiceTime) {
	var e Exact
	e.Reset(m, servers, 1, nil, nil)
	e.watch = func(c *call, first, took float64) {
		if int(c.index) >= len(gaps)/5 {
			met = append(met, ServiceTime{Class: c.time.Class, First: min(first, took), Total: took, Tokens: c.time.Tokens,
				Gap: c.gap, Streamed: c.time.Streamed})
		}
	}
	at, busy, queued := 0.0, 0.0, 0.0
	from := 0.0
	for i, g := range gaps {
		at += g / rate
		e.ticks = e.ticks[:0]
		e.ticks = append(e.ticks, results.Tick{})
		if i == len(gaps)/5 {
			for _, s := range e.ready {
				e.advance(s, at)
				s.read(at)
				s.busy, s.queued = 0, 0
			}
			from = at
		}
		e.arrive(&Request{At: at, Index: i, Class: -1}, at, e.tick)
	}
	for _, s := range e.ready {
		e.advance(s, at)
		s.read(at)
		busy, queued = busy+s.busy, queued+s.queued
	}
	span := (at - from) * float64(servers)
	e.ticks = append(e.ticks[:0], results.Tick{})
	e.Finish()
	serving, waiting = busy/span, queued/span
	if m.Law.Iterations != nil {
		return serving, waiting, someOf(met, metPoints)
	}
	l := Law{Times: met}
	return serving, waiting, l.condensed(goodPoints)
}

// gammaGap draws from a gamma distribution with mean 1 and the given squared coefficient of
// variation. It returns 1 for 0.
//
// Source: Marsaglia and Tsang, A simple method for generating gamma variables (2000).
func gammaGap(r *rand.Rand, cv2 float64) float64 {
	if cv2 < 1e-3 {
		return 1
	}
	shape := 1 / cv2
	boost := 1.0
	if shape < 1 {
		boost = math.Pow(r.Float64(), 1/shape)
		shape++
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if u := r.Float64(); math.Log(u) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v * boost * cv2
		}
	}
}

// advanceLimited plays a server under a quota up to time t.
func (e *Exact) advanceLimited(s *server, t float64) {
	q := &e.m.Law.Quota
	for len(s.serving) > 0 && s.at < t {
		n := len(s.serving)
		f := e.stretch[n]
		need := max(0, s.serving[0].finish-s.virtual) * f
		from, v0, pace := s.at, s.virtual, s.worth/f
		ran, took := s.bucket.run(s.at, t-s.at, need, q.Base+q.Each*pace)
		s.virtual += ran / f
		s.done += pace * ran
		s.busy += float64(n) * took
		s.queued += float64(len(s.queue)-s.head) * took
		s.at += took
		e.marked(s, from, v0, took)
		if ran < need-1e-9 {
			continue
		}
		e.retire(s)
	}
	if !math.IsInf(t, 1) {
		s.at = t
	}
}

// marked records first tokens that came in the last took seconds, from time from and virtual
// time v0 on. A throttled server stands still at times, so their times are known only when
// they come.
func (e *Exact) marked(s *server, from, v0, took float64) {
	if s.virtual < s.nextFirst {
		return
	}
	next := math.Inf(1)
	for i := range s.serving {
		c := &s.calls[s.serving[i].call]
		if !math.IsNaN(c.first) {
			continue
		}
		if c.firstAt <= s.virtual {
			share := 1.0
			if s.virtual > v0 {
				share = (c.firstAt - v0) / (s.virtual - v0)
			}
			c.first = from + took*max(0, share)
			e.sawFirst(s, c)
		} else {
			next = min(next, c.firstAt)
		}
	}
	s.nextFirst = next
}
