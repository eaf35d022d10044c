package tuner

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// A candidate gets no more days once it has missed more than one day in twenty, and more than
// one.
func TestHopeless(t *testing.T) {
	for _, c := range []struct {
		sentence string
		met, n   int
		want     bool
	}{
		{"without days nothing is known", 0, 0, false},
		{"too few days to judge", 2, 3, false},
		{"too few, but surely too many missed", 1, 3, true},
		{"one missed day of few is chance", 5, 6, false},
		{"two missed days of few are not", 10, 12, true},
		{"one of twenty", 19, 20, false},
		{"two of twenty", 18, 20, true},
		{"two of fifty", 48, 50, false},
		{"three of fifty", 47, 50, true},
		{"all missed", 0, 6, true},
	} {
		x := made(2, 0, c.met, 0, steady(c.n, 1)...)
		if got := x.hopeless(); got != c.want {
			t.Errorf("%s: %d of %d days: hopeless %v, want %v", c.sentence, c.met, c.n, got, c.want)
		}
	}
}

func TestPlayed(t *testing.T) {
	for n, want := range map[int]bool{0: false, 1: true, 20: true} {
		if got := made(2, 0, n, 0, steady(n, 1)...).played(); got != want {
			t.Errorf("%d days: played %v, want %v", n, got, want)
		}
	}
}

func TestHalfway(t *testing.T) {
	for _, c := range []struct {
		sentence string
		target   hpa.Target
		want     []any
	}{
		{"five points below and above", hpa.Target{Type: hpa.Utilization, Utilization: 60}, []any{int32(55), int32(65)}},
		{"not above the axis", hpa.Target{Type: hpa.Utilization, Utilization: 90}, []any{int32(85)}},
		{"up to its end", hpa.Target{Type: hpa.Utilization, Utilization: 85}, []any{int32(80), int32(90)}},
		{"and no further", hpa.Target{Type: hpa.Utilization, Utilization: 86}, []any{int32(81)}},
		{"down to its start", hpa.Target{Type: hpa.Utilization, Utilization: 35}, []any{int32(30), int32(40)}},
		{"and no lower", hpa.Target{Type: hpa.Utilization, Utilization: 34}, []any{int32(39)}},
		{"not below it", hpa.Target{Type: hpa.Utilization, Utilization: 30}, []any{int32(35)}},
		{"an average by ratios", hpa.Target{Type: hpa.AverageValue, AverageMilli: 5000}, []any{int64(4600), int64(5500)}},
		{"a value, too", hpa.Target{Type: hpa.Value, ValueMilli: 1000}, []any{int64(920), int64(1100)}},
		{"never 0", hpa.Target{Type: hpa.AverageValue, AverageMilli: 1}, []any{int64(1), int64(1)}},
	} {
		if got := halfway(c.target); !slices.Equal(got, c.want) {
			t.Errorf("%s: halfway(%+v) = %v, want %v", c.sentence, c.target, got, c.want)
		}
	}
}

// The next step is the one with the largest saving times the chance that it holds.
func TestStep(t *testing.T) {
	// Index 0 holds: it costs 100 with a margin of 0.04.
	for _, c := range []struct {
		sentence string
		paid     []float64 // of the others
		margin   []float64
		failed   int // of them, which did not hold; 0 = none
		want     int
	}{
		{"as safe: the cheapest", []float64{90, 80}, []float64{0.04, 0.05}, 0, 2},
		{"half the chance for less than twice the saving", []float64{90, 81}, []float64{0.04, 0.0249}, 0, 1},
		{"half the chance for more than twice the saving", []float64{90, 79}, []float64{0.04, 0.0251}, 0, 2},
		{"no chance at 3 points less", []float64{50}, []float64{0.0099}, 0, -1},
		{"no chance where one failed", []float64{80, 50}, []float64{0.03, 0.03}, 1, -1},
		{"half the chance between one that failed and one that held", []float64{90, 81, 94}, []float64{0.03, 0.035, 0.04}, 1, 2},
		{"no chance for a sibling that is no safer", []float64{90, 80}, []float64{0.05, 0.0505}, 1, -1},
		{"a sibling that is safer", []float64{90, 80}, []float64{0.05, 0.052}, 1, 2},
		{"a percent is not worth it", []float64{99.1}, []float64{0.04}, 0, -1},
		{"nothing dearer", []float64{120}, []float64{0.09}, 0, -1},
	} {
		s := needing(0, 0).search(t, cpuHPA(2, 90, 60), Space{})
		mins := []int32{2, 3, 4, 5}
		s.over(t, ofMins(mins[:1+len(c.paid)]...)...)
		s.fluids[0].paid, s.fluids[0].margin = 100, 0.04
		if strings.Contains(c.sentence, "sibling") { // the others differ in behavior alone
			sibling := s.fluids[1].config.Clone()
			sibling.EnsureBehavior()
			sibling.ScaleDown.Window, sibling.ScaleDown.WindowSet = time.Minute, true
			s.fluids[2].config = sibling
		}
		for i := range c.paid {
			s.fluids[i+1].paid, s.fluids[i+1].margin = c.paid[i], c.margin[i]
		}
		best := s.trial(0)
		best.days = made(2, 0, 30, 0, steady(30, 100)...).days
		if c.failed > 0 {
			s.trial(c.failed).days = made(2, 0, 18, 0, steady(20, 90)...).days
		}
		if got := s.step(best); got != c.want {
			t.Errorf("%s: step %d, want %d", c.sentence, got, c.want)
		}
	}
}

// A search whose days are used up before its race came to the cheaper behaviors still finds
// them, in both directions together, and targets in between.
func TestDescend(t *testing.T) {
	m := needing(43, 0)
	m.cost = func(c *hpa.Config) float64 {
		k := power(c)
		if !c.ScaleDown.WindowSet || c.ScaleDown.Window > time.Minute {
			k *= 1.08
		}
		if len(c.ScaleUp.Policies) == 1 {
			return k
		}
		return k * 1.05
	}
	s := m.search(t, cpuHPA(3, 12, 50), Space{Need: 4, MinFloor: 2})
	s.budget = 120
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
	best := choose(s.trials, s.b.space).best
	want := 43.0 // of power; nothing cheaper holds
	if best == nil || math.Abs(best.cost()/want-1) > unparted {
		t.Errorf("the pick costs %v, want %v: %v", best.cost(), want, Describe(best.config))
	}
	if s.used > 2*s.budget {
		t.Errorf("used %d days of a budget of %d and as many again", s.used, s.budget)
	}
}
