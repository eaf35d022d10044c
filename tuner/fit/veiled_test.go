package fit

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hpatune/hpatune/tuner/fit/fittest"
	"github.com/hpatune/hpatune/tuner/plant"
)

// What a call takes and costs follows from the CPU time of the mean one, by hand.
func TestOwnOfVeiled(t *testing.T) {
	s := service{log: &log{calls: []call{{tokens: 50, ok: true, streamed: true}, {tokens: 150, ok: true, streamed: true}}}}
	q := plant.Quota{Cores: 0.5, Each: 0.1}
	for _, c := range []struct {
		sentence           string
		v                  veiled
		work, total, first [2]float64
	}{
		{"all calls cost the same", veiled{pace: 1, first: 0.5},
			[2]float64{1, 1}, [2]float64{0.1, 0.1}, [2]float64{0.05, 0.05}},
		{"half of the cost grows with the tokens", veiled{pace: 1, tokens: 0.5, first: 0.5},
			[2]float64{0.75, 1.25}, [2]float64{0.075, 0.125}, [2]float64{0.05, 0.05}},
		{"all of it does, and each waits as long as it works", veiled{pace: 2, tokens: 1, first: 0.3},
			[2]float64{0.5, 1.5}, [2]float64{0.1, 0.3}, [2]float64{0.06, 0.06}},
		{"no first token after the end", veiled{pace: 1, tokens: 1, first: 0.8},
			[2]float64{0.5, 1.5}, [2]float64{0.05, 0.15}, [2]float64{0.05, 0.08}},
	} {
		own := s.ownOf(&c.v, q)
		for i := range 2 {
			got := own(i)
			if math.Abs(got.Work-c.work[i]) > 1e-9 || math.Abs(got.Total-c.total[i]) > 1e-9 ||
				math.Abs(got.First-c.first[i]) > 1e-9 {
				t.Errorf("%s: call %d takes %v s, first token after %v s, costs %v; want %v, %v, %v", c.sentence, i, got.Total,
					got.First, got.Work, c.total[i], c.first[i], c.work[i])
			}
		}
	}
}

// A log of hidden pods is cut where a pod comes or goes.
func TestParades(t *testing.T) {
	l := &log{traffic: [][2]float64{{0, math.Inf(1)}, {0, 60}, {30, math.Inf(1)}, {65, math.Inf(1)}}}
	for i := range 1000 { // ten a second
		at := float64(i) / 10
		l.calls = append(l.calls, call{sent: at, first: at + 0.1, done: at + 0.1, tokens: float64(1 + i%2), ok: true})
	}
	s := service{log: l}
	// Of 0.5 cores at 0.05 core-seconds a request a pod serves 10 a second: two are half busy, three a third.
	got := s.parades(&plant.Quota{Cores: 0.5, Each: 0.05})
	for i, want := range []struct {
		n, calls int
		class    int8 // of short calls in the middle
	}{{2, 300, 2}, {3, 300, 0}, {3, 350, 0}} { // 60 to 65 s is too short
		if i >= len(got) {
			t.Fatalf("%d stretches, want 3", len(got))
		}
		p := &got[i]
		middle := p.class[len(p.class)/2] &^ 1
		if p.n != want.n || len(p.calls) != want.calls || p.class[0] != -1 || middle != want.class {
			t.Errorf("stretch %d: %d pods, %d calls, class %d first and %d in the middle; want %d, %d, -1, %d", i, p.n,
				len(p.calls), p.class[0], middle, want.n, want.calls, want.class)
		}
	}
}

// Hidden pods under a CPU limit: their CPU and the clients' latencies show what they do.
func TestHiddenPodsUnderALimit(t *testing.T) {
	const limit, idle, mean = 0.5, 0.015, 0.0949 // cores, cores, core-seconds of a request of 4.5 tokens
	for _, row := range []struct {
		pick string
		want plant.Balancer
	}{{"random", plant.Random}, {"turns", plant.RoundRobin}} {
		s := fittest.Serve{Seconds: 400, Limit: limit, Idle: idle, Density: 1, Streams: true, Pick: row.pick, Hidden: true,
			Seed: 3,
			Own: func(r *rand.Rand) (first, total float64, tokens int) {
				n := 1 + r.IntN(8)
				k := math.Exp(0.2*r.NormFloat64() - 0.02)
				return 0.03 * k, (0.0409 + 0.012*float64(n)) * k, n
			},
			Pods: func(at float64) int { return 2 + int(at/200) },
			Rate: func(at float64) float64 { return 5.1 * (1 + 0.5*math.Sin(at/25)) * (1 + math.Floor(at/200)*0.5) }}
		run := s.Run()
		fitted, err := Fit(run, fittest.CPUConfig(70), Options{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		law := fitted.World.Service
		if got, want := law.Capacity(), (limit-idle)/mean; math.Abs(got/want-1) > 0.05 {
			t.Errorf("%s: a pod serves %.2f requests a second, want %.2f", row.pick, got, want)
		}
		if got := fitted.World.Balancer; got != row.want {
			t.Errorf("%s: balancer %s, want %s", row.pick, got, row.want)
		}
		if slices.ContainsFunc(fitted.Doubts, func(d Doubt) bool { return d.ID == "hidden-backends" }) {
			t.Errorf("%s: doubts %+v", row.pick, fitted.Doubts)
		}
		took := fitted.World.Demand.Times
		if len(took) == 0 || math.Abs(meanTotal(took)/meanTotal(law.Times)-1) > 0.02 {
			t.Errorf("%s: the run's requests take %.4f s by themselves, those of the law %.4f", row.pick, meanTotal(took),
				meanTotal(law.Times))
		}
		run.Meta.Workload.CPULimitMilli = 0
		if _, _, ok := veiledOf(readLog(run), &hidden{off: 1}, 1); ok {
			t.Error("a law under a limit, but no limit is stated")
		}
	}
}
