package fit

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hpatune/hpatune/tuner/fit/fittest"
	"github.com/hpatune/hpatune/tuner/plant"
)

func TestHiddenReplicas(t *testing.T) {
	varied := func(r *rand.Rand) (float64, float64, int) {
		first := 0.2 * math.Exp(0.3*r.NormFloat64())
		n := 1 + int(20*r.ExpFloat64())
		return first, first + 0.03*float64(n), n
	}
	const mean = 0.2 + 0.03*20.5
	for _, row := range []struct {
		pick string
		want plant.Balancer
	}{{"turns", plant.RoundRobin}, {"random", plant.Random}, {"least", plant.LeastConnections}} {
		for _, streams := range []bool{true, false} {
			const slots = 6
			s := fittest.Serve{Seconds: 400, Slots: slots, Own: varied, Streams: streams, Hidden: true, Pick: row.pick, Seed: 4,
				Pods: func(t float64) int { return 3 + int(t/150) },
				Rate: func(t float64) float64 {
					if math.Mod(t, 150) > 100 && math.Mod(t, 150) < 130 {
						return 3 * slots / mean * 1.15
					}
					return 3 * slots / mean * 0.55
				}}
			l := readLog(s.Run())
			got := hiddenOf(l, streams, math.Inf(1), 1)
			t.Logf("%s, streams %v: %d slots (%d to %d), %s, off %.3f", row.pick, streams, got.n, got.lo, got.hi, got.balancer, got.off)
			if math.Abs(float64(got.n)/slots-1) > 0.17 || got.off > hiddenOff {
				t.Errorf("%s, streams %v: %d slots, off by %.2f, want %d", row.pick, streams, got.n, got.off, slots)
			}
			if streams && got.balancer != row.want {
				t.Errorf("%s: balancer %s, want %s", row.pick, got.balancer, row.want)
			}
		}
	}
}
