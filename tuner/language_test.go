package tuner

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit/fittest"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// A recorded server of language models is replayed by its law. The replay predicts gaps
// between tokens, time per token and goodput, and matches the measurements if it uses the size
// that the run had.
func TestALanguageModelIsReplayedByItsLaw(t *testing.T) {
	if testing.Short() {
		t.Skip("replays whole runs many times")
	}
	tokens := func(median, sigma float64) func(*rand.Rand) int {
		return func(r *rand.Rand) int { return 1 + int(median*math.Exp(sigma*r.NormFloat64())) }
	}
	e := fittest.Engine{Alpha: .012, Beta: 2e-4, Gamma: 6e-5, Delta: 1e-8, Batch: 2048, Seqs: 48, Ahead: true, Own: .005, Noise: .03, Requests: 1200,
		Rate: func(t float64) float64 { return 4 + 3*math.Sin(t/30) }, Prompt: tokens(500, .8), Output: tokens(150, .6), Seed: 4}
	run := e.Run()
	run.Meta.Stages = []results.StageInfo{{Name: "log", ToS: run.Meta.DurationS, Arrivals: len(run.Requests)}}
	fixed := hpa.DefaultConfig(1)
	fixed.MinReplicas = 1
	o := Options{Current: fixed, Price: DefaultPrice(), Seed: 1, Fit: FitOptions{Startup: time.Minute, CPUMilli: 1000, MemoryBytes: 1 << 30, Replicas: 1},
		Objectives: objectivesOf(t, "ttft.p95 < 1s", "itl.p95 < 150ms", "tpot.p95 < 40ms", "goodput > 80%")}
	r := replayOf(t, run, o)
	tl := r.Timeline
	for _, m := range results.Metrics() {
		if m.InTimeline == nil || m.Name == "icl" {
			continue
		}
		var measured []float64
		for i := range run.Requests {
			if d, ok := run.Requests[i].Latency(m.Name); ok {
				measured = append(measured, d.Seconds())
			}
		}
		got, ok := m.InTimeline(&tl).Quantile(0.95)
		want := results.Percentile(measured, 0.95)
		t.Logf("%s p95: predicted %.3f s, measured %.3f s", m.Name, got.Seconds(), want)
		if !ok || math.Abs(got.Seconds()/want-1) > 0.15 {
			t.Errorf("%s p95: predicted %v (known: %v), measured %.3f s", m.Name, got, ok, want)
		}
	}
	for _, j := range r.Judged {
		if j.Verdict == results.Unknown || j.Value == nil {
			t.Errorf("%s is not judged: %s", j.Text, j.Note)
		}
	}
}
