package tuner

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// Other behaviors are tried for the configurations that cost no more than the edge and come
// closest to holding, at most twelve of them.
func TestTurn(t *testing.T) {
	margins := map[int32]float64{2: -0.10, 3: -0.09, 4: -0.05, 5: 0, 6: 0.10, 7: 0.2}
	m := needing(0, 0)
	m.margin = func(c *hpa.Config) float64 { return margins[c.MinReplicas] }
	s := m.search(t, cpuHPA(2, 90, 60), Space{Start: 20 * time.Second}).over(t, ofMins(2, 3, 4, 5, 6, 7)...)
	for i, hours := range []float64{97, 98, 99, 100, 102, 102.1} { // up to 2 % more is equally cheap
		s.fluids[i].paid = hours
	}
	if err := s.turn(3); err != nil {
		t.Fatal(err)
	}
	var mins []int32
	for _, f := range s.fluids[6:] {
		mins = append(mins, f.config.MinReplicas)
	}
	each := len(s.b.space.Variants(cpuHPA(2, 90, 60)))
	if want := []int32{6, 5, 4, 3}; !slices.Equal(slices.Compact(mins), want) || len(s.fluids) != 6+4*each {
		t.Errorf("turned %v, want %v with %d variants each", slices.Compact(mins), want, each)
	}

	many := needing(0, 0)
	many.cost = func(c *hpa.Config) float64 { return 100 - float64(c.MinReplicas)/1000 }
	many.margin = func(c *hpa.Config) float64 { return float64(c.MinReplicas) / 1000 }
	var all []int32
	for i := range int32(15) {
		all = append(all, i+2)
	}
	s = many.search(t, cpuHPA(2, 90, 60), Space{}).over(t, ofMins(all...)...)
	if err := s.turn(0); err != nil {
		t.Fatal(err)
	}
	each = len(s.b.space.Variants(cpuHPA(2, 90, 60)))
	if got := s.fluids[15].config.MinReplicas; len(s.fluids) != 15+12*each || got != 16 {
		t.Errorf("%d turned, the first is min %d, want 12 and the one with the most room", (len(s.fluids)-15)/each, got)
	}
}

// The race is between configurations that may hold and cost no more than the edge plus noise:
// half of them are the cheapest, half those that change least.
func TestContend(t *testing.T) {
	for _, c := range []struct {
		sentence string
		current  int32
		hours    []float64 // of min 2, 3, …
		margins  []float64
		fate     map[int]fate // results of exact replays so far, by index
		budget   int
		want     []int32
	}{
		{"the cheapest, then the nearest", 9, []float64{90, 90.1, 90.2, 90.3, 90.4, 90.5, 90.6}, make([]float64, 7), nil, 149, []int32{2, 3, 8, 7}},
		{"an odd number has one cheap one more", 9, []float64{90, 90.1, 90.2, 90.3, 90.4, 90.5, 90.6}, make([]float64, 7), nil, 150, []int32{2, 3, 4, 8, 7}},
		{"four at least", 9, []float64{90, 90.1, 90.2, 90.3, 90.4, 90.5, 90.6}, make([]float64, 7), nil, 1, []int32{2, 3, 8, 7}},
		{"those within 4 % of the edge's cost", 9, []float64{100, 104, 104.1}, make([]float64, 3), nil, 900, []int32{2, 3}},
		{"those within 3 points of its margin", 9, []float64{100, 101, 102}, []float64{0, -0.03, -0.031}, nil, 900, []int32{2, 3}},
		{"one that held moves the line", 9, []float64{100, 101, 102}, []float64{0, -0.05, -0.07}, map[int]fate{1: holds}, 900, []int32{2, 3, 4}},
		{"one that missed is out, and moves nothing", 9, []float64{100, 101, 102}, []float64{0, -0.02, -0.04}, map[int]fate{1: misses}, 900, []int32{2}},
		{"one that has more room than the edge moves nothing", 9, []float64{100, 101, 102}, []float64{0, 0.5, -0.031}, map[int]fate{1: holds}, 900, []int32{2, 3}},
	} {
		s := needing(0, 0).search(t, cpuHPA(c.current, 90, 60), Space{})
		var all []int32
		for i := range c.hours {
			all = append(all, int32(i)+2)
		}
		s.over(t, ofMins(all...)...)
		for i := range s.fluids {
			s.fluids[i].paid, s.fluids[i].margin = c.hours[i], c.margins[i]
		}
		s.budget = c.budget
		edge := 0
		s.trial(edge)
		for i, f := range c.fate {
			days := map[fate]int{holds: 40, misses: 0}[f]
			s.trial(i).days = made(2, 9, days, 0, steady(40, c.hours[i])...).days
		}
		s.current.MinReplicas = c.current
		var got []int32
		for _, k := range s.contend(edge) {
			got = append(got, k.config.MinReplicas)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: min %v, want %v", c.sentence, got, c.want)
		}
	}
}

func TestNoMoreThanSoManyContend(t *testing.T) {
	s := needing(0, 0).search(t, cpuHPA(40, 90, 60), Space{})
	for i := range int32(30) {
		s.over(t, ofMins(i+2)...)
		s.fluids[i].paid, s.fluids[i].margin = 100+float64(i)/100, 0
	}
	s.budget = 9000
	s.trial(0)
	got := s.contend(0)
	if len(got) != 24 || got[11].config.MinReplicas != 13 || got[12].config.MinReplicas != 31 ||
		got[23].config.MinReplicas != 20 {
		t.Errorf("contenders %s, want the twelve cheapest and the twelve nearest of 30", named(got))
	}
}

// The edge and the present configuration always race, unless the present one is known to miss
// or the user does not allow it.
func TestContendersInAnyCase(t *testing.T) {
	for _, c := range []struct {
		sentence string
		space    Space
		met      int // of the present configuration's 40 days
		want     []int32
	}{
		{"it may hold", Space{}, 40, []int32{3, 4, 2}},
		{"it missed", Space{}, 0, []int32{3, 4}},
		{"it is above the limit", Space{MaxLimit: 80}, 40, []int32{3, 4}},
	} {
		s := needing(
			0,
			0,
		).search(t, cpuHPA(2, 90, 60), c.space).
			over(t, cpuHPA(2, 90, 60), cpuHPA(3, 80, 60), cpuHPA(4, 80, 60))
		for i, hours := range []float64{300, 100, 101} {
			s.fluids[i].paid = hours
		}
		s.trial(0).days = made(2, 9, c.met, 0, steady(40, 300)...).days
		var got []int32
		for _, k := range s.contend(1) {
			got = append(got, k.config.MinReplicas)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: min %v, want %v", c.sentence, got, c.want)
		}
	}
	// The edge has so little margin that others are cheaper and equally good: it races, too.
	s := needing(0, 0).search(t, cpuHPA(9, 90, 60), Space{}).over(t, ofMins(2, 3, 4, 5, 6, 7)...)
	for i := range s.fluids {
		s.fluids[i].paid, s.fluids[i].margin = 100+float64(i)/10, 0
	}
	s.budget = 120
	s.trial(0)
	var got []int32
	for _, k := range s.contend(3) {
		got = append(got, k.config.MinReplicas)
	}
	if want := []int32{2, 3, 7, 6, 5}; !slices.Equal(got, want) {
		t.Errorf("contenders %v, want %v: the edge is the last", got, want)
	}
}

func TestRace(t *testing.T) {
	for _, c := range []struct {
		sentence string
		holds    func(c *hpa.Config, day int) bool
		cost     func(*hpa.Config) float64
		budget   int
		want     string
	}{
		{"who holds and who misses is done", func(c *hpa.Config, _ int) bool { return c.MinReplicas > 2 }, power, 900, "2@60×3 3@60×30 4@60×30 "},
		{"who costs clearly more than one that holds is out",
			func(c *hpa.Config, day int) bool { return c.MinReplicas == 3 || day != 4 },
			func(c *hpa.Config) float64 { return map[int32]float64{2: 102.01, 3: 100, 4: 102}[c.MinReplicas] }, 900, "2@60×30 3@60×30 4@60×50 "},
		{"beyond the budget one by one, the cheapest first, until one holds",
			func(c *hpa.Config, day int) bool { return c.MinReplicas > 2 || day > 0 }, power, 10, "2@60×50 3@60×6 4@60×6 "},
		{"beyond the budget, the cheapest misses", func(c *hpa.Config, day int) bool { return c.MinReplicas > 2 || day < 5 }, power, 10, "2@60×12 3@60×30 4@60×6 "},
		{"the budget itself may be used", func(*hpa.Config, int) bool { return true }, power, 18, "2@60×30 3@60×12 4@60×12 "},
	} {
		m := needing(0, 0)
		m.holds, m.cost = c.holds, c.cost
		s := m.search(t, cpuHPA(2, 10, 60), Space{}).over(t, ofMins(2, 3, 4)...)
		s.budget = c.budget
		in := []*trial{s.trial(0), s.trial(1), s.trial(2)}
		slices.Reverse(in)
		if err := s.race(in); err != nil {
			t.Fatal(err)
		}
		if got := named(s.trials); got != c.want {
			t.Errorf("%s: %s, want %s", c.sentence, got, c.want)
		}
	}
}

// A configuration that costs 5 % more than one that holds drops out once the difference is not
// noise.
func TestWhoIsClearlyDearerIsOut(t *testing.T) {
	for _, c := range []struct {
		sentence string
		swing    float64 // around 105, while the other one costs 100
		days     int
	}{
		{"±8: the mean's error over 30 days is 1.5 %, so 2.5 % more is sure", 8.08, 30},
		{"±11: it is 2 %, and less than 2 % more is sure", 10.77, 50},
	} {
		s := needing(0, 0).search(t, cpuHPA(2, 10, 60), Space{}).over(t, ofMins(2, 3)...)
		s.exact = func(w *replay.World, k hpa.Config, _ *replay.Scratch) outcome {
			if k.MinReplicas == 3 {
				return outcome{paid: 100, met: true}
			}
			return outcome{paid: 105 + c.swing*float64(1-2*(w.Replicas%2)), met: w.Replicas != 4}
		}
		if err := s.race([]*trial{s.trial(0), s.trial(1)}); err != nil || len(s.trials[0].days) != c.days {
			t.Errorf("%s: %d days, %v, want %d", c.sentence, len(s.trials[0].days), err, c.days)
		}
	}
}

// Changes that gain nothing are reverted, one knob at a time or the behavior as a whole. The
// size of maxReplicas is not a change of the search.
func TestSimplify(t *testing.T) {
	current := cpuHPA(2, 10, 60)
	pick := cpuHPA(4, 12, 50)
	pick.EnsureBehavior()
	pick.ScaleDown.Window, pick.ScaleDown.WindowSet = time.Minute, true
	for _, c := range []struct {
		sentence string
		holds    func(*hpa.Config) bool
		space    Space
		min      int32
		target   int32
		behavior bool
	}{
		{"only min matters", func(c *hpa.Config) bool { return c.MinReplicas > 3 }, Space{}, 4, 60, false},
		{"only the target matters", func(c *hpa.Config) bool { return c.Metrics[0].Target.Utilization == 50 }, Space{}, 2, 50, false},
		{"the behavior matters", func(c *hpa.Config) bool { return c.Behavior && c.ScaleDown.Window == time.Minute }, Space{}, 2, 60, true},
		{"all matter", func(c *hpa.Config) bool { return c.Equal(&pick) }, Space{}, 4, 50, true},
		{"the floor keeps min", func(*hpa.Config) bool { return true }, Space{MinFloor: 4}, 4, 60, false},
	} {
		m := needing(0, 0)
		m.cost = func(*hpa.Config) float64 { return 5 }
		m.holds = func(k *hpa.Config, _ int) bool { return c.holds(k) }
		s := m.search(t, current, c.space).over(t, pick)
		if err := s.race([]*trial{s.trial(0)}); err != nil {
			t.Fatal(err)
		}
		if err := s.simplify(); err != nil {
			t.Fatal(err)
		}
		got := choose(s.trials, c.space).best.config
		if got.MinReplicas != c.min || got.Metrics[0].Target.Utilization != c.target || got.Behavior != c.behavior ||
			got.MaxReplicas != 12 {
			t.Errorf("%s: %s", c.sentence, Describe(got))
		}
	}
	// A configuration that has as many days as the pick, and may or may not hold, gets no more
	// days.
	m := needing(0, 0)
	m.cost = func(*hpa.Config) float64 { return 5 }
	m.holds = func(c *hpa.Config, day int) bool { return c.MinReplicas == 4 || day != 5 }
	s := m.search(t, current, Space{}).over(t, cpuHPA(4, 10, 60), current)
	for i := range s.fluids {
		s.trial(i).days = steadyDays(s, i, 30)
	}
	if err := s.simplify(); err != nil || len(s.trials[1].days) != 30 || choose(s.trials, Space{}).best != s.trials[0] {
		t.Errorf("open after as many days as the pick: %v, days %s, want no more of them", err, named(s.trials))
	}
	s = needing(99, 0).search(t, current, Space{}).over(t, pick)
	s.trial(0)
	if err := s.simplify(); err != nil || len(s.trials) != 1 {
		t.Errorf("nothing holds, and %d were tried: %v", len(s.trials), err)
	}
}

func TestLevel(t *testing.T) {
	for _, c := range []struct {
		sentence string
		budget   int
		want     int
	}{
		{"as many days as asked for", 0, 20},
		{"what is left of the budget is shared by the two that are shown", 200, 100},
		{"but not more than anybody gets", 9000, enough},
	} {
		s := needing(35, 0).search(t, cpuHPA(2, 10, 60), Space{}).over(t, ofMins(2, 3, 4, 5)...)
		for i := range s.fluids {
			s.trial(i).days = steadyDays(s, i, 30)
		}
		s.trials[0].days = s.trials[0].days[:3]
		s.budget = c.budget
		if err := s.level(); err != nil {
			t.Fatal(err)
		}
		// The present one; the cheapest that holds (min 4), which is also the nearest; and the
		// safest, also min 4, since it is cheaper than min 5 and holds as often.
		if got := fmt.Sprint(
			len(s.trials[0].days),
			len(s.trials[1].days),
			len(s.trials[2].days),
			len(s.trials[3].days),
		); got != fmt.Sprint(
			c.want,
			30,
			max(c.want, 30),
			30,
		) {
			t.Errorf("%s: days %s, want %d of the first and third", c.sentence, got, c.want)
		}
	}
}

// Each configuration that is shown counts once, even if it is chosen for several reasons.
func TestLevelCountsEachOnce(t *testing.T) {
	m := needing(0, 0)
	m.cost = func(c *hpa.Config) float64 { return 100 + float64(c.MinReplicas)/10 }
	m.holds = func(c *hpa.Config, _ int) bool { return c.MinReplicas > 2 }
	s := m.search(t, cpuHPA(2, 90, 60), Space{}).over(t, ofMins(2, 9, 8, 3, 7, 4, 6, 5)...)
	for i := range s.fluids {
		s.trial(i).days = steadyDays(s, i, 30)
	}
	s.used, s.budget = 60, 60+6*70
	if err := s.level(); err != nil {
		t.Fatal(err)
	}
	// The present one, the pick (min 3), and the four others that change least.
	if got, want := named(s.trials), "2@60×70 9@60×30 8@60×30 3@60×70 7@60×70 4@60×70 6@60×70 5@60×70 "; got != want {
		t.Errorf("days %s, want %s", got, want)
	}
	alone := needing(99, 0).search(t, cpuHPA(2, 90, 60), Space{}).over(t, ofMins(2)...)
	alone.trial(0).days = steadyDays(alone, 0, 3)
	alone.budget = 100
	if err := alone.level(); err != nil || len(alone.trials[0].days) != 100 {
		t.Errorf("one alone has %d days, %v, want all that are left", len(alone.trials[0].days), err)
	}
}

// steadyDays returns the first n days of a fluid candidate in the exact plant.
func steadyDays(s *search, i, n int) []outcome {
	var out []outcome
	for d := range n {
		out = append(out, s.exact(s.b.day(d), s.fluids[i].config, nil))
	}
	return out
}
