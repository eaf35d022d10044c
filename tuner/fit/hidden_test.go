package fit

import (
	"math"
	"math/rand/v2"
	"slices"
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

// TestPlay: calls of one second each, unless the row says otherwise, meet slots, balancers, a client that gives up, and
// pods that come and go.
func TestPlay(t *testing.T) {
	always := span{0, math.Inf(1)}
	for _, row := range []struct {
		sentence string
		slots    int
		balancer plant.Balancer
		pods     []span
		sent     []float64
		first    []float64 // nil = 1 s each
		rest     float64
		patience float64
		want     []float64
	}{
		{"with one slot, each call waits for those before it", 1, plant.RoundRobin, []span{always},
			[]float64{0, 0, 0.5}, nil, 0, 0, []float64{1, 2, 2.5}},
		{"with two slots, the third call waits", 2, plant.RoundRobin, []span{always},
			[]float64{0, 0, 0}, nil, 0, 0, []float64{1, 1, 2}},
		{"a call that comes when a slot is free does not wait", 1, plant.RoundRobin, []span{always},
			[]float64{0, 1, 5}, nil, 0, 0, []float64{1, 1, 1}},
		{"round robin takes pods in turn, even one that is busy with a call of 10 s", 1, plant.RoundRobin,
			[]span{always, always}, []float64{0, 1, 3}, []float64{10, 1, 1}, 0, 0, []float64{10, 1, 8}},
		{"least connections passes over the busy pod", 1, plant.LeastConnections,
			[]span{always, always}, []float64{0, 1, 3}, []float64{10, 1, 1}, 0, 0, []float64{10, 1, 1}},
		{"at random, one pod gets all calls", 1, plant.Random, []span{always},
			[]float64{0, 0}, nil, 0, 0, []float64{1, 2}},
		{"the rest of a streamed answer holds the slot and is not in its own time to first token", 1, plant.RoundRobin,
			[]span{always}, []float64{0, 0}, nil, 3, 0, []float64{1, 5}},
		{"a client gives up after its patience, and its call takes no slot", 1, plant.RoundRobin, []span{always},
			[]float64{0, 1, 9.5}, []float64{10, 1, 1}, 0, 2, []float64{10, 2, 1.5}},
		{"a pod gets traffic from ready to its end, the end not included", 1, plant.RoundRobin,
			[]span{{0, 2}, {2, math.Inf(1)}}, []float64{0, 1, 2}, []float64{10, 1, 1}, 0, 0, []float64{10, 10, 1}},
		{"without a pod in traffic, the recorded latency stays", 1, plant.RoundRobin, []span{{5, 6}},
			[]float64{0, 5, 6}, nil, 0, 0, []float64{77, 1, 77}},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			p := &puppets{l: &log{}, patience: row.patience, seed: 1, pods: row.pods, first: row.first}
			for _, at := range row.sent {
				p.l.calls = append(p.l.calls, call{sent: at})
				if p.rest, p.took = append(p.rest, row.rest), append(p.took, 77); row.first == nil {
					p.first = append(p.first, 1)
				}
			}
			if got := p.play(row.slots, row.balancer); !slices.Equal(got, row.want) {
				t.Errorf("play(%d, %v) = %v, want %v", row.slots, row.balancer, got, row.want)
			}
		})
	}
}
