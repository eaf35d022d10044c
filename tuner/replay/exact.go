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
	come := w.arrivals(seed)
	s.ticks = slices.Grow(s.ticks[:0], n)[:n]
	clear(s.ticks)
	ticks := s.ticks
	if s.Warmup != nil {
		for i := range ticks {
			ticks[i].Warmup = s.Warmup(i)
		}
	}
	e.Reset(w.model, int(w.Replicas), w.Seed, ticks, s.Latency)
	a.reset(w, cfg)
	a.begin(e)
	dt := w.Demand.Step.Seconds()
	losses := w.Losses
	for i := range ticks {
		now := float64(i) * dt
		losses = lose(losses, now, dt, e)
		a.due(now+dt/2, e, s.OnDecision)
		ticks[i].Spec, ticks[i].Desired = float64(a.replicas), float64(a.desired)
		s.requests = come.step(i, s.requests[:0])
		e.Step(s.requests)
		a.note(float64(len(s.requests)), &ticks[i], e)
	}
	e.Finish()
	s.Undefined = a.formula
	for i := range ticks {
		visit(&ticks[i])
	}
}

// Ticks returns the ticks of the last exact replay, which are valid until the next one.
func (s *Scratch) Ticks() []results.Tick { return s.ticks }

// arrivals are a world's requests, step by step: a day of them at once would be most of
// what a replay holds in memory.
type arrivals struct {
	w     *World
	r     *rand.Rand
	next  int // index of the next request
	at    []float64
	moved []float64
	first []int32 // where each cell begins in moved
	carry float64 // of constant rates, the fraction of a request that is not there yet
}

func (w *World) arrivals(seed uint64) *arrivals {
	return &arrivals{w: w, r: rand.New(rand.NewPCG(w.Seed, seed^0x61727269)), carry: 0.5}
}

// step appends the requests of step i, which is asked for in order from 0 on: the recorded
// ones, or drawn from the bin. Within a bin they are evenly spread if arrivals are
// constant, else random.
func (a *arrivals) step(i int, out []plant.Request) []plant.Request {
	d := &a.w.Demand
	dt := d.Step.Seconds()
	if d.Arrivals != nil {
		end, last := float64(i)*dt+dt, i == len(d.Bins)-1
		for ; a.next < len(d.Arrivals) && (last || d.Arrivals[a.next].At.Seconds() < end); a.next++ {
			x := &d.Arrivals[a.next]
			r := plant.Request{At: x.At.Seconds(), Index: x.Index, Class: x.Class, Prompt: x.Prompt, Output: x.Max}
			if d.Times != nil {
				r.Time = d.Times[a.next]
			}
			out = append(out, r)
		}
		return out
	}
	k := 0
	switch b := d.Bins[i]; {
	case b == float64(int(b)):
		k = int(b)
	case d.CV2 == 0:
		a.carry += b
		k = int(a.carry)
		a.carry -= float64(k)
	default: // a rate, not a count
		k = int(count(a.r, b, d.CV2))
	}
	a.at = a.at[:0]
	for j := range k {
		if d.CV2 == 0 {
			a.at = append(a.at, (float64(j)+0.5)/float64(k))
		} else {
			a.at = append(a.at, a.r.Float64())
		}
	}
	a.sort()
	for _, u := range a.at {
		out = append(out, plant.Request{At: (float64(i) + u) * dt, Index: a.next, Class: -1})
		a.next++
	}
	return out
}

// fewest is the number of values from which on cells are faster than sorting by comparison.
const fewest = 24

// sort does what slices.Sort does to a.at, whose values are spread evenly over [0, 1): it puts
// each into one of as many cells as there are values, and then compares only neighbors.
func (a *arrivals) sort() {
	n := len(a.at)
	if n < fewest {
		slices.Sort(a.at)
		return
	}
	if len(a.moved) < n {
		a.first, a.moved = make([]int32, n+n/2+1), make([]float64, n+n/2)
	}
	first, moved := a.first[:n+1], a.moved[:n]
	clear(first)
	cells := float64(n)
	for _, u := range a.at {
		first[int(u*cells)+1]++
	}
	for k := range n {
		first[k+1] += first[k]
	}
	for _, u := range a.at {
		k := int(u * cells)
		moved[first[k]] = u
		first[k]++
	}
	for i := 1; i < n; i++ {
		u, k := moved[i], i
		for ; k > 0 && moved[k-1] > u; k-- {
			moved[k] = moved[k-1]
		}
		moved[k] = u
	}
	copy(a.at, moved)
}
