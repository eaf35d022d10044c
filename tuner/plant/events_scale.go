package plant

import "slices"

// Scale sets the desired number of pods to n, as Fluid.Scale does.
func (e *Exact) Scale(n int, at float64) {
	n = e.m.admitted(n)
	for have := e.Status(); have < n; have++ {
		life := e.m.newLife(at, e.created).later(e.nodes.place(have+len(e.leaving), at))
		e.coming = append(e.coming, e.newServer(life, e.created))
		e.created++
	}
	for have := e.Status(); have > n; have-- {
		list := &e.ready
		if len(e.coming) > 0 {
			list = &e.coming
		}
		best := 0
		for i, s := range *list {
			if deletedBefore(&s.life, &(*list)[best].life, e.now) {
				best = i
			}
		}
		s := (*list)[best]
		*list = slices.Delete(*list, best, best+1)
		if list == &e.coming {
			e.free = append(e.free, s)
			continue
		}
		s.life.Deleted = e.now
		e.leaving = append(e.leaving, s)
	}
}

// drain removes deleted pods that have finished, and cuts off the requests of those whose
// grace period has ended.
func (e *Exact) drain() {
	e.leaving = slices.DeleteFunc(e.leaving, func(s *server) bool {
		age := e.now - s.life.Deleted
		empty := s.inside() == 0
		if !(empty && age >= e.m.drain) && age < e.m.grace {
			return false
		}
		for _, d := range s.serving {
			e.ticks[s.calls[d.call].tick].Failed++
		}
		for _, c := range s.queue[s.head:] {
			e.ticks[c.tick].Failed++
		}
		if s.model != nil {
			s.model.each(func(c *call) { e.ticks[c.tick].Failed++ })
		}
		e.free = append(e.free, s)
		return true
	})
}
