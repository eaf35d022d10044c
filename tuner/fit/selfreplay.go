package fit

import (
	"math"
	"slices"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// SelfReplay is how well a replay of the recorded run, under its own configuration, matches
// the recording.
type SelfReplay struct {
	ReplicaHoursError *float64 `json:"replica_hours_error"` // relative, of the hours above minReplicas
	Rescales          int      `json:"rescales"`
	RescalesMatched   int      `json:"rescales_matched"`
	RescalesNeeded    int      `json:"rescales_needed"` // matches needed to pass
	MeanAbsReplicas   *float64 `json:"mean_abs_replicas"`
	// Attainment is the recorded share of requests within the limits. AttainmentError is the
	// share that the model predicts for the same arrivals, minus the recorded one. Both are nil
	// without limits.
	Attainment      *float64 `json:"attainment"`
	AttainmentError *float64 `json:"attainment_error"`
	// Metrics is, by metric, what the replayed autoscaler read over what the recorded one read:
	// the sums over all pods and reconciles, as a ratio. If one replay did not pass, it is the
	// median over several. nil = not recorded.
	Metrics map[string]float64 `json:"metrics"`
	// Replays is how many replays the recording was compared with if one did not pass, and
	// ReplaysMatched how many of them pass by themselves; 0 = one was enough.
	Replays        int         `json:"replays,omitempty"`
	ReplaysMatched int         `json:"replays_matched,omitempty"`
	Verdict        SelfVerdict `json:"verdict"`
}

// SelfVerdict is the result of the identity test.
type SelfVerdict string

// The verdicts.
const (
	SelfPass          SelfVerdict = "pass"
	SelfFail          SelfVerdict = "fail"
	SelfProvesNothing SelfVerdict = "proves-nothing" // the HPA never moved
	SelfAssumed       SelfVerdict = "assumed"        // no autoscaler was recorded
)

// SelfReplayOf replays a run under the configuration that ran and compares the sizes,
// reconcile by reconcile: the identity test of tuner/MODEL.md.
//
// It passes if the replica-hours above minReplicas are within 10 % and all recorded rescales
// are matched, except for as many as rounding may spoil by chance (needed). A rescale is
// matched if the replay has its size within two syncs of it, give or take one replica or a
// tenth. If one replay does not pass, the recording is compared with several replays with
// other seeds (byLuck), because a queue that a moment of bad balancing causes cannot be
// matched scrape by scrape; if that does not do, with more of them (branch), because one
// request more in a queue may take the run another way. Nothing is judged while the autoscaler
// was not seen, for as long after that as it remembers, or after its HPA was edited.
func SelfReplayOf(run *results.Run, w *replay.World, cfg hpa.Config) SelfReplay {
	if len(run.Syncs) == 0 {
		return SelfReplay{Verdict: SelfAssumed}
	}
	var s replay.Scratch
	var metrics []map[string]float64
	play := func(w *replay.World) (sizes []float64) {
		read := totals{run.Syncs, map[string]float64{}, map[string]float64{}}
		s.OnDecision = read.see
		replay.SimulateExact(w, cfg, 0, &s, func(t *results.Tick) { sizes = append(sizes, t.Spec) })
		metrics = append(metrics, read.ratios())
		return sizes
	}
	first := play(w.AsRecorded())
	c := comparison{w.Demand.Step, w.Params.SyncPeriod, float64(cfg.MinReplicas), undecided(run, w.Params, cfg)}
	out := c.compare(recordedSizes(run.Syncs, len(first), c.step), rescalesOf(run.Syncs, c.step), first)
	out.Metrics = metrics[0]
	if out.Verdict != SelfFail {
		return out
	}
	plays := [][]float64{first}
	for i := range lucks - 1 {
		plays = append(plays, play(w.AsRecordedWith(w.Seed+uint64(i)+1)))
	}
	out.Metrics = medians(metrics)
	if out = c.byLuck(run.Syncs, plays, out); out.Verdict == SelfFail {
		for i := range branches - lucks {
			plays = append(plays, play(w.AsRecordedWith(w.Seed+uint64(lucks+i))))
		}
	}
	if near := c.branch(run.Syncs, plays, &out); out.Verdict == SelfPass && near != nil {
		var of []map[string]float64
		for _, i := range near {
			of = append(of, metrics[i])
		}
		out.Metrics = medians(of)
	}
	return out
}

// AttainmentLimit is how far the replicates' share of requests within the limits may be from
// the recorded one, beyond their own 90 % interval. If it is more than ten points off, the
// model does not support a recommendation about limits.
const AttainmentLimit = 0.10

// comparison is how sizes are compared.
type comparison struct {
	step, period time.Duration
	floor        float64   // minReplicas: only hours above it count
	unseen       stretches // times in which nothing is judged
}

// rescale is a change of size: the new size, and the step in which it happened.
type rescale struct {
	at   int
	to   float64
	when time.Duration
}

// recordedSizes returns the sizes of a recording, one per step.
func recordedSizes(syncs []results.Sync, n int, step time.Duration) []float64 {
	out := make([]float64, n)
	size := float64(syncs[0].Spec)
	k := 0
	for i := range out {
		for ; k < len(syncs) && syncs[k].At <= time.Duration(i)*step; k++ {
			size = float64(syncs[k].Replicas)
		}
		out[i] = size
	}
	return out
}

// rescalesOf returns the rescales of a recording.
func rescalesOf(syncs []results.Sync, step time.Duration) (out []rescale) {
	for i := range syncs {
		if c := &syncs[i]; c.Rescaled() {
			out = append(out, rescale{int(c.At / step), float64(c.Replicas), c.At})
		}
	}
	return out
}

// rescalesIn returns the rescales of a replay.
func rescalesIn(sizes []float64) (out []rescale) {
	for i := 1; i < len(sizes); i++ {
		if sizes[i] != sizes[i-1] {
			out = append(out, rescale{at: i, to: sizes[i]})
		}
	}
	return out
}

// compare compares simulated sizes, one per step, with recorded ones and their rescales. It
// skips times in which the autoscaler was not seen.
func (c *comparison) compare(recorded []float64, rescales []rescale, sim []float64) SelfReplay {
	var out SelfReplay
	above, simAbove, diff, judged := 0.0, 0.0, 0.0, 0.0
	for i := range sim {
		if c.unseen.meet(time.Duration(i)*c.step, time.Duration(i+1)*c.step) {
			continue
		}
		judged++
		above += max(0, recorded[i]-c.floor)
		simAbove += max(0, sim[i]-c.floor)
		diff += math.Abs(sim[i] - recorded[i])
	}
	if judged > 0 {
		d := diff / judged
		out.MeanAbsReplicas = &d
	}
	for _, r := range rescales {
		when := r.when
		if when == 0 {
			when = time.Duration(r.at) * c.step
		}
		if r.at >= len(sim) || c.unseen.meet(when, when) {
			continue
		}
		out.Rescales++
		slack := max(1, math.Abs(r.to)/10)
		lag := int(2 * c.period / c.step)
		near := sim[max(0, r.at-lag):min(len(sim), r.at+lag+2)]
		if slices.ContainsFunc(near, func(v float64) bool { return math.Abs(v-r.to) <= slack+1e-9 }) {
			out.RescalesMatched++
		}
	}
	out.RescalesNeeded = needed(out.Rescales)
	if out.Rescales == 0 {
		out.Verdict = SelfProvesNothing
		return out
	}
	out.Verdict = SelfPass
	if out.RescalesMatched < out.RescalesNeeded {
		out.Verdict = SelfFail
	}
	// The HPA may have moved only up to minReplicas: then only the sizes can be judged.
	if above > 0 {
		e := simAbove/above - 1
		out.ReplicaHoursError = &e
		if math.Abs(e) > 0.1 {
			out.Verdict = SelfFail
		}
	}
	return out
}

// needed returns how many of n recorded rescales a replay must match. A size is rounded: if a
// metric is just below the next replica, one millicore decides, which happens in a tenth of
// all rescales. So a replay may miss as many as chance explains in nine runs of ten, but at
// most a quarter:
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
