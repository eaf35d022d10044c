package tuner

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// hunt starts a hunt at from, for configurations that meet the objectives on 9 of 10 days.
func (m imagined) hunt(t *testing.T, from hpa.Config, space Space) *hunt {
	s := m.search(t, from, space)
	return &hunt{b: s.b, from: from, days: 10, bar: 9, share: 100, left: 100, fluid: s.fluid, exact: s.exact}
}

// memoryHPA has no target to vary: its grid consists of sizes.
func memoryHPA(lo int32) hpa.Config {
	c := cpuHPA(lo, 90, 60)
	c.Metrics[0].Name = "memory"
	return c
}

// tries records the mins that a hunt tries, in order.
func (h *hunt) tries() *[]int32 {
	var mins []int32
	exact := h.exact
	h.exact = func(w *replay.World, c hpa.Config, s *replay.Scratch) outcome {
		if n := len(mins); w.Replicas == 0 || n > 0 && mins[n-1] != c.MinReplicas {
			mins = append(mins, c.MinReplicas)
		}
		return exact(w, c, s)
	}
	return &mins
}

func TestACandidateIsTriedUntilItCannotMeetTheBar(t *testing.T) {
	for _, c := range []struct {
		sentence string
		missed   []int // of ten days, nine of which must hold
		days     int
		meets    bool
	}{
		{"every day holds", nil, 10, true},
		{"the first day may miss", []int{0}, 10, true},
		{"and so may the last", []int{9}, 10, true},
		{"the second miss ends it", []int{0, 1, 5}, 2, false},
		{"two misses at the end", []int{8, 9}, 10, false},
	} {
		m := needing(0, 0)
		m.holds = func(_ *hpa.Config, day int) bool { return !slices.Contains(c.missed, day) }
		h := m.hunt(t, memoryHPA(2), Space{})
		got := h.try(h.from)
		if len(got.days) != c.days || h.meets(got) != c.meets || h.left != 100-c.days {
			t.Errorf("%s: %d days, meets %v, %d left; want %d, %v", c.sentence, len(got.days), h.meets(got), h.left, c.days, c.meets)
		}
	}
	h := needing(0, 0).hunt(t, memoryHPA(2), Space{})
	if h.meets(made(2, 9, 9, 0, steady(9, 1)...)) {
		t.Error("nine days of nine are as many as must hold, and fewer than it takes to say so")
	}
}

// However wrong the fluid plant is, a hunt finds the cheapest configuration that meets the
// objectives.
func TestAHuntFindsTheCheapest(t *testing.T) {
	for _, need := range []float64{22, 31, 35, 43, 52, 67, 120, 999} {
		for _, bias := range []float64{-25, -3, 0, 2, 25} {
			h := needing(need, bias).hunt(t, cpuHPA(3, 12, 50), Space{Need: 4})
			want := ""
			least := 1e9
			for _, c := range h.grid(60) {
				if p := power(&c); p >= need && p < least {
					least, want = p, Describe(c)
				}
			}
			best, last := h.best(60, nil)
			got := ""
			if best != nil {
				got = Describe(best.config)
			}
			if got != want || last == nil || best != nil && !h.meets(best) {
				t.Errorf("need %v, bias %v: best %q, want %q; last tried %v", need, bias, got, want, last)
			}
		}
	}
}

func TestWhatAHuntTries(t *testing.T) {
	for _, c := range []struct {
		sentence string
		from     int32 // its min; it serves ten per replica, plus 4
		space    Space
		need     float64
		bias     float64 // by how much the fluid plant underestimates the need
		want     float64 // margin at which to start
		left     int
		share    int
		tried    []int32
		best     int32 // 0 = none
	}{
		{"the fluid plant is right", 2, Space{Need: 6}, 64, 0, 0, 100, 100, []int32{2, 6, 5}, 6},
		{"it begins with as much less room as where it comes from has", 2, Space{Need: 6}, 64, 0, -0.1, 100, 100, []int32{2, 5, 6}, 6},
		{"it hopes for too much", 2, Space{Need: 6}, 64, 20, 0, 100, 100, []int32{2, 4, 5, 7, 6}, 6},
		{"with a day left one more is looked at", 2, Space{Need: 6}, 64, 20, 0, 17, 100, []int32{2, 4, 5, 7, 6}, 6},
		{"without, the one in between is not", 2, Space{Need: 6}, 64, 20, 0, 16, 100, []int32{2, 4, 5, 7}, 7},
		{"as long as nothing meets the objectives it goes on", 2, Space{Need: 6}, 64, 20, 0, 0, 100, []int32{2, 4, 5, 7}, 7},
		{"many in question, and as many days overdrawn as it may", 2, Space{Need: 6}, 64, -200, 0, 12, 10, []int32{2, 18, 9, 7}, 7},
		{"and more than it may", 2, Space{Need: 6}, 64, -200, 0, 12, 9, []int32{2, 18, 9}, 9},
		{"where it comes from meets them: only less is looked at", 6, Space{Need: 6}, 44, 0, 0, 100, 100, []int32{6, 4, 3}, 4},
		{"and less does not do", 6, Space{Need: 6}, 64, 0, 0, 100, 100, []int32{6, 5}, 6},
		{"where it comes from is below the user's floor", 2, Space{Need: 6, MinFloor: 4}, 24, 0, 0, 100, 100, []int32{4}, 4},
		{"nothing meets them, twice the largest neither", 2, Space{Need: 6}, 999, 0, 0, 100, 100, []int32{2, 18}, 0},
		{"and not beyond the user's limit", 2, Space{Need: 6, MaxLimit: 8}, 999, 0, 0, 100, 100, []int32{2, 8}, 0},
	} {
		h := needing(c.need, c.bias).hunt(t, memoryHPA(c.from), c.space)
		h.want, h.left, h.share = c.want, c.left, c.share
		tried := h.tries()
		best, last := h.best(24, nil)
		got := int32(0)
		if best != nil {
			got = best.config.MinReplicas
		}
		if !slices.Equal(*tried, c.tried) || got != c.best || best == nil && last.config.MinReplicas != c.tried[len(c.tried)-1] {
			t.Errorf("%s: tried %v, best %d, want %v, %d", c.sentence, *tried, got, c.tried, c.best)
		}
	}
}

// Where the change surely does not hurt, the same is found, without the days of where it comes
// from unless they are needed.
func TestWhatAHuntThatIsEasedTries(t *testing.T) {
	for _, c := range []struct {
		sentence string
		need     float64
		paid     float64 // for less than where it comes from, which costs 50; 0 = by size
		tried    []int32
		best     int32
	}{
		{"something cheaper does", 44, 0, []int32{4, 3}, 4},
		{"nothing cheaper does", 64, 0, []int32{5, 6}, 6},
		{"what the fluid plant calls cheaper is dearer", 44, 51, []int32{4, 3, 6}, 6},
		{"it does not even do itself: as if nothing were known", 74, 0, []int32{5, 6, 7, 6}, 7},
	} {
		h := needing(c.need, 0).hunt(t, memoryHPA(6), Space{Need: 6})
		exact := h.exact
		h.exact = func(w *replay.World, k hpa.Config, s *replay.Scratch) outcome {
			o := exact(w, k, s)
			if c.paid > 0 {
				if o.paid = c.paid; k.MinReplicas == 6 {
					o.paid = 50
				}
			}
			return o
		}
		tried := h.tries()
		eased := &trial{config: h.from}
		for i := range h.days {
			o := exact(h.b.day(i), h.from, nil)
			if c.paid > 0 {
				o.paid = 50
			}
			eased.days = append(eased.days, o)
		}
		best, _ := h.best(24, eased)
		if best == nil || best.config.MinReplicas != c.best || !slices.Equal(*tried, c.tried) {
			t.Errorf("%s: tried %v, best %+v, want %v, %d", c.sentence, *tried, best, c.tried, c.best)
		}
	}
}

// What the fluid plant calls cheaper may not be: the days of the exact plant decide.
func TestAHuntGoesByWhatTheDaysCost(t *testing.T) {
	for sentence, c := range map[string]struct {
		dearer float64
		best   int32
	}{"as dear: it stays": {0, 6}, "dearer: it stays": {1, 6}, "cheaper in truth, too": {-1, 4}} {
		h := needing(44, 0).hunt(t, memoryHPA(6), Space{Need: 6})
		h.exact = func(_ *replay.World, k hpa.Config, _ *replay.Scratch) outcome {
			if k.MinReplicas == 6 {
				return outcome{paid: 50, met: true}
			}
			return outcome{paid: 50 + c.dearer, met: power(&k) >= 44}
		}
		if best, _ := h.best(24, nil); best == nil || best.config.MinReplicas != c.best {
			t.Errorf("%s: best %+v, want min %d", sentence, best, c.best)
		}
	}
}

func TestTheLineOfAHunt(t *testing.T) {
	f := func(hi int32, paid, margin float64) fluid {
		return fluid{config: cpuHPA(2, hi, 60), paid: paid, margin: margin}
	}
	from := f(9, 50, 0.5)
	for _, c := range []struct {
		sentence string
		fluids   []fluid
		meets    bool
		want     []int
	}{
		{"the cheapest first, and what comes from has no place of its own", []fluid{from, f(9, 60, 0.1), f(9, 40, -0.2)}, false, []int{2, 1}},
		{"one with less room than a cheaper one is left out", []fluid{from, f(9, 40, -0.2), f(9, 45, -0.3), f(9, 60, 0.1)}, false, []int{1, 3}},
		{"but larger ones than all of these are not, the cheaper first",
			[]fluid{from, f(9, 60, 0.1), f(9, 80, 0.05), f(9, 70, 0.1), f(9, 60, 0)}, false, []int{1, 3, 2}},
		{"from meets the objectives: only cheaper ones", []fluid{from, f(9, 60, 0.9), f(9, 50, 0.8), f(9, 40, 0.1), f(9, 45, 0)}, true, []int{3}},
		{"not beyond the user's limit", []fluid{from, f(21, 40, 0.1), f(20, 60, 0.1)}, false, []int{2}},
		{"none is allowed", []fluid{from, f(21, 40, 0.1)}, false, nil},
	} {
		h := needing(0, 0).hunt(t, cpuHPA(2, 9, 60), Space{MaxLimit: 20})
		if got := h.line(c.fluids, c.meets); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.sentence, got, c.want)
		}
	}
}

func TestTheGridOfAHunt(t *testing.T) {
	for _, c := range []struct {
		sentence string
		from     hpa.Config
		space    Space
		passes   int
		mins     []int32
		targets  []int32
		last     string // a configuration beyond the grid
	}{
		{"passes for all sizes, and three targets above the present one", cpuHPA(3, 12, 60), Space{Need: 4}, 30,
			[]int32{2, 3, 4, 5, 6}, []int32{30, 50, 60, 70, 80, 90}, "12@30/12"},
		{"for two above", cpuHPA(3, 12, 60), Space{Need: 4}, 25, []int32{2, 3, 4, 5, 6}, []int32{30, 50, 60, 70, 80}, "12@30/12"},
		{"for one", cpuHPA(3, 12, 60), Space{Need: 4}, 20, []int32{2, 3, 4, 5, 6}, []int32{30, 50, 60, 70}, "12@30/12"},
		{"one above in any case; four sizes and the present one are all five", cpuHPA(3, 12, 60), Space{Need: 4}, 12,
			[]int32{2, 3, 4, 5, 6}, []int32{30, 50, 60, 70}, "12@30/12"},
		{"three sizes at least, with the present one", cpuHPA(3, 12, 60), Space{Need: 4}, 1,
			[]int32{2, 3, 4, 6}, []int32{30, 50, 60, 70}, "12@30/12"},
		{"a third of the passes are for sizes", cpuHPA(2, 30, 60), Space{Need: 10}, 15, []int32{2, 6, 9, 12, 15},
			[]int32{30, 50, 60, 70}, "30@30/30"},
		{"eight sizes at most", cpuHPA(2, 30, 60), Space{Need: 10}, 99, []int32{2, 4, 6, 8, 10, 12, 14, 15}, []int32{30, 50, 60, 70, 80, 90}, "30@30/30"},
		{"the lowest target is the present one", cpuHPA(2, 12, 30), Space{Need: 2}, 8, []int32{2, 3}, []int32{30, 40}, "6@30/12"},
		{"no target to turn", memoryHPA(2), Space{Need: 2}, 8, []int32{2, 3}, []int32{60}, "6@60/90"},
		{"nothing beyond the user's limit", cpuHPA(2, 12, 30), Space{Need: 2, MaxLimit: 12}, 8, []int32{2, 3}, []int32{30, 40}, ""},
		{"nor beyond a limit of one", cpuHPA(1, 1, 30), Space{Need: 2, MaxLimit: 1}, 8, []int32{1}, []int32{30, 40, 50, 60, 70, 80}, ""},
	} {
		named := func(k hpa.Config) string {
			return fmt.Sprintf("%d@%d/%d", k.MinReplicas, k.Metrics[0].Target.Utilization, k.MaxReplicas)
		}
		want := []string{named(c.from)}
		for _, lo := range c.mins {
			for _, target := range c.targets {
				k := cpuHPA(lo, c.from.MaxReplicas, target)
				want = append(want, named(k))
			}
		}
		if c.last != "" {
			want = append(want, c.last)
		}
		var got []string
		for _, k := range needing(0, 0).hunt(t, c.from, c.space).grid(c.passes) {
			got = append(got, named(k))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %s\nwant %s", c.sentence, strings.Join(got, " "), strings.Join(want, " "))
		}
	}
	// The present configuration is replayed with a maxReplicas that does not limit the peak.
	if got := needing(0, 0).hunt(t, cpuHPA(2, 10, 60), Space{Need: 12}).grid(9)[0].MaxReplicas; got != 15 {
		t.Errorf("maxReplicas 10 where the peak takes 12: looked at with %d, want 15", got)
	}
	if got := needing(0, 0).hunt(t, cpuHPA(2, 10, 60), Space{Need: 4, MinFloor: 9, MaxLimit: 5}).grid(9); len(got) != 1 {
		t.Errorf("a floor above the limit leaves %d configurations, want the present one", len(got))
	}
}

func TestThinned(t *testing.T) {
	for _, c := range []struct {
		sentence string
		values   []int32
		n        int
		keep     int32
		want     []int32
	}{
		{"one", []int32{4}, 3, 4, []int32{4}},
		{"as many as may stay", []int32{2, 3, 4}, 3, 2, []int32{2, 3, 4}},
		{"the first, the middle and the last", []int32{1, 2, 3, 4, 5, 6, 7}, 3, 1, []int32{1, 4, 7}},
		{"and the one that is to stay", []int32{1, 2, 3, 4, 5, 6, 7}, 3, 6, []int32{1, 4, 6, 7}},
		{"four of ten", []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 4, 0, []int32{0, 3, 6, 9}},
	} {
		if got := thinned(c.values, c.n, c.keep); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.sentence, got, c.want)
		}
	}
}

func TestTheBarOfAHunt(t *testing.T) {
	for _, c := range []struct {
		sentence  string
		met       int // the first of the recommended configuration's 60 days
		share     int
		days, bar int
	}{
		{"nine days of ten", 0, 80, 20, 18},
		{"and the next whole day", 0, 84, 21, 19},
		{"six days at least", 0, 1, 6, 6},
		{"forty at most", 0, 999, 40, 36},
		{"as many as the recommended one held on, which are more", 60, 80, 20, 18},
	} {
		base := made(2, 9, c.met, 0, steady(60, 1)...)
		if days, bar := bar(base, c.share); days != c.days || bar != c.bar {
			t.Errorf("%s: %d of %d days, want %d of %d", c.sentence, bar, days, c.bar, c.days)
		}
	}
	late := made(2, 9, 60, 0, steady(60, 1)...) // it missed four of its first twenty days, and no other
	for _, i := range []int{1, 3, 5, 7} {
		late.days[i].met = false
	}
	if days, bar := bar(late, 80); days != 20 || bar != 16 {
		t.Errorf("as the recommended one on the same days: %d of %d, want 16 of 20", bar, days)
	}
}
