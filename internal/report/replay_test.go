package report

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/scenario"
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

func TestCheckedText(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		c        Checked
		want     string
	}{
		{"no problem", Checked{Notes: []string{"seed 0 is 1"}}, "seed 0 is 1\na, b: no problems\n"},
		{"a problem keeps its line", Checked{Problems: source.Problems{{File: "a", Line: 3, Path: "rate", Text: "x"}}}, "a:3: rate: x\n"},
	} {
		var b strings.Builder
		if err := CheckedText(&b, []string{"a", "b"}, tt.c); err != nil || b.String() != tt.want {
			t.Errorf("%s: CheckedText wrote %q, %v; want %q", tt.sentence, b.String(), err, tt.want)
		}
	}
}

func TestTestResultOf(t *testing.T) {
	script, err := scenario.ParseScript("a.hpa", []byte("# it holds\nhpa min=1 max=10 from=4 cpu=70%\nevery 15s\ncpu 70 35\ndesired 4 3\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var trace strings.Builder
	r := TestResultOf(script.Tests[0], &trace)
	if r.Name != "it holds" || r.Line != 2 || len(r.Failures) != 1 || strings.Count(trace.String(), "a.hpa:2: tick ") != 2 {
		t.Errorf("TestResultOf = %+v, trace:\n%s", r, trace.String())
	}
}
