package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
)

// Tick is a line of `hpatune replay --ticks`: a second of the replayed load, on
// average over the replicates; see results.Tick.
type Tick struct {
	T        float64 `json:"t_s"`
	Arrivals float64 `json:"arrivals"`
	Done     float64 `json:"done"`
	Failed   float64 `json:"failed"`
	Good     float64 `json:"good"`
	Spec     float64 `json:"spec"`
	Desired  float64 `json:"desired"`
	Pods     float64 `json:"pods"`
	Ready    float64 `json:"ready"`
	InFlight float64 `json:"in_flight"`
	Waiting  float64 `json:"waiting"`
}

// Ticks writes a timeline as one JSON line per tick.
func Ticks(w io.Writer, timeline results.Timeline) error {
	b := bufio.NewWriterSize(w, 1<<16)
	e := json.NewEncoder(b)
	for i, t := range timeline.Ticks {
		if err := e.Encode(Tick{float64(i) * timeline.Step.Seconds(), t.Arrivals, t.Done, t.Failed, t.Good, t.Spec,
			t.Desired, t.Pods, t.Ready, t.InFlight, t.Waiting}); err != nil {
			return err
		}
	}
	return b.Flush()
}

// Replay is what `hpatune replay -o json` prints.
type Replay struct {
	Schema     string              `json:"schema"`
	Run        string              `json:"run"`
	Trust      results.Trust       `json:"trust"`
	Pick       tuner.Pick          `json:"pick"`
	Objectives []results.Judgement `json:"objectives"`
}

// ReplayOf is a run, by its name and its trust, replayed under pick's HPA.
func ReplayOf(run string, trust results.Trust, pick tuner.Pick, judged []results.Judgement) Replay {
	return Replay{"hpatune.replay/v1", run, trust, pick, judged}
}

// Gate is what `hpatune gate -o json` prints.
type Gate struct {
	Schema     string              `json:"schema"`
	Verdict    results.Verdict     `json:"verdict"`
	Predicted  bool                `json:"predicted"`
	Trust      results.Trust       `json:"trust"`
	Objectives []results.Judgement `json:"objectives"`
}

// GateOf is the verdict over all objectives of a summary; predicted = they are of a
// replay.
func GateOf(s results.Summary, predicted bool) Gate {
	return Gate{"hpatune.gate/v1", results.Overall(s.Objectives), predicted, s.Trust, s.Objectives}
}

// Suggestion is what a run without objectives can tell of itself, and one to copy.
func Suggestion(x results.Suggestion) string {
	return fmt.Sprintf(
		"In its quietest stage (%s) this run had %s p50 %s, p95 %s, p99 %s.\nTry twice that p95: --objective \"%s\"",
		x.Stage, x.Metric, RunTime(x.Q.P50), RunTime(x.Q.P95), RunTime(x.Q.P99), x.Objective)
}
