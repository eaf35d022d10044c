package tuner

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
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
		{"two of five may be chance", 3, 5, false},
		{"two of six are not", 4, 6, true},
		{"nor two of twelve", 10, 12, true},
		{"one of twenty", 19, 20, false},
		{"two of twenty", 18, 20, true},
		{"two of fifty", 48, 50, false},
		{"three of fifty", 47, 50, true},
		{"all missed", 0, 6, true},
		{"with all days, twelve missed are known to be few enough", 188, 200, false},
		{"thirteen are not", 187, 200, true},
		{"of more days, 22 are", 378, 400, false},
	} {
		x := made(2, 0, c.met, 0, steady(c.n, 1)...)
		if got := x.hopeless(); got != c.want {
			t.Errorf("%s: %d of %d days: hopeless %v, want %v", c.sentence, c.met, c.n, got, c.want)
		}
	}
}

// So a step need not ask whether a candidate has had all its days.
func TestWithAllItsDaysATrialHoldsOrIsHopeless(t *testing.T) {
	for _, n := range []int{enough, enough + 1, 2 * enough} {
		for k := n * 4 / 5; k <= n; k++ {
			x := made(2, 0, k, 0, steady(n, 1)...)
			if held := x.fate() == holds; held == x.hopeless() {
				t.Errorf("%d of %d days: holds %v, hopeless %v, want one of them", k, n, held, x.hopeless())
			}
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
		{"none far from the axis", hpa.Target{Type: hpa.Utilization, Utilization: 1}, nil},
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
		held     int // and which one held
		want     int
	}{
		{"as safe: the cheapest", []float64{90, 80}, []float64{0.04, 0.05}, 0, 0, 2},
		{"half the chance for less than twice the saving", []float64{90, 81}, []float64{0.04, 0.0249}, 0, 0, 1},
		{"half the chance for more than twice the saving", []float64{90, 79}, []float64{0.04, 0.0251}, 0, 0, 2},
		{"no chance at 3 points less", []float64{50}, []float64{0.0099}, 0, 0, -1},
		{"no chance where one failed", []float64{80, 50}, []float64{0.03, 0.03}, 1, 0, -1},
		{"half the chance between one that failed and one that held", []float64{90, 81, 94}, []float64{0.03, 0.035, 0.04}, 1, 0, 2},
		{"no chance for a sibling that is no safer", []float64{90, 80}, []float64{0.05, 0.0505}, 1, 0, -1},
		{"a sibling that is safer", []float64{90, 80}, []float64{0.05, 0.052}, 1, 0, 2},
		{"a third of a chance for two percent", []float64{97.9}, []float64{0.0201}, 0, 0, 1},
		{"a fifth of a chance is not worth it", []float64{97.9}, []float64{0.016}, 0, 0, -1},
		{"a percent is not worth it", []float64{99.1}, []float64{0.04}, 0, 0, -1},
		{"nothing dearer", []float64{120}, []float64{0.09}, 0, 0, -1},
		{"nor dearer and less safe", []float64{120}, []float64{0}, 0, 0, -1},
		{"more room than enough is not more chance", []float64{90, 85}, []float64{0.5, 0.04}, 0, 0, 2},
		{"of two that are as good the first", []float64{80, 80}, []float64{0.04, 0.04}, 0, 0, 1},
		{"one that failed with as much room says nothing", []float64{90, 80}, []float64{0.04, 0.04}, 1, 0, 2},
		{"what held is not tried again", []float64{80, 90}, []float64{0.04, 0.04}, 0, 1, 2},
		{"what held with less room is sure enough", []float64{120, 90, 80}, []float64{0.02, 0.04, 0.02}, 0, 1, 3},
		{"and half as much less is half sure", []float64{120, 90, 79}, []float64{0.02, 0.02, 0.0051}, 0, 1, 3},
	} {
		s := needing(0, 0).search(t, cpuHPA(2, 90, 60), Space{})
		mins := []int32{2, 3, 4, 5}
		s.over(t, ofMins(mins[:1+len(c.paid)]...)...)
		s.fluids[0].paid, s.fluids[0].margin = 100, 0.04
		if strings.Contains(c.sentence, "sibling") { // the others differ in behavior alone
			sibling := s.fluids[1].config.Clone()
			quick(&sibling)
			s.fluids[2].config = sibling
		}
		for i := range c.paid {
			f := &s.fluids[i+1]
			f.paid, f.margin, f.hours = c.paid[i], c.margin[i], float64(i) // the hours tell them apart
		}
		best := s.trial(0)
		best.days = made(2, 0, 30, 0, steady(30, 100)...).days
		if c.failed > 0 {
			s.trial(c.failed).days = made(2, 0, 18, 0, steady(20, 90)...).days
		}
		if c.held > 0 {
			s.trial(c.held).days = made(2, 0, 30, 0, steady(30, 90)...).days
		}
		if got := s.step(best); got != c.want {
			t.Errorf("%s: step %d, want %d", c.sentence, got, c.want)
		}
	}
}

// What the fluid plant does not know cannot be compared.
func TestNoStepFromWhatHasNoFluid(t *testing.T) {
	s := needing(0, 0).search(t, cpuHPA(2, 90, 60), Space{}).over(t, ofMins(2, 3)...)
	best := s.add(cpuHPA(9, 90, 60))
	best.days = steadyDays(s, 0, 30)
	if got := s.step(best); got != -1 {
		t.Errorf("nothing held over the fluid plant: step %d, want -1", got)
	}
	s.trial(1).days = best.days
	if got := s.step(best); got != -1 {
		t.Errorf("another one held: step %d, want -1", got)
	}
}

func TestFailed(t *testing.T) {
	const other = 1 // place of the candidate in question
	for _, c := range []struct {
		sentence     string
		change       func(*hpa.Config) // what the one with the days has otherwise
		margin, room float64           // of the one with the days, and of the one in question
		days, met    int
		want         bool
	}{
		{"another behavior with as much room", quick, 0.05, 0.05, 20, 0, true},
		{"with more", quick, 0.05, 0.04, 20, 0, true},
		{"with a thousandth less", quick, 0, 0.001, 20, 0, true},
		{"with less than that", quick, 0, 0.0011, 20, 0, false},
		{"it held", quick, 0.05, 0.05, 30, 30, false},
		{"it held, with more than one day in twenty missed", quick, 0.05, 0.05, 200, 188, false},
		{"it may hold", quick, 0.05, 0.05, 3, 3, false},
		{"it has another min", func(k *hpa.Config) { k.MinReplicas = 4 }, 0.05, 0.05, 20, 0, false},
		{"it has another target", func(k *hpa.Config) { k.Metrics[0].Target.Utilization = 50 }, 0.05, 0.05, 20, 0, false},
	} {
		with := cpuHPA(3, 90, 60)
		c.change(&with)
		s := needing(0, 0).search(t, cpuHPA(2, 90, 60), Space{}).over(t, with, cpuHPA(3, 90, 60))
		s.fluids[0].margin, s.fluids[other].margin = c.margin, c.room
		s.trial(0).days = made(2, 0, c.met, 0, steady(c.days, 90)...).days
		if got := s.failed(other); got != c.want {
			t.Errorf("%s: failed %v, want %v", c.sentence, got, c.want)
		}
		if got := s.failed(0); got != s.trial(0).hopeless() {
			t.Errorf("%s: the one with the days failed %v itself", c.sentence, got)
		}
	}
}

// quick scales down after one minute.
func quick(c *hpa.Config) {
	c.EnsureBehavior()
	c.ScaleDown.Window, c.ScaleDown.WindowSet = time.Minute, true
}

func TestUnknown(t *testing.T) {
	for _, c := range []struct {
		sentence      string
		passed, given []int32 // mins
		want          []int32
	}{
		{"the first stays, known or not", []int32{2}, []int32{2}, []int32{2}},
		{"what has been passed does not", []int32{2, 3}, []int32{2, 3, 4, 5}, []int32{2, 4, 5}},
		{"nor does the first's double", nil, []int32{2, 3, 2}, []int32{2, 3}},
		{"nor another one's", nil, []int32{2, 3, 4, 3}, []int32{2, 3, 4}},
	} {
		s := needing(0, 0).search(t, cpuHPA(2, 90, 60), Space{}).over(t, ofMins(c.passed...)...)
		var got []int32
		for _, k := range s.unknown(ofMins(c.given...)) {
			got = append(got, k.MinReplicas)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v of %v, want %v", c.sentence, got, c.given, c.want)
		}
	}
}

func TestNeighbors(t *testing.T) {
	two := cpuHPA(2, 12, 60) // its second metric follows the load
	two.Metrics = append(memoryHPA(2).Metrics[:1:1], two.Metrics...)
	grid := "2@30/12 2@40/12 2@50/12 2@60/12 2@70/12 2@80/12 2@90/12 " +
		"3@30/12 3@40/12 3@50/12 3@60/12 3@70/12 3@80/12 3@90/12 "
	for _, c := range []struct {
		sentence string
		of       hpa.Config
		space    Space
		want     string // min@target/max; * = its other behaviors
	}{
		{"sizes, targets, targets in between; its behaviors, and the next size's", cpuHPA(2, 12, 60), Space{Need: 2},
			"2@60/12 " + grid + "2@55/12 3@55/12 2@65/12 3@65/12 2@60/12* 3@60/12*"},
		{"the last size has only a smaller one", cpuHPA(3, 12, 60), Space{Need: 2},
			"3@60/12 " + grid + "2@55/12 3@55/12 2@65/12 3@65/12 3@60/12* 2@60/12*"},
		{"the sizes on both sides", memoryHPA(3), Space{Need: 3},
			"3@60/90 2@60/90 3@60/90 4@60/90 5@60/90 3@60/90* 4@60/90* 2@60/90*"},
		{"of the metric that follows the load", two, Space{Need: 2},
			"2@60/12 " + grid + "2@55/12 3@55/12 2@65/12 3@65/12 2@60/12* 3@60/12*"},
		{"no target to turn", memoryHPA(2), Space{Need: 2}, "2@60/90 2@60/90 3@60/90 2@60/90* 3@60/90*"},
		{"below the floor, the next size is the floor", memoryHPA(1), Space{Need: 2},
			"1@60/90 2@60/90 3@60/90 1@60/90* 2@60/90*"},
		{"no size is allowed", memoryHPA(9), Space{MinFloor: 8, MaxLimit: 7}, "9@60/90 9@60/90*"},
		{"maxReplicas does not limit the peak", cpuHPA(2, 4, 90), Space{Need: 4, MaxLimit: 2}, "2@90/4 2@30/2 2@40/2 " +
			"2@50/2 2@60/2 2@70/2 2@80/2 2@90/2 2@85/2 2@90/4*"},
		{"nor of the next size", cpuHPA(2, 4, 90), Space{Need: 4, MinFloor: 5}, "2@90/4 5@30/5 5@40/5 5@50/5 5@60/5 5@70/5 " +
			"5@80/5 5@90/5 6@30/6 6@40/6 6@50/6 6@60/6 6@70/6 6@80/6 6@90/6 5@85/5 6@85/6 2@90/4* 5@90/5*"},
	} {
		var names []string
		each := len(c.space.Variants(c.of))
		all := c.space.neighbors(c.of)
		for len(all) > 0 {
			k := &all[0]
			target := k.Metrics[len(k.Metrics)-1].Target.Utilization
			name := fmt.Sprintf("%d@%d/%d", k.MinReplicas, target, k.MaxReplicas)
			if all = all[1:]; k.Behavior {
				name += "*"
				all = all[each-1:]
			}
			names = append(names, name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.sentence, got, c.want)
		}
	}
}

// A candidate gets days until it holds, is hopeless, or surely saves less than a percent.
func TestDescends(t *testing.T) {
	for _, c := range []struct {
		sentence string
		missed   []int   // days
		cost     float64 // the best one's is 100
		swing    float64 // more and less than that, in turn
		had      int     // days that it has already
		want     int
	}{
		{"it holds", nil, 95, 0, 0, 30},
		{"with one day missed it takes longer", []int{1}, 95, 0, 0, 50},
		{"it misses", []int{0, 1, 2}, 95, 0, 0, 3},
		{"it is hopeless", []int{1, 4}, 95, 0, 0, 6},
		{"it costs as much", nil, 100, 0, 0, 3},
		{"it saves too little", nil, 99.5, 0, 0, 3},
		{"one percent is not too little", nil, 99, 0, 0, 30},
		{"±2 %: after 12 days it surely saves less", nil, 100, 2, 0, 12},
		{"it goes on from the days that it has", nil, 100, 0, 6, 12},
		{"it has had all days", nil, 100, 0, enough, enough},
	} {
		s := needing(0, 0).search(t, cpuHPA(2, 90, 60), Space{}).over(t, ofMins(2)...)
		s.exact = func(w *replay.World, _ hpa.Config, _ *replay.Scratch) outcome {
			day := int(w.Replicas)
			return outcome{paid: c.cost + c.swing*float64(1-2*(day%2)), met: !slices.Contains(c.missed, day)}
		}
		x := s.trial(0)
		x.days = steadyDays(s, 0, c.had)
		if err := s.descends(x, made(3, 0, 200, 0, steady(200, 100)...)); err != nil || len(x.days) != c.want {
			t.Errorf("%s: %d days, %v, want %d", c.sentence, len(x.days), err, c.want)
		}
	}
}

// Sizes from 4 on hold, and cost ten for each replica. The fluid plant gives all the same room,
// so that the largest saving comes first.
func TestTheStepsOfADescent(t *testing.T) {
	for _, c := range []struct {
		sentence string
		from     []int32 // mins, the last of which has held; none: nothing has
		quick    bool    // only what scales down quickly has room; it costs 5 less
		budget   int
		want     string
	}{
		{"until nothing cheaper is left", []int32{6}, false, 99, "6×40 2×3 3×3 4×30"},
		{"what was known already may be tried", []int32{4, 6}, false, 99, "6×40 2×3 3×3 4×30"},
		{"then from the new best, with its behavior", []int32{6}, true, 99, "6×40 5q×30 2q×3 3q×3 4q×30"},
		{"no days", []int32{6}, false, 0, "6×40"},
		{"as many days as the first one takes", []int32{6}, false, 3, "6×40 2×3"},
		{"one more, which the second may exceed", []int32{6}, false, 4, "6×40 2×3 3×3"},
		{"what is cheapest is not looked below", []int32{2}, false, 99, "2×40"},
		{"nothing has held", nil, false, 99, ""},
	} {
		isQuick := func(k *hpa.Config) bool { return k.Behavior && k.ScaleDown.Window == time.Minute }
		m := needing(0, 0)
		m.holds = func(k *hpa.Config, _ int) bool { return k.MinReplicas >= 4 }
		m.margin = func(k *hpa.Config) float64 {
			if isQuick(k) != c.quick {
				return -1
			}
			return 0
		}
		m.cost = func(k *hpa.Config) float64 {
			if isQuick(k) {
				return 10*float64(k.MinReplicas) - 5
			}
			return 10 * float64(k.MinReplicas)
		}
		s := m.search(t, memoryHPA(9), Space{Need: 6})
		for _, lo := range c.from {
			s.over(t, memoryHPA(lo))
		}
		if n := len(c.from); n > 0 {
			s.fluids[n-1].margin = 0
			s.trial(n - 1).days = made(2, 0, 40, 0, steady(40, 10*float64(c.from[n-1]))...).days
		}
		s.used, s.budget = 100, c.budget
		if err := s.descend(); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, x := range s.trials {
			q := ""
			if isQuick(&x.config) {
				q = "q"
			}
			got = append(got, fmt.Sprintf("%d%s×%d", x.config.MinReplicas, q, len(x.days)))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %s, want %s", c.sentence, strings.Join(got, " "), c.want)
		}
		for i := range s.fluids {
			for j := range i {
				if s.fluids[i].config.Equal(&s.fluids[j].config) {
					t.Errorf("%s: passed twice: %s", c.sentence, Describe(s.fluids[i].config))
				}
			}
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
