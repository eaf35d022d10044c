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
	Node bool // a node with all that is on it; Pods does nothing then
}

// loser is a plant that can lose pods.
type loser interface {
	Lose(k int, at float64)
	LoseNode(at float64)
}

// lose takes the losses that are due at time now, within half a step, and returns
// those that are not.
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

// Losing returns the world in which pods die, too, on the same tables.
func (w *World) Losing(losses ...Loss) *World {
	d := *w
	d.Losses = append(slices.Clone(w.Losses), losses...)
	slices.SortStableFunc(d.Losses, func(a, b Loss) int { return int(a.At - b.At) })
	return &d
}

// On returns the world whose pods stand on nodes, on the same tables. A recorded pod
// that was scheduled only after half a node's start-up or more (10 s at least) waited for one: it
// takes the quickest recorded way to a node instead, so that no wait counts twice.
// waited is how many did.
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

// standing is how many replicas the world begins with: no more than its nodes take.
func (w *World) standing() int32 {
	if room, bounded := w.Nodes.Room(); bounded && int(w.Replicas) > room {
		return int32(room)
	}
	return w.Replicas
}

// Starting returns the world in which every phase of a cold start takes k times as
// long, on the same tables.
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

// Reading returns the world with other metrics, on the same tables. How far they may be
// off is not known: only their luck varies from day to day.
func (w *World) Reading(pipes []plant.Pipe) (*World, error) {
	d := *w
	var err error
	d.Pipes, d.Doubt.Pipes = pipes, nil
	d.model, err = w.model.Reading(pipes)
	return &d, err
}

// AtOnce returns the world in which a replica serves more requests at once, or
// fewer: by so many. ok is false where the law shows no such number, or none is left.
// It compiles the tables anew.
//
// Beyond the places that there were, requests are stretched on along the same line
// (plant.Law.AtOnce); what a quota or a memory allows stays as it is.
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
