package fit

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/keda"
)

// pollOf returns when KEDA's loop first polled its triggers, 0 ≤ pollOf < Polling. The loop acts
// only when it polls, and takes a target to zero or wakes it, which the workload controller's
// events and the pods show. The times of these are so many intervals apart; ok is false if there
// are fewer than three, or if they are not.
func pollOf(run *results.Run, l *keda.Loop) (at time.Duration, ok bool) {
	if l == nil || l.Polling <= 0 {
		return 0, false
	}
	every, n := l.Polling.Seconds(), 0
	x, y := 0.0, 0.0 // the sum of unit vectors at the phases
	for _, at := range turnsOf(run) {
		phase := 2 * math.Pi * math.Mod(at, every) / every
		x, y, n = x+math.Cos(phase), y+math.Sin(phase), n+1
	}
	if n < 3 || math.Hypot(x, y) < pollsAgree*float64(n) {
		return 0, false
	}
	phase := math.Mod(math.Atan2(y, x)/(2*math.Pi)+1, 1) * every
	return min(seconds(phase), l.Polling-1), true
}

// pollAfter returns how long a poll comes after a reconcile, more than 0 and at most period.
func pollAfter(poll, reconcile, period time.Duration) time.Duration {
	return max(1, ((poll-reconcile)%period+period)%period)
}

// turnsOf returns when the target was woken from zero or went to it, in seconds. The API server
// combines similar events and drops some of them, so the pods count, too: one that is created
// while there is no other, and one that is deleted last.
func turnsOf(run *results.Run) (out []float64) {
	add := func(at time.Duration) {
		near := func(x float64) bool { return math.Abs(x-at.Seconds()) < 1 }
		if at >= 0 && !slices.ContainsFunc(out, near) {
			out = append(out, at.Seconds())
		}
	}
	for i := range run.Events {
		e := &run.Events[i]
		if e.Reason == "ScalingReplicaSet" && (strings.Contains(e.Message, " from 0 to ") ||
			strings.HasSuffix(e.Message, " to 0")) {
			add(e.At)
		}
	}
	lives := livesOf(run.Pods)
	// others reports whether there is another pod at a time, deleted ones not counted.
	others := func(of int, at time.Duration) bool {
		for i, p := range lives {
			existed := p.created <= at // NotYet, which is negative, for pods older than the run
			if i != of && existed && (!results.Happened(p.ended) || p.ended > at) {
				return true
			}
		}
		return false
	}
	for i, p := range lives {
		if results.Happened(p.created) && !others(i, p.created) {
			add(p.created)
		}
		if results.Happened(p.ended) && !others(i, p.ended) {
			add(p.ended)
		}
	}
	return out
}

// pollsAgree is how long the mean of unit vectors at the phases of polls must be: 1 = all have
// the same phase, 0 = they are spread evenly.
const pollsAgree = 0.9
