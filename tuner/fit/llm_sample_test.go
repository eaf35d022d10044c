package fit

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit/fittest"
)

func engineOf(requests int, seed uint64) fittest.Engine {
	tokens := func(median, sigma float64) func(*rand.Rand) int {
		return func(r *rand.Rand) int { return 1 + int(median*math.Exp(sigma*r.NormFloat64())) }
	}
	return fittest.Engine{Alpha: .01, Beta: 1e-4, Gamma: 4e-5, Delta: 1e-8, Batch: 2048, Seqs: 64, Ahead: true, Own: .005, Noise: .04, Requests: requests,
		Rate: func(t float64) float64 { return 9 + 7*math.Sin(t/60) }, Prompt: tokens(500, .8), Output: tokens(120, .6), Seed: seed}
}

// The windows of a long log give a law that explains the whole log as well as a law fitted to
// all of it does.
func TestWindowsOfALongLogAreEnough(t *testing.T) {
	all, _ := answers(engineOf(9000, 3).Run())
	sampled := newEngineFit(all)
	whole := &engineFit{n: sampled.n, most: sampled.most,
		stretches: cut([]serverLog{{pointers(all), insideOf(pointers(all))}}, len(all))}
	whole.weigh()
	played := 0
	for _, s := range sampled.stretches {
		played += len(s.calls)
	}
	if played > 2*len(all)/3 {
		t.Fatalf("%d of %d requests are played: nothing is sampled", played, len(all))
	}
	law, _, _ := sampled.choose(known{})
	off := whole.loss(&law.law, nil)
	_, least := whole.polish(law.law, law.free, 120)
	t.Logf("%d of %d requests give %+v, off by %.4f over all; polished on all of them %.4f", played, len(all), law.law, off, least)
	if off > 1.1*least+0.002 {
		t.Errorf("the law of %d of %d requests is off by %.4f, polished on all of them by %.4f", played, len(all), off, least)
	}
}

// If the log shows which of two servers answered, each has its own iterations.
func TestTwoServersAreFittedApart(t *testing.T) {
	run := engineOf(300, 4).Run()
	other := engineOf(300, 5).Run()
	run.Meta.Backends = []results.Backend{{Name: "a"}, {Name: "b"}}
	for i := range run.Requests {
		run.Requests[i].Backend = 0
	}
	for _, r := range other.Requests {
		r.Backend, r.Arrival = 1, r.Arrival+300
		run.Requests = append(run.Requests, r)
	}
	law, err := LanguageLaw(run, LawOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(law.Law.Alpha/.01-1) > 0.15 || math.Abs(law.Law.Gamma/4e-5-1) > 0.15 || law.Error > 0.08 {
		t.Errorf("two servers: %+v, off by %.3f", law.Law, law.Error)
	}
}

func pointers(all []answer) []*answer {
	out := make([]*answer, len(all))
	for i := range all {
		out[i] = &all[i]
	}
	return out
}
