package replay

import (
	"math/rand/v2"
	"slices"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// SimulateExact runs one candidate request by request, and passes each tick to visit when
// all are known. It is about a hundred times slower than Simulate, and exact where Simulate
// approximates: who waits behind whom.
//
// Seed 0 replays the world as it is, with the recorded arrivals if they are known. Any
// other seed is another day of the same kind: World.Draw(seed). With the same seed, every
// candidate gets the same arrivals, service times and cold starts, so that differences
// between candidates are not luck.
func SimulateExact(w *World, cfg hpa.Config, seed uint64, s *Scratch, visit func(*results.Tick)) {
	if seed != 0 {
		w = w.Draw(seed)
	}
	e, a := &s.exact, &s.auto
	n := len(w.Demand.Bins)
	s.requests = w.requests(s.requests[:0], seed)
	clear(s.ticks[:min(n, len(s.ticks))])
	for len(s.ticks) < n {
		s.ticks = append(s.ticks, results.Tick{})
	}
	ticks := s.ticks[:n]
	if s.Warmup != nil {
		for i := range ticks {
			ticks[i].Warmup = s.Warmup(i)
		}
	}
	e.Reset(w.model, int(w.Replicas), w.Seed, ticks, s.Latency)
	a.reset(w, cfg)
	a.begin(e)
	dt := w.Demand.Step.Seconds()
	next, losses := 0, w.Losses
	for i := range ticks {
		now := float64(i) * dt
		losses = lose(losses, now, dt, e)
		a.due(now+dt/2, e, s.OnDecision)
		ticks[i].Spec, ticks[i].Desired = float64(a.replicas), float64(a.desired)
		from := next
		for next < len(s.requests) && (s.requests[next].At < now+dt || i == n-1) {
			next++
		}
		e.Step(s.requests[from:next])
		a.note(float64(next-from), &ticks[i], e)
	}
	e.Finish()
	for i := range ticks {
		visit(&ticks[i])
	}
}

// requests are the world's arrivals one by one: the recorded ones, or drawn from the bins.
// Within a bin they are evenly spread if arrivals are constant, else random.
func (w *World) requests(out []plant.Request, seed uint64) []plant.Request {
	if w.Demand.Arrivals != nil {
		out = slices.Grow(out, len(w.Demand.Arrivals))
		for i, a := range w.Demand.Arrivals {
			r := plant.Request{At: a.At.Seconds(), Index: a.Index, Class: a.Class, Prompt: a.Prompt, Output: a.Max}
			if w.Demand.Times != nil {
				r.Time = w.Demand.Times[i]
			}
			out = append(out, r)
		}
		return out
	}
	r := rand.New(rand.NewPCG(w.Seed, seed^0x61727269))
	dt := w.Demand.Step.Seconds()
	at := make([]float64, 0, 64)
	carry := 0.5
	for i, b := range w.Demand.Bins {
		k := 0
		switch {
		case b == float64(int(b)):
			k = int(b)
		case w.Demand.CV2 == 0:
			carry += b
			k = int(carry)
			carry -= float64(k)
		default: // a rate, not a count
			k = int(count(r, b, w.Demand.CV2))
		}
		at = at[:0]
		for j := range k {
			if w.Demand.CV2 == 0 {
				at = append(at, (float64(j)+0.5)/float64(k))
			} else {
				at = append(at, r.Float64())
			}
		}
		slices.Sort(at)
		for _, u := range at {
			out = append(out, plant.Request{At: (float64(i) + u) * dt, Index: len(out), Class: -1})
		}
	}
	return out
}
