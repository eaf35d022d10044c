package plant

import "math"

// Stage is where a pod is in its life, in order. Pending pods have no container yet; Starting ones run
// and are not ready; Draining ones are deleted and still there.
type Stage int8

// The stages of a pod's life.
const (
	Pending Stage = iota
	Starting
	Ready
	Draining
)

// Life is when a pod, or each of a cohort of like pods, entered its stages:
// seconds from the run's start, negative for pods older than it, +Inf while it
// has not.
type Life struct {
	Created, Scheduled, Started, ReadyAt, Deleted float64
}

func (m *Model) newLife(now float64, index int) Life {
	s := m.startOf(index)
	return Life{
		Created:   now,
		Scheduled: now + s.scheduled,
		Started:   now + s.started,
		ReadyAt:   now + s.ready,
		Deleted:   math.Inf(1),
	}
}

// longAgo is how old the pods are that a replay begins with: older than any
// rule of the autoscaler asks about.
const longAgo = 3600.0

func oldLife() Life {
	return Life{Created: -longAgo, Scheduled: -longAgo, Started: -longAgo, ReadyAt: -longAgo, Deleted: math.Inf(1)}
}

// Stage returns where in its life a pod is at time now.
func (l *Life) Stage(now float64) Stage {
	switch {
	case now >= l.Deleted:
		return Draining
	case now >= l.ReadyAt:
		return Ready
	case now >= l.Started:
		return Starting
	}
	return Pending
}

// deletedBefore says whether a scale-down takes a before b: pods that are not
// ready first (pending before starting), then the youngest.
//
// Source: ReplicaSet's ActivePodsWithRanks (pkg/controller/controller_utils.go);
// its rules on nodes, deletion costs and restarts have no meaning here.
func deletedBefore(a, b *Life, now float64) bool {
	if sa, sb := a.Stage(now), b.Stage(now); sa != sb {
		return sa < sb
	}
	if a.ReadyAt != b.ReadyAt {
		return a.ReadyAt > b.ReadyAt
	}
	return a.Created > b.Created
}

// PodView is a pod, or Count like ones, as the autoscaler can see it.
type PodView struct {
	Life
	Stage  Stage
	Count  int
	Values [MaxPipes]Value // one per pipe
}

// Value is what a pipe says of one pod at one time.
type Value struct {
	Value  float64 // in the pipe's base unit
	At     float64 // the instant it stands for, seconds
	Window float64 // the span before At that it averages, seconds; 0 = an instant
	OK     bool    // false: no value yet
}
