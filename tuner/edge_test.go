package tuner

import (
	"slices"
	"testing"

	"github.com/hpatune/hpatune/tuner/hpa"
)

func TestBeyond(t *testing.T) {
	for _, c := range []struct {
		sentence string
		need     float64
		space    Space
		tried    string
		between  []int32
		found    bool
	}{
		{"the safest of the grid holds", 60, Space{Need: 4}, "6@30×30 ", nil, true},
		{"its double, with fixed sizes in between", 100, Space{Need: 4}, "6@30×3 12@30×30 ", []int32{7, 8, 9, 10, 11}, true},
		{"steps of an eighth", 500, Space{Need: 34}, "51@30×30 ", nil, true},
		{"steps of an eighth of what lies between", 1000, Space{Need: 34}, "51@30×3 102@30×30 ",
			[]int32{57, 63, 69, 75, 81, 87, 93, 99}, true},
		{"none", 900, Space{Need: 4}, "6@30×3 12@30×3 24@30×3 ", nil, false},
		{"the limit is tried once", 900, Space{Need: 4, MaxLimit: 6}, "6@30×3 ", nil, false},
		{"the limit cuts the double", 100, Space{Need: 4, MaxLimit: 11}, "6@30×3 11@30×30 ", []int32{7, 8, 9, 10}, true},
		{"a floor above the limit leaves none", 1, Space{MinFloor: 9, MaxLimit: 5}, "", nil, false},
	} {
		s := needing(c.need, 0).search(t, cpuHPA(2, 10, 60), c.space)
		at, found, err := s.beyond()
		if err != nil {
			t.Fatal(err)
		}
		if got := named(s.trials); got != c.tried || found != c.found {
			t.Errorf("%s: tried %s, found %v, want %s, %v", c.sentence, got, found, c.tried, c.found)
		}
		var between []int32
		for _, f := range s.fluids[min(len(s.trials), len(s.fluids)):] {
			between = append(between, f.config.MinReplicas)
		}
		if !slices.Equal(between, c.between) ||
			found && s.fluids[at].config.MinReplicas != s.trials[len(s.trials)-1].config.MinReplicas {
			t.Errorf("%s: sizes %v in between, want %v; at %d", c.sentence, between, c.between, at)
		}
	}
	// One missed day among the first twenty is allowed in thirty.
	one := needing(0, 0)
	one.holds = func(_ *hpa.Config, day int) bool { return day != 5 }
	if s := one.search(t, cpuHPA(2, 10, 60), Space{Need: 4}); true {
		if at, ok, err := s.beyond(); err != nil || !ok || at != 0 || named(s.trials) != "6@30×50 " {
			t.Errorf("one day in fifty missed: %d, %v, tried %s, want the first size after 50 days", at, err, named(s.trials))
		}
	}
	// A configuration that seems to hold at a glance must also hold over more days.
	lucky := needing(0, 0)
	lucky.holds = func(c *hpa.Config, day int) bool { return c.MinReplicas > 6 || day != 5 && day < 40 }
	s := lucky.search(t, cpuHPA(2, 10, 60), Space{Need: 4})
	if at, ok, err := s.beyond(); err != nil || !ok || s.fluids[at].config.MinReplicas != 12 {
		t.Errorf("29 of 30 days and then none: %d, %v, tried %s, want the next size", at, err, named(s.trials))
	}
}

func TestEdge(t *testing.T) {
	for _, c := range []struct {
		sentence string
		n        int
		begin    int // the first one that holds by the fluid plant; n = none does
		truth    int // the first one that really holds
		probed   []int32
	}{
		{"the fluid plant is right", 9, 4, 4, []int32{4, 3}},
		{"it hopes for one too many", 9, 3, 4, []int32{3, 4}},
		{"it fears one too many", 9, 5, 4, []int32{5, 4, 2, 3}},
		{"it hopes for all, and only the last holds", 9, 0, 8, []int32{0, 1, 3, 7, 8}},
		{"halves once the edge is between", 9, 0, 6, []int32{0, 1, 3, 7, 5, 6}},
		{"it fears for all, and all hold", 9, 8, 0, []int32{8, 7, 5, 1, 0}},
		{"it fears for all but the last, and one of the first holds", 9, 8, 2, []int32{8, 7, 5, 1, 3, 2}},
		{"by the fluid plant none holds, the last does", 9, 9, 8, []int32{8, 7}},
		{"none holds", 9, 9, 9, []int32{8}},
		{"none does, and the plant hopes", 5, 2, 5, []int32{2, 3, 4}},
		{"one, which holds", 1, 0, 0, []int32{0}},
		{"none to look at", 0, 0, 0, nil},
	} {
		m := imagined{
			cost:   func(c *hpa.Config) float64 { return float64(c.MinReplicas) },
			holds:  func(k *hpa.Config, day int) bool { return int(k.MinReplicas) >= c.truth && day != 5 },
			margin: func(k *hpa.Config) float64 { return float64(int(k.MinReplicas) - c.begin) },
		}
		var all []hpa.Config
		for i := range c.n {
			all = append(all, cpuHPA(int32(i), 90, 60))
		}
		s := m.search(t, cpuHPA(2, 10, 60), Space{}).over(t, all...)
		edge, ok, err := s.edge(frontier(s.fluids, slices.Collect(indices(c.n))))
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			edge = c.n
		}
		var probed []int32
		for _, k := range s.trials {
			probed = append(probed, k.config.MinReplicas)
		}
		if edge != c.truth || !slices.Equal(probed, c.probed) {
			t.Errorf("%s: edge %d, probed %v, want %d, %v", c.sentence, edge, probed, c.truth, c.probed)
		}
	}
}

// indices yields 0 … n−1.
func indices(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func TestProbe(t *testing.T) {
	for _, c := range []struct {
		sentence string
		missed   []int // days
		most     int
		want     bool
		days     int
	}{
		{"every day met", nil, 30, true, 30},
		{"every day met, fewer days", nil, 20, true, 20},
		{"every one of six, which is all that they can show", nil, 11, true, 6},
		{"a day more, and there are twelve", nil, 12, true, 12},
		{"one of six missed", []int{4}, 6, false, 6},
		{"one of the first three missed: of six, the others do not matter", []int{1}, 6, false, 3},
		{"the first three missed", []int{0, 1, 2}, 30, false, 3},
		{"one of thirty missed", []int{17}, 30, true, 30},
		{"two of thirty", []int{2, 29}, 30, false, 30},
		{"two of the first twenty: of thirty, the others do not matter", []int{17, 18}, 30, false, 20},
		{"longer than a glance", []int{17}, 80, true, 50},
		{"two misses take more days to be sure", []int{17, 18}, 200, true, 80},
		{"and four still more", []int{17, 18, 19, 40}, 200, true, 120},
	} {
		m := needing(0, 0)
		m.holds = func(_ *hpa.Config, day int) bool { return !slices.Contains(c.missed, day) }
		s := m.search(t, cpuHPA(2, 10, 60), Space{})
		k := &trial{config: s.current}
		if got, err := s.probe(k, c.most); err != nil || got != c.want || len(k.days) != c.days {
			t.Errorf("%s: probe = %v after %d days (%v), want %v after %d", c.sentence, got, len(k.days), err, c.want, c.days)
		}
	}
}

func TestSeems(t *testing.T) {
	for _, c := range []struct {
		k, n int
		want bool
	}{{0, 0, false}, {0, 1, false}, {1, 1, true}, {12, 13, false}, {13, 13, true}, {17, 20, false}, {49, 50, true}} {
		if got := seems(c.k, c.n); got != c.want {
			t.Errorf("%d of %d days: %v, want %v", c.k, c.n, got, c.want)
		}
	}
}
