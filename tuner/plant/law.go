package plant

import (
	"math"
	"slices"
)

const (
	zCells   = 1024 // of the flow table
	rhoCells = 128  // of the stationary tables
	waitCols = 64   // of the good table: seconds of backlog up to the longest limit
	// Number of service times that the good tables use: enough for 1 % steps after averaging
	// over waits, few enough to compile in a millisecond.
	goodPoints = 64
	// rhoSteady is the highest utilization whose stationary wait is used. Above it a queue
	// needs minutes to become stationary, so what is queued is backlog: a fixed wait, not an
	// exponential one.
	rhoSteady = 0.95
)

// pool is the tables of one replica among n, for one balancer. The state is L, the requests in
// the system per replica. In a step of Δ seconds with λ arrivals per second, the stationary
// relation ρ(L) gives (pointwise stationary fluid flow)
//
//	dL/dt = λ − C·ρ(L)
//
// It is solved by backward Euler: x = L + λΔ = L' + CΔ·ρ(L'). The inverse is a table of ρ over
// z = x/(x+c). This is stable for any Δ and keeps the order of two loads.
type pool struct {
	c    float64 // scale of z: slots + CΔ
	flow [zCells + 2]float64
	st   [rhoCells + 2]steady
	good []float64 // (rhoCells+1) rows of waitCols+1: share that meets the limits, over backlog wait
	// met is the service times at each utilization, with waits and throttling included, if they
	// were measured (compileQuota). If not, it is nil and the rows are those of st.
	met  [][]ServiceTime
	wInv float64 // columns per second
	wMax float64
}

// steady is the stationary state at one utilization.
type steady struct {
	serving float64 // in service, per replica
	waiting float64 // queued, per replica
	good    float64 // share within the limits, no backlog
	pw      float64 // P(wait > 0)
	theta   float64 // mean wait of the requests that wait, seconds
	stretch float64 // of service times
}

// poolSizes are the replica counts with tables of their own, for balancers that treat them
// differently. Other counts use the next smaller one.
var poolSizes = []int{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64}

func (m *Model) compilePools() {
	sizes := poolSizes
	if (m.Balancer == Random || m.Balancer == Aged) && m.unseenCV2() == 1 {
		sizes = sizes[:1] // thinned Poisson is Poisson, whatever n is
	}
	m.pools = make([]*pool, len(sizes))
	for i, n := range sizes {
		m.pools[i] = m.compilePool(n)
	}
}

// unseenCV2 returns how much of the arrivals' variability remains for the stationary tables
// when the counts of the steps carry the rest. The counts carry noise that is slower than a
// step. A queue feels noise over about two service times, of which the share Δ/(Δ+2E[S]) is
// faster than a step and so is missing from the counts.
//
// Note: tried 0.5 to 4 service times against the exact plant, on services of 0.08 and 6.9 s
// under all three balancers; more than 2 gains nothing.
func (m *Model) unseenCV2() float64 {
	s := 2 * meanTotal(m.Law.Times)
	if m.Law.Iterations != nil { // prompts queue for iterations, requests for places: use a time in between
		s = 2 * math.Sqrt(meanFirst(m.Law.Times)*meanTotal(m.Law.Times))
	}
	return m.ArrivalCV2 * (1 - m.NoiseSeen*s/(m.dt+s))
}

// poolFor returns the tables for n ready replicas.
func (m *Model) poolFor(n int) *pool {
	i := len(m.pools) - 1
	for i > 0 && poolSizes[i] > n {
		i--
	}
	return m.pools[i]
}

// condensed returns k points that represent the service-time sample: the means of k equal
// groups, sorted by total time. This keeps the mean and the order.
func (l *Law) condensed(k int) []ServiceTime {
	t := slices.Clone(l.Times)
	slices.SortFunc(t, func(a, b ServiceTime) int {
		switch {
		case a.Total != b.Total:
			return cmpFloat(a.Total, b.Total)
		default:
			return cmpFloat(a.First, b.First)
		}
	})
	if len(t) <= k {
		return t
	}
	out := make([]ServiceTime, k)
	for i := range out {
		lo, hi, streamed := i*len(t)/k, (i+1)*len(t)/k, 0
		for _, s := range t[lo:hi] {
			out[i].First += s.First / float64(hi-lo)
			out[i].Total += s.Total / float64(hi-lo)
			out[i].Tokens += s.Tokens / float64(hi-lo)
			out[i].Work += s.Work / float64(hi-lo)
			if s.Streamed {
				streamed++
			}
		}
		out[i].Streamed = 2*streamed > hi-lo
	}
	return out
}

func cmpFloat(a, b float64) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

// serviceCV2 returns the squared coefficient of variation of the service times.
func (l *Law) serviceCV2() float64 {
	mean, sq := meanTotal(l.Times), 0.0
	for _, t := range l.Times {
		sq += (t.Total - mean) * (t.Total - mean)
	}
	return sq / float64(len(l.Times)) / (mean * mean)
}

func (m *Model) compilePool(n int) *pool {
	p := &pool{}
	ca2, servers := m.unseenCV2(), 1
	switch m.Balancer {
	case RoundRobin:
		ca2 /= float64(n) // every n-th arrival of the stream
	case Random, Aged:
		ca2 = 1 + (ca2-1)/float64(n) // thinning
	case LeastConnections, LeastWaiting:
		servers = n // almost one queue for all
	}
	v := variability{ca2, m.Law.serviceCV2()}
	mean := meanTotal(m.Law.Times)
	var fine []finePoint
	if m.Law.measured() {
		m.compileQuota(p, servers, ca2)
		fine = p.finely()
	} else {
		for j := range p.st {
			rho := min(float64(j)/rhoCells, 0.9999)
			p.st[j] = m.Law.stationary(rho, servers, v, mean)
		}
		fine = m.Law.fine(servers, v, mean)
	}

	// The flow table: march along ρ in fine steps, then read ρ at even steps of z.
	ct := m.cap * m.dt
	p.c = m.slots + ct
	rho, x := 0.0, 0.0
	j := 0
	for i := range p.flow {
		z := float64(i) / zCells
		if z >= 1 {
			p.flow[i] = 1
			continue
		}
		want := p.c * z / (1 - z)
		for j < len(fine) && fine[j].l+fine[j].rho*ct <= want {
			rho, x = fine[j].rho, fine[j].l+fine[j].rho*ct
			j++
		}
		if j < len(fine) {
			nx := fine[j].l + fine[j].rho*ct
			p.flow[i] = rho + (fine[j].rho-rho)*(want-x)/(nx-x)
		} else {
			p.flow[i] = 1 - (1-rho)*(x-ct)/(want-ct) // from here on L grows as 1/(1−ρ)
		}
	}
	p.compileGood(m)
	return p
}

// variability holds the squared coefficients of variation of the inter-arrival and service
// times of a replica.
type variability struct{ ca2, cs2 float64 }

// factor returns the mean wait divided by that of M/M/c: (c_a²+c_s²)/2 (Allen–Cunneen). It is
// smaller if arrivals are more regular than Poisson (Krämer and Langenbach-Belz), as with
// round robin.
func (v variability) factor(rho float64) float64 {
	f := (v.ca2 + v.cs2) / 2
	if v.ca2 < 1 && f > 0 && rho > 0 {
		f *= math.Exp(-(1 - rho) * (1 - v.ca2) * (1 - v.ca2) / (3 * rho * f))
	}
	return f
}

type finePoint struct{ rho, l float64 }

// fine samples the requests in the system over utilization, densely towards 1, where they grow
// without bound: from 0.5 on, 1−ρ falls by a fixed factor.
func (l *Law) fine(servers int, v variability, mean float64) []finePoint {
	var out []finePoint
	add := func(rho float64) {
		s := l.stationary(rho, servers, v, mean)
		out = append(out, finePoint{rho, s.serving + s.waiting})
	}
	for i := range 200 {
		add(float64(i) / 400)
	}
	for u := 0.5; u > 2e-5; u *= 0.96 {
		add(1 - u)
	}
	return out
}

// finely is fine for a pool whose rows were measured.
func (p *pool) finely() []finePoint {
	var out []finePoint
	at := func(rho float64) float64 {
		r := rho * rhoCells
		i := min(int(r), rhoCells-1)
		a, b := &p.st[i], &p.st[i+1]
		return a.serving + a.waiting + (b.serving+b.waiting-a.serving-a.waiting)*(r-float64(i))
	}
	for i := range 200 {
		out = append(out, finePoint{float64(i) / 400, at(float64(i) / 400)})
	}
	last := 1 - 1.0/rhoCells // the last row that is not cut at 0.9999
	for u := 0.5; u > 2e-5; u *= 0.96 {
		l := at(min(1-u, last))
		if u < 1-last {
			l *= (1 - last) / u
		}
		out = append(out, finePoint{1 - u, l})
	}
	return out
}

// stationary solves the birth-death chain of one replica, or of several pooled servers as one
// queue, at utilization rho: births λ = ρC, deaths Rate[i]. For a slots law this is M/M/c, so
// pw is Erlang C. The mean queue is corrected for the variability of arrivals and services.
// All counts are per replica.
func (l *Law) stationary(rho float64, servers int, v variability, mean float64) steady {
	slots := l.Slots()
	n := slots * servers
	lambda := rho * l.Capacity() * float64(servers)
	if rho <= 0 {
		return steady{pw: 0, theta: 0, stretch: 1 / (l.Rate[1] * mean)}
	}
	// Weights are relative to the largest so far, to stay within float64.
	w, sum, serving, peak := 1.0, 1.0, 0.0, 1.0
	for i := 1; i <= n; i++ {
		w *= lambda / l.poolRate(i, servers)
		sum += w
		serving += w * float64(i)
		if w > peak {
			peak = w
		}
		if peak > 1e200 {
			w, sum, serving, peak = w/peak, sum/peak, serving/peak, 1
		}
	}
	// Beyond n the chain is geometric: p(n+k) = p(n)·ρ^k.
	tail := w * rho / (1 - rho)
	sum += tail
	serving += tail * float64(n)
	pw := (w + tail) / sum // the probability that an arrival finds all slots busy
	s := steady{serving: serving / sum / float64(servers)}
	s.pw = pw
	s.theta = v.factor(rho) / (float64(servers) * l.Capacity() * (1 - rho))
	s.waiting = lambda * pw * s.theta / float64(servers)
	s.stretch = serving / sum / lambda / mean
	return s
}

// compilePatience tabulates what client timeouts do to a queue full of requests that will time
// out. The queue is first in, first out. An arrival that waits W and needs F to its first
// token and S to its end fails if W+F or W+S is too long, and occupies its slot until then.
// Under a load of ρ > 1 the wait settles where the slots are just busy,
//
//	E[time in slot | W] = E[S]/ρ
//
// and a share P(in time | W) of all arrivals is answered. That is less than the capacity,
// since the work on the other requests is lost.
func (m *Model) compilePatience() {
	if math.IsInf(m.wait, 1) {
		return
	}
	m.patience = make([]patience, patienceCells+1)
	mean, stretch := meanTotal(m.times), 1.0
	if m.Law.measured() { // with all slots busy, requests take this much longer
		stretch = m.slots / m.cap / mean
		mean *= stretch
	}
	held := func(w float64) (slot, answered float64) {
		for _, t := range m.times {
			t.First, t.Total = t.First*stretch, t.Total*stretch
			h, ok := t.Total, 1.0
			if w+t.Total > m.toEnd {
				h, ok = max(0, m.toEnd-w), 0
			}
			if w+t.First > m.toFirst {
				h, ok = min(h, max(0, m.toFirst-w)), 0
			}
			slot += h / float64(len(m.times))
			answered += ok / float64(len(m.times))
		}
		return slot, answered
	}
	for i := range m.patience {
		want := mean * float64(i) / patienceCells // E[S]/ρ
		lo, hi := 0.0, m.wait
		for range 60 {
			w := (lo + hi) / 2
			if slot, _ := held(w); slot > want {
				lo = w
			} else {
				hi = w
			}
		}
		_, answered := held(lo)
		m.patience[i] = patience{lo, answered}
	}
}

const patienceCells = 64

type patience struct{ wait, answered float64 } // W in seconds, P(in time | W)

// poolRate returns the completions per second of `servers` pooled replicas with i requests in
// service, spread evenly.
func (l *Law) poolRate(i, servers int) float64 {
	if servers == 1 {
		return l.Rate[i]
	}
	each, more := i/servers, i%servers
	r := float64(servers-more) * l.Rate[each]
	if more > 0 {
		r += float64(more) * l.Rate[each+1]
	}
	return r
}

// compileGood tabulates the share of requests within the limits: the mean over the service
// times S of P(W ≤ slack(S)). The wait W is a backlog w, which is certain, plus a stationary
// part: 0 with probability 1−pw, otherwise exponential.
func (p *pool) compileGood(m *Model) {
	lt, le := math.Inf(1), math.Inf(1)
	if m.Limits.TTFT > 0 {
		lt = m.Limits.TTFT.Seconds()
	}
	if m.Limits.E2E > 0 {
		le = m.Limits.E2E.Seconds()
	}
	if m.Limits == (Limits{}) {
		for j := range p.st {
			p.st[j].good = 1
		}
		return
	}
	p.wMax = min(lt, le)
	p.wInv = waitCols / p.wMax
	p.good = make([]float64, (rhoCells+2)*(waitCols+2))
	for j := range p.st {
		s, times := p.st[j], m.times
		if p.met != nil {
			times = p.met[j]
		}
		slacks := make([]float64, 0, len(times)) // of the requests whose tokens keep pace
		for i := range times {
			if t := &times[i]; m.Limits.steady(t, s.stretch) {
				slacks = append(slacks, min(lt-t.First*s.stretch, le-t.Total*s.stretch))
			}
		}
		for k := range waitCols + 2 {
			w, sum := 0.0, 0.0
			if p.wInv > 0 { // otherwise no limit is about waiting
				w = float64(k) / p.wInv
			}
			for _, slack := range slacks {
				switch slack -= w; {
				case slack < 0:
				case s.theta == 0 || s.pw == 0:
					sum++
				default:
					sum += 1 - s.pw*math.Exp(-slack/s.theta)
				}
			}
			p.good[j*(waitCols+2)+k] = sum / float64(len(times))
		}
		p.st[j].good = p.good[j*(waitCols+2)]
	}
}

// goodAt interpolates the good table at utilization rho and a backlog of w seconds.
func (p *pool) goodAt(rho, w float64) float64 {
	if p.good == nil {
		return 1
	}
	if w >= p.wMax {
		return 0
	}
	r := rho * rhoCells
	j := int(r)
	c := w * p.wInv
	k := int(c)
	r -= float64(j)
	c -= float64(k)
	a := p.good[j*(waitCols+2)+k:]
	b := p.good[(j+1)*(waitCols+2)+k:]
	lo := a[0] + (a[1]-a[0])*c
	hi := b[0] + (b[1]-b[0])*c
	return lo + (hi-lo)*r
}
