package fit

import (
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

func TestWhatTheReplayReadsIsHeldAgainstTheRecording(t *testing.T) {
	recorded := []results.Sync{
		{At: 15 * time.Second, Metrics: []results.Reading{{Metric: "cpu", Pods: []results.PodValue{{Milli: 100}, {Milli: 300}}}}},
		{At: 45 * time.Second, Metrics: []results.Reading{{Metric: "cpu", Pods: []results.PodValue{{Milli: 600}}}}},
		{At: 60 * time.Second, Metrics: []results.Reading{{Metric: "cpu", Err: "no metrics returned"}}},
	}
	for _, row := range []struct {
		name string
		ours []int64 // at 15, 30, 45 and 60 s
		want float64
		warn bool
	}{
		{"the same is 1, whatever reconciles read that left no trace", []int64{400, 9999, 600, 9999}, 1, false},
		{"4 % more is within what a fit can do", []int64{420, 0, 620, 0}, 1.04, false},
		{"a fifth more is said", []int64{480, 0, 720, 0}, 1.2, true},
		{"a replay that reads nothing is said", []int64{0, 0, 0, 0}, 0, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			read := totals{recorded, map[string]float64{}, map[string]float64{}}
			for i, v := range row.ours {
				read.see(&hpa.Observation{At: time.Duration(15*(i+1))*time.Second + 20*time.Millisecond,
					Metrics: []hpa.Reading{{Samples: []hpa.Sample{{Milli: v, OK: v > 0}, {Milli: 77}}}}}, nil)
			}
			s := SelfReplay{Metrics: read.ratios()}
			if got := s.Metrics["cpu"]; got != row.want {
				t.Errorf("ratio %v, want %v", got, row.want)
			}
			n := replayedNotes(&s, 3)
			if warned := strings.Contains(strings.Join(n.warnings, ""), "cpu"); warned != row.warn {
				t.Errorf("warnings %q, want one: %t", n.warnings, row.warn)
			}
		})
	}
}
