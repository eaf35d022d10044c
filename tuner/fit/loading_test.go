package fit

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit/fittest"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// TestADelayIsWhatMostReconcilesSay: a source that stalls once does not change the delay.
func TestADelayIsWhatMostReconcilesSay(t *testing.T) {
	for _, row := range []struct {
		name        string
		delay       float64 // seconds, of the source
		still       int     // reconciles in a row at which it has nothing new
		least, most time.Duration
	}{
		{"read at once", 0, 0, 0, time.Second},
		{"read at once, and once not for 20 s", 0, 4, 0, time.Second},
		{"read after eight seconds", 8, 0, 7500 * time.Millisecond, 8500 * time.Millisecond},
		{"read after eight seconds, and once not for 20 s", 8, 4, 7500 * time.Millisecond, 8500 * time.Millisecond},
	} {
		var samples []results.Sample
		for at := 0.0; at < 600; at += 10 {
			samples = append(samples, results.Sample{At: fittest.Dur(at + row.delay + 0.3), Name: "cpu_milli", Pod: "a",
				Value: 100, Window: 10 * time.Second, SampledAt: fittest.Dur(at)})
		}
		var syncs []results.Sync
		for i, at := 0, 31.4; at < 600; i, at = i+1, at+5 {
			sees := at
			if i >= 40 && i < 40+row.still {
				sees = 31.4 + 40*5 - 10
			}
			v := results.PodValue{Pod: "a", Milli: 100, At: fittest.Dur(10 * math.Floor((sees-row.delay)/10)), Window: 10 * time.Second}
			syncs = append(syncs, results.Sync{At: fittest.Dur(at), Metrics: []results.Reading{{Metric: "cpu", Pods: []results.PodValue{v}}}})
		}
		if got := delayOf(samples, &hpa.Metric{Source: hpa.Resource, Name: "cpu"}, syncs); got < row.least || got > row.most {
			t.Errorf("%s: delay %v, want %v to %v", row.name, got, row.least, row.most)
		}
	}
}

// TestLoadingIsSeenInHalfWindows: pods use 150m for the 6 s before they are ready, and no
// window lies within that time.
func TestLoadingIsSeenInHalfWindows(t *testing.T) {
	const burns, base, each = 0.15, 0.002, 0.01
	run := &results.Run{Meta: results.Meta{DurationS: 300}}
	for k := range int32(4) {
		name := string('a' + rune(k))
		run.Meta.Backends = append(run.Meta.Backends, results.Backend{Name: name})
		ready := 47 + 60*float64(k) // windows end at 40, 50, …
		run.Pods = append(run.Pods, phases(name, map[results.PodPhase]float64{results.PodCreated: ready - 7, results.PodStarted: ready - 6,
			results.PodReady: ready})...)
		for at := ready + 0.5; at < ready+30; at += 0.25 { // four a second
			run.Requests = append(run.Requests, request(k, at, 0, at+0.01, results.OK))
		}
		to := ready + 3
		sample := results.Sample{At: fittest.Dur(to + 1), Source: "metrics.k8s.io", Name: "cpu_milli", Pod: name, Window: 10 * time.Second, SampledAt: fittest.Dur(to),
			Value: 1000 * (burns*6 + base*3 + each*10) / 10}
		run.Samples = append(run.Samples, sample)
	}
	l := readLog(run)
	s := &service{log: l, start: startsUnder(l, 4)}
	got, n, ok := s.loadingBefore(&hpa.Metric{Source: hpa.Resource, Name: "cpu"}, &plant.Pipe{Name: "cpu", Base: base, PerDone: each, Ceiling: 0.2})
	if !ok || n != 4 || math.Abs(got-burns) > 0.003 {
		t.Errorf("%.3f cores of %d windows (%v), want %.3f of 4", got, n, ok, burns)
	}
}
