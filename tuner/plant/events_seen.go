package plant

// What the autoscaler sees of the exact plant:

// scrape takes those points of pipe k that are due at the end of this tick.
func (e *Exact) scrape(p *pipe, k int) {
	if _, ok := p.scrapesAt(e.tick, 0); !ok && !p.apart {
		return
	}
	of := func(s *server, stage Stage) {
		j, ok := p.scrapesAt(e.tick, e.m.offset(k, s.index))
		if !ok {
			return
		}
		l := s.load
		if p.window == 0 { // a gauge is read at an instant and is a whole number
			l.running, l.waiting = float64(s.inside()-s.waiting()), float64(s.waiting())
		}
		if stage == Starting {
			l = load{}
		}
		p.scrape(&s.m[k], j, e.now, s.life.Started, l, stage)
	}
	for _, s := range e.ready {
		of(s, Ready)
	}
	for _, s := range e.leaving {
		of(s, Ready)
	}
	for _, s := range e.coming {
		if s.life.Started < e.now {
			of(s, Starting)
		}
	}
}

// Status returns how many pods the workload controller counts: all that are not deleted.
func (e *Exact) Status() int { return len(e.ready) + len(e.coming) }

// Pods appends to out what the autoscaler sees at time now.
func (e *Exact) Pods(now float64, out []PodView) []PodView {
	var times [MaxPipes]Value
	for i := range e.meters {
		k := e.meters[i].pipe
		times[k] = e.meters[i].read(e.m, &e.m.pipes[k], now, e.now)
	}
	view := func(s *server, stage Stage) {
		v := PodView{Life: s.life, Stage: stage, Count: 1}
		for k := range e.m.pipes {
			p := &e.m.pipes[k]
			if v.Values[k] = times[k]; e.m.Pipes[k].Times == nil {
				v.Values[k] = p.read(&s.m[k], e.m.offset(k, s.index), now, e.now, e.m.dt)
			}
		}
		out = append(out, v)
	}
	for _, s := range e.ready {
		view(s, Ready)
	}
	for _, s := range e.coming {
		view(s, min(s.life.Stage(now), Starting))
	}
	for _, s := range e.leaving {
		view(s, Draining)
	}
	return out
}
