package tuner

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/plant"
)

// NotCovered is an objective that no replay of the run can judge, with the reason. It
// affects no figure of the recommendation, and never counts as met.
type NotCovered struct {
	Objective string `json:"objective"`
	Why       string `json:"why"`
}

// cover splits the objectives into those that a replay of the run can judge and the others.
// It asks the judge of replays about a specimen of a replay, so a latency that the plant
// learns to predict is covered from then on.
//
// A share of requests within limits (goodput) is covered if all of these limits are.
func cover(run *results.Run, o Options) (covered []results.Objective, not []NotCovered) {
	tl, extra := specimen(run, o)
	for i, j := range tl.Judge(o.Objectives, extra...) {
		ob := o.Objectives[i]
		switch {
		case j.Verdict != results.Unknown:
			covered = append(covered, ob)
		case ob.Latency() && !run.Meta.Target.Streams:
			not = append(not, NotCovered{ob.Text, "the run did not stream its answers"})
		default:
			not = append(not, NotCovered{ob.Text, j.Note})
		}
	}
	return covered, not
}

// Covered are the objectives that the prediction covers, as written.
func (r *Recommendation) Covered() []string {
	return slices.DeleteFunc(slices.Clone(r.Objectives), func(text string) bool {
		return slices.ContainsFunc(r.NotCovered, func(n NotCovered) bool { return n.Objective == text })
	})
}

// specimen is a timeline of one answered request with everything that a replay of the run
// predicts, and nothing else.
func specimen(run *results.Run, o Options) (results.Timeline, []results.Figure) {
	tl := results.Timeline{Step: time.Second, Ticks: []results.Tick{{Arrivals: 1, Done: 1, Good: 1}}}
	var l plant.Latency
	l.E2E.Record(time.Second)
	if run.Meta.Target.Streams {
		has := func(m *results.Metric) bool {
			return slices.ContainsFunc(run.Requests, func(r results.Request) bool { _, ok := r.Latency(m.Name); return ok })
		}
		if has(results.TTFT) {
			l.TTFT.Record(time.Second)
		}
		if has(results.TPOT) {
			l.TPOT.Record(time.Second)
		}
		if slices.ContainsFunc(o.Objectives, func(o results.Objective) bool { return o.Of() == results.GapPerToken }) &&
			fit.PredictsGaps(run) {
			l.ITL.Record(time.Second)
		}
	}
	l.Into(&tl)
	g := goals{cost: math.NaN()}
	if w := run.Meta.Workload; w.CPUMilli+w.MemoryBytes+w.GPUs+o.Fit.CPUMilli+o.Fit.MemoryBytes > 0 {
		g.cost = 1
	}
	return tl, g.extra(&tally{step: time.Second, ticks: 1})
}

// uncovered is the refusal if a replay can judge none of the objectives.
func uncovered(not []NotCovered) Refusal {
	texts := make([]string, len(not))
	for i, n := range not {
		texts[i] = fmt.Sprintf("%q (%s)", n.Objective, n.Why)
	}
	return Refusal{"objectives", "a replay cannot predict any of the objectives: " + strings.Join(texts, ", "),
		`an additional objective that it can judge: --objective "e2e.p95 < 2s"`}
}

// MarshalJSON writes p_slo_met as null where there was no objective to judge.
func (p Predicted) MarshalJSON() ([]byte, error) {
	type figures Predicted
	out := struct {
		figures
		PSLOMet *float64 `json:"p_slo_met"`
	}{figures: figures(p), PSLOMet: &p.PSLOMet}
	if math.IsNaN(p.PSLOMet) {
		out.PSLOMet = nil
	}
	return json.Marshal(out)
}
