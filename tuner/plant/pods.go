package plant

import "math"

// Stage is a pod's stage of life, in order. Pending pods have no container yet. Starting pods
// have running containers but are not ready. Draining pods are deleted but not gone yet.
type Stage int8

// The stages of a pod's life.
const (
	Pending Stage = iota
	Starting
	Ready
	Draining
)

// Life is when a pod, or each of a cohort of like pods, entered its stages. Times are seconds
// since the start of the run: negative for pods older than the run, +Inf for stages not
// entered yet.
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

// longAgo is the age of the pods with which a replay starts, seconds: more than any rule of
// the autoscaler asks about.
const longAgo = 3600.0

func oldLife() Life {
	return Life{Created: -longAgo, Scheduled: -longAgo, Started: -longAgo, ReadyAt: -longAgo, Deleted: math.Inf(1)}
}

// Stage returns a pod's stage at time now.
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

// deletedBefore reports whether a scale-down deletes a before b: pods that are not ready go
// first (pending before starting), then the youngest.
//
// Source: ReplicaSet's ActivePodsWithRanks (pkg/controller/controller_utils.go). Its rules
// about nodes, deletion costs and restarts do not apply here.
func deletedBefore(a, b *Life, now float64) bool {
	if sa, sb := a.Stage(now), b.Stage(now); sa != sb {
		return sa < sb
	}
	if a.ReadyAt != b.ReadyAt {
		return a.ReadyAt > b.ReadyAt
	}
	return a.Created > b.Created
}

// PodView is one pod, or Count like pods, as the autoscaler sees them.
type PodView struct {
	Life
	Stage  Stage
	Count  int
	Values [MaxPipes]Value // one per pipe
}

// Value is what a pipe reports about one pod at one time.
type Value struct {
	Value  float64 // in the pipe's base unit
	At     float64 // the instant that it describes, seconds
	Window float64 // averaged over this span before At, seconds; 0 = an instant
	OK     bool    // false: no value yet
}
