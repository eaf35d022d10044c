package fit

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hpatune/hpatune/tuner/fit/fittest"
)

// TestWhatAPeriodGives: a simulation in steps of a millisecond gives a pod all of a period's
// budget, or less if it works only now and then, with one thread or one per request.
func TestWhatAPeriodGives(t *testing.T) {
	for _, row := range []struct {
		name   string
		share  float64
		single bool
	}{
		{"all of it, a thread each", 1, false},
		{"all of it, one thread", 1, true},
		{"seven eighths, a thread each", 0.875, false},
		{"seven eighths, one thread", 0.875, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := fittest.Serve{Seconds: 300, Limit: 0.2, Idle: 0.002, Density: 1, Share: row.share, ByWork: true, Streams: true, Seed: 3, Pick: "random",
				Pods: func(float64) int { return 3 },
				Rate: func(at float64) float64 { return 3 * (4 + 9*math.Mod(at, 100)/100) },
				Own: func(r *rand.Rand) (float64, float64, int) {
					n := 20 + r.IntN(10)
					return 0.003, 0.0004 * float64(n), n
				}}
			if row.single {
				s.Slow = func(n int) float64 { return float64(n) }
			}
			served, said, err := serviceOf(readLog(s.Run()), 1)
			if err != nil {
				t.Fatal(err)
			}
			law := served.law
			for _, q := range said.qualities {
				t.Logf("%s %.3g %s", q.Part, q.Value, q.Text)
			}
			got := law.Quota.Share
			if got == 0 {
				got = 1
			}
			if math.Abs(got-row.share) > 0.04 || law.Quota.ShareError > 0.04 {
				t.Errorf("share of a period %.3f ± %.3f, want %.3f", got, law.Quota.ShareError, row.share)
			}
			if two := law.Rate[min(2, law.Slots())] / law.Rate[1]; row.single != (two < 1.5) {
				t.Errorf("two requests are served %.2f times as fast as one", two)
			}
		})
	}
}
