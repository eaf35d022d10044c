package plant

import (
	"math"

	"github.com/hpatune/hpatune/results"
)

// Requests that arrive while no pod is ready: a proxy holds them, or, without one, they are
// refused.

// held is a request that waits before the pods in the exact plant.
type held struct {
	Request
	tick int
}

// hold keeps a request that finds no ready pod, or fails it. t is the tick in which it
// arrived.
func (e *Exact) hold(r *Request, t *results.Tick) {
	if e.m.hold == 0 {
		t.Failed++
		return
	}
	e.held = append(e.held, held{*r, e.tick})
}

// release fails requests that were held for too long. Once there is a pod it passes the others
// on, the longest waiting first.
func (e *Exact) release() {
	gone := 0
	for gone < len(e.held) && e.held[gone].At+e.m.hold < e.now {
		e.ticks[e.held[gone].tick].Failed++
		gone++
	}
	if e.held = e.held[gone:]; len(e.ready) == 0 {
		return
	}
	for i := range e.held {
		e.arrive(&e.held[i].Request, e.now, e.held[i].tick)
	}
	e.held = e.held[:0]
}

// lastHeld ends the requests that are still held when the recording ends. The pod that becomes
// ready next answers them, if one becomes ready in time.
func (e *Exact) lastHeld() {
	if len(e.held) == 0 {
		return
	}
	next := math.Inf(1)
	for _, s := range e.coming {
		next = min(next, s.life.ReadyAt)
	}
	if math.IsInf(next, 1) {
		next = e.now + e.m.hold
	}
	e.now = max(e.now, next) + e.m.dt/2
	e.grow()
	e.release()
	for i := range e.held {
		e.ticks[e.held[i].tick].Failed++
	}
	e.held = e.held[:0]
}

// Held returns how many requests wait before the pods.
func (e *Exact) Held() float64 { return float64(len(e.held)) }

// queue is the requests that wait before the pods of the fluid plant, by the step in which
// they arrived, the longest waiting first.
type queue struct {
	list []share
	n    float64
}

// share is the requests of one step.
type share struct{ at, n float64 }

// enter holds the arrivals of a step in which no pod is ready, and returns how many requests
// fail: all arrivals if nothing holds them, otherwise those that were held for too long.
func (f *Fluid) enter(arrivals float64) (failed float64) {
	if f.m.hold == 0 {
		return arrivals
	}
	failed = f.tooLong()
	if arrivals > 0 {
		f.before.list = append(f.before.list, share{f.now - f.m.dt/2, arrivals})
		f.before.n += arrivals
	}
	return failed
}

// tooLong fails requests that were held longer than the bound.
func (f *Fluid) tooLong() (failed float64) {
	q := &f.before
	gone := 0
	for gone < len(q.list) && q.list[gone].at+f.m.hold < f.now {
		failed += q.list[gone].n
		gone++
	}
	q.list, q.n = q.list[gone:], q.n-failed
	return failed
}

// Held returns how many requests wait before the pods.
func (f *Fluid) Held() float64 { return f.before.n }

// goodHeld is the share of the held requests that meet the limits, at utilization rho with
// back seconds of backlog before them.
func (f *Fluid) goodHeld(p *pool, rho, back float64) float64 {
	good := 0.0
	for _, s := range f.before.list {
		good += s.n * p.goodAt(rho, back+f.now-s.at)
	}
	return good / f.before.n
}

// observeHeld adds n of the held requests to the latencies.
func (f *Fluid) observeHeld(p *pool, rho, back, n float64) {
	if n <= 0 {
		return
	}
	for _, s := range f.before.list {
		f.latency.observe(f.m, p, rho, back+f.now-s.at, n*s.n/f.before.n)
	}
}
