package report

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

func TestTicks(t *testing.T) {
	var b strings.Builder
	tl := results.Timeline{Step: 500 * time.Millisecond, Ticks: []results.Tick{{Arrivals: 1}, {Arrivals: 2, Done: 1.5, Good: 1, Pods: 3, Ready: 2, Waiting: 4}}}
	if err := Ticks(&b, tl); err != nil {
		t.Fatal(err)
	}
	const want = `{"t_s":0.5,"arrivals":2,"done":1.5,"failed":0,"good":1,"spec":0,"desired":0,"pods":3,"ready":2,"in_flight":0,"waiting":4}`
	if lines := strings.Split(strings.TrimSpace(b.String()), "\n"); len(lines) != 2 || lines[1] != want {
		t.Errorf("Ticks wrote\n%s\nwant two lines, the second\n%s", b.String(), want)
	}
}

func TestGateOf(t *testing.T) {
	s := results.Summary{Objectives: []results.Judgement{{Text: "a", Verdict: results.Pass}, {Text: "b", Verdict: results.Unknown}}}
	got, err := json.Marshal(GateOf(s, true))
	if err != nil || !strings.HasPrefix(string(got), `{"schema":"hpatune.gate/v1","verdict":"inconclusive","predicted":true,"trust":`) {
		t.Errorf("GateOf = %s, %v", got, err)
	}
}

func TestSuggestion(t *testing.T) {
	got := Suggestion(results.Suggestion{Stage: "calm", Metric: "ttft", Q: results.Q{P50: 0.0123, P95: 0.25, P99: 90}, Objective: "ttft.p95 < 500ms"})
	const want = "In its quietest stage (calm) this run had ttft p50 12ms, p95 250ms, p99 1m30s.\nTry twice that p95: --objective \"ttft.p95 < 500ms\""
	if got != want {
		t.Errorf("Suggestion = %q, want %q", got, want)
	}
}
