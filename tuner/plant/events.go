package plant

import (
	"math"
	"slices"

	"github.com/hpatune/hpatune/results"
)

// Exact is the slow plant: it plays every request. It belongs to one worker. Reset prepares it
// for the next replay and reuses its memory.
//
// The choice of a replica for a request does not depend on the future, and replicas do not
// affect each other. So each replica is advanced on its own to the instants at which something
// reaches it, and no common event list is needed.
type Exact struct {
	m       *Model
	seed    uint64
	tick    int
	now     float64
	ready   []*server // in order of creation
	coming  []*server
	leaving []*server
	free    []*server
	created int
	turn    uint64    // of round robin
	stretch []float64 // of service times, by requests in service
	works   []float64 // own work per second, in mean requests, by requests in service
	mean    float64   // of the law's times, seconds
	limits  [2]float64
	ticks   []results.Tick
	latency *Latency
	conns   []conn    // all that were opened, for Aged
	idle    [][]int32 // by pool, the last used on top
	nodes   nodeStack
	watch   func(c *call, first, took float64) // called for each success; nil = not called
	held    []held                             // waiting before the pods, the longest waiting first
	meters  []metered                          // of the pipes that read times
}

// Request is one arrival for the exact plant.
type Request struct {
	At    float64     // seconds
	Index int         // with the seed, decides its random draws: the same in every candidate
	Class int16       // negative: any
	Time  ServiceTime // as measured; Total 0 = unknown: drawn from the law
	// Prompt and Output are its tokens. A law of iterations serves them; one of slots draws the
	// time of a request of that size. Output 0 = unknown: both are drawn, too.
	Prompt, Output int
}

// call is a request in a server.
type call struct {
	at     float64 // arrival, seconds
	tick   int32
	index  int32
	conn   int32 // index into Exact.conns; none
	time   ServiceTime
	finish float64 // in the server's virtual time; set when it gets a slot
	first  float64 // time of its first token, seconds; NaN = not known yet, or equal to its end
	// firstAt is the time of the first token in the server's virtual time, while first is not
	// known yet.
	firstAt float64
	gap     float64 // longest time between two tokens, seconds; language-model servers only
	cut     bool    // its client gives up before it ends
	began   float64 // when its service started, seconds
	worth   float64 // completions per second of virtual time while it is in service
}

// server is one pod. Its virtual time runs at 1/stretch of real time, so calls in service keep
// their finish time when other calls start or end.
type server struct {
	index   int // in order of creation
	life    Life
	at      float64 // advanced to, seconds
	virtual float64
	serving []due   // heap by finish
	calls   []call  // those in service, by due.call
	vacant  []int32 // places of calls that are free
	queue   []call
	head    int     // of queue
	worth   float64 // of the calls in service: completions per second of virtual time
	// Since the start of the step: completions' worth of work done, and the integrals of the
	// numbers in service and queued.
	done, busy, queued float64
	came               float64 // requests
	work               float64 // own work in this step, in mean requests; for slots without a quota
	load               load
	bucket             bucket       // of its CPU quota
	nextFirst          float64      // virtual time of the next first token, while it is not known
	model              *modelServer // for language models; nil = slots
	m                  [MaxPipes]meter
}

// Reset starts a replay of m with n ready pods. Step and Finish fill ticks, from the first on,
// as steps are taken and requests end. The caller owns ticks, one per step, and zeroes them
// first. latency may be nil.
func (e *Exact) Reset(m *Model, n int, seed uint64, ticks []results.Tick, latency *Latency) {
	for _, list := range [][]*server{e.ready, e.coming, e.leaving} {
		e.free = append(e.free, list...)
	}
	n = m.admitted(n)
	e.ready, e.coming, e.leaving = e.ready[:0], e.coming[:0], e.leaving[:0]
	e.m, e.seed, e.tick, e.now, e.created, e.turn, e.ticks, e.latency = m, seed, 0, 0, n, 0, ticks, latency
	e.conns, e.idle, e.held = e.conns[:0], nil, e.held[:0]
	e.meters = m.metersOf(e.meters, m.pipes)
	e.nodes.begin(m.Nodes, n)
	mean := meanTotal(m.Law.Times)
	e.mean = mean
	if m.pace > 0 && m.Law.Quota.Cores == 0 {
		e.mean *= m.pace // a slower request burns no more, unless it is slow because of CPU
	}
	e.stretch, e.works = e.stretch[:0], e.works[:0]
	for i, r := range m.Law.Rate {
		f := 1.0
		if i > 0 {
			f = float64(i) / r / mean
		}
		e.stretch = append(e.stretch, f)
		e.works = append(e.works, float64(i)/(f*e.mean))
	}
	e.limits = [2]float64{math.Inf(1), math.Inf(1)}
	if m.Limits.TTFT > 0 {
		e.limits[0] = m.Limits.TTFT.Seconds()
	}
	if m.Limits.E2E > 0 {
		e.limits[1] = m.Limits.E2E.Seconds()
	}
	for i := range n {
		s := e.newServer(oldLife(), i)
		for k := range m.pipes {
			p := &m.pipes[k]
			s.m[k] = p.old(p.value(load{}, Ready), m.dt)
		}
		e.ready = append(e.ready, s)
	}
}

func (e *Exact) newServer(l Life, index int) *server {
	s := &server{}
	if k := len(e.free) - 1; k >= 0 {
		s, e.free = e.free[k], e.free[:k]
	}
	*s = server{index: index, life: l, at: e.now, serving: s.serving[:0], calls: s.calls[:0],
		vacant: s.vacant[:0], queue: s.queue[:0], model: s.model,
		bucket: e.m.Law.Quota.newBucket(e.seed, index, e.now), nextFirst: math.Inf(1)}
	s.model = e.newModelServer(s)
	for k := range s.m {
		s.m[k].first = unseen
	}
	return s
}

// Now returns the time at the end of the last step, in seconds.
func (e *Exact) Now() float64 { return e.now }

// Step plays one step with the requests that arrive in it, in order of time.
func (e *Exact) Step(requests []Request) {
	m := e.m
	e.grow()
	e.release()
	t := &e.ticks[e.tick]
	for i := range requests {
		t.Arrivals++
		e.arrive(&requests[i], requests[i].At, e.tick)
	}
	e.tick++
	e.now = float64(e.tick) * m.dt
	inside, waiting := 0, 0
	each := func(s *server, stage Stage) {
		e.advance(s, e.now)
		e.expire(s)
		s.read(e.now)
		if s.model != nil || m.Law.Quota.Cores > 0 {
			s.work = s.done // done is already measured in work here
		}
		s.load = load{done: s.done / m.dt, work: s.work / m.dt, running: s.busy / m.dt, waiting: s.queued / m.dt,
			arrived: s.came / m.dt, oldest: s.oldest(e.now)}
		s.done, s.work, s.busy, s.queued, s.came = 0, 0, 0, 0, 0
		for k := range m.pipes {
			if p := &m.pipes[k]; p.window > 0 {
				s.m[k].cum += p.value(s.load, stage) * m.dt
			}
		}
		inside += s.inside()
		waiting += s.waiting()
	}
	for _, s := range e.ready {
		each(s, Ready)
	}
	for _, s := range e.leaving {
		each(s, Ready)
	}
	for _, s := range e.coming {
		if s.life.Started < e.now {
			each(s, Starting)
		}
	}
	e.drain()
	inside, waiting = inside+len(e.held), waiting+len(e.held)
	t.InFlight, t.Waiting = float64(inside), float64(waiting)
	t.Ready = float64(len(e.ready))
	t.Pods = float64(len(e.ready) + len(e.coming) + len(e.leaving))
	t.Nodes = e.nodes.count(len(e.ready)+len(e.coming)+len(e.leaving), e.now)
	for k := range m.pipes {
		e.scrape(&m.pipes[k], k)
	}
}

// Finish plays on without arrivals until every request has ended, so that each request is
// counted in the tick in which it arrived.
func (e *Exact) Finish() {
	e.lastHeld()
	for _, list := range [][]*server{e.ready, e.leaving} {
		for _, s := range list {
			e.advance(s, math.Inf(1))
		}
	}
}

// arrive passes a request of a tick to a replica at time now, which is the request's arrival,
// or later if it was held.
func (e *Exact) arrive(r *Request, now float64, tick int) {
	t := &e.ticks[tick]
	if len(e.ready) == 0 {
		e.hold(r, t)
		return
	}
	s, wire := e.pick(r, now)
	e.advance(s, now)
	c := call{at: r.At, tick: int32(tick), index: int32(r.Index), conn: wire}
	// A request with a measured time of its own is worth one completion, however fast it was:
	// an idle server is fast, but burns no less. A drawn request is worth its time over the
	// mean, because the draw does not depend on the load. Under a quota, a request costs what
	// its own time says.
	c.worth = 1 / max(1e-6, r.Time.Total)
	limited := e.m.Law.Quota.Cores > 0
	if r.Time.Total == 0 || limited {
		c.worth = 1 / e.mean
	}
	drawn := r.Time.Total == 0
	if drawn {
		c.time = *e.m.drawn(r, e.seed)
	} else {
		c.time = r.Time
	}
	if limited && c.time.Work > 0 {
		c.worth = c.time.Work / max(1e-6, c.time.Total)
	}
	if drawn {
		e.m.slow(&c.time)
	}
	e.expire(s)
	s.came++
	switch {
	case s.model != nil && (e.m.Law.Queue == 0 || s.waiting() < e.m.Law.Queue):
		if r.Output > 0 { // the recorded request's own tokens
			c.time.Prompt, c.time.Tokens = float64(r.Prompt), float64(r.Output)
		}
		s.model.join(c)
	case s.model != nil:
		t.Failed++
	case len(s.serving) < e.m.Law.Slots():
		e.begin(s, &c)
	case e.m.Law.Queue > 0 && len(s.queue)-s.head >= e.m.Law.Queue:
		t.Failed++
	default:
		s.queue = append(s.queue, c)
	}
}

func (e *Exact) pick(r *Request, now float64) (*server, int32) {
	n := uint64(len(e.ready))
	switch e.m.Balancer {
	case Random:
		return e.ready[mix(e.seed^0x62616c, uint64(r.Index))%n], none
	case Aged:
		return e.wired(r)
	case LeastConnections, LeastWaiting:
		best, least := e.ready[0], math.MaxInt
		// Ties are broken in turn, so that idle replicas share the load.
		for i := range n {
			s := e.ready[(e.turn+i)%n]
			e.advance(s, now)
			k := s.inside()
			if e.m.Balancer == LeastWaiting {
				k = max(0, k-e.m.Law.Slots())
			}
			if k < least {
				best, least = s, k
			}
		}
		e.turn++
		return best, none
	}
	s := e.ready[e.turn%n]
	e.turn++
	return s, none
}

// begin gives a call a slot at s.at.
func (e *Exact) begin(s *server, c *call) {
	f := e.stretch[len(s.serving)+1]
	if e.m.inOrder < 0 && len(e.m.Law.Young) > 0 {
		if k := e.m.Law.young(s.at - s.life.ReadyAt); k != 1 {
			c.time.First, c.time.Total = c.time.First*k, c.time.Total*k
		}
	}
	work := c.time.Total
	c.began, c.first = s.at, s.at+c.time.First*f
	if q := &e.m.Law.Quota; q.Cores > 0 {
		if len(s.serving) == 0 {
			s.bucket.refill(s.at, q.Base)
		}
		if e.m.inOrder < 0 {
			k, waits := q.costs(e.seed, s.at), q.waits(e.seed, s.at)
			if e.m.waits > 0 {
				waits *= e.m.waits
			}
			work, c.time.First, c.worth = work*k*waits, c.time.First*k*waits, c.worth/waits
		}
		c.first = math.NaN()
		if c.time.First < work {
			c.firstAt = s.virtual + c.time.First
			s.nextFirst = min(s.nextFirst, c.firstAt)
		} else {
			c.firstAt = math.Inf(1)
		}
		f *= max(1, (q.Base+q.Each*(s.worth+c.worth)/f)/q.Cores) // the long-run stretch
	}
	// The client gives up before the end, or before the first token, and the server stops
	// working on the request at that time.
	if left := c.at + e.m.toEnd - s.at; left < work*f {
		work, c.cut = max(0, left/f), true
	}
	if left := c.at + e.m.toFirst - s.at; left < c.time.First*f {
		work, c.cut = min(work, max(0, left/f)), true
	}
	c.finish = s.virtual + work
	if c.time.hasFirst() {
		e.sawFirst(s, c)
	}
	s.push(c)
	s.worth += c.worth
}

// advance plays a server up to time t.
func (e *Exact) advance(s *server, t float64) {
	if s.model != nil {
		e.advanceModel(s, t)
		return
	}
	if e.m.Law.Quota.Cores > 0 {
		e.advanceLimited(s, t)
		return
	}
	for len(s.serving) > 0 {
		n := len(s.serving)
		f := e.stretch[n]
		need := max(0, s.serving[0].finish-s.virtual) * f
		if s.at+need > t {
			s.virtual += (t - s.at) / f
			e.account(s, t-s.at)
			s.at = t
			return
		}
		e.account(s, need)
		s.at += need
		e.retire(s)
	}
	if !math.IsInf(t, 1) {
		s.at = t
	}
}

// retire ends the call that finishes first, and admits waiting calls.
func (e *Exact) retire(s *server) {
	c := s.pop()
	if s.worth -= c.worth; len(s.serving) == 0 {
		s.worth = 0 // clears accumulated rounding errors
	}
	s.virtual = c.finish
	e.end(s, c)
	e.next(s)
}

// next gives free slots to waiting calls.
func (e *Exact) next(s *server) {
	for e.expire(s); len(s.serving) < e.m.Law.Slots() && s.head < len(s.queue); {
		c := s.queue[s.head]
		if s.head++; s.head == len(s.queue) {
			s.queue, s.head = s.queue[:0], 0
		}
		e.begin(s, &c)
	}
}

// expire drops queued calls whose client has given up, the longest waiting first.
func (e *Exact) expire(s *server) {
	for s.head < len(s.queue) && s.queue[s.head].at+e.m.wait <= s.at {
		e.ticks[s.queue[s.head].tick].Failed++
		if s.head++; s.head == len(s.queue) {
			s.queue, s.head = s.queue[:0], 0
		}
	}
}

// account adds d seconds of the present state. It counts work while it is done, not when a
// request ends: completions per second are whole numbers, so a server at its ceiling would
// seem to have idle CPU in some seconds.
func (e *Exact) account(s *server, d float64) {
	if n := len(s.serving); n > 0 {
		s.done += s.worth / e.stretch[n] * d
		s.work += e.works[n] * d
	}
	s.busy += float64(len(s.serving)) * d
	s.queued += float64(len(s.queue)-s.head) * d
}

// end counts a call that leaves its slot.
func (e *Exact) end(s *server, c *call) {
	t := &e.ticks[c.tick]
	e.hangUp(c, c.cut)
	if c.cut {
		t.Failed++
		return
	}
	t.Done++
	e.sawEnd(s, c)
	t.Tokens += c.time.Tokens
	took, first := s.at-c.at, c.first-c.at
	if math.IsNaN(first) {
		first = took
	}
	if e.watch != nil {
		seen := *c // a copy, so that calls that nobody watches stay on the stack
		e.watch(&seen, first, took)
	}
	if e.within(c, first, took) {
		t.Good++
	}
	if e.latency != nil && !t.Warmup {
		e.latency.record(c, first, took, s.model != nil)
	}
}

func (e *Exact) grow() {
	e.coming = slices.DeleteFunc(e.coming, func(s *server) bool {
		if e.now < s.life.ReadyAt {
			return false
		}
		s.at = e.now
		// In order of creation, like a list of endpoints sorted by pod.
		i := len(e.ready)
		for i > 0 && e.ready[i-1].index > s.index {
			i--
		}
		e.ready = slices.Insert(e.ready, i, s)
		return true
	})
}
