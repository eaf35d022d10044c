package fit

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hpatune/hpatune/tuner/cost"
	"github.com/hpatune/hpatune/tuner/fit/fittest"
)

// A server whose requests slow each other down is much like one that works in iterations, and
// its requests have tokens, too. But it has no iterations.
func TestASlowingServerIsNoLanguageModel(t *testing.T) {
	const idle, density, drag, mean = 0.02, 0.2, 0.12, 0.3 + 0.02*40.5
	const capacity = 16 / (1 + drag*15) / mean
	r := rand.New(rand.NewPCG(4, 4))
	s := fittest.Serve{Seconds: 300, Slots: 16, Slow: func(n int) float64 { return 1 + drag*float64(n-1) }, Idle: idle, Density: density, ByWork: true,
		Own: func(r *rand.Rand) (float64, float64, int) {
			n, noise := 1+r.IntN(80), 0.9+0.2*r.Float64()
			return 0.3 * noise, (0.3 + 0.02*float64(n)) * noise, n
		},
		Streams: true, Pick: "random", Pods: func(float64) int { return 2 }, Seed: 8,
		Rate: func(t float64) float64 { return 2 * capacity * (0.65 + 0.45*math.Sin(t/40)) }}
	run := s.Run()
	for i := range run.Requests {
		run.Requests[i].Prompt = 20 + r.IntN(200)
	}
	got, said, err := serviceOf(readLog(run), 1)
	if err != nil {
		t.Fatal(err)
	}
	if got.law.Iterations != nil {
		t.Fatalf("taken for a server of language models: %v", got.law.Iterations)
	}
	if e := got.law.Capacity()/capacity - 1; math.Abs(e) > 0.06 {
		t.Errorf("capacity %.2f requests/s, want %.2f; %q", got.law.Capacity(), capacity, said.warnings)
	}
	// Twenty requests at once use no more CPU than the server has.
	pipes, _, _ := pipesOf(&got, fittest.CPUConfig(70).Metrics, cost.Replica{CPUCores: 1})
	p := pipes[0]
	if p.PerRunning != 0 || p.PerDone != 0 || math.Abs(p.PerWork/(density*mean)-1) > 0.08 || math.Abs(p.Base-idle) > 0.02 {
		t.Errorf("CPU pipe %+v, want %.3g cores and %.3g core-seconds of own work", p, idle, density*mean)
	}
}

func TestAServerOfLanguageModelsIsNoSlowingOne(t *testing.T) {
	run := engineOf(600, 6).Run()
	got, _, err := serviceOf(readLog(run), 1)
	if err != nil {
		t.Fatal(err)
	}
	if got.law.Iterations == nil {
		t.Errorf("a log of iterations is taken for %d slots at %.2f requests/s", got.law.Slots(), got.law.Capacity())
	}
}
