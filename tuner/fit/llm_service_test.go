package fit

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/plant"
)

// A sample of a log keeps its tokens and prompts, on the average and in the tail, and every few
// of it in a row do: those that are played for the capacity.
func TestASampleKeepsTheSizes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	all := make([]plant.ServiceTime, 25000)
	for i := range all {
		all[i] = plant.ServiceTime{Tokens: math.Round(120 * math.Exp(0.6*r.NormFloat64())),
			Prompt: math.Round(500 * math.Exp(0.6*r.NormFloat64()))}
	}
	tokens := func(t plant.ServiceTime) float64 { return t.Tokens }
	prompt := func(t plant.ServiceTime) float64 { return t.Prompt }
	of := func(sample []plant.ServiceTime, size func(plant.ServiceTime) float64) (mean, p95 float64) {
		var v []float64
		for _, t := range sample {
			v = append(v, size(t))
			mean += size(t) / float64(len(sample))
		}
		return mean, results.Percentile(v, 0.95)
	}
	got := bySize(all, 1024)
	if len(got) != 1024 {
		t.Fatalf("%d requests, want 1024", len(got))
	}
	for _, c := range []struct {
		sentence string
		sample   []plant.ServiceTime
		size     func(plant.ServiceTime) float64
		off      float64 // of mean and p95
	}{
		{"the tokens of all", got, tokens, 0.005},
		{"the prompts of all", got, prompt, 0.02},
		{"the tokens of the first 128", got[:128], tokens, 0.04},
		{"the tokens of some later ones", got[700:828], tokens, 0.04},
		{"the prompts of the first 128", got[:128], prompt, 0.12},
	} {
		mean, p95 := of(c.sample, c.size)
		wantMean, wantP95 := of(all, c.size)
		if math.Abs(mean/wantMean-1) > c.off || math.Abs(p95/wantP95-1) > 2*c.off {
			t.Errorf("%s: mean %.1f for %.1f, p95 %.0f for %.0f; want within %.1f and %.1f %%", c.sentence, mean, wantMean, p95,
				wantP95, 100*c.off, 200*c.off)
		}
	}
	if few := bySize(all[:20], 1024); len(few) != 20 || few[7] != all[7] {
		t.Errorf("a small sample is changed: %v", few)
	}
}

func TestGoldenStride(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 1, 10: 7, 1024: 633, 1000: 619} {
		if got := goldenStride(n); got != want {
			t.Errorf("of %d places the stride is %d, want %d", n, got, want)
		}
	}
}
