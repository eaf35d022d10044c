package tuner

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// imagined is a search whose plants are formulas of a configuration: its cost, the days on
// which it holds, and what the fluid plant predicts.
type imagined struct {
	cost   func(*hpa.Config) float64
	holds  func(c *hpa.Config, day int) bool
	margin func(*hpa.Config) float64
}

// power is what a configuration serves: ten for each replica of min, plus one for every 10 %
// by which its target is lower. All configurations of the grid differ in it.
func power(c *hpa.Config) float64 {
	return 10*float64(c.MinReplicas) + float64(100-c.Metrics[0].Target.Utilization)/10
}

// needing is an imagined search in which a configuration holds on every day if its power is at
// least need. It costs its power, and the fluid plant underestimates the need by bias.
func needing(need, bias float64) imagined {
	return imagined{
		cost:   power,
		holds:  func(c *hpa.Config, _ int) bool { return power(c) >= need },
		margin: func(c *hpa.Config) float64 { return (power(c) - need + bias) / 100 },
	}
}

// search starts a search. A day's number is its world's Replicas.
func (m imagined) search(t *testing.T, current hpa.Config, space Space) *search {
	t.Helper()
	b := &bench{space: space, world: &replay.World{},
		day: func(i int) *replay.World { return &replay.World{Replicas: int32(i)} }}
	s := newSearch(t.Context(), b, Options{Current: current, Replicates: 20, Progress: func(string, int, int) {}})
	s.fluid = func(_ *replay.World, c hpa.Config, _ *replay.Scratch) fluid {
		return fluid{config: c, paid: m.cost(&c), attainment: 0.99, margin: m.margin(&c), capacity: math.NaN()}
	}
	s.exact = func(w *replay.World, c hpa.Config, _ *replay.Scratch) outcome {
		return outcome{paid: m.cost(&c), attainment: 0.99, met: m.holds(&c, int(w.Replicas))}
	}
	return s
}

// over gives the search these configurations as its fluid candidates.
func (s *search) over(t *testing.T, configs ...hpa.Config) *search {
	t.Helper()
	if err := s.pass(configs); err != nil {
		t.Fatal(err)
	}
	return s
}

// ofMins returns configurations that differ in min.
func ofMins(mins ...int32) []hpa.Config {
	var out []hpa.Config
	for _, m := range mins {
		out = append(out, cpuHPA(m, 90, 60))
	}
	return out
}

// named lists trials by min and target, with their number of days.
func named(trials []*trial) string {
	out := ""
	for _, t := range trials {
		out += fmt.Sprintf("%d@%d×%d ", t.config.MinReplicas, t.config.Metrics[0].Target.Utilization, len(t.days))
	}
	return out
}

// However wrong the fluid plant is, the search finds the cheapest configuration that holds. No
// test of tuner may pass with a search that takes the dearest.
func TestTheSearchFindsTheCheapestThatHolds(t *testing.T) {
	space := Space{Need: 4, MinFloor: 2}
	for _, need := range []float64{22, 31, 35, 43, 52, 67} {
		for _, bias := range []float64{-25, -3, 0, 2, 25} {
			s := needing(need, bias).search(t, cpuHPA(3, 12, 50), space)
			if err := s.run(); err != nil {
				t.Fatal(err)
			}
			want := math.Inf(1)
			for _, c := range space.Candidates(s.current) {
				if p := power(&c); p >= need {
					want = min(want, p)
				}
			}
			if !s.trials[0].config.Equal(&s.current) || !s.fluids[0].config.Equal(&s.current) {
				t.Errorf(
					"need %v, bias %v: the first trial is %s, want the present configuration",
					need,
					bias,
					Describe(s.trials[0].config),
				)
			}
			got := choose(s.trials, space)
			if got.best == nil || got.best.cost() > want*(1+unparted) || got.cheapest.cost() != want {
				t.Errorf("need %v, bias %v: picks %+v, cheapest %+v, want one of %v",
					need, bias, got.best, got.cheapest, want)
				continue
			}
			for _, shown := range append([]*trial{s.trials[0], got.best, got.cheapest, got.safest, got.minimal}, got.equals...) {
				if len(shown.days) < 20 {
					t.Errorf("need %v, bias %v: one that is shown has %d days, want 20", need, bias, len(shown.days))
				}
			}
			if s.used > s.budget {
				t.Errorf("need %v, bias %v: %d of %d candidate-days", need, bias, s.used, s.budget)
			}
		}
	}
}

// If nothing on the grid holds, the search tries larger fixed sizes before it says so.
func TestNothingIsCalledInfeasibleBeforeTheSafestWasTried(t *testing.T) {
	for _, c := range []struct {
		sentence string
		need     float64
		space    Space
		best     int32 // min; 0 = none
		largest  int32 // largest min that was tried
	}{
		{"twice the grid's highest min holds", 100, Space{Need: 4}, 12, 12},
		{"four times", 200, Space{Need: 4}, 24, 24},
		{"eight times is not tried", 300, Space{Need: 4}, 0, 24},
		{"up to the user's limit", 100, Space{Need: 4, MaxLimit: 10}, 10, 10},
		{"not beyond it", 120, Space{Need: 4, MaxLimit: 10}, 0, 10},
	} {
		s := needing(c.need, 0).search(t, cpuHPA(2, 10, 60), c.space)
		if err := s.run(); err != nil {
			t.Fatal(err)
		}
		got, largest := choose(s.trials, c.space), int32(0)
		for _, tr := range s.trials {
			largest = max(largest, tr.config.MinReplicas)
		}
		var best int32
		if got.best != nil {
			best = got.best.config.MinReplicas
		}
		if largest != c.largest || (best == 0) != (c.best == 0) || best > c.best {
			t.Errorf("%s: best min %d, largest tried %d, want %d and %d", c.sentence, best, largest, c.best, c.largest)
		}
		if best > 0 && got.best.cost() < c.need {
			t.Errorf("%s: picks what does not hold: %v", c.sentence, got.best.cost())
		}
	}
}

// What held for a few days may not hold for many. The search then races the next one along the
// frontier, and finally what lies beyond the grid.
func TestWhatOnlySeemedToHoldIsNotTheEnd(t *testing.T) {
	for _, need := range []float64{43, 66, 100} {
		m := needing(need, 0)
		m.holds = func(c *hpa.Config, day int) bool { return power(c) >= need || day < 30 && day != 7 }
		m.margin = func(c *hpa.Config) float64 { return (power(c) - 22) / 100 }
		s := m.search(t, cpuHPA(3, 12, 50), Space{Need: 4})
		if err := s.run(); err != nil {
			t.Fatal(err)
		}
		most := need * (1 + unparted)
		if need == 100 { // beyond the grid: the next size
			most = 127
		}
		got := choose(s.trials, Space{}).best
		if got == nil || power(&got.config) < need || power(&got.config) > most {
			t.Errorf("need %v: picks %+v", need, got)
		} else if len(got.days) != enough {
			t.Errorf("need %v: the pick has %d days, want as many as the others that are shown", need, len(got.days))
		}
	}
	// If nothing holds over many days, the search ends, and no configuration gets more days.
	m := needing(999, 0)
	m.holds = func(_ *hpa.Config, day int) bool { return day < 30 && day != 7 }
	m.margin = func(c *hpa.Config) float64 { return (power(c) - 60) / 100 }
	s := m.search(t, cpuHPA(3, 12, 50), Space{Need: 4})
	if err := s.run(); err != nil || choose(s.trials, Space{}).best != nil || len(s.trials[0].days) >= enough {
		t.Errorf("nothing holds: %v, the present configuration has %d days, which nobody will see", err, len(s.trials[0].days))
	}
}

// A pick that was lucky for thirty days fails when it gets as many days as the others that are
// shown. The search then goes on, and does not say that nothing holds.
func TestALuckyPickIsNotTheEnd(t *testing.T) {
	for _, need := range []float64{43, 66} {
		m := needing(need, 3) // the fluid plant also accepts those just below
		m.holds = func(c *hpa.Config, day int) bool { return power(c) >= need || power(c) >= need-3 && day < 30 }
		s := m.search(t, cpuHPA(3, 12, 50), Space{Need: 4})
		if err := s.run(); err != nil {
			t.Fatal(err)
		}
		got := choose(s.trials, Space{}).best
		if got == nil {
			t.Fatalf("need %v: %s, and no pick", need, named(s.trials))
		}
		if p := power(&got.config); p < need || p > need*(1+2*unparted) {
			t.Errorf("need %v: picks one that serves %v", need, p)
		}
	}
}

// Beyond the grid only larger sizes help: the safest configuration's other changes are
// reverted, and all that are shown have the same days.
func TestALargerSizeChangesNothingElse(t *testing.T) {
	m := needing(0, 0)
	m.cost = func(c *hpa.Config) float64 { return 10 * float64(c.MinReplicas) }
	m.holds = func(c *hpa.Config, _ int) bool { return c.MinReplicas >= 12 }
	s := m.search(t, cpuHPA(2, 20, 60), Space{Need: 4})
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
	got := choose(s.trials, Space{}).best
	if got == nil || got.config.MinReplicas != 12 || got.config.Metrics[0].Target.Utilization != 60 || got.config.Behavior {
		t.Fatalf("picks %+v, want min 12 and all else as it is", got)
	}
	if len(got.days) != enough || len(s.trials[0].days) != enough {
		t.Errorf("%d and %d days, want %d each", len(s.trials[0].days), len(got.days), enough)
	}
}

// If the present configuration is the cheapest that holds, the search does not look beyond the
// grid.
func TestThePresentConfigurationMayBeTheEdge(t *testing.T) {
	s := needing(21, 0).search(t, cpuHPA(2, 10, 90), Space{Need: 4})
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
	if got := choose(s.trials, Space{}).best; got != s.trials[0] {
		t.Errorf("picks %s", Describe(got.config))
	}
	for _, k := range s.trials {
		if power(&k.config) > 24 {
			t.Errorf("tried %s, which costs far more than one that holds", Describe(k.config))
		}
	}
}

// A search says so if it is stopped, at whatever time.
func TestAStoppedSearchSaysSo(t *testing.T) {
	seeming := needing(100, 0) // seems to hold but does not; then something beyond the grid does
	seeming.holds = func(c *hpa.Config, day int) bool { return power(c) >= 100 || power(c) > 60 && day < 30 }
	for _, c := range []struct {
		sentence string
		m        imagined
	}{{"the grid has one that holds", needing(35, 3)}, {"only a larger size holds", needing(100, 0)}, {"one seems to", seeming}} {
		calls, stopAt := 0, math.MaxInt
		run := func() error {
			s := c.m.search(t, cpuHPA(2, 10, 60), Space{Need: 4})
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			s.ctx, calls = ctx, 0
			var mu sync.Mutex
			count := func() {
				mu.Lock()
				defer mu.Unlock()
				if calls++; calls == stopAt {
					stop()
				}
			}
			fluidly, exactly := s.fluid, s.exact
			s.fluid = func(w *replay.World, c hpa.Config, r *replay.Scratch) fluid { count(); return fluidly(w, c, r) }
			s.exact = func(w *replay.World, c hpa.Config, r *replay.Scratch) outcome { count(); return exactly(w, c, r) }
			return s.run()
		}
		if err := run(); err != nil {
			t.Fatal(err)
		}
		for all, at := calls, 1; at <= all; at += 1 + all/150 {
			if stopAt = at; run() == nil {
				t.Errorf("%s: stopped at call %d of %d, and no error", c.sentence, at, all)
			}
		}
	}
}

func TestBatchesEndWithEnough(t *testing.T) {
	for i, n := range batches {
		if i > 0 && (n <= batches[i-1] || n > 2*batches[i-1]) {
			t.Errorf("a fate is looked at after %d days, then after %d: want more, and at most twice as many", batches[i-1], n)
		}
	}
	if last := batches[len(batches)-1]; last != enough || !slices.Contains(batches, glance) {
		t.Errorf("batches %v, want a glance (%d) among them, and %d at the end", batches, glance, enough)
	}
}

func TestPassTellsHowFarItIs(t *testing.T) {
	s := needing(0, 0).search(t, cpuHPA(2, 10, 60), Space{})
	var told [][2]int
	s.o.Progress = func(_ string, done, total int) { told = append(told, [2]int{done, total}) }
	s.over(t, ofMins(2, 3)...).over(t, ofMins(4, 5, 6)...)
	if want := [][2]int{{1, 2}, {2, 2}, {3, 5}, {4, 5}, {5, 5}}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	for i, f := range s.fluids {
		if f.config.MinReplicas != int32(i)+2 {
			t.Errorf("fluid %d is of min %d", i, f.config.MinReplicas)
		}
	}
}

func TestPlayGivesEveryTrialTheSameDays(t *testing.T) {
	drawn := map[int32]int{}
	m := needing(0, 0)
	s := m.search(t, cpuHPA(2, 10, 60), Space{})
	day := s.b.day
	var mu sync.Mutex
	s.b.day = func(i int) *replay.World {
		mu.Lock()
		defer mu.Unlock()
		drawn[int32(i)]++
		return day(i)
	}
	s.exact = func(w *replay.World, c hpa.Config, _ *replay.Scratch) outcome {
		return outcome{paid: float64(w.Replicas)}
	}
	var told [][2]int
	s.o.Progress = func(_ string, done, total int) { told = append(told, [2]int{done, total}) }
	s.budget = 8
	old := &trial{config: s.current, days: []outcome{{paid: 70}, {paid: 71}}}
	fresh := &trial{config: cpuHPA(3, 10, 60)}
	if err := s.play([]*trial{old, fresh}, 4); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(old.of(paid), fresh.of(paid)), "[70 71 2 3] [0 1 2 3]"; got != want {
		t.Errorf("days %s, want %s: those there are stay", got, want)
	}
	if s.used != 6 || len(drawn) != 4 || drawn[2] != 1 {
		t.Errorf("%d candidate-days of days drawn %v, want 6 of four, each drawn once", s.used, drawn)
	}
	if last := told[len(told)-1]; last != [2]int{6, 8} || told[0] != [2]int{1, 8} {
		t.Errorf("told %v, want 1 … 6 of 8", told)
	}
	long := &trial{config: cpuHPA(4, 10, 60), days: make([]outcome, 5)}
	if err := s.play([]*trial{long, {config: s.current}}, 4); err != nil || len(long.days) != 5 {
		t.Errorf("%d days of a trial that had 5: %v", len(long.days), err)
	}
	near := &trial{config: cpuHPA(5, 10, 60), days: make([]outcome, 3)}
	if err := s.play([]*trial{near}, 4); err != nil || len(near.days) != 4 || near.days[3].paid != 3 {
		t.Errorf("one day more: %+v, %v, want four of which the last is new", near.days, err)
	}
	s.used, told = 6, told[:4]
	if err := s.play([]*trial{old, fresh}, 3); err != nil || s.used != 6 || len(told) != 4 {
		t.Errorf("fewer days than there are cost %d, told %v", s.used, told)
	}
	if err := s.play([]*trial{fresh}, 8); err != nil || told[len(told)-1] != [2]int{10, 10} {
		t.Errorf("beyond the budget told %v, want 10 of 10", told[len(told)-1])
	}
}

func TestDaysFor(t *testing.T) {
	for requests, want := range map[float64]int{
		0: 4800, 1000: 4800, 18000: 277, 50000: 100, 55556: 90, 360000: 90,
	} {
		if got := daysFor(requests); got != want {
			t.Errorf("days of %v requests: %d, want %d", requests, got, want)
		}
	}
}

func TestReplicateIsNeverTheRecordedDay(t *testing.T) {
	if got := replicate(0, 0); got != 1 {
		t.Errorf("the first day's seed is %d, want 1: 0 is the world as it was recorded", got)
	}
	if replicate(1, 0) != 1<<16+1 || replicate(1, 7) != 1<<16+8 {
		t.Errorf("seeds %d and %d", replicate(1, 0), replicate(1, 7))
	}
}

// Of candidates that behave alike, the nearest one that the user allows is tried.
func TestAllowed(t *testing.T) {
	m := needing(0, 0)
	m.cost = func(c *hpa.Config) float64 { return float64(c.MinReplicas) }
	limited := cpuHPA(4, 30, 60)
	further := cpuHPA(4, 20, 60)
	further.Metrics[0].Target.Utilization = 50
	s := m.search(t, cpuHPA(4, 30, 60), Space{MaxLimit: 20}).
		over(t, limited, further, cpuHPA(4, 20, 60), cpuHPA(5, 20, 60), cpuHPA(6, 25, 60))
	if got := s.allowed(); !slices.Equal(got, []int{2, 3}) {
		t.Errorf("allowed %v, want 2 (as the first two, and nearer) and 3 (the last is above the limit)", got)
	}
	m.cost = func(*hpa.Config) float64 { return 1 }
	s = m.search(t, cpuHPA(4, 90, 60), Space{}).over(t, ofMins(8, 2)...)
	if got := s.allowed(); !slices.Equal(got, []int{0}) {
		t.Errorf("allowed %v, want 0: twice and half are as near, and the first stays", got)
	}
	s = m.search(t, cpuHPA(4, 30, 60), Space{}).over(t, cpuHPA(4, 30, 30), cpuHPA(4, 30, 50), cpuHPA(4, 30, 80))
	if got := s.allowed(); !slices.Equal(got, []int{1}) {
		t.Errorf("allowed %v, want 1: as many settings, and the smaller step", got)
	}
}

func TestAConfigurationHasOneTrial(t *testing.T) {
	s := needing(0, 0).search(t, cpuHPA(2, 90, 60), Space{}).over(t, ofMins(2, 4)...)
	s.fluids = append(s.fluids, s.fluids[1])
	a := s.trial(1)
	if s.trial(1) != a || s.trial(2) != a || len(s.trials) != 1 {
		t.Errorf("%d trials of one configuration", len(s.trials))
	}
	if a.distance != 1 || math.Abs(a.shift-math.Ln2) > 1e-12 {
		t.Errorf("distance %d, shift %v, want one setting, doubled", a.distance, a.shift)
	}
}
