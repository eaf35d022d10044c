package plant

import (
	"errors"
	"fmt"
	"math"
)

// Lose removes k ready pods at once, as when a node or a process dies. The requests that they
// were working on or had queued fail in this step. Their ReplicaSet creates the same number of
// new pods at time at (seconds, within half a step of now). If fewer than k pods are ready,
// all of them are lost.
//
// The oldest pods go, because they have been in traffic all along.
func (f *Fluid) Lose(k int, at float64) {
	want := f.Status()
	for k > 0 && len(f.ready) > 0 {
		c := &f.ready[0]
		take := min(k, int(c.n))
		gone := *c
		gone.n, gone.life.Deleted = float64(take), math.Inf(-1) // beyond any grace period: the next step cuts it off
		f.leaving = append(f.leaving, gone)
		if c.n -= float64(take); c.n < 0.5 {
			f.ready = append(f.ready[:0], f.ready[1:]...)
		}
		k -= take
		f.setReady(f.nReady - take)
	}
	f.Scale(want, at)
}

// Lose does what Fluid.Lose does, request by request.
func (e *Exact) Lose(k int, at float64) {
	want := e.Status()
	for ; k > 0 && len(e.ready) > 0; k-- {
		s := e.ready[0]
		e.ready = append(e.ready[:0], e.ready[1:]...)
		s.life.Deleted = math.Inf(-1)
		e.leaving = append(e.leaving, s)
	}
	e.drain()
	e.Scale(want, at)
}

// Starting returns the model with another sample of cold starts, on the same tables. start
// must not be empty.
func (m *Model) Starting(start []PhaseSample) *Model {
	d := *m
	d.Start, d.start = start, nil
	for _, p := range start {
		d.start = append(d.start, p.times())
	}
	return &d
}

// Reading returns the model with other metrics, on the same tables.
func (m *Model) Reading(pipes []Pipe) (*Model, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("plant: "+format, args...)) }
	if len(pipes) > MaxPipes {
		bad("%d metrics; at most %d are simulated", len(pipes), MaxPipes)
	}
	d := *m
	d.Pipes, d.pipes, d.flow = pipes, nil, nil
	for i, p := range pipes {
		c := p.compile(i, m.Step, bad)
		d.ages = d.ages || p.PerOldest != 0
		d.pipes, d.flow = append(d.pipes, c), append(d.flow, c.flowing(m.dt))
	}
	d.compileTimes()
	return &d, errors.Join(errs...)
}

// times returns when each phase of a cold start ends, since the pod's creation.
func (p PhaseSample) times() startTimes {
	scheduled := p.Schedule.Seconds()
	started := scheduled + (p.Pull + p.Start).Seconds()
	return startTimes{scheduled, started, started + p.Ready.Seconds()}
}
