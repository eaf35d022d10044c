package fit

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/fit/fittest"
	"github.com/hpatune/hpatune/tuner/plant"
)

func TestWhoGetsTheNextRequest(t *testing.T) {
	for _, row := range []struct {
		name  string
		pick  string
		pools int
		known bool // the profile says how connections are kept
		want  plant.Balancer
	}{
		{"turns", "turns", 0, false, plant.RoundRobin},
		{"at random", "random", 0, false, plant.Random},
		{"fewest inside", "least", 0, false, plant.LeastConnections},
		{"shortest queue", "waiting", 0, false, plant.LeastWaiting},
		{"kept connections, the generator's own", "pinned", 8, true, plant.Aged},
		{"kept connections, of which only openings are known", "pinned", 1, false, plant.Aged},
	} {
		s := fittest.Serve{Seconds: 400, Slots: 6, Streams: true, Pick: row.pick, Pools: row.pools, Age: 10, Seed: 2,
			Pods: func(float64) int { return 4 },
			Rate: func(at float64) float64 {
				if at > 200 && at < 230 {
					return 4 * 6 / 0.62 * 1.1
				}
				return 4 * 6 / 0.62 * 0.6
			}}
		run := s.Run()
		if !row.known {
			run.Profile, run.Meta.Target.Connections = nil, ""
		}
		served, _, err := serviceOf(readLog(run), 1)
		if err != nil {
			t.Fatal(err)
		}
		got, wires, n := balancerOf(&served)
		t.Logf("%s: %s, %+v, %v; reused %.2f, even %.2f %.2f", row.name, got, wires, n.qualities[0].Text, served.reused(), served.evenness(10), served.evenness(60))
		if got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
		if row.want == plant.Aged && (math.Abs(wires.Age.Seconds()-8) > 3 || row.known && (wires.Pools != row.pools || wires.Age != 10*time.Second)) {
			t.Errorf("%s: %+v, want %d pools of 10 s", row.name, wires, row.pools)
		}
	}
}
