package fit

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hpatune/hpatune/tuner/fit/fittest"
)

// What is computed for the few calls that are compared is what playing the whole log gives.
func TestStartsOfSomeAreThoseOfAll(t *testing.T) {
	for _, row := range []struct {
		name  string
		serve fittest.Serve
	}{
		{"a minute past saturation", fittest.Serve{Slots: 8, Rate: steps(8, 1.3)}},
		{"two pods, at random", fittest.Serve{Slots: 4, Rate: steps(8, 1.2), Pods: func(float64) int { return 2 },
			Pick: "random"}},
		{"clients that go while they wait", fittest.Serve{Slots: 8,
			Rate: func(float64) float64 { return 1.3 * 8 / 0.62 }, Patience: 10}},
	} {
		row.serve.Seconds, row.serve.Seed = 240, 3
		l := readLog(row.serve.Run())
		some := newShape(l, false).points()
		some = thin(some, 300)
		starts := startsOfSome(l, some)
		waited := 0
		for _, m := range []int{1, 3, 4, 8, 9, 40, 1000} {
			got, want := starts(m), startsUnder(l, m)
			for _, i := range some {
				if got[i] != want[i] {
					t.Fatalf("%s: with %d slots, call %d starts at %v, want %v", row.name, m, i, got[i], want[i])
				}
				if want[i] > l.calls[i].sent {
					waited++
				}
			}
		}
		if waited == 0 {
			t.Errorf("%s: no call waits, so the test shows nothing", row.name)
		}
	}
}

func TestMiddleIsTheMedian(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, row := range []struct {
		name string
		n    int
		of   func(i int) float64
	}{
		{"none", 0, nil},
		{"one", 1, func(int) float64 { return 3 }},
		{"few", 31, func(int) float64 { return r.NormFloat64() }},
		{"an odd number", 1001, func(int) float64 { return r.NormFloat64() }},
		{"an even number", 1000, func(int) float64 { return r.NormFloat64() }},
		{"in order", 500, func(i int) float64 { return float64(i) }},
		{"in reverse", 501, func(i int) float64 { return float64(-i) }},
		{"all the same", 64, func(int) float64 { return 2 }},
		{"two values", 100, func(i int) float64 { return float64(i % 2) }},
		{"with infinities", 99, func(i int) float64 { return []float64{math.Inf(1), math.Inf(-1), 1}[i%3] }},
		{"with one that is no number", 99, func(i int) float64 { return []float64{math.NaN(), 1, 2}[min(i, 2)] }},
	} {
		v := make([]float64, row.n)
		for i := range v {
			v[i] = row.of(i)
		}
		want := median(slices.Clone(v))
		if got := middle(v); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("%s: %v, want %v", row.name, got, want)
		}
	}
}

// The fit of a law of iterations ends early where slots explain the log, and nowhere else.
func TestTheFitOfIterationsGivesUp(t *testing.T) {
	slots := fittest.Serve{Seconds: 900, Slots: 8, Idle: 0.02, Density: 0.1, Streams: true, Pick: "random",
		Pods: func(float64) int { return 2 }, Seed: 8,
		Own: func(r *rand.Rand) (float64, float64, int) {
			n, noise := 10+r.IntN(80), math.Exp(0.15*r.NormFloat64())
			return 0.3 * noise, (0.3 + 0.015*float64(n)) * noise, n
		},
		Rate: func(t float64) float64 { return 2 * 8 / 1.05 * (0.6 + 0.4*math.Sin(t/60)) }}.Run()
	r := rand.New(rand.NewPCG(4, 4))
	for i := range slots.Requests {
		slots.Requests[i].Prompt = 20 + r.IntN(200)
	}
	fitOf := func(l *log) *engineFit {
		s, _, err := serviceBySlots(l, 1)
		if err != nil {
			t.Fatal(err)
		}
		all, _ := answers(l.run)
		if !l.visible {
			for i := range all {
				all[i].server = -1
			}
		}
		f := newEngineFit(all)
		f.slots = f.slotsLoss(&s)
		return f
	}
	f := fitOf(readLog(slots))
	if _, err := f.law(LawOptions{}); !errors.Is(err, errBeaten) {
		t.Errorf("a log of slots, which leave %.3f unexplained: %v, want to give up", f.slots, err)
	}
	whole := *f
	whole.slots = 0
	if law, err := whole.law(LawOptions{}); err != nil || f.slots > slowingGain*law.Error {
		t.Errorf("to the end, the law leaves %.3f unexplained and slots %.3f (%v): giving up changed the answer",
			law.Error, f.slots, err)
	}
	for _, seed := range []uint64{6, 7} {
		f := fitOf(readLog(engineOf(600, seed).Run()))
		if few := f.fewer(); f.beaten(f.first(few, few.usual(known{}), f.begin()), leastAfterFirst) {
			t.Errorf("seed %d: a log of iterations is given up; slots leave %.3f unexplained", seed, f.slots)
		}
	}
}
