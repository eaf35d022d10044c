package sim

import "math/rand/v2"

// expo is Slots with exponential work of mean 1.
type expo struct{ slots int }

func (e expo) Word() string { return "expo" }
func (e expo) Places() int  { return e.slots }

func (e expo) Server(r *rand.Rand) server {
	return &drawn{slotted{spec: &Slots{Slots: e.slots, PerBusy: 0.5}, r: r}}
}

type drawn struct{ slotted }

func (s *drawn) take(now float64, q *request) {
	q.own = s.r.ExpFloat64()
	q.ownFirst = q.own / 2
	if len(s.busy) < s.spec.Slots {
		s.begin(now, q)
	} else {
		s.queue.push(q)
	}
}

func newSource(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }
