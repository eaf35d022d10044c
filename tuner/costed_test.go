package tuner

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

// Two pods that run for a whole run cost twice the price of one, per hour and per month.
func TestCosts(t *testing.T) {
	run := &results.Run{Meta: results.Meta{DurationS: 600, Workload: results.Workload{CPUMilli: 500, MemoryBytes: 1 << 30}}}
	for _, name := range []string{"a", "b"} {
		run.Pods = append(run.Pods, results.Pod{Name: name, Phase: results.PodCreated, At: -time.Minute}, results.Pod{Name: name, Phase: results.PodReady, At: -time.Second})
	}
	price := Price{CPU: 0.04, RAM: 0.01, Currency: "EUR"}
	got := Costs(run, price)
	if run.Replicas().Hours == nil {
		t.Fatal("the run has no replica-hours")
	}
	if len(got) != 2 || math.Abs(got[0].Value-0.06) > 1e-9 || math.Abs(got[1].Value-0.06*730) > 1e-9 || got[0].Currency != "EUR" {
		t.Errorf("Costs = %+v, want 0.06 EUR an hour and 43.8 a month", got)
	}
	run.Meta.Workload = results.Workload{}
	if got := Costs(run, price); got != nil {
		t.Errorf("without requests: Costs = %+v, want none", got)
	}
	run.Meta.Workload.CPUMilli, run.Pods = 500, nil
	if got := Costs(run, price); got != nil {
		t.Errorf("without replicas: Costs = %+v, want none", got)
	}
}
