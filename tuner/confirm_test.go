package tuner

import (
	"slices"
	"testing"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// The pick gets more days than those on which it was found to be the cheapest, and what fails on
// them is replaced by the next, which gets them, too.
func TestConfirm(t *testing.T) {
	for _, c := range []struct {
		sentence string
		budget   int
		lucky    int32 // mins up to this hold for thirty days only
		days     int   // that each has before
		want     string
	}{
		{"a pick that holds", 200, 0, 30, "2@60×76 3@60×30 4@60×30 "},
		{"a lucky one, and the next", 200, 2, 30, "2@60×76 3@60×76 4@60×30 "},
		{"two lucky ones", 200, 3, 30, "2@60×76 3@60×76 4@60×76 "},
		{"only lucky ones", 200, 4, 30, "2@60×76 3@60×76 4@60×76 "},
		{"long days", 151, 2, 30, "2@60×46 3@60×46 4@60×30 "},
		{"a pick that has as many", 200, 0, 76, "2@60×76 3@60×76 4@60×76 "},
		{"nothing that holds", 200, 0, 3, "2@60×3 3@60×3 4@60×3 "},
	} {
		m := needing(0, 0)
		m.holds = func(k *hpa.Config, day int) bool { return k.MinReplicas > c.lucky || day < 30 }
		s := m.search(t, cpuHPA(2, 90, 60), Space{}).over(t, ofMins(2, 3, 4)...)
		for i := range s.fluids {
			s.trial(i).days = steadyDays(s, i, c.days)
		}
		s.budget = c.budget
		if err := s.confirm(); err != nil || named(s.trials) != c.want {
			t.Errorf("%s: days %s, want %s (%v)", c.sentence, named(s.trials), c.want, err)
		}
	}
}

func TestFirm(t *testing.T) {
	for budget, want := range map[int]int{90: 46, 151: 46, 152: 76, 4800: 76} {
		if got := (&search{budget: budget}).firm(); got != want {
			t.Errorf("budget %d: %d days, want %d", budget, got, want)
		}
	}
	for _, c := range []struct {
		n, missed int
		want      fate
	}{{46, 1, holds}, {45, 1, open}, {46, 2, open}, {76, 3, holds}, {75, 3, open}, {76, 4, open}} {
		if got := made(2, 9, c.n-c.missed, 0, steady(c.n, 1)...).fate(); got != c.want {
			t.Errorf("%d of %d missed: %v, want %v", c.missed, c.n, got, c.want)
		}
	}
}

// What is between a lucky pick and its replacement is looked at once more.
func TestSettleGoesOnAfterALuckyPick(t *testing.T) {
	for _, c := range []struct {
		sentence string
		lucky    float64 // power up to which it holds for thirty days only
		want     float64 // power of the pick
	}{
		{"none is lucky", 0, 22},
		{"the cheapest is", 23, 24},
		{"several are", 26, 27},
	} {
		m := needing(0, 0)
		m.holds = func(k *hpa.Config, day int) bool { return power(k) > c.lucky || day < 30 }
		m.margin = func(k *hpa.Config) float64 { return (power(k) - 20) / 300 }
		s := m.search(t, cpuHPA(2, 10, 80), Space{Need: 4}).over(t, cpuHPA(2, 10, 80), cpuHPA(4, 10, 60))
		s.trial(1).days = steadyDays(s, 1, 30)
		s.budget = 2000
		best, err := s.settle()
		if err != nil || best != choose(s.trials, Space{}).best {
			t.Fatal(err, best)
		}
		if best == nil || power(&best.config) > c.want*(1+unparted) || power(&best.config) <= c.lucky ||
			len(best.days) < s.firm() {
			t.Errorf("%s: %s, want the power %v; %s", c.sentence, named(slices.DeleteFunc([]*trial{best},
				func(t *trial) bool { return t == nil })), c.want, named(s.trials))
		}
	}
}

// A pick that simplify made has no pass over the fluid plant; the search can go on from it.
func TestRate(t *testing.T) {
	m := needing(0, 0)
	m.margin = func(*hpa.Config) float64 { return 0.05 }
	s := m.search(t, cpuHPA(2, 90, 60), Space{}).over(t, ofMins(2, 3)...)
	s.trial(0)
	before := s.add(cpuHPA(3, 90, 60)) // which has one, as another candidate
	fresh := s.add(cpuHPA(5, 90, 60))
	for range 2 {
		for _, x := range []*trial{s.trials[0], before, fresh} {
			if err := s.rate(x); err != nil {
				t.Fatal(err)
			}
		}
		if len(s.fluids) != 3 || len(s.byFluid) != 3 || s.byFluid[0] != s.trials[0] || s.byFluid[1] != before ||
			s.byFluid[2] != fresh || s.fluids[2].config.MinReplicas != 5 {
			t.Errorf("%d passes, %d trials: want one each for min 2, 3 and 5", len(s.fluids), len(s.byFluid))
		}
	}
	fresh.days = steadyDays(s, 2, 30)
	if i := s.step(fresh); i != 0 {
		t.Errorf("from min 5 the search goes on with %d, want 0, which saves most", i)
	}
}

// One candidate that failed although the fluid plant rates it well does not rule out all others
// below it.
func TestAFailureThatWasRatedWellRulesOutLittle(t *testing.T) {
	for _, c := range []struct {
		sentence string
		failed   []float64 // margins of those that did not hold
		want     int       // 4: a tenth cheaper, with a margin of 0.03 for the 0.04 of what holds
	}{
		{"one failed with more room", []float64{0.037}, -1},
		{"one of three did", []float64{0.037, 0.015, 0.012}, 4},
		{"one of two did", []float64{0.037, 0.012}, -1},
		{"two of three did", []float64{0.037, 0.035, 0.012}, -1},
		{"what failed far below says nothing", []float64{0.037, -0.2, -0.3}, -1},
	} {
		s := needing(0, 0).search(t, cpuHPA(2, 90, 60), Space{}).over(t, ofMins(2, 3, 4, 5, 6)...)
		for i := range s.fluids {
			s.fluids[i].paid, s.fluids[i].margin, s.fluids[i].hours = 200, -1, float64(i)
		}
		s.fluids[0].paid, s.fluids[0].margin = 100, 0.04
		s.trial(0).days = steadyDays(s, 0, 30)
		for i, m := range c.failed {
			s.fluids[i+1].margin = m
			s.trial(i + 1).days = made(2, 9, 0, 0, steady(6, 90)...).days
		}
		s.fluids[4].paid, s.fluids[4].margin = 90, 0.03
		if got := s.step(s.trials[0]); got != c.want {
			t.Errorf("%s: %d, want %d", c.sentence, got, c.want)
		}
	}
}

// A candidate that already has a pass over the fluid plant, but no trial, does not get another.
func TestRateTakesThePassThatThereIs(t *testing.T) {
	s := needing(0, 0).search(t, cpuHPA(2, 90, 60), Space{}).over(t, ofMins(2, 3)...)
	first := s.add(s.fluids[0].config)
	if err := s.rate(first); err != nil || len(s.fluids) != 2 || s.byFluid[0] != first {
		t.Errorf("%d passes, error %v: want two, and the first's trial", len(s.fluids), err)
	}
}
