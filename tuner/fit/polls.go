package fit

import (
	"math"
	"strings"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/keda"
)

// pollOf returns when KEDA's loop first polled its triggers, 0 ≤ pollOf < Polling. The loop acts
// only when it polls, and takes a target to zero or wakes it, which the workload controller's
// events show to the millisecond. The times of these are so many intervals apart; ok is false
// if there are fewer than three, or if they are not.
func pollOf(run *results.Run, l *keda.Loop) (at time.Duration, ok bool) {
	if l == nil || l.Polling <= 0 {
		return 0, false
	}
	every, n := l.Polling.Seconds(), 0
	x, y := 0.0, 0.0 // the sum of unit vectors at the phases
	for i := range run.Events {
		e := &run.Events[i]
		if e.At < 0 || e.Reason != "ScalingReplicaSet" || !strings.Contains(e.Message, " from 0 to ") &&
			!strings.HasSuffix(e.Message, " to 0") {
			continue
		}
		phase := 2 * math.Pi * math.Mod(e.At.Seconds(), every) / every
		x, y, n = x+math.Cos(phase), y+math.Sin(phase), n+1
	}
	if n < 3 || math.Hypot(x, y) < pollsAgree*float64(n) {
		return 0, false
	}
	phase := math.Mod(math.Atan2(y, x)/(2*math.Pi)+1, 1) * every
	return min(seconds(phase), l.Polling-1), true
}

// pollsAgree is how long the mean of unit vectors at the phases of polls must be: 1 = all have
// the same phase, 0 = they are spread evenly.
const pollsAgree = 0.9
