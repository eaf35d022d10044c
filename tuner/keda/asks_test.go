package keda

import "testing"

func TestAsks(t *testing.T) {
	p95 := &Part{Metric: "vllm:time_to_first_token_seconds", Times: true, Quantile: 0.95}
	for _, tt := range []struct {
		sentence string
		loop     *Loop
		want     int
	}{
		{"no loop", nil, 0},
		{"a trigger that reads a count", &Loop{Triggers: []Trigger{{Metric: "s0-prometheus"}}}, 0},
		{"one that reads a time", &Loop{Triggers: []Trigger{{Metric: "s0-prometheus", Asks: p95}}}, 1},
		{"one whose query did not run, so that samples of that name are of another",
			&Loop{Triggers: []Trigger{{Metric: "s0-prometheus", Asks: p95, From: &Derived{}}}}, 0},
	} {
		got := tt.loop.Asks()
		if len(got) != tt.want || tt.want > 0 && (got[0].Name != "s0-prometheus" || got[0].Quantile != 0.95) {
			t.Errorf("%s: %+v, want %d", tt.sentence, got, tt.want)
		}
	}
}
