package tuner

import (
	"math"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// VerifySchema is the version of `verify -o json`.
const VerifySchema = "hpatune.verify/v1"

// Agreement is a prediction beside what happened.
type Agreement struct {
	Schema   string     `json:"schema"`
	Figures  []Compared `json:"figures"`
	Replicas struct {
		MeanAbs float64 `json:"mean_abs"` // of spec.replicas, over time
		MaxAbs  float64 `json:"max_abs"`
	} `json:"replicas"`
}

// Compared is one figure, predicted and actual.
type Compared struct {
	Name      string    `json:"name"`
	Predicted *Interval `json:"predicted"`
	Actual    *float64  `json:"actual"` // null = not measured
	// Error is predicted over actual − 1 for hours and seconds, predicted −
	// actual for ratios and counts.
	Error *float64     `json:"error"`
	Unit  results.Unit `json:"unit"`
	// Within says whether the actual figure is in the predicted interval; null if either is
	// missing.
	Within *bool `json:"within"`
}

// Compare compares the prediction of w under cfg with what happened. w's demand must be the
// run's own arrivals; each replicate has these, with other luck.
func Compare(
	w *replay.World,
	cfg hpa.Config,
	run *results.Run,
	objectives []results.Objective,
	seed int64,
	replicates int,
) Agreement {
	objectives, _ = cover(run, Options{Objectives: objectives})
	g := newGoals(objectives)
	b := &bench{world: w, goals: g, warmup: warmups(run.Meta.Stages, w.Demand.Step)}
	b.seed, b.asRecorded = seed, true
	b.day = func(i int) *replay.World { return w.Luck(replicate(seed, i)) }
	var s replay.Scratch
	predicted := b.try(cfg, replicates, &s)

	actual := run.TimelineWithin(w.Demand.Step, results.LimitsOf(objectives))
	a := tally{step: w.Demand.Step, warmup: b.warmup}
	for i := range actual.Ticks {
		if i < len(w.Demand.Bins) {
			a.tick(&actual.Ticks[i])
		}
	}
	sum := results.Summarize(run, objectives)

	out := Agreement{Schema: VerifySchema}
	off := w.Doubt.Off
	if off == (replay.Off{}) {
		off = replay.NotOff // a model of before there were any
	}
	add := func(name string, unit results.Unit, p *Interval, got float64, relative bool) {
		c := Compared{Name: name, Unit: unit, Predicted: p, Actual: known(got)}
		if c.Actual != nil && p != nil {
			e := p.Value - got
			if relative {
				e = ratio(e, got)
			}
			c.Error = known(e)
			if p.Lo != nil && p.Hi != nil {
				within := *p.Lo <= got && got <= *p.Hi
				c.Within = &within
			}
		}
		out.Figures = append(out.Figures, c)
	}
	of := predicted.of
	add("replica_hours", "h", atLeast(carried(over(of(hours)), off.Hours)), a.hours(), true)
	add("ready_hours", "h", over(of(func(o *outcome) float64 { return o.ready })), a.readyHours(), true)
	add("attainment", "ratio", carriedShare(over(of(attainment)), off.Misses), a.attainment(), false)
	if run.Meta.Target.Streams {
		add(
			"ttft_p95_s",
			"s",
			carried(typical(of(func(o *outcome) float64 { return o.ttft })), off.TTFT),
			quantile95(sum.LatencyS.TTFT),
			true,
		)
	}
	add(
		"e2e_p95_s",
		"s",
		carried(typical(of(func(o *outcome) float64 { return o.e2e })), off.E2E),
		quantile95(sum.LatencyS.E2E),
		true,
	)
	add("error_ratio", "ratio", over(of(func(o *outcome) float64 { return o.errors })), a.errorRatio(), false)
	add("flaps", "", over(of(flaps)), float64(a.flaps), false)
	add(
		"time_to_capacity_s",
		"s",
		carried(stepped(typical(of(toCapacity)), w.Demand.Step.Seconds()), off.Capacity),
		numberOf(sum.Replicas.TimeToCapacityS),
		true,
	)
	if w.Nodes != nil { // a run does not say which nodes are the workload's
		add("node_hours", "h", over(of(func(o *outcome) float64 { return o.nodes })), math.NaN(), true)
	}
	add("peak_replicas", "", over(of(func(o *outcome) float64 { return o.peak })), a.podMax, false)

	// The size over time, each replicate against what happened.
	n := 0.0
	for k := range replicates {
		i := 0
		replay.SimulateExact(b.day(k), cfg, 0, &s, func(t *results.Tick) {
			if i < len(actual.Ticks) && !math.IsNaN(actual.Ticks[i].Spec) {
				off := math.Abs(t.Spec - actual.Ticks[i].Spec)
				out.Replicas.MeanAbs += off
				out.Replicas.MaxAbs = max(out.Replicas.MaxAbs, off)
				n++
			}
			i++
		})
	}
	if n > 0 {
		out.Replicas.MeanAbs /= n
	}
	return out
}

func quantile95(q *results.Q) float64 {
	if q == nil {
		return math.NaN()
	}
	return q.P95
}
