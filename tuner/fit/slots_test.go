package fit

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hpatune/hpatune/tuner/fit/fittest"
)

// steps is a load that rises from half of what n slots of 0.62 s can serve to above it.
func steps(n int, over float64) func(float64) float64 {
	return func(t float64) float64 {
		if t > 100 && t < 160 {
			return over * float64(n) / 0.62
		}
		return 0.5 * float64(n) / 0.62
	}
}

func TestSlotsOf(t *testing.T) {
	varied := func(r *rand.Rand) (float64, float64, int) { // prompts and answers of any length
		first := 0.15 * math.Exp(0.6*r.NormFloat64())
		n := 1 + int(20*r.ExpFloat64())
		return first, first + 0.03*float64(n), n
	}
	for _, row := range []struct {
		name   string
		serve  fittest.Serve
		lo, hi int
	}{
		{"8 slots, a minute past saturation", fittest.Serve{Slots: 8, Rate: steps(8, 1.3)}, 8, 8},
		{"8 slots, first tokens that vary", fittest.Serve{Slots: 8, Rate: steps(8, 1.3), Own: varied}, 8, 8},
		{"32 slots", fittest.Serve{Slots: 32, Rate: steps(32, 1.4)}, 31, 33},
		{"1 slot", fittest.Serve{Slots: 1, Rate: steps(1, 1.5)}, 1, 1},
		{"8 slots, always past saturation, and clients that go", fittest.Serve{Slots: 8, Rate: func(float64) float64 { return 1.3 * 8 / 0.62 }, Patience: 10}, 8, 8},
		{"8 slots, two pods, at random", fittest.Serve{Slots: 8, Rate: func(t float64) float64 { return 2 * steps(8, 1.2)(t) }, Pods: func(float64) int { return 2 }, Pick: "random"}, 8, 8},
	} {
		for _, streams := range []bool{true, false} {
			row.serve.Seconds, row.serve.Streams, row.serve.Seed = 240, streams, 3
			l := readLog(row.serve.Run())
			got := slotsOf(l, l.streams())
			lo, hi := row.lo, row.hi
			if !streams { // ends vary more than first tokens
				lo, hi = int(0.9*float64(lo)), int(math.Ceil(1.1*float64(hi)))
			}
			t.Logf("%s, streams %v: %d (%d to %d), spread %.4f s, %d calls", row.name, streams, got.n, got.lo, got.hi, got.spread, len(l.calls))
			if got.n < lo || got.n > hi || !got.waited {
				t.Errorf("%s, streams %v: %d slots (as good: %d to %d), want %d to %d", row.name, streams, got.n, got.lo, got.hi, lo, hi)
			}
		}
	}
}
