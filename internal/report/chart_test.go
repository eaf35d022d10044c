package report

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

func TestChartOf(t *testing.T) {
	run := &results.Run{
		Meta: results.Meta{DurationS: 12, Stages: []results.StageInfo{{Name: "hold", ToS: 10}}},
		Requests: []results.Request{
			{Scheduled: 500 * time.Millisecond, First: 1500 * time.Millisecond, Done: 2 * time.Second},
			{Scheduled: 700 * time.Millisecond, First: 1200 * time.Millisecond, Done: 3 * time.Second},
			{Scheduled: time.Second, First: results.NotYet, Done: time.Second, Outcome: results.HTTP429},
		},
		Pods:  []results.Pod{{At: -time.Minute, Name: "a", Phase: results.PodReady}, {At: 2 * time.Second, Name: "b", Phase: results.PodCreated}, {At: 5 * time.Second, Name: "b", Phase: results.PodReady}, {At: 8 * time.Second, Name: "a", Phase: results.PodGone}},
		Syncs: []results.Sync{{At: 1500 * time.Millisecond, Spec: 1, Replicas: 2}},
	}
	c := ChartOf(run, results.Limits{TTFT: 4 * time.Second})
	at := func(v Values, i int) float64 { return v[i] }
	for _, x := range []struct {
		name      string
		got, want float64
	}{
		{"arrivals per second", at(c.Offered, 0), 2},
		{"answered, by their arrival", at(c.Answered, 0), 2},
		{"a refused one is failed", at(c.Failed, 1), 1},
		{"a second without arrivals", at(c.Offered, 5), 0},
		{"TTFT p50 is one that was", at(c.Latency[0].P50, 0), 0.5},
		{"TTFT p99", at(c.Latency[0].P99, 0), 1},
		{"the limit", *c.Latency[0].Limit, 4},
		{"E2E p99", at(c.Latency[1].P99, 0), 2.3},
		{"ready since before the run", at(c.Ready, 0), 1},
		{"billed from its creation", at(c.Pods, 2), 2},
		{"ready only then", at(c.Ready, 4), 1},
		{"both are ready", at(c.Ready, 5), 2},
		{"one is gone", at(c.Pods, 8), 1},
		{"desired before the first sync", at(c.Desired, 1), 1},
		{"desired after it", at(c.Desired, 2), 2},
	} {
		if math.Abs(x.got-x.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", x.name, x.got, x.want)
		}
	}
	if !math.IsNaN(c.Latency[0].P95[5]) || !math.IsNaN(c.Offered[11]) {
		t.Errorf("p95 of no answers %v, load after the last stage %v; want nothing", c.Latency[0].P95[5], c.Offered[11])
	}
}

func TestValuesAreShortJSON(t *testing.T) {
	b, err := json.Marshal(Values{1, math.NaN(), 1.0 / 3, math.Inf(1), 123456.7})
	if want := "[1,null,0.33333,null,123460]"; err != nil || string(b) != want {
		t.Errorf("%s, %v; want %s", b, err, want)
	}
}
