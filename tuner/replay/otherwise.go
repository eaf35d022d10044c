package replay

import (
	"math"
	"slices"
	"time"

	"github.com/hpatune/hpatune/tuner/plant"
)

// Loss is ready pods that die at once.
type Loss struct {
	At   time.Duration
	Pods int
	Node bool // a node with everything on it; Pods is then ignored
}

// loser is a plant that can lose pods.
type loser interface {
	Lose(k int, at float64)
	LoseNode(at float64)
}

// lose applies the losses that are due at time now, within half a step, and returns the
// others.
func lose(losses []Loss, now, dt float64, p loser) []Loss {
	for len(losses) > 0 && losses[0].At.Seconds() <= now+dt/2 {
		if at := losses[0].At.Seconds(); losses[0].Node {
			p.LoseNode(at)
		} else {
			p.Lose(losses[0].Pods, at)
		}
		losses = losses[1:]
	}
	return losses
}

// Losing returns the world in which pods die, with the same tables.
func (w *World) Losing(losses ...Loss) *World {
	d := *w
	d.Losses = append(slices.Clone(w.Losses), losses...)
	slices.SortStableFunc(d.Losses, func(a, b Loss) int { return int(a.At - b.At) })
	return &d
}

// On returns the world whose pods run on nodes, with the same tables. A recorded pod that
// was scheduled only after at least half a node's start-up (and at least 10 s) waited for a
// node. It gets the shortest recorded time to a node instead, so that no wait counts twice.
// waited is the number of such pods.
func (w *World) On(nodes plant.Nodes) (other *World, waited int) {
	d := *w
	d.Nodes, d.Start = &nodes, slices.Clone(w.Start)
	least := time.Duration(math.MaxInt64)
	for _, p := range d.Start {
		least = min(least, p.Schedule)
	}
	wait := max(nodes.Startup/2, 10*time.Second)
	if least >= wait {
		least = 0
	}
	for i := range d.Start {
		if p := &d.Start[i]; p.Schedule >= wait {
			p.Schedule = least
			waited++
		}
	}
	d.model = w.model.Starting(d.Start).On(&nodes)
	d.Replicas = d.standing()
	return &d, waited
}

// standing is the number of replicas at the start of the world: at most what its nodes can
// hold.
func (w *World) standing() int32 {
	if room, bounded := w.Nodes.Room(); bounded && int(w.Replicas) > room {
		return int32(room)
	}
	return w.Replicas
}

// Starting returns the world in which every phase of a cold start takes k times as long,
// with the same tables.
func (w *World) Starting(k float64) *World {
	d := *w
	d.Start = make([]plant.PhaseSample, len(w.Start))
	for i, p := range w.Start {
		of := func(t time.Duration) time.Duration { return time.Duration(float64(t) * k) }
		d.Start[i] = plant.PhaseSample{Schedule: of(p.Schedule), Pull: of(p.Pull), Start: of(p.Start), Ready: of(p.Ready)}
	}
	d.model = w.model.Starting(d.Start)
	return &d
}

// Reading returns the world with other metrics, with the same tables. Their uncertainty is
// unknown: only their luck varies from day to day.
func (w *World) Reading(pipes []plant.Pipe) (*World, error) {
	d := *w
	var err error
	d.Pipes, d.Doubt.Pipes = pipes, nil
	d.model, err = w.model.Reading(pipes)
	return &d, err
}

// AtOnce returns the world in which a replica serves n more requests at once, or fewer. ok
// is false if the law has no such number, or none would be left. It compiles the tables
// again.
//
// Beyond the recorded slots, service times are extrapolated along the same line
// (plant.Law.AtOnce); limits by a quota or memory stay.
func (w *World) AtOnce(by int) (other *World, ok bool, err error) {
	law, ok := w.Service.AtOnce(by)
	if !ok {
		return nil, false, nil
	}
	d := *w
	d.Service = law
	other, err = New(d)
	return other, err == nil, err
}
