// Package keda implements KEDA's own loop: how its operator changes a target's size
// besides the HPA that it creates. It scales a target up from zero or idleReplicaCount
// and back down to it, and substitutes a fixed value for a trigger that fails. It is
// pure: callers pass in the values of the triggers.
//
// Source: kedacore/keda v2.21.0 pkg/scaling/scale_handler.go,
// pkg/scaling/executor/scale_scaledobjects.go and pkg/fallback/fallback.go.
package keda

import (
	"slices"
	"time"
)

// Defaults of a ScaledObject. Source: apis/keda/v1alpha1/withtriggers_types.go
// and pkg/scaling/executor/scale_executor.go.
const (
	DefaultPolling  = 30 * time.Second
	DefaultCooldown = 5 * time.Minute
)

// Loop is the part of a ScaledObject that is about KEDA's own loop.
type Loop struct {
	Polling         time.Duration // between two looks at the triggers
	Cooldown        time.Duration // without an active trigger before the size falls
	InitialCooldown time.Duration // the same after the object's creation, while no trigger has been active yet
	Min             int32         // minReplicaCount; 0 = to zero
	Idle            *int32        `json:",omitempty"` // idleReplicaCount; nil = none
	Triggers        []Trigger
	Formula         *Formula  `json:",omitempty"` // scalingModifiers; nil = none
	Fallback        *Fallback `json:",omitempty"` // nil = none
	Paused          bool      `json:",omitempty"` // all scaling is stopped, and the HPA deleted
	PausedAt        int32     `json:",omitempty"` // the size that the pause pins; -1 = the size as it is
	PausedIn        bool      `json:",omitempty"` // nothing is scaled down
	PausedOut       bool      `json:",omitempty"` // nothing is scaled up
	Forced          bool      `json:",omitempty"` // the annotation force-activation: counts as active
}

// Trigger is one signal as the loop uses it.
type Trigger struct {
	Metric     string  // of the HPA: s0-prometheus; of a resource trigger cpu or memory
	Name       string  `json:",omitempty"` // its own, by which a formula reads it
	Resource   bool    `json:",omitempty"` // cpu and memory: the metrics server's, never asked by the loop
	Activation float64 `json:",omitempty"` // active above it
	// EmptyFails means that a query without a series is a failure (ignoreNullValues false),
	// not 0.
	EmptyFails bool `json:",omitempty"`
	// OfPods means that the pods export what it reads: at zero there is nothing to read.
	OfPods bool `json:",omitempty"`
	// Reads is what it reads, for messages: the metric of a query.
	Reads  string  `json:",omitempty"`
	Cached bool    `json:",omitempty"` // useCachedMetrics: the HPA gets what the loop last read
	Target float64 // threshold
	Value  bool    `json:",omitempty"` // metricType Value, else AverageValue
	Cron   *Cron   `json:",omitempty"` // of a cron trigger; nil = of others
	Query  string  `json:",omitempty"` // PromQL of a prometheus trigger
	// From is how its value follows from metrics that a run recorded; nil = the run recorded
	// it under Metric's name, or not at all.
	From *Derived `json:",omitempty"`
	// Asks is the time of requests that its query reads and nothing else; nil = it reads
	// something else.
	Asks *Part `json:",omitempty"`
	// Foreign says that it is an external scaler's (external, external-push): what is
	// behind it is not known.
	Foreign bool `json:",omitempty"`
}

// Formula is scalingModifiers: the HPA has one metric, composite-metric, computed from all
// triggers except cpu and memory.
type Formula struct {
	Activation float64 // activationTarget
	Target     float64
	Value      bool     // metricType Value, else AverageValue
	Text       string   `json:",omitempty"` // as written
	Names      []string `json:",omitempty"` // of the triggers that it may read
	// Computed means that its value is computed from those of the triggers; otherwise it is
	// the metric of that name that the run recorded.
	Computed bool `json:",omitempty"`
}

// Composite is the name of a formula's metric.
const Composite = "composite-metric"

// Behavior is which size a fallback takes.
type Behavior string

// The behaviors of a fallback; "" is Static.
const (
	Static                  Behavior = "static"
	CurrentReplicas         Behavior = "currentReplicas"
	CurrentReplicasIfHigher Behavior = "currentReplicasIfHigher"
	CurrentReplicasIfLower  Behavior = "currentReplicasIfLower"
	ScalingModifiers        Behavior = "scalingModifiers"
)

// Fallback is the size while a trigger fails.
type Fallback struct {
	FailureThreshold int32 // failures in a row that are still reported as such
	Replicas         int32
	Behavior         Behavior
	// Void means that KEDA ignores it for the HPA, since a formula's target is not a whole
	// number (fallback.go, HasValidFallback).
	Void bool `json:",omitempty"`
}

// Computed reports whether the value of a metric of the HPA is computed: a trigger's query,
// or the formula's.
func (l *Loop) Computed(metric string) bool {
	if metric == Composite && l.Formula != nil {
		return l.Formula.Computed
	}
	return slices.ContainsFunc(l.Triggers, func(t Trigger) bool { return t.Metric == metric && t.From != nil })
}

// Computes reports whether any value is computed.
func (l *Loop) Computes() bool {
	return l.Formula != nil && l.Formula.Computed ||
		slices.ContainsFunc(l.Triggers, func(t Trigger) bool { return t.From != nil })
}

// Still returns the loop without what changes a size: only its triggers and its formula.
func (l *Loop) Still() *Loop {
	out := &Loop{Polling: l.Polling, Min: max(1, l.Min), Triggers: slices.Clone(l.Triggers), Formula: l.Formula}
	for i := range out.Triggers {
		out.Triggers[i].Cached = false
	}
	return out
}

// Asks returns what triggers ask whose query reads a time of requests, each under the name of
// the trigger's metric. A query that the run did not record (From) is left out: the samples of
// that name are those of another one. l may be nil.
func (l *Loop) Asks() (out []Part) {
	if l == nil {
		return nil
	}
	for i := range l.Triggers {
		if t := &l.Triggers[i]; t.Asks != nil && t.From == nil {
			p := *t.Asks
			p.Name = t.Metric
			out = append(out, p)
		}
	}
	return out
}

// Parts are what the values of several loops are computed from; a loop may be nil.
func Parts(loops ...*Loop) (out []Part) {
	for _, l := range loops {
		if l == nil {
			continue
		}
		for _, t := range l.Triggers {
			if t.From != nil {
				out = append(out, t.From.Parts...)
			}
		}
	}
	return out
}

// As returns the loop with its values computed as those of another one are, where both ask
// the same; nil = of none.
func (l *Loop) As(other *Loop) *Loop {
	if other == nil {
		return l
	}
	out := *l
	out.Triggers = slices.Clone(l.Triggers)
	for i := range out.Triggers {
		t := &out.Triggers[i]
		for _, o := range other.Triggers {
			if o.Metric == t.Metric && o.Query == t.Query {
				t.From = o.From
			}
		}
	}
	if l.Formula != nil && other.Formula != nil && l.Formula.Text == other.Formula.Text {
		f := *l.Formula
		f.Computed, out.Formula = other.Formula.Computed, &f
	}
	return &out
}

// Matters reports whether the loop changes the size or feeds the HPA at all.
//
// Source: apis/keda/v1alpha1/scaledobject_types.go, IsPollingIntervalRelevant.
func (l *Loop) Matters() bool {
	return l.Min == 0 || l.Idle != nil || slices.ContainsFunc(l.Triggers, func(t Trigger) bool { return t.Cached })
}

// Wakes reports whether some trigger can become active while no pod runs; if none can, why
// names what is read.
func (l *Loop) Wakes() (why []string, ok bool) {
	for _, t := range l.Triggers {
		if !t.Resource && !t.OfPods {
			return nil, true
		}
		reads := t.Metric
		if t.Reads != "" && t.Reads != t.Metric {
			reads += " (" + t.Reads + ")"
		}
		why = append(why, reads)
	}
	return why, false
}

// Outside names the metrics of the HPA that are measured in front of the pods; a formula's
// metric is one if one of its triggers is.
func (l *Loop) Outside() (metrics []string) {
	for _, t := range l.Triggers {
		if t.Resource || t.OfPods {
			continue
		}
		if l.Formula != nil {
			return []string{Composite}
		}
		metrics = append(metrics, t.Metric)
	}
	return metrics
}

// State is what KEDA remembers of a ScaledObject: times are run time.
type State struct {
	Created    time.Duration
	WasActive  bool          // LastActive is set
	LastActive time.Duration // status.lastActiveTime: whole seconds
	Failures   []int32       // status.health: failures in a row, one a trigger
}

// Reset forgets everything, for a loop of n triggers.
func (s *State) Reset(n int) {
	s.Created, s.WasActive, s.LastActive = 0, false, 0
	s.Failures = s.Failures[:0]
	for range n {
		s.Failures = append(s.Failures, 0)
	}
}

// active records that a trigger was active at a time. The API stores whole seconds.
func (s *State) active(at time.Duration) { s.WasActive, s.LastActive = true, at.Truncate(time.Second) }

// Poll is the result of polling the triggers once.
type Poll struct {
	At       time.Duration
	Replicas int32 // spec.replicas of the target
	Active   bool  // some trigger is
	Failed   bool  // some trigger answered with an error
}

// Why says what changed the size, or kept it.
type Why int8

// The reasons of a Step.
const (
	Unmoved    Why = iota // nothing to do
	Woken                 // from zero or idle
	Slept                 // to zero or idle
	Raised                // to minReplicaCount
	Cooling               // it would sleep, and the cooldown is not over
	Held                  // a direction is paused
	Failing               // a trigger fails: the size stays
	PausedSize            // the whole object is paused
)

// Step returns the size after one round of the loop, and why. It stores in s when a trigger
// was last active.
//
// Source: pkg/scaling/executor/scale_scaledobjects.go, RequestScale.
func (l *Loop) Step(s *State, p Poll) (int32, Why) {
	now := p.Replicas
	switch {
	case l.Paused:
		return now, PausedSize
	case p.Active || l.Forced:
		switch {
		case l.Idle != nil && now < l.Min, now == 0:
			if l.PausedOut {
				return now, Held
			}
			s.active(p.At)
			return max(l.Min, 1), Woken
		case p.Failed:
			return now, Failing // and lastActiveTime stays what it was
		}
		s.active(p.At)
		return now, Unmoved
	case p.Failed && l.Fallback != nil && l.Fallback.Replicas != 0, p.Failed && l.Fallback == nil:
		return now, Failing
	case l.Idle != nil && now > *l.Idle, now > 0 && l.Min == 0:
		return l.sleep(s, p)
	case l.Idle == nil && now < l.Min:
		return l.Min, Raised
	}
	return now, Unmoved
}

// sleep scales to zero or idle after the cooldown.
//
// Source: pkg/scaling/executor/scale_scaledobjects.go, scaleToZeroOrIdle.
func (l *Loop) sleep(s *State, p Poll) (int32, Why) {
	over := s.Created+l.InitialCooldown < p.At
	if s.WasActive {
		over = s.LastActive+l.Cooldown < p.At
	}
	switch {
	case l.PausedIn:
		return p.Replicas, Held
	case !over:
		return p.Replicas, Cooling
	case l.Idle != nil:
		return *l.Idle, Slept
	}
	return l.Min, Slept
}
