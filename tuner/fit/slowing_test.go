package fit

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hpatune/hpatune/tuner/fit/fittest"
)

func TestServicesThatSlowDown(t *testing.T) {
	own := func(r *rand.Rand) (float64, float64, int) {
		n := 1 + r.IntN(20)
		return 0.1, 0.1 + 0.04*float64(n)*(0.9+0.2*r.Float64()), n
	}
	const mean = 0.1 + 0.04*10.5
	for _, row := range []struct {
		name     string
		slots    int
		slow     func(int) float64
		capacity float64 // per second
	}{
		{"not at all", 8, nil, 8 / mean},
		{"a tenth for each beside", 8, func(n int) float64 { return 1 + 0.1*float64(n-1) }, 8 / mean / 1.7},
		{"two cores shared by all", 8, func(n int) float64 { return max(1, float64(n)/2) }, 2 / mean},
		{"not before the fourth", 12, func(n int) float64 { return 1 + 0.2*max(0, float64(n)-4) }, 12 / mean / 2.6},
	} {
		for _, streams := range []bool{true, false} {
			s := fittest.Serve{Seconds: 300, Slots: row.slots, Slow: row.slow, Own: own, Streams: streams, Seed: 5, Rate: func(t float64) float64 {
				if t > 120 && t < 160 {
					return 1.2 * row.capacity
				}
				return row.capacity * (0.3 + 0.4*math.Mod(t, 100)/100)
			}}
			l := readLog(s.Run())
			got, said, err := serviceOf(l, 1)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s, streams %v: %d slots, capacity %.2f (%.2f), slowing %+v, mean %.3f (%.3f)", row.name, streams, got.law.Slots(), got.law.Capacity(), row.capacity, got.slowing, meanTotal(got.law.Times), mean)
			if e := got.law.Capacity()/row.capacity - 1; math.Abs(e) > 0.06 {
				t.Errorf("%s, streams %v: capacity %.2f requests/s, want %.2f; %q", row.name, streams, got.law.Capacity(), row.capacity, said.warnings)
			}
			if e := meanTotal(got.law.Times)/mean - 1; math.Abs(e) > 0.1 {
				t.Errorf("%s, streams %v: a request takes %.3f s by itself, want %.3f", row.name, streams, meanTotal(got.law.Times), mean)
			}
		}
	}
}
