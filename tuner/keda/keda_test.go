package keda

import (
	"slices"
	"testing"
	"time"
)

const min5 = 5 * time.Minute

func idle(n int32) *int32 { return &n }

// TestStep has KEDA's own tests (pkg/scaling/executor/scale_scaledobjects_test.go, by name)
// and the branches of RequestScale that they leave out.
func TestStep(t *testing.T) {
	at := 20 * time.Minute
	for _, x := range []struct {
		name string
		loop Loop
		was  State
		poll Poll
		want int32
		why  Why
		last time.Duration // LastActive after it; -1 = still never
	}{
		{"ScaleToMinReplicasWhenNotActive: never active, created long ago", Loop{Cooldown: min5}, State{},
			Poll{at, 2, false, false}, 0, Slept, -1},
		{"not before initialCooldownPeriod is over", Loop{InitialCooldown: 20 * time.Minute}, State{},
			Poll{at, 2, false, false}, 2, Cooling, -1},
		{"initialCooldownPeriod counts only until a trigger was active", Loop{InitialCooldown: time.Hour, Cooldown: min5},
			State{WasActive: true, LastActive: 10 * time.Minute}, Poll{at, 2, false, false}, 0, Slept, 10 * time.Minute},
		{"not before cooldownPeriod is over, to the second", Loop{Cooldown: min5},
			State{WasActive: true, LastActive: 15 * time.Minute}, Poll{at, 2, false, false}, 2, Cooling, 15 * time.Minute},
		{"a millisecond later it is", Loop{Cooldown: min5}, State{WasActive: true, LastActive: 15 * time.Minute},
			Poll{at + time.Millisecond, 2, false, false}, 0, Slept, 15 * time.Minute},
		{"ScaleToMinReplicasFromLowerInitialReplicaCount", Loop{Min: 5}, State{}, Poll{at, 1, false, false}, 5, Raised, -1},
		{"below the minimum and active: the HPA's business", Loop{Min: 5}, State{}, Poll{at, 1, true, false}, 1, Unmoved, at},
		{"ScaleFromMinReplicasWhenActive: zero to one", Loop{}, State{}, Poll{at + 300*time.Millisecond, 0, true, false}, 1,
			Woken, at},
		{"from zero to minReplicaCount", Loop{Min: 3}, State{}, Poll{at, 0, true, false}, 3, Woken, at},
		{"ScaleToIdleReplicasWhenNotActive", Loop{Min: 5, Idle: idle(3)}, State{}, Poll{at, 8, false, false}, 3, Slept, -1},
		{"ScaleFromIdleToMinReplicasWhenActive", Loop{Min: 5, Idle: idle(2)}, State{}, Poll{at, 2, true, false}, 5, Woken, at},
		{"at idle and not active", Loop{Min: 5, Idle: idle(2)}, State{}, Poll{at, 2, false, false}, 2, Unmoved, -1},
		{"below idle and not active: idle mode raises nothing", Loop{Min: 5, Idle: idle(2)}, State{},
			Poll{at, 1, false, false}, 1, Unmoved, -1},
		{"idle wins over a minimum of zero", Loop{Idle: idle(1), Cooldown: min5}, State{}, Poll{at, 4, false, false}, 1, Slept, -1},
		{"ScaleToPausedReplicasCount: nothing while paused", Loop{Paused: true, PausedAt: 0}, State{},
			Poll{at, 3, true, false}, 3, PausedSize, -1},
		{"NoScaleToMinReplicasWhenNotActiveAndPauseScaleInAnnotationSet", Loop{PausedIn: true}, State{},
			Poll{at, 2, false, false}, 2, Held, -1},
		{"NoScaleToIdleReplicas… with the same annotation", Loop{Min: 5, Idle: idle(3), PausedIn: true}, State{},
			Poll{at, 10, false, false}, 10, Held, -1},
		{"ScaleFromMinReplicasWhenActivationForced", Loop{Forced: true}, State{}, Poll{at, 0, false, false}, 1, Woken, at},
		{"NoScaleFromMinReplicasWhenActiveAndPausedScaleOutAnnotationSet", Loop{PausedOut: true}, State{},
			Poll{at, 0, true, false}, 0, Held, -1},
		{"NoScaleFromIdleReplicasToMinReplicas… with the same annotation", Loop{Min: 5, Idle: idle(0), PausedOut: true},
			State{}, Poll{at, 0, true, false}, 0, Held, -1},
		{"active beside a failure: lastActiveTime stays", Loop{}, State{WasActive: true, LastActive: time.Minute},
			Poll{at, 2, true, true}, 2, Failing, time.Minute},
		{"zero wakes in spite of a failure", Loop{}, State{}, Poll{at, 0, true, true}, 1, Woken, at},
		{"RequestScale_ScalerError: no fallback, the size stays", Loop{}, State{}, Poll{at, 2, false, true}, 2, Failing, -1},
		{"a fallback above zero waits for its threshold", Loop{Fallback: &Fallback{Replicas: 4}}, State{},
			Poll{at, 2, false, true}, 2, Failing, -1},
		{"a fallback of zero does not keep the target awake", Loop{Fallback: &Fallback{}}, State{},
			Poll{at, 2, false, true}, 0, Slept, -1},
		{"at zero and not active", Loop{}, State{}, Poll{at, 0, false, false}, 0, Unmoved, -1},
		{"above the minimum and not active: the HPA's business", Loop{Min: 2}, State{}, Poll{at, 7, false, false}, 7, Unmoved, -1},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := x.was
			got, why := x.loop.Step(&s, x.poll)
			if got != x.want || why != x.why {
				t.Errorf("Step(%+v) = %d, %d; want %d, %d", x.poll, got, why, x.want, x.why)
			}
			if last := map[bool]time.Duration{true: s.LastActive, false: -1}[s.WasActive]; last != x.last {
				t.Errorf("last active at %v, want %v", last, x.last)
			}
		})
	}
}

// TestObserve compares the fallback with pkg/fallback/fallback_test.go: target 10, 10
// replicas, threshold 3 give 100.
func TestObserve(t *testing.T) {
	f := func(b Behavior) *Fallback { return &Fallback{FailureThreshold: 3, Replicas: 10, Behavior: b} }
	for _, x := range []struct {
		name     string
		fallback *Fallback
		trigger  Trigger
		formula  *Formula
		failures int32
		reading  Reading
		pool     Pool
		want     Observed
		after    int32
	}{
		{"a value, no fallback", nil, Trigger{Target: 10}, nil, 0, Reading{Value: 5}, Pool{}, Observed{Value: 5, Active: true}, 0},
		{"a value resets the failures", f(""), Trigger{Target: 10}, nil, 5, Reading{Value: 6}, Pool{},
			Observed{Value: 6, Active: true}, 0},
		{"activation is above its threshold, not at it", nil, Trigger{Activation: 5}, nil, 0, Reading{Value: 5}, Pool{},
			Observed{Value: 5}, 0},
		{"a failure without a fallback", nil, Trigger{}, nil, 0, Reading{Failed: true}, Pool{}, Observed{Failed: true}, 0},
		{"the first failures are reported", f(""), Trigger{Target: 10}, nil, 2, Reading{Failed: true}, Pool{},
			Observed{Failed: true}, 3},
		{"beyond the threshold: replicas × target, and active", f(""), Trigger{Target: 10}, nil, 3, Reading{Failed: true}, Pool{},
			Observed{Value: 100, Active: true, Fallback: true}, 4},
		{"currentReplicas", f(CurrentReplicas), Trigger{Target: 10}, nil, 3, Reading{Failed: true}, Pool{Replicas: 7},
			Observed{Value: 70, Active: true, Fallback: true}, 4},
		{"currentReplicasIfHigher, lower", f(CurrentReplicasIfHigher), Trigger{Target: 10}, nil, 3, Reading{Failed: true},
			Pool{Replicas: 7}, Observed{Value: 100, Active: true, Fallback: true}, 4},
		{"currentReplicasIfHigher, higher", f(CurrentReplicasIfHigher), Trigger{Target: 10}, nil, 3, Reading{Failed: true},
			Pool{Replicas: 12}, Observed{Value: 120, Active: true, Fallback: true}, 4},
		{"currentReplicasIfLower", f(CurrentReplicasIfLower), Trigger{Target: 10}, nil, 3, Reading{Failed: true},
			Pool{Replicas: 7}, Observed{Value: 70, Active: true, Fallback: true}, 4},
		{"static ignores the size", f(Static), Trigger{Target: 10}, nil, 3, Reading{Failed: true}, Pool{Replicas: 70},
			Observed{Value: 100, Active: true, Fallback: true}, 4},
		{"by Value it is shared by the ready pods", f(""), Trigger{Target: 10, Value: true}, nil, 3, Reading{Failed: true},
			Pool{Ready: 4}, Observed{Value: 25, Active: true, Fallback: true}, 4},
		{"by Value and none ready it fails", f(""), Trigger{Target: 10, Value: true}, nil, 3, Reading{Failed: true}, Pool{},
			Observed{Failed: true}, 4},
		{"a formula's target counts, not the trigger's", f(""), Trigger{Target: 10}, &Formula{Target: 3}, 3,
			Reading{Failed: true}, Pool{}, Observed{Value: 30, Active: true, Fallback: true}, 4},
		{"scalingModifiers: nil for the formula", f(ScalingModifiers), Trigger{Target: 10}, &Formula{Target: 3}, 3,
			Reading{Failed: true}, Pool{}, Observed{Nothing: true}, 4},
		{"a fallback that KEDA passes over", &Fallback{Replicas: 10, Void: true}, Trigger{Target: 10}, nil, 9,
			Reading{Failed: true}, Pool{}, Observed{Failed: true}, 9},
		{"no series counts as 0", nil, Trigger{}, nil, 0, Reading{Value: 4, Empty: true}, Pool{}, Observed{}, 0},
		{"no series with ignoreNullValues false", nil, Trigger{EmptyFails: true}, nil, 0, Reading{Empty: true}, Pool{},
			Observed{Failed: true}, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			l := Loop{Triggers: []Trigger{x.trigger}, Formula: x.formula, Fallback: x.fallback}
			s := State{Failures: []int32{x.failures}}
			if got := l.Observe(&s, 0, x.reading, x.pool); got != x.want {
				t.Errorf("Observe(%+v) = %+v, want %+v", x.reading, got, x.want)
			}
			if s.Failures[0] != x.after {
				t.Errorf("%d failures after it, want %d", s.Failures[0], x.after)
			}
		})
	}
}

func TestActivity(t *testing.T) {
	outside, cpu := Trigger{Metric: "s0-prometheus"}, Trigger{Metric: "cpu", Resource: true}
	on, off, bad := Observed{Value: 3, Active: true}, Observed{}, Observed{Failed: true}
	for _, x := range []struct {
		name           string
		triggers       []Trigger
		formula        *Formula
		seen           []Observed
		composite      float64
		active, failed bool
	}{
		{"one of two is enough", []Trigger{outside, outside}, nil, []Observed{off, on}, 0, true, false},
		{"one active, one failed", []Trigger{outside, outside}, nil, []Observed{on, bad}, 0, true, true},
		{"cpu beside another does not keep it awake", []Trigger{cpu, outside}, nil, []Observed{{}, off}, 0, false, false},
		{"cpu alone does", []Trigger{cpu}, nil, []Observed{{}}, 0, true, false},
		{"a formula counts by its own target", []Trigger{outside}, &Formula{Activation: 5}, []Observed{on}, 5, false, false},
		{"above it", []Trigger{outside}, &Formula{Activation: 5}, []Observed{off}, 5.1, true, false},
		{"a formula with a failed trigger is not active", []Trigger{outside, outside}, &Formula{}, []Observed{on, bad}, 9, false, true},
		{"a fallback stands for the formula", []Trigger{outside}, &Formula{Activation: 5},
			[]Observed{{Value: 30, Active: true, Fallback: true}}, 0, true, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			l := Loop{Triggers: x.triggers, Formula: x.formula}
			if active, failed := l.Activity(x.seen, x.composite); active != x.active || failed != x.failed {
				t.Errorf("Activity = %v, %v; want %v, %v", active, failed, x.active, x.failed)
			}
		})
	}
}

func TestWakes(t *testing.T) {
	pods, cpu, gate := Trigger{Metric: "s0-prometheus", OfPods: true}, Trigger{Metric: "cpu", Resource: true},
		Trigger{Metric: "s1-prometheus"}
	for _, x := range []struct {
		name     string
		triggers []Trigger
		ok       bool
		why      []string
	}{
		{"what the pods export is not there at zero", []Trigger{pods, cpu}, false, []string{"s0-prometheus", "cpu"}},
		{"something outside of them is", []Trigger{pods, gate}, true, nil},
	} {
		l := Loop{Triggers: x.triggers}
		if why, ok := l.Wakes(); ok != x.ok || !slices.Equal(why, x.why) {
			t.Errorf("%s: Wakes = %v, %v; want %v, %v", x.name, why, ok, x.why, x.ok)
		}
	}
}

// TestPolls is a short day: the load ends, the target goes to zero after the cooldown, and
// wakes at the first poll that sees a request.
func TestPolls(t *testing.T) {
	l := Loop{Polling: 30 * time.Second, Cooldown: min5, Triggers: []Trigger{{Metric: "s0-prometheus"}}}
	var s State
	s.Reset(len(l.Triggers))
	size, slept, woken := int32(3), time.Duration(0), time.Duration(0)
	for at := 10 * time.Second; at < 30*time.Minute; at += l.Polling + time.Millisecond {
		load := 0.0
		if at < 4*time.Minute || at > 20*time.Minute {
			load = 2
		}
		o := l.Observe(&s, 0, Reading{Value: load}, Pool{Replicas: size})
		active, failed := l.Activity([]Observed{o}, 0)
		var why Why
		size, why = l.Step(&s, Poll{at, size, active, failed})
		switch why {
		case Slept:
			slept = at
		case Woken:
			woken = at
		}
	}
	if got := slept.Round(time.Second); got != 8*time.Minute+40*time.Second {
		t.Errorf("slept at %v, want 5m after the look at 3m40s", got)
	}
	if got := woken.Round(time.Second); got != 20*time.Minute+10*time.Second || size != 1 {
		t.Errorf("woken at %v to %d, want 20m10s to 1", got, size)
	}
}
