package keda

// Reading is what a trigger's source answered.
type Reading struct {
	Value  float64
	Empty  bool // no series: 0, or a failure (Trigger.EmptyFails)
	Failed bool // no answer, or one that is no number
}

// Observed is a reading after KEDA's fallback.
type Observed struct {
	Value    float64 // what the HPA gets; meaningless where Failed or Nothing
	Active   bool
	Failed   bool // the HPA gets an error
	Fallback bool // Value is the fallback's
	Nothing  bool // the formula gets nil for it (fallback.behavior scalingModifiers)
}

// Pool is the target's size if a fallback needs it.
type Pool struct {
	Replicas int32 // spec.replicas
	Ready    int32 // pods
}

// Observe reads the i-th trigger once: for the loop, or for the HPA through KEDA's metrics
// server; both count. A failure is an error until there were more than FailureThreshold in
// a row; then the fallback's value replaces it, and counts as active.
//
// Source: pkg/scaling/scale_handler.go (observeMetric, getScalerState) and
// pkg/fallback/fallback.go (GetMetricsWithFallback, doFallback).
func (l *Loop) Observe(s *State, i int, r Reading, p Pool) Observed {
	t := &l.Triggers[i]
	if r.Empty {
		r.Value, r.Failed = 0, r.Failed || t.EmptyFails
	}
	if !r.Failed {
		s.Failures[i] = 0
		return Observed{Value: r.Value, Active: r.Value > t.Activation}
	}
	f := l.Fallback
	if f == nil || f.Void {
		return Observed{Failed: true}
	}
	s.Failures[i]++
	if s.Failures[i] <= f.FailureThreshold {
		return Observed{Failed: true}
	}
	if f.Behavior == ScalingModifiers {
		return Observed{Nothing: true}
	}
	target, byValue := t.Target, t.Value
	if l.Formula != nil {
		target, byValue = l.Formula.Target, l.Formula.Value
	}
	n := float64(f.size(p.Replicas))
	if byValue {
		if p.Ready == 0 {
			return Observed{Failed: true} // KEDA cannot divide by no ready pod
		}
		n /= float64(p.Ready)
	}
	return Observed{Value: float64(int64(target*1000*n)) / 1000, Active: true, Fallback: true}
}

// size is the number of replicas of a fallback, given the current number.
func (f *Fallback) size(now int32) int32 {
	switch f.Behavior {
	case CurrentReplicas:
		return now
	case CurrentReplicasIfHigher:
		return max(now, f.Replicas)
	case CurrentReplicasIfLower:
		return min(now, f.Replicas)
	}
	return f.Replicas
}

// Activity summarises one poll of all triggers: whether the object is active, and whether
// some trigger failed. seen has one entry per trigger; those of cpu and memory are ignored.
// composite is the formula's value, used only if there is a formula.
//
// Source: pkg/scaling/scale_handler.go, getScaledObjectState.
func (l *Loop) Activity(seen []Observed, composite float64) (active, failed bool) {
	resources := 0
	for i, o := range seen {
		if l.Triggers[i].Resource {
			resources++
			continue
		}
		failed = failed || o.Failed
		active = active || o.Active && !o.Failed
		if o.Fallback {
			composite = o.Value // while a fallback is active, the formula is not evaluated
		}
	}
	if l.Formula != nil {
		active = !failed && composite > l.Formula.Activation
	}
	if resources == len(l.Triggers) && !failed {
		active = true // cpu and memory alone never sleep
	}
	return active, failed
}
