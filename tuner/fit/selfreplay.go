package fit

import (
	"math"
	"slices"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// SelfReplay is how well the replay of the recorded run under its own
// configuration meets what was recorded.
type SelfReplay struct {
	ReplicaHoursError *float64 `json:"replica_hours_error"` // relative, of the hours above the floor
	Rescales          int      `json:"rescales"`
	RescalesMatched   int      `json:"rescales_matched"`
	RescalesNeeded    int      `json:"rescales_needed"` // of them, to pass
	MeanAbsReplicas   *float64 `json:"mean_abs_replicas"`
	// Attainment is the recorded share of requests within the limits, and
	// AttainmentError what the model predicts for the same arrivals minus it; nil
	// without limits.
	Attainment      *float64 `json:"attainment"`
	AttainmentError *float64 `json:"attainment_error"`
	Verdict         string   `json:"verdict"` // pass, fail, proves-nothing (the HPA never moved), assumed (no autoscaler was recorded)
}

// SelfReplayOf replays a run under the configuration that ran and compares the
// sizes, reconcile by reconcile: the identity test of tuner/MODEL.md.
//
// It passes where replica-hours above the floor are within 10 % and all recorded
// rescales are met but for what luckless roundings make of so many (needed): a
// rescale is met if within two syncs of it the replay has its size, give or take
// one replica or a tenth. Nothing is judged where the autoscaler was not
// seen, for as long after it as it remembers, or after its HPA was edited.
func SelfReplayOf(run *results.Run, w *replay.World, cfg hpa.Config) SelfReplay {
	if len(run.Syncs) == 0 {
		return SelfReplay{Verdict: "assumed"}
	}
	var sim []float64
	var s replay.Scratch
	replay.SimulateExact(w.AsRecorded(), cfg, 0, &s, func(t *results.Tick) { sim = append(sim, t.Spec) })
	return compare(run.Syncs, sim, w.Demand.Step, w.Params.SyncPeriod, float64(cfg.MinReplicas), undecided(run, w.Params, cfg))
}

// AttainmentLimit is how far the replicates' share of requests within the limits
// may be from the recorded one, beyond their own 90 % interval: at more than ten
// points an advice about limits is one about something else.
const AttainmentLimit = 0.10

// compare holds simulated sizes, one a step, against recorded syncs, but for the
// stretches in which nobody saw them.
func compare(syncs []results.Sync, sim []float64, step, period time.Duration, floor float64, unseen stretches) SelfReplay {
	var out SelfReplay
	recorded := make([]float64, len(sim))
	size := float64(syncs[0].Spec)
	k := 0
	for i := range recorded {
		for ; k < len(syncs) && syncs[k].At <= time.Duration(i)*step; k++ {
			size = float64(syncs[k].Replicas)
		}
		recorded[i] = size
	}
	above, simAbove, diff, judged := 0.0, 0.0, 0.0, 0.0
	for i := range sim {
		if unseen.meet(time.Duration(i)*step, time.Duration(i+1)*step) {
			continue
		}
		judged++
		above += max(0, recorded[i]-floor)
		simAbove += max(0, sim[i]-floor)
		diff += math.Abs(sim[i] - recorded[i])
	}
	if judged > 0 {
		d := diff / judged
		out.MeanAbsReplicas = &d
	}
	for i := range syncs {
		c := &syncs[i]
		at := int(c.At / step)
		if !c.Rescaled() || at >= len(sim) || unseen.meet(c.At, c.At) {
			continue
		}
		out.Rescales++
		want, slack := float64(c.Replicas), max(1, math.Abs(float64(c.Replicas))/10)
		lag := int(2 * period / step)
		near := sim[max(0, at-lag):min(len(sim), at+lag+2)]
		if slices.ContainsFunc(near, func(v float64) bool { return math.Abs(v-want) <= slack+1e-9 }) {
			out.RescalesMatched++
		}
	}
	out.RescalesNeeded = needed(out.Rescales)
	if out.Rescales == 0 {
		out.Verdict = "proves-nothing"
		return out
	}
	out.Verdict = "pass"
	if out.RescalesMatched < out.RescalesNeeded {
		out.Verdict = "fail"
	}
	// It may have moved only below the floor or up to it: then sizes are all there is
	// to judge.
	if above > 0 {
		e := simAbove/above - 1
		out.ReplicaHoursError = &e
		if math.Abs(e) > 0.1 {
			out.Verdict = "fail"
		}
	}
	return out
}

// needed is how many of n recorded rescales a replay must meet. A size is a
// rounding: where a metric stands a hair from the next replica, a millicore
// decides, and a tenth of all rescales do. So as many may be missed as chance
// makes with that in nine runs of ten, and a quarter at most:
//
//	n ≤ 3: none, 4–7: 1, 8–11: 2, 12–18: 3
func needed(n int) int {
	const luckless, enough = 0.1, 0.9
	miss, p, sum := 0, math.Pow(1-luckless, float64(n)), 0.0
	for ; miss < n; miss++ { // Binomial(n, luckless)
		if sum += p; sum >= enough {
			break
		}
		p *= luckless / (1 - luckless) * float64(n-miss) / float64(miss+1)
	}
	return n - min(miss, n/4)
}
