package plant

import "math"

// modelServer is what a server of language models adds to a server: its engine,
// and the calls inside by the engine's id.
type modelServer struct {
	law    Iterations // at the day's pace
	engine engine
	calls  []call
	free   []int
	earned float64 // of the engine, at the last reading
}

func (e *Exact) newModelServer(s *server) *modelServer {
	if e.m.Law.Iterations == nil {
		return nil
	}
	x := s.model
	if x == nil {
		x = &modelServer{}
	}
	x.calls, x.free, x.earned = x.calls[:0], x.free[:0], 0
	x.law = e.m.Law.Iterations.paced(e.m.pace)
	own := x.law.Own // spent outside the engine, whose clock is as much late
	x.engine.onTok = func(id int, g *engine) { x.calls[id].first = g.at + own }
	x.engine.onEnd = func(f finished, g *engine) {
		c := &x.calls[f.id]
		c.gap = f.gap
		c.cut = c.first-c.at > e.m.toFirst || f.last+own-c.at > e.m.toEnd
		at := s.at
		s.at = f.last + own
		e.end(s, c)
		s.at = at
		x.free = append(x.free, f.id)
	}
	x.engine.reset(&x.law, s.at)
	return x
}

// join queues a call in an engine, which was advanced to its arrival.
func (x *modelServer) join(c call) {
	id := len(x.calls)
	if k := len(x.free) - 1; k >= 0 {
		id, x.free = x.free[k], x.free[:k]
		x.calls[id] = c
	} else {
		x.calls = append(x.calls, c)
	}
	x.engine.push(c.at, id, int(math.Round(c.time.Prompt)), int(math.Round(c.time.Tokens)))
}

// advanceModel plays an engine up to time t. A client that has gone is taken out
// where its request still waits; one that is in service is served to its end, as
// a server does that does not see it go, and counts as failed.
func (e *Exact) advanceModel(s *server, t float64) {
	x := s.model
	if !math.IsInf(e.m.wait, 1) {
		x.engine.giveUp(func(id int) bool {
			c := &x.calls[id]
			if c.at+e.m.wait > t {
				return false
			}
			e.ticks[c.tick].Failed++
			x.free = append(x.free, id)
			return true
		})
	}
	x.engine.advance(t)
	if !math.IsInf(t, 1) {
		s.at = t
	}
}

// read brings what a server did since the last reading up to time t, where it has
// an engine, which begins iterations that end later.
func (s *server) read(t float64) {
	x := s.model
	if x == nil {
		return
	}
	g := &x.engine
	g.account(t)
	earned := g.earnedAt(t)
	s.done, s.busy, s.queued = earned-x.earned, g.use.running, g.use.queue
	x.earned, g.use.running, g.use.queue = earned, 0, 0
}

// each calls f for every call inside.
func (x *modelServer) each(f func(*call)) {
	g := &x.engine
	for _, list := range [][]seq{g.waiting[g.head:], g.prefill, g.answer} {
		for i := range list {
			f(&x.calls[list[i].id])
		}
	}
}

// giveUp takes those out of the front of the queue whom gone says so of.
func (e *engine) giveUp(gone func(id int) bool) {
	for e.head < len(e.waiting) && e.waiting[e.head].written == 0 && gone(e.waiting[e.head].id) {
		if e.head++; e.head == len(e.waiting) {
			e.waiting, e.head = e.waiting[:0], 0
		}
	}
}

// inside is how many requests a server has, and waiting how many of them wait for
// a place.
func (s *server) inside() int {
	if s.model != nil {
		return s.model.engine.inside()
	}
	return len(s.serving) + s.waiting()
}

func (s *server) waiting() int {
	if s.model != nil {
		return s.model.engine.queued()
	}
	return len(s.queue) - s.head
}

// oldest is for how long the request has waited that waits longest; 0 = none does.
func (s *server) oldest(now float64) float64 {
	switch {
	case s.waiting() == 0:
		return 0
	case s.model != nil:
		g := &s.model.engine
		return max(0, now-s.model.calls[g.waiting[g.head].id].at)
	}
	return now - s.queue[s.head].at
}

// within reports whether a request that was answered well met every limit. TPOT
// spreads the tokens after the first evenly; ITL is the longest time between two,
// which a law of slots does not know: it limits nothing there.
func (e *Exact) within(c *call, first, took float64) bool {
	l := &e.m.Limits
	met := ServiceTime{First: first, Total: took, Tokens: c.time.Tokens, Gap: c.gap}
	return first <= e.limits[0] && took <= e.limits[1] && l.steady(&met, 1)
}

// record takes what a request met.
func (h *Latency) record(c *call, first, took float64, model bool) {
	h.E2E.Record(seconds(took))
	if !model && !c.time.hasFirst() {
		return
	}
	h.TTFT.Record(seconds(first))
	if c.time.Tokens >= 2 {
		h.TPOT.Record(seconds((took - first) / (c.time.Tokens - 1)))
		if model {
			h.ITL.Record(seconds(c.gap))
		}
	}
}
