package fit_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/fit/fittest"
)

func logNormal(median, sigma, least, most float64) func(*rand.Rand) int {
	return func(r *rand.Rand) int { return int(min(most, max(least, median*math.Exp(sigma*r.NormFloat64())))) }
}

func constant(rate float64) func(float64) float64 { return func(float64) float64 { return rate } }

// Simulated servers that no fit was tuned to: other GPUs, models, rates and settings.
var engines = []struct {
	sentence string
	e        fittest.Engine
}{
	{"a small model on a fast GPU, at ease", fittest.Engine{Alpha: .006, Beta: 5e-5, Gamma: 1.2e-5, Delta: 5e-9, Batch: 8192, Seqs: 256, Ahead: true, Own: .01, Noise: .03, Requests: 600, Rate: constant(6), Prompt: logNormal(500, 1, 10, 6000), Output: logNormal(200, .8, 4, 1500)}},
	{"the same, busy", fittest.Engine{Alpha: .006, Beta: 5e-5, Gamma: 1.2e-5, Delta: 5e-9, Batch: 8192, Seqs: 256, Ahead: true, Own: .01, Noise: .03, Requests: 900, Rate: constant(20), Prompt: logNormal(700, 1, 10, 6000), Output: logNormal(300, .8, 4, 1500)}},
	{"8B on an older GPU, past saturation of its places", fittest.Engine{Alpha: .018, Beta: 8e-5, Gamma: 1.1e-4, Delta: 2e-8, Batch: 2048, Seqs: 64, Ahead: true, Own: .004, Noise: .05, Requests: 400, Rate: constant(4), Prompt: logNormal(600, 1, 10, 4000), Output: logNormal(300, .6, 4, 1200)}},
	{"32B bound by prefill", fittest.Engine{Alpha: .03, Beta: 4e-5, Gamma: 1.7e-4, Delta: 1.5e-7, Batch: 2048, Seqs: 128, Ahead: true, Own: .005, Noise: .03, Requests: 300, Rate: constant(8), Prompt: logNormal(800, 1, 10, 4500), Output: logNormal(400, .5, 8, 1200)}},
	{"long prompts, short answers", fittest.Engine{Alpha: .012, Beta: 1e-4, Gamma: 6e-5, Delta: 1e-8, Square: 2e-9, Batch: 4096, Seqs: 128, Ahead: true, Own: .01, Noise: .05, Requests: 400, Rate: constant(1.4), Prompt: logNormal(6000, .6, 500, 30000), Output: logNormal(60, .7, 4, 400)}},
	{"few places, at ease and then full", fittest.Engine{Alpha: .02, Beta: 4e-4, Gamma: 5e-5, Batch: 2048, Seqs: 8, Noise: .05, Requests: 500, Rate: func(t float64) float64 { return 0.8 + 0.6*math.Sin(t/60) }, Prompt: logNormal(300, .8, 10, 3000), Output: logNormal(150, .6, 4, 800)}},
	{"no asynchronous scheduling, small iterations", fittest.Engine{Alpha: .015, Beta: 1e-4, Gamma: 8e-5, Delta: 1e-8, Batch: 512, Seqs: 96, Own: .002, Noise: .04, Requests: 400, Rate: constant(5), Prompt: logNormal(700, .8, 10, 4000), Output: logNormal(250, .6, 4, 1000)}},
	{"memory runs out before places do", fittest.Engine{Alpha: .015, Beta: 1e-4, Gamma: 6e-5, Delta: 1e-8, Batch: 2048, Seqs: 256, Blocks: 3000, Ahead: true, Own: .005, Noise: .04, Requests: 400, Rate: constant(6), Prompt: logNormal(700, .8, 10, 4000), Output: logNormal(350, .5, 8, 1200)}},
	{"bursts", fittest.Engine{Alpha: .01, Beta: 1e-4, Gamma: 4e-5, Delta: 1e-8, Batch: 2048, Seqs: 128, Ahead: true, Own: .005, Noise: .05, Requests: 600, Rate: func(t float64) float64 {
		if int(t/20)%3 == 0 {
			return 18
		}
		return 2
	}, Prompt: logNormal(700, 1, 10, 6000), Output: logNormal(250, .7, 4, 1200)}},
	{"noisy clients far away", fittest.Engine{Alpha: .01, Beta: 1e-4, Gamma: 4e-5, Batch: 8192, Seqs: 256, Ahead: true, Own: .08, Noise: .15, Requests: 400, Rate: constant(8), Prompt: logNormal(700, 1, 10, 6000), Output: logNormal(250, .7, 4, 1200)}},
	{"an answer of a token (scoring)", fittest.Engine{Alpha: .008, Beta: 1e-4, Gamma: 3e-5, Batch: 4096, Seqs: 256, Ahead: true, Own: .003, Noise: .05, Requests: 800, Rate: constant(25), Prompt: logNormal(800, .8, 10, 6000), Output: func(*rand.Rand) int { return 1 }}},
	{"all prompts and answers alike", fittest.Engine{Alpha: .02, Beta: 2e-4, Gamma: 6e-5, Batch: 2048, Seqs: 128, Ahead: true, Own: .005, Noise: .03, Requests: 400, Rate: constant(3), Prompt: func(*rand.Rand) int { return 1024 }, Output: func(*rand.Rand) int { return 256 }}},
}

// limits is how far a predicted figure may be off, as a ratio or in points.
var limits = map[string]float64{"ttft.p50": .15, "ttft.p95": .15, "e2e.p95": .15, "ttft<1s": .05, "ttft<5s": .05}

func TestLawOfAnEnginePredictsItsLastThird(t *testing.T) {
	for i, tt := range engines {
		t.Run(tt.sentence, func(t *testing.T) {
			tt.e.Seed = uint64(i + 1)
			h, err := fit.HoldoutLLM(tt.e.Run(), fit.LawOptions{})
			if err != nil {
				t.Fatal(err)
			}
			l, e := h.Law, tt.e
			t.Logf("found α %.1f ms, β %.0f µs, γ %.1f µs, δ %.0f ns, own %.0f ms, batch %d, seqs %d, kv %d, ahead %v", l.Alpha*1e3, l.Beta*1e6, l.Gamma*1e6, l.Delta*1e9, l.Own*1e3, l.Batch, l.Seqs, l.KV, l.Ahead)
			t.Logf("truth α %.1f ms, β %.0f µs, γ %.1f µs, δ %.0f ns, own %.0f ms, batch %d, seqs %d, kv %d, ahead %v", e.Alpha*1e3, e.Beta*1e6, e.Gamma*1e6, e.Delta*1e9, e.Own*1e3, e.Batch, e.Seqs, e.Blocks*16, e.Ahead)
			for _, f := range h.FiguresAll {
				off := f.Predicted - f.Actual
				if f.Unit == "s" {
					off /= f.Actual
				}
				t.Logf("%-9s %8.3f for %8.3f (%+.1f)", f.Name, f.Predicted, f.Actual, 100*off)
				if limit, ok := limits[f.Name]; ok && !(math.Abs(off) <= limit) {
					t.Errorf("%s: predicted %.4g, measured %.4g", f.Name, f.Predicted, f.Actual)
				}
			}
		})
	}
}

// A limit that a log shows is found; one that it does not show is not invented.
func TestLimitsAreFoundWhereTheyBind(t *testing.T) {
	world := fittest.Engine{Alpha: .015, Beta: 1e-4, Gamma: 6e-5, Delta: 1e-8, Ahead: true, Own: .005, Noise: .04, Requests: 400, Prompt: logNormal(700, .8, 10, 4000), Output: logNormal(300, .5, 8, 1200), Seed: 3}
	for _, tt := range []struct {
		sentence              string
		rate                  float64
		batch, seqs, blocks   int
		wantSeqs, wantAtLeast int
		wantKV                bool
	}{
		{"places bind", 8, 2048, 48, 0, 48, 48, false},
		{"memory binds", 8, 2048, 256, 2000, 0, 10, true},
		{"nothing binds", 1, 2048, 256, 0, 0, 5, false},
	} {
		e := world
		e.Rate, e.Batch, e.Seqs, e.Blocks = constant(tt.rate), tt.batch, tt.seqs, tt.blocks
		l, err := fit.LanguageLaw(e.Run(), fit.LawOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if l.Law.Seqs != tt.wantSeqs || (l.Law.KV > 0) != tt.wantKV || l.Most < tt.wantAtLeast {
			t.Errorf("%s: found %d requests and %d tokens at most (%d seen), want %d and memory %v", tt.sentence, l.Law.Seqs, l.Law.KV, l.Most, tt.wantSeqs, tt.wantKV)
		}
		if tt.wantKV && math.Abs(float64(l.Law.KV)/float64(16*tt.blocks)-1) > 0.05 {
			t.Errorf("%s: found %d tokens, truth %d", tt.sentence, l.Law.KV, 16*tt.blocks)
		}
	}
}

// A simpler law wins if it explains as much.
func TestTheSimplerLawWins(t *testing.T) {
	world := fittest.Engine{Alpha: .02, Seqs: 16, Noise: .05, Requests: 500, Rate: constant(4), Prompt: logNormal(300, .8, 10, 3000), Output: logNormal(150, .6, 4, 800), Seed: 5}
	for _, tt := range []struct {
		want   string
		change func(*fittest.Engine)
	}{
		{"slots", func(*fittest.Engine) {}},
		{"batch", func(e *fittest.Engine) { e.Beta = 1e-3 }},
		{"iterations", func(e *fittest.Engine) { e.Beta, e.Gamma, e.Batch = 1e-3, 1e-4, 2048 }},
	} {
		e := world
		tt.change(&e)
		l, err := fit.LanguageLaw(e.Run(), fit.LawOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if l.Name != tt.want {
			t.Errorf("a server with alpha %v, beta %v, gamma %v is fitted by the law %q, want %q: %+v", e.Alpha, e.Beta, e.Gamma, l.Name, tt.want, l.Law)
		}
	}
}

func TestPrefixCacheIsAWarning(t *testing.T) {
	e := fittest.Engine{Alpha: .015, Beta: 1e-4, Gamma: 8e-5, Batch: 2048, Seqs: 128, Ahead: true, Noise: .04, Cached: .3, Requests: 400, Rate: constant(1.5), Prompt: logNormal(1500, .6, 200, 6000), Output: logNormal(150, .6, 4, 600), Seed: 6}
	l, err := fit.LanguageLaw(e.Run(), fit.LawOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(l.Warnings, func(w string) bool { return strings.Contains(w, "prefix cache") }) {
		t.Errorf("a server that knows three prompts in ten: warnings %q, law %+v", l.Warnings, l.Law)
	}
	e.Cached = 0
	if l, err = fit.LanguageLaw(e.Run(), fit.LawOptions{}); err != nil || len(l.Warnings) > 0 {
		t.Errorf("a server that knows none: warnings %q, error %v", l.Warnings, err)
	}
}

// No measurement of the last third may be used.
func TestHoldoutDoesNotLookAhead(t *testing.T) {
	e := engines[2].e
	e.Seed = 9
	run := e.Run()
	honest, err := fit.HoldoutLLM(run, fit.LawOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := 2 * len(run.Requests) / 3; i < len(run.Requests); i++ {
		r := &run.Requests[i]
		r.First, r.Last, r.Done = r.First+time.Hour, r.Last+2*time.Hour, r.Done+2*time.Hour
	}
	blind, err := fit.HoldoutLLM(run, fit.LawOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if honest.Law != blind.Law {
		t.Errorf("with the last third's times an hour late the law is %+v, was %+v", blind.Law, honest.Law)
	}
	for i := range honest.FiguresAll {
		if a, b := honest.FiguresAll[i].Predicted, blind.FiguresAll[i].Predicted; a != b {
			t.Errorf("%s: predicted %v, was %v", honest.FiguresAll[i].Name, b, a)
		}
	}
}

// A log without tokens gets a law of slots, and a holdout of that law. So does one whose tokens
// come at one pace, however many requests are beside them: the time before the first token takes
// a slot, which a law of iterations would not count.
func TestALogOfSlotsIsFittedBySlots(t *testing.T) {
	served := func() *results.Run {
		return fittest.Serve{Seconds: 400, Slots: 6, Rate: func(t float64) float64 { return 6 + 4*math.Sin(t/40) },
			Streams: true, Seed: 8}.Run()
	}
	without := served()
	for i := range without.Requests {
		r := &without.Requests[i]
		r.Prompt, r.Tokens, r.TokensFrom = 0, 0, results.TokensNone
	}
	with := served()
	const pace = 20 * time.Millisecond
	for i := range with.Requests {
		r := &with.Requests[i]
		r.Prompt, r.Tokens, r.TokensFrom = 200, 1+int((r.Last-r.First)/pace), results.TokensUsage
	}
	for _, row := range []struct {
		sentence string
		run      *results.Run
		unsure   int
	}{
		{"without token counts", without, 1},
		{"with answers that come at one pace", with, 0},
	} {
		t.Run(row.sentence, func(t *testing.T) { fittedBySlots(t, row.run, row.unsure) })
	}
}

func fittedBySlots(t *testing.T, run *results.Run, unsure int) {
	t.Helper()
	law, err := fit.LawOf(run, fit.LawOptions{})
	if err != nil || law.Name != "slots" || law.Slots == nil || law.Slots.Slots() < 5 || law.Slots.Slots() > 7 ||
		len(law.Unsure) != unsure {
		t.Fatalf("law %+v, error %v, want 6 slots", law, err)
	}
	h, err := fit.HoldoutLaw(run, fit.LawOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range h.FiguresAll {
		if f.Name == "itl.p95" {
			if !math.IsNaN(f.Predicted) || !math.IsNaN(f.Actual) {
				t.Errorf("%s is %v for %v, want neither", f.Name, f.Predicted, f.Actual)
			}
			continue
		}
		off := f.Predicted - f.Actual
		if f.Unit == "s" {
			off /= f.Actual
		}
		t.Logf("%s: %.3f for %.3f", f.Name, f.Predicted, f.Actual)
		if !(math.Abs(off) < 0.25) {
			t.Errorf("%s: predicted %.3f, measured %.3f", f.Name, f.Predicted, f.Actual)
		}
	}
}
