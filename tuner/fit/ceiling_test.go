package fit

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit/fittest"
)

// TestACPULimitBoundsTheLaw: under a quota requests are quick while the budget
// of a period lasts, so their times say nothing of the capacity; CPU does.
func TestACPULimitBoundsTheLaw(t *testing.T) {
	const idle, each, limit = 0.005, 0.010, 0.200 // cores, core-seconds a request, cores
	r := rand.New(rand.NewPCG(1, 2))
	run := &results.Run{Meta: results.Meta{
		Run: "light", DurationS: 300, Stages: []results.StageInfo{{Name: "all", ToS: 300}},
		Workload: results.Workload{CPUMilli: 100, CPULimitMilli: int64(limit * 1000), MemoryBytes: 64 << 20},
		Backends: []results.Backend{{Name: "pod-0"}},
	}}
	for _, phase := range []results.PodPhase{results.PodCreated, results.PodStarted, results.PodReady} {
		run.Pods = append(run.Pods, results.Pod{At: -time.Minute, Name: "pod-0", Phase: phase})
	}
	rate := func(at float64) float64 { return 5 + 3*math.Sin(at/30) }
	done := 0
	for at, next := 0.0, 10.0; at < 300; at += r.ExpFloat64() / rate(at) {
		for ; at >= next; next += 10 {
			run.Samples = append(run.Samples, results.Sample{At: fittest.Dur(next + 1), Source: "metrics.k8s.io", Name: "cpu_milli", Pod: "pod-0", Value: 1000 * (idle + each*float64(done)/10), Window: 10 * time.Second, SampledAt: fittest.Dur(next)})
			done = 0
		}
		run.Requests = append(run.Requests, results.Request{Arrival: len(run.Requests), Scheduled: fittest.Dur(at), Sent: fittest.Dur(at), First: results.NotYet, Last: results.NotYet, Done: fittest.Dur(at + 0.015 + 0.01*r.Float64()), Tokens: 1, Code: 200, Err: -1})
		done++
	}
	o := Options{Seed: 1, Startup: 5 * time.Second}
	fit, err := Fit(run, fittest.CPUConfig(70), o)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fit.World.Service.Capacity(), (limit-idle)/each; math.Abs(got/want-1) > 0.05 {
		t.Errorf("capacity %.1f requests/s a replica, want about %.1f: %d millicores over %v core-seconds each", got, want, run.Meta.Workload.CPULimitMilli, each)
	}
	run.Meta.Workload.CPULimitMilli = 0
	if fit, err = Fit(run, fittest.CPUConfig(70), o); err != nil {
		t.Fatal(err)
	}
	if got := fit.World.Service.Capacity(); got < 40 {
		t.Errorf("capacity %.1f requests/s a replica without a limit, want what 20 ms a request allow", got)
	}
}
