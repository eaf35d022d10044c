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
	// Metrics is, by metric, what the replayed autoscaler read over what the recorded one
	// did: the sum over all pods and reconciles, as a ratio, and the median of several
	// replays where one did not pass; nil = not recorded.
	Metrics map[string]float64 `json:"metrics"`
	Verdict SelfVerdict        `json:"verdict"`
}

// SelfVerdict is what became of the identity test.
type SelfVerdict string

// The verdicts.
const (
	SelfPass          SelfVerdict = "pass"
	SelfFail          SelfVerdict = "fail"
	SelfProvesNothing SelfVerdict = "proves-nothing" // the HPA never moved
	SelfAssumed       SelfVerdict = "assumed"        // no autoscaler was recorded
)

// SelfReplayOf replays a run under the configuration that ran and compares the
// sizes, reconcile by reconcile: the identity test of tuner/MODEL.md.
//
// It passes where replica-hours above the floor are within 10 % and all recorded
// rescales are met but for what luckless roundings make of so many (needed): a
// rescale is met if within two syncs of it the replay has its size, give or take
// one replica or a tenth. Where one replay does not pass, the recording is held
// against several with other luck (byLuck): a queue that a moment's bad balancing
// makes is not to be met scrape by scrape. Nothing is judged where the autoscaler was not
// seen, for as long after it as it remembers, or after its HPA was edited.
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
	return c.byLuck(run.Syncs, plays, out)
}

const (
	// lucks is how many replays a recording is held against where one is not enough.
	lucks = 9
	// luckLeast is the smallest share of rescales that must be met whatever luck
	// makes of them, and luckHours how far replica-hours may be off where the
	// recorded ones lie among those that luck makes.
	luckLeast = 0.4
	luckHours = 0.2
	// luckSlack is what the steps of a replay make of hours that are the same.
	luckSlack = 0.01
)

// byLuck judges the recording as one more replay of the same luck: it passes where
// the others meet its rescales as well as they meet each other's, and where its
// replica-hours are within 10 % of the median or among theirs. single is the
// comparison with the first alone, whose figures stay but for the medians.
func (c *comparison) byLuck(syncs []results.Sync, plays [][]float64, single SelfReplay) SelfReplay {
	recorded, rescales := recordedSizes(syncs, len(plays[0]), c.step), rescalesOf(syncs, c.step)
	met := func(size []float64, at []rescale, skip int) (share, hours float64) {
		var shares, errors []float64
		for i, p := range plays {
			if i == skip {
				continue
			}
			r := c.compare(size, at, p)
			if r.Rescales > 0 {
				shares = append(shares, float64(r.RescalesMatched)/float64(r.Rescales))
			}
			if r.ReplicaHoursError != nil {
				errors = append(errors, *r.ReplicaHoursError)
			}
		}
		return median(shares), median(errors)
	}
	share, hours := met(recorded, rescales, -1)
	least := 1.0
	lo, hi := hours, hours // how far the others' hours are from one of them
	for i, p := range plays {
		s, h := met(p, rescalesIn(p), i)
		if !math.IsNaN(s) {
			least = min(least, s)
		}
		lo, hi = min(lo, h), max(hi, h)
	}
	out := single
	out.RescalesMatched = int(math.Round(share * float64(out.Rescales)))
	out.RescalesNeeded = min(out.RescalesNeeded, int(math.Ceil(max(luckLeast, least)*float64(out.Rescales)-1e-9)))
	out.Verdict = SelfPass
	if out.RescalesMatched < out.RescalesNeeded {
		out.Verdict = SelfFail
	}
	if out.ReplicaHoursError != nil {
		out.ReplicaHoursError = &hours
		if e := math.Abs(hours); e > luckHours || e > 0.1 && (hours < lo-luckSlack || hours > hi+luckSlack) {
			out.Verdict = SelfFail
		}
	}
	return out
}

// AttainmentLimit is how far the replicates' share of requests within the limits
// may be from the recorded one, beyond their own 90 % interval: at more than ten
// points an advice about limits is one about something else.
const AttainmentLimit = 0.10

// comparison is how sizes are held against each other.
type comparison struct {
	step, period time.Duration
	floor        float64   // minReplicas: hours count above it
	unseen       stretches // in which nothing is judged
}

// rescale is a change of size: to what, at which step.
type rescale struct {
	at   int
	to   float64
	when time.Duration
}

// recordedSizes are the sizes of a recording, one a step.
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

// rescalesOf are the rescales of a recording.
func rescalesOf(syncs []results.Sync, step time.Duration) (out []rescale) {
	for i := range syncs {
		if c := &syncs[i]; c.Rescaled() {
			out = append(out, rescale{int(c.At / step), float64(c.Replicas), c.At})
		}
	}
	return out
}

// rescalesIn are the rescales of a replay.
func rescalesIn(sizes []float64) (out []rescale) {
	for i := 1; i < len(sizes); i++ {
		if sizes[i] != sizes[i-1] {
			out = append(out, rescale{at: i, to: sizes[i]})
		}
	}
	return out
}

// compare holds simulated sizes, one a step, against recorded ones and their
// rescales, but for the stretches in which nobody saw them.
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
	// It may have moved only below the floor or up to it: then sizes are all there is
	// to judge.
	if above > 0 {
		e := simAbove/above - 1
		out.ReplicaHoursError = &e
		if math.Abs(e) > 0.1 {
			out.Verdict = SelfFail
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
