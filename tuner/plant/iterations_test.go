package plant_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hpatune/hpatune/tuner/fit/fittest"
	"github.com/hpatune/hpatune/tuner/plant"
)

func tokens(median, sigma, least, most float64) func(*rand.Rand) int {
	return func(r *rand.Rand) int { return int(min(most, max(least, median*math.Exp(sigma*r.NormFloat64())))) }
}

// An engine that takes jumps matches one that goes token by token and shares no code with it.
func TestPlayIsTokenByToken(t *testing.T) {
	law := fittest.Engine{Alpha: .01, Beta: 1e-4, Gamma: 5e-5, Delta: 2e-8, Requests: 400, Prompt: tokens(600, 1, 1, 6000), Output: tokens(200, .8, 1, 1000), Seed: 7}
	with := func(change func(*fittest.Engine)) fittest.Engine {
		e := law
		e.Rate = func(float64) float64 { return 6 }
		change(&e)
		return e
	}
	for _, tt := range []struct {
		sentence string
		e        fittest.Engine
		off      float64 // largest error of the mean times
	}{
		{"no limits", with(func(*fittest.Engine) {}), 1e-6},
		{"tokens an iteration", with(func(e *fittest.Engine) { e.Batch = 1024 }), 1e-6},
		{"places", with(func(e *fittest.Engine) { e.Seqs = 24 }), 1e-6},
		{"both, scheduled ahead", with(func(e *fittest.Engine) { e.Batch, e.Seqs, e.Ahead = 2048, 32, true }), 1e-6},
		{"hardly any load", with(func(e *fittest.Engine) { e.Rate = func(float64) float64 { return 0.2 }; e.Requests = 100 }), 1e-6},
		{"memory", with(func(e *fittest.Engine) { e.Batch, e.Blocks = 2048, 1500 }), 0.08},
		{"memory, scheduled ahead", with(func(e *fittest.Engine) { e.Batch, e.Blocks, e.Ahead = 2048, 1500, true }), 0.08},
	} {
		run := tt.e.Run()
		l := plant.Iterations{Alpha: tt.e.Alpha, Beta: tt.e.Beta, Gamma: tt.e.Gamma, Delta: tt.e.Delta, Batch: tt.e.Batch, Seqs: tt.e.Seqs, KV: 16 * tt.e.Blocks, Ahead: tt.e.Ahead}
		var calls []plant.Call
		for _, r := range run.Requests {
			calls = append(calls, plant.Call{At: r.Scheduled.Seconds(), Prompt: r.Prompt, Output: r.Tokens})
		}
		played, preempted := l.Play(calls)
		var got, want [3]float64
		for i, r := range run.Requests {
			p := played[i]
			got[0], want[0] = got[0]+p.First-calls[i].At, want[0]+(r.First-r.Scheduled).Seconds()
			got[1], want[1] = got[1]+p.Last-calls[i].At, want[1]+(r.Last-r.Scheduled).Seconds()
			got[2], want[2] = got[2]+p.Gap, want[2]+r.GapMax.Seconds()
		}
		n := float64(len(calls))
		t.Logf("%s: ttft %.3f for %.3f, e2e %.3f for %.3f, gap %.4f for %.4f, %d preempted", tt.sentence, got[0]/n, want[0]/n, got[1]/n, want[1]/n, got[2]/n, want[2]/n, preempted)
		for k, what := range []string{"ttft", "e2e"} {
			if math.Abs(got[k]/want[k]-1) > tt.off {
				t.Errorf("%s: mean %s %.4f s, token by token %.4f s", tt.sentence, what, got[k]/n, want[k]/n)
			}
		}
	}
}
