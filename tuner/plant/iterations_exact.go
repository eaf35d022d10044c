package plant

import "math"

// modelServer is what a language-model server adds to a server: its engine, and the calls in
// it by the engine's id.
type modelServer struct {
	law    Iterations // at the day's pace
	engine engine
	calls  []call
	free   []int
	earned float64 // engine.earned at the last reading
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
	own := x.law.Own // spent outside the engine, so the engine's clock runs that much behind
	x.engine.onTok = func(id int, g *engine) {
		x.calls[id].first = g.at + own
		e.sawFirst(s, &x.calls[id])
	}
	x.engine.onEnd = func(f finished, g *engine) {
		c := &x.calls[f.id]
		c.gap, c.began = f.gap, f.started
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

// join queues a call in an engine that has been advanced to the call's arrival.
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

// advanceModel plays an engine up to time t. If a client gives up while its request waits, the
// request is removed. If its request is in service, the server works on it to the end, as a
// server does that does not notice a disconnect; the request counts as failed.
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

// read adds up what a server with an engine did since the last reading, up to time t. The
// engine may have started iterations that end after t.
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

// each calls f for every call in the engine.
func (x *modelServer) each(f func(*call)) {
	g := &x.engine
	for _, list := range [][]seq{g.waiting[g.head:], g.prefill, g.answer} {
		for i := range list {
			f(&x.calls[list[i].id])
		}
	}
}

// giveUp removes requests from the front of the queue for as long as gone reports true for
// them.
func (e *engine) giveUp(gone func(id int) bool) {
	for e.head < len(e.waiting) && e.waiting[e.head].written == 0 && gone(e.waiting[e.head].id) {
		if e.head++; e.head == len(e.waiting) {
			e.waiting, e.head = e.waiting[:0], 0
		}
	}
}

// inside returns how many requests a server has. waiting returns how many of them wait for a
// place.
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

// oldest returns how long the longest-waiting request has waited, in seconds; 0 = none waits.
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

// within reports whether a request that succeeded met every limit. TPOT is the mean time per
// token after the first. ITL is the longest time between two tokens; a law of slots does not
// know it, so it is no limit there.
func (e *Exact) within(c *call, first, took float64) bool {
	l := &e.m.Limits
	if !(first <= e.limits[0] && took <= e.limits[1]) {
		return false
	}
	if l.TPOT == 0 && l.ITL == 0 {
		return true
	}
	met := ServiceTime{First: first, Total: took, Tokens: c.time.Tokens, Gap: c.gap}
	return l.steady(&met, 1)
}

// record adds the latencies of one request.
func (h *Latency) record(c *call, first, took float64, model bool) {
	h.E2E.Record(seconds(took))
	if !model && !c.time.hasFirst() {
		return
	}
	h.TTFT.Record(seconds(first))
	if c.time.Tokens >= 2 && !h.Whole {
		h.TPOT.Record(seconds((took - first) / (c.time.Tokens - 1)))
		if model {
			h.ITL.Record(seconds(c.gap))
		}
	}
}
