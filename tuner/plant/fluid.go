package plant

import (
	"math"

	"github.com/hpatune/hpatune/results"
)

// Fluid is the fast plant. It belongs to one worker. Reset prepares it for the next replay and
// reuses its memory.
type Fluid struct {
	m       *Model
	tick    int     // steps done
	now     float64 // seconds at the end of the last step
	ready   []cohort
	coming  []cohort // pending and starting, in order of creation
	leaving []cohort // draining
	nReady  int
	created int // pods ever created: the index of the next cold start
	pool    *pool
	soonest float64 // when the next pod of coming starts to run or becomes ready
	latency *Latency
	nodes   nodeStack
	before  queue // requests held until a pod is ready
	past    history
	meters  []metered // of the pipes that read times
	takes   []taken   // scratch
	since   float64   // requests that reached the pods and that meters has not seen yet
}

// Reset starts a replay of m with n ready, idle pods that have existed for a long time.
// latency may be nil.
func (f *Fluid) Reset(m *Model, n int, latency *Latency) {
	n = m.admitted(n)
	*f = Fluid{m: m, ready: f.ready[:0], coming: f.coming[:0], leaving: f.leaving[:0], created: n, soonest: math.Inf(1),
		latency: latency, before: queue{list: f.before.list[:0]}, nodes: f.nodes, past: f.past[:0],
		meters: m.metersOf(f.meters, m.flow), takes: f.takes[:0]}
	f.nodes.begin(m.Nodes, n)
	if n > 0 {
		c := cohort{n: float64(n), life: oldLife(), settled: true}
		for i := range m.flow {
			p := &m.flow[i]
			c.m[i] = p.old(p.value(load{}, Ready), m.dt)
		}
		f.ready = append(f.ready, c)
	}
	f.setReady(n)
}

func (f *Fluid) setReady(n int) {
	f.nReady = n
	f.pool = f.m.poolFor(max(n, 1))
}

// Now returns the time at the end of the last step, in seconds.
func (f *Fluid) Now() float64 { return f.now }

// Step serves one step with the given arrivals and fills in the tick's load figures: all
// except Spec and Desired.
//
// Requests are counted in the step in which they arrive, even if they are answered later. A
// request that will not be answered (no ready pod, queue full, client out of patience) fails
// in that step.
func (f *Fluid) Step(arrivals float64, t *results.Tick) {
	m := f.m
	if f.now >= f.soonest {
		f.grow()
	}
	f.tick++
	f.now = float64(f.tick) * m.dt
	t.Arrivals, t.Shed, t.Failed, t.Good = arrivals, 0, 0, 0
	inFlight, waiting, failed, good := 0.0, 0.0, 0.0, 0.0
	served := arrivals // arrivals whose answers are counted in this step
	if f.nReady == 0 {
		failed = f.enter(arrivals)
		served = failed
	} else {
		p := f.pool
		level := 0.0
		late := 0.0 // share of the requests that were held
		if f.before.n > 0 {
			failed = f.tooLong()
			late = f.before.n / max(f.before.n+arrivals, 1e-9)
			arrivals += f.before.n
			served = arrivals + failed
		}
		share := arrivals / float64(f.nReady)
		if m.ages {
			f.past = f.past.came(share)
		}
		f.since += arrivals
		look := f.looks()
		least := (m.Balancer == LeastConnections || m.Balancer == LeastWaiting) && len(f.ready) > 1
		if least {
			level = f.level(arrivals)
		}
		ct := m.cap * m.dt
		ctInv, capInv := 1/ct, 1/m.cap
		for i := range f.ready {
			c := &f.ready[i]
			if least {
				share = max(0, level-c.l)
			}
			x := c.l + share
			rho, row, frac := p.at(x)
			st, next := &p.st[row], &p.st[row+1]
			l := max(0, x-rho*ct)
			lost := 0.0
			in := share * ctInv
			if l > m.full {
				lost = min(l-m.full, share)
				l -= lost
			}
			if l > m.slots && l > m.cap*m.wait*min(1, in) {
				l, lost = m.giveUp(l, share, in, lost)
			}
			failed += lost * c.n
			// q is what is queued beyond the requests in service. The part that the present
			// load would keep in the long run is random; the rest is backlog.
			q := max(0, l-st.serving-(next.serving-st.serving)*frac)
			back, g := 0.0, 0.0
			use := rho
			if in >= rho && rho <= rhoSteady {
				g = st.good + (next.good-st.good)*frac
			} else {
				use = min(in, rho, rhoSteady)
				if m.Law.Iterations != nil { // requests in service make iterations long, not new arrivals
					use = min(rho, rhoSteady)
				}
				if back = max(0, q-p.waitingAt(use)) * capInv; m.Law.limited() { // requests in service wait, too
					back = max(0, l-p.insideAt(use)) * capInv
				}
				g = p.goodAt(use, back)
			}
			if late > 0 {
				g = (1-late)*g + late*f.goodHeld(p, min(use, rhoSteady), back)
			}
			good += g * (share - lost) * c.n
			if look {
				f.saw(p, use, back, f.since*c.n/float64(f.nReady))
			}
			if f.latency != nil {
				f.latency.observe(m, p, use, back, (share-lost)*c.n*(1-late))
				f.observeHeld(p, use, back, (share-lost)*c.n*late)
			}
			c.load = load{done: rho * m.cap, work: rho * m.cap, running: l - q, waiting: q, arrived: share / m.dt,
				oldest: f.past.age(q, m.dt)}
			c.l = l
			inFlight += l * c.n
			waiting += q * c.n
			for k := range m.flow {
				if pp := &m.flow[k]; pp.window > 0 {
					c.m[k].cum += pp.value(c.load, Ready) * m.dt
				}
			}
		}
	}
	if f.nReady > 0 {
		if f.looks() {
			f.since = 0
		}
		f.before = queue{list: f.before.list[:0]}
	}
	inFlight, waiting = inFlight+f.before.n, waiting+f.before.n
	if len(f.leaving) > 0 {
		cut := f.drain(&inFlight, &waiting)
		cut = min(cut, served-failed)
		if good > 0 {
			good = max(0, good-cut)
		}
		failed += cut
	}
	t.Failed = failed
	t.Done = served - failed
	t.Good = min(good, t.Done)
	t.Tokens = t.Done * m.tokens
	t.InFlight, t.Waiting = inFlight, waiting
	t.Ready = float64(f.nReady)
	pods := t.Ready
	for i := range f.coming {
		c := &f.coming[i]
		pods += c.n
		if c.life.Started < f.now {
			for k := range m.flow {
				if pp := &m.flow[k]; pp.window > 0 {
					c.m[k].cum += pp.value(load{}, Starting) * m.dt
				}
			}
		}
	}
	for i := range f.leaving {
		pods += f.leaving[i].n
	}
	t.Pods, t.Nodes = pods, f.nodes.count(int(pods+0.5), f.now)
	for k := range m.flow {
		if j, ok := m.flow[k].scrapesAt(f.tick, 0); ok {
			f.scrape(k, j)
		}
	}
}

// giveUp bounds a queue by the client's patience. It returns what is left in the system, and
// how many of the step's arrivals fail. in is the load over the capacity.
func (m *Model) giveUp(l, share, in, lost float64) (float64, float64) {
	if in <= 1 {
		bound := m.slots + m.cap*m.wait
		return min(l, bound), max(lost, min(share, l-bound))
	}
	u := patienceCells / in
	i := int(u)
	a, b := m.patience[i], m.patience[min(i+1, patienceCells)]
	wait := a.wait + (b.wait-a.wait)*(u-float64(i))
	answered := a.answered + (b.answered-a.answered)*(u-float64(i))
	bound := m.slots + in*m.cap*wait
	if l < bound {
		return l, lost
	}
	return bound, max(lost, min(share, max(l-bound, share*(1-answered))))
}

func (f *Fluid) scrape(k, j int) {
	p := &f.m.flow[k]
	for i := range f.ready {
		c := &f.ready[i]
		p.scrape(&c.m[k], j, f.now, c.life.Started, c.load, Ready)
	}
	for i := range f.coming {
		if c := &f.coming[i]; c.life.Started < f.now {
			p.scrape(&c.m[k], j, f.now, c.life.Started, load{}, Starting)
		}
	}
	for i := range f.leaving {
		c := &f.leaving[i]
		p.scrape(&c.m[k], j, f.now, c.life.Started, c.load, Ready)
	}
	if len(f.ready) > 1 {
		f.merge()
	}
}

// at returns the utilization at work x per replica, and its position between two stationary
// rows.
func (p *pool) at(x float64) (rho float64, row int, frac float64) {
	z := x / (x + p.c) * zCells
	i := int(z)
	rho = p.flow[i] + (p.flow[i+1]-p.flow[i])*(z-float64(i))
	r := rho * rhoCells
	row = int(r)
	return rho, row, r - float64(row)
}

// waitingAt returns the stationary queue at a utilization ≤ rhoSteady.
func (p *pool) waitingAt(rho float64) float64 {
	r := rho * rhoCells
	i := int(r)
	return p.st[i].waiting + (p.st[i+1].waiting-p.st[i].waiting)*(r-float64(i))
}

// waits returns, at a utilization ≤ rhoSteady, the chance that a request waits, the mean wait of
// those that do in seconds, and by which factor service times are stretched.
func (p *pool) waits(rho float64) (chance, mean, stretch float64) {
	r := rho * rhoCells
	i := int(r)
	a, b, k := &p.st[i], &p.st[i+1], r-float64(i)
	return a.pw + (b.pw-a.pw)*k, a.theta + (b.theta-a.theta)*k, a.stretch + (b.stretch-a.stretch)*k
}

// metAt returns the times that were measured with their waits at about that utilization, of a pool
// whose law has such rows.
func (p *pool) metAt(rho float64) []ServiceTime {
	return p.met[min(int(math.Round(rho*rhoCells)), len(p.met)-1)]
}

// insideAt returns the stationary number in the system at a utilization ≤ rhoSteady.
func (p *pool) insideAt(rho float64) float64 {
	r := rho * rhoCells
	i := int(r)
	a, b := &p.st[i], &p.st[i+1]
	return a.serving + a.waiting + (b.serving+b.waiting-a.serving-a.waiting)*(r-float64(i))
}

// level is the number in the system to which least-connections fills the emptiest replicas
// with the step's arrivals.
func (f *Fluid) level(arrivals float64) float64 {
	h := math.Inf(1)
	// There are few cohorts, so try each set of the k lowest. The right set gives the smallest
	// level: a set with a cohort too few or too many gives a higher one.
	for i := range f.ready {
		limit := f.ready[i].l
		sum, n := arrivals, 0.0
		for j := range f.ready {
			if f.ready[j].l <= limit {
				sum += f.ready[j].l * f.ready[j].n
				n += f.ready[j].n
			}
		}
		h = min(h, sum/n)
	}
	return h
}

// grow moves pods that have become ready into traffic.
func (f *Fluid) grow() {
	f.soonest = math.Inf(1)
	keep := f.coming[:0]
	n := f.nReady
	for _, c := range f.coming {
		if f.now >= c.life.ReadyAt {
			n += int(c.n)
			f.ready = append(f.ready, c)
			continue
		}
		f.soonest = min(f.soonest, c.life.ReadyAt)
		keep = append(keep, c)
	}
	f.coming = keep
	f.setReady(n)
}

// merge joins cohorts that can no longer be told apart: the autoscaler counts the samples of
// both (every readable window began after they became ready), and their queues agree within a
// thousandth.
func (f *Fluid) merge() {
	for i := range f.ready {
		if c := &f.ready[i]; !c.settled {
			c.settled = f.isSettled(c)
		}
	}
	out := f.ready[:1]
	for _, c := range f.ready[1:] {
		joined := false
		for i := range out {
			o := &out[i]
			if o.settled && c.settled && math.Abs(o.l-c.l) <= 1e-3*(1+o.l) {
				o.join(&c, len(f.m.flow))
				joined = true
				break
			}
		}
		if !joined {
			out = append(out, c)
		}
	}
	f.ready = out
}

func (f *Fluid) isSettled(c *cohort) bool {
	for k := range f.m.flow {
		p := &f.m.flow[k]
		v := p.read(&c.m[k], 0, f.now, f.now, f.m.dt)
		if !v.OK || v.At-v.Window < c.life.ReadyAt || p.window > 0 && v.Window < p.reported-1e-9 {
			return false
		}
		// Until the delay has passed, older points may still be read. They belong to earlier
		// scrapes, which are complete if this one is.
	}
	return true
}

// Scale sets the desired number of pods to n: it creates or deletes the difference at time at
// (seconds, within half a step of now). It returns at once; pods start and stop later.
func (f *Fluid) Scale(n int, at float64) {
	n = f.m.admitted(n)
	have := f.nReady
	for i := range f.coming {
		have += int(f.coming[i].n)
	}
	for ; have < n; have++ {
		life := f.m.newLife(at, f.created).later(f.nodes.place(have+f.draining(), at))
		f.created++
		// A pod that is like the last one created joins its cohort.
		if k := len(f.coming) - 1; k >= 0 && f.coming[k].life == life {
			f.coming[k].n++
			continue
		}
		c := cohort{n: 1, life: life}
		for i := range c.m {
			c.m[i].first = unseen
		}
		f.coming = append(f.coming, c)
		f.soonest = min(f.soonest, life.ReadyAt)
	}
	if have > n {
		f.shrink(have - n)
	}
}

// shrink deletes k pods in the ReplicaSet's order.
func (f *Fluid) shrink(k int) {
	nReady := f.nReady
	for k > 0 {
		list, i := f.firstToGo()
		if i < 0 {
			break
		}
		c := &(*list)[i]
		take := min(k, int(c.n))
		if list == &f.ready {
			gone := *c
			gone.n = float64(take)
			gone.life.Deleted = f.now
			f.leaving = append(f.leaving, gone)
			nReady -= take
		}
		if c.n -= float64(take); c.n < 0.5 {
			*list = append((*list)[:i], (*list)[i+1:]...)
		}
		k -= take
	}
	f.setReady(nReady)
}

// firstToGo finds the cohort from which a scale-down deletes first.
func (f *Fluid) firstToGo() (*[]cohort, int) {
	best, list := -1, &f.ready
	if len(f.coming) > 0 {
		list = &f.coming
	}
	for i := range *list {
		if best < 0 || deletedBefore(&(*list)[i].life, &(*list)[best].life, f.now) {
			best = i
		}
	}
	return list, best
}

// drain lets deleted pods finish. It returns how many requests were cut off in pods whose
// grace period ended.
func (f *Fluid) drain(inFlight, waiting *float64) float64 {
	m := f.m
	cut := 0.0
	keep := f.leaving[:0]
	for _, c := range f.leaving {
		rho, row, _ := f.pool.at(c.l)
		l := max(0, c.l-rho*m.cap*m.dt)
		q := max(0, l-f.pool.st[row].serving)
		c.load = load{done: (c.l - l) / m.dt, work: (c.l - l) / m.dt, running: l - q, waiting: q}
		c.l = l
		age := f.now - c.life.Deleted
		if age >= m.drain && l < 0.1 {
			continue // less than a tenth of a request is expected: done
		}
		if age >= m.grace {
			cut += l * c.n
			continue
		}
		*inFlight += l * c.n
		*waiting += q * c.n
		for k := range m.flow {
			if p := &m.flow[k]; p.window > 0 {
				c.m[k].cum += p.value(c.load, Ready) * m.dt
			}
		}
		keep = append(keep, c)
	}
	f.leaving = keep
	return cut
}

// Status returns how many pods the workload controller counts: all that are not deleted.
func (f *Fluid) Status() int {
	n := f.nReady
	for i := range f.coming {
		n += int(f.coming[i].n)
	}
	return n
}

// Pods appends to out what the autoscaler sees at time now (seconds, not before the end of the
// last step). Like pods are one entry.
func (f *Fluid) Pods(now float64, out []PodView) []PodView {
	var times [MaxPipes]Value
	for i := range f.meters {
		k := f.meters[i].pipe
		times[k] = f.meters[i].read(f.m, &f.m.flow[k], now, f.now)
	}
	view := func(c *cohort, stage Stage) {
		v := PodView{Life: c.life, Stage: stage, Count: int(c.n)}
		for k := range f.m.flow {
			if v.Values[k] = times[k]; f.m.Pipes[k].Times == nil {
				v.Values[k] = f.m.flow[k].read(&c.m[k], 0, now, f.now, f.m.dt)
			}
		}
		out = append(out, v)
	}
	for i := range f.ready {
		view(&f.ready[i], Ready)
	}
	for i := range f.coming {
		c := &f.coming[i]
		view(c, min(c.life.Stage(now), Starting))
	}
	for i := range f.leaving {
		view(&f.leaving[i], Draining)
	}
	return out
}
