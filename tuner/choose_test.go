package tuner

import (
	"math"
	"slices"
	"testing"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// made is a made-up trial with the hours of its days; the first met days meet the objectives.
func made(lo, hi int32, met int, distance int, hours ...float64) *trial {
	c := hpa.DefaultConfig(hi)
	c.MinReplicas = lo
	t := &trial{config: c, distance: distance, shift: float64(distance)}
	for i, h := range hours {
		t.days = append(t.days, outcome{hours: h, paid: h, attainment: 0.99, met: i < met})
	}
	return t
}

// steady returns n days with the same hours.
func steady(n int, hours float64) []float64 { return slices.Repeat([]float64{hours}, n) }

// swinging returns n days whose hours vary around a mean by a given amount, in a cycle.
func swinging(n int, hours, by float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = hours + by*[]float64{-1, 1, -0.5, 0.5}[i%4]
	}
	return out
}

func TestChoose(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name   string
		space  Space
		trials []*trial // named by their min
		best   int32    // 0 = none
		equals []int32
	}{
		{"the dearest comes first and is not taken", Space{},
			[]*trial{made(6, 10, 40, 1, steady(40, 9)...), made(4, 10, 40, 1, steady(40, 5)...), made(5, 10, 40, 1, steady(40, 7)...)}, 4, []int32{4}},
		{"none was tried", Space{}, nil, 0, nil},
		{"none holds", Space{}, []*trial{made(2, 10, 20, 1, steady(40, 5)...), made(3, 10, 30, 1, steady(40, 6)...)}, 0, nil},
		{"28 of 28 days are too few to be sure", Space{}, []*trial{made(2, 10, 28, 1, steady(28, 5)...)}, 0, nil},
		{"29 of 29 days are enough", Space{}, []*trial{made(2, 10, 29, 1, steady(29, 5)...)}, 2, []int32{2}},
		{"180 of 200 days are 90 %, and not surely", Space{}, []*trial{made(2, 10, 180, 1, steady(200, 5)...)}, 0, nil},
		{"188 of 200 days are surely 90 %", Space{}, []*trial{made(2, 10, 188, 1, steady(200, 5)...)}, 2, []int32{2}},
		{"the cheapest does not hold", Space{}, []*trial{made(2, 10, 38, 1, steady(40, 5)...), made(3, 10, 40, 1, steady(40, 6)...)}, 3, []int32{3}},
		{"of a tie the one that changes less", Space{}, []*trial{made(4, 10, 40, 3, steady(40, 5)...), made(5, 10, 40, 1, steady(40, 5)...)}, 5, []int32{5, 4}},
		{"1 % more is as cheap, and changes less", Space{}, []*trial{made(4, 10, 40, 3, steady(40, 5)...), made(5, 10, 40, 1, steady(40, 5.049)...)}, 5, []int32{5, 4}},
		{"1.5 % more on every day is dearer", Space{}, []*trial{made(4, 10, 40, 3, steady(40, 5)...), made(5, 10, 40, 1, steady(40, 5.075)...)}, 4, []int32{4, 5}},
		{"1.5 % more within noise is as cheap", Space{}, []*trial{made(4, 10, 40, 3, steady(40, 5)...), made(5, 10, 40, 1, swinging(40, 5.075, 1)...)}, 5, []int32{5, 4}},
		{"3 % more within noise is dearer", Space{}, []*trial{made(4, 10, 40, 3, steady(40, 5)...), made(5, 10, 40, 1, swinging(40, 5.15, 1)...)}, 4, []int32{4}},
		{"a cost that is not known is not taken", Space{}, []*trial{made(4, 10, 40, 1, steady(40, nan)...), made(5, 10, 40, 2, steady(40, 9)...)}, 5, []int32{5}},
		{"one day without a cost is none", Space{}, []*trial{made(4, 10, 40, 1, append(steady(39, 5), nan)...)}, 0, nil},
		{"below the user's floor", Space{MinFloor: 4}, []*trial{made(3, 10, 40, 1, steady(40, 5)...), made(4, 10, 40, 1, steady(40, 6)...)}, 4, []int32{4}},
		{"one replica has no spare unless asked for", Space{}, []*trial{made(1, 10, 40, 1, steady(40, 5)...), made(2, 10, 40, 1, steady(40, 6)...)}, 2, []int32{2}},
		{"one replica, asked for", Space{MinFloor: 1}, []*trial{made(1, 10, 40, 1, steady(40, 5)...), made(2, 10, 40, 1, steady(40, 6)...)}, 1, []int32{1}},
		{"above the user's limit", Space{MaxLimit: 8}, []*trial{made(3, 9, 40, 0, steady(40, 5)...), made(4, 8, 40, 1, steady(40, 6)...)}, 4, []int32{4}},
		{"all are above the user's limit", Space{MaxLimit: 2}, []*trial{made(3, 9, 40, 0, steady(40, 5)...)}, 0, nil},
		{"six are equal and five are shown, the nearest first", Space{},
			[]*trial{made(2, 10, 40, 6, steady(40, 5)...), made(3, 10, 40, 5, steady(40, 5)...), made(4, 10, 40, 4, steady(40, 5)...), made(5, 10, 40, 3, steady(40, 5)...),
				made(6, 10, 40, 2, steady(40, 5)...), made(7, 10, 40, 1, steady(40, 5)...)}, 7, []int32{7, 6, 5, 4, 3}},
		{"cheaper by 2 % is still equal, by 3 % it is the pick", Space{},
			[]*trial{made(2, 10, 40, 2, steady(40, 4.92)...), made(3, 10, 40, 1, steady(40, 5.0)...), made(4, 10, 40, 3, steady(40, 5.01)...)}, 2, []int32{2, 3, 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, order := range []string{"as listed", "reversed"} {
				trials := slices.Clone(c.trials)
				if order == "reversed" {
					slices.Reverse(trials)
				}
				got := choose(trials, c.space)
				var best int32
				if got.best != nil {
					best = got.best.config.MinReplicas
				}
				var equals []int32
				for _, e := range got.equals {
					equals = append(equals, e.config.MinReplicas)
				}
				if best != c.best || !slices.Equal(equals, c.equals) {
					t.Errorf("%s: choose picks min %d of equals %v, want %d of %v", order, best, equals, c.best, c.equals)
				}
			}
		})
	}
}

func TestAlternatives(t *testing.T) {
	cheap := made(2, 10, 40, 4, steady(40, 5)...)
	near := made(3, 10, 60, 1, steady(60, 9)...)
	safe := made(4, 10, 200, 5, steady(200, 12)...)
	failing := made(5, 10, 3, 0, steady(40, 1)...)
	c := choose([]*trial{failing, safe, near, cheap}, Space{})
	if c.cheapest != cheap || c.minimal != near || c.safest != safe || c.best != cheap {
		t.Errorf("cheapest %v, minimal %v, safest %v, best %v", c.cheapest.config, c.minimal.config, c.safest.config, c.best.config)
	}
	// If nothing holds, the safest one says how far it got.
	c = choose([]*trial{made(2, 10, 0, 1, steady(9, 5)...), made(3, 10, 8, 1, steady(9, 6)...), {config: cheap.config}}, Space{})
	if c.best != nil || c.minimal != nil || c.cheapest != nil || c.safest.config.MinReplicas != 3 {
		t.Errorf("nothing holds: %+v", c)
	}
	// A trial without replays shows nothing, and one day is better than none.
	untried, once := made(2, 10, 0, 0), made(3, 10, 0, 0, 9)
	if got := safest([]*trial{untried}, Space{}); got != nil {
		t.Errorf("safest of none that was replayed: %v", got.config)
	}
	if got := safest([]*trial{untried, once}, Space{}); got != once {
		t.Errorf("safest took one that was not replayed")
	}
	// Of two that hold equally often, the one with more margin wins; with equal margins, the
	// cheaper one.
	a, b := made(2, 10, 40, 1, steady(40, 9)...), made(3, 10, 40, 1, steady(40, 5)...)
	for i := range a.days {
		a.days[i].attainment = 0.999
	}
	if got := safest([]*trial{b, a}, Space{}); got != a {
		t.Errorf("safest took less room: %v", got.config)
	}
	for i := range a.days {
		a.days[i].attainment = 0.9902
	}
	if got := safest([]*trial{b, a}, Space{}); got != b {
		t.Errorf("safest took the dearer of two alike: %v", got.config)
	}
}

func TestShareEnds(t *testing.T) {
	// From tables of Clopper and Pearson's 90 % interval.
	for _, c := range []struct {
		k, n   int
		lo, hi float64
	}{{0, 0, 0, 1}, {0, 10, 0, 0.2589}, {10, 10, 0.7411, 1}, {5, 10, 0.2224, 0.7776}, {1, 10, 0.0051, 0.3942}, {29, 29, 0.9019, 1}, {187, 200, 0.8990, 0.9612}, {20, 20, 0.8609, 1}} {
		lo, hi := shareEnds(c.k, c.n)
		if math.Abs(lo-c.lo) > 6e-4 || math.Abs(hi-c.hi) > 6e-4 || (c.lo == 0) != (lo == 0) || (c.hi == 1) != (hi == 1) {
			t.Errorf("shareEnds(%d, %d) = %.4f, %.4f, want %.4f, %.4f", c.k, c.n, lo, hi, c.lo, c.hi)
		}
	}
}

// The ends are found to 2⁻⁴⁰, and no finer. So their sum never equals 1.8, with which probe
// compares it.
func TestShareEndsAreMultiples(t *testing.T) {
	whole := func(x float64, halvings int) bool {
		y := math.Ldexp(x, halvings)
		return y == math.Trunc(y)
	}
	coarseLo, coarseHi := 0, 0
	for k := 1; k < 30; k++ {
		lo, hi := shareEnds(k, 30)
		if !whole(lo, 40) || !whole(hi, 40) {
			t.Errorf("shareEnds(%d, 30) = %.15f, %.15f, which are not multiples of 2⁻⁴⁰", k, lo, hi)
		}
		if whole(lo, 39) {
			coarseLo++
		}
		if whole(hi, 39) {
			coarseHi++
		}
	}
	if coarseLo > 25 || coarseHi > 25 {
		t.Errorf("%d and %d of 29 ends are multiples of 2⁻³⁹, want about half", coarseLo, coarseHi)
	}
}

// If all n days hold, the lower end can be computed by hand: 0.05^(1/n).
func TestShareEndsOfAll(t *testing.T) {
	for _, n := range []int{1, 2, 5, 29, 200} {
		if lo, _ := shareEnds(n, n); math.Abs(lo-math.Pow(0.05, 1/float64(n))) > 1e-12 {
			t.Errorf("shareEnds(%d, %d) begins at %.15f, want %.15f", n, n, lo, math.Pow(0.05, 1/float64(n)))
		}
	}
}

func TestFate(t *testing.T) {
	for _, c := range []struct {
		name string
		met  int
		n    int
		want fate
	}{{"no day", 0, 0, open}, {"two missed of two", 0, 2, misses}, {"one of one", 1, 1, open}, {"one of four", 1, 4, misses}, {"two of four", 2, 4, open}, {"19 of 20", 19, 20, open}, {"all of 40", 40, 40, holds}, {"150 of 200", 150, 200, misses}, {"185 of 200", 185, 200, open}} {
		if got := made(2, 10, c.met, 0, steady(c.n, 1)...).fate(); got != c.want {
			t.Errorf("%s: fate %d, want %d", c.name, got, c.want)
		}
	}
}

func TestDearer(t *testing.T) {
	a, b := made(2, 10, 9, 0, 6, 6, 6, 6, 99), made(3, 10, 9, 0, 5, 5, 5, 5)
	if more, err := dearer(a, b); math.Abs(more-0.2) > 1e-12 || err > 1e-9 {
		t.Errorf("dearer over common days = %v ± %v, want 0.2 ± 0", more, err)
	}
	a = made(2, 10, 9, 0, 4, 6, 4, 6)
	if more, err := dearer(a, b); more != 0 || math.Abs(err-1.1547/2/5) > 1e-4 {
		t.Errorf("dearer with noise = %v ± %v, want 0 ± 0.1155 (s = 1.1547, n = 4)", more, err)
	}
	if more, err := dearer(made(2, 10, 2, 0, 4, 6), b); more != 0 || math.Abs(err-1.0/5) > 1e-12 {
		t.Errorf("dearer over two days = %v ± %v, want 0 ± 0.2 (s = √2, n = 2)", more, err)
	}
	if more, err := dearer(made(2, 10, 1, 0, 6), b); math.Abs(more-0.2) > 1e-12 || err != 0 {
		t.Errorf("dearer over one day = %v ± %v, want 0.2 ± 0", more, err)
	}
	// The variance of equal differences is slightly below 0 here.
	if _, err := dearer(made(2, 10, 3, 0, 5.06, 5.06, 5.06), b); err != 0 {
		t.Errorf("dearer by as much on three days: ± %v, want 0", err)
	}
	if more, _ := dearer(a, made(3, 10, 0, 0)); !math.IsNaN(more) {
		t.Errorf("dearer without a common day = %v, want NaN", more)
	}
}

func TestFrontier(t *testing.T) {
	f := func(hours, margin float64) fluid { return fluid{hours: hours, paid: hours, margin: margin} }
	all := []fluid{f(5, 0.01), f(4, -0.1), f(4, -0.2), f(6, 0.005), f(7, 0.03), f(3, -0.5), f(9, 0.03), f(1, 9)}
	if got, want := frontier(all, []int{0, 1, 2, 3, 4, 5, 6}), []int{5, 1, 0, 4}; !slices.Equal(got, want) {
		t.Errorf("frontier = %v, want %v", got, want)
	}
	if got := frontier(all, nil); got != nil {
		t.Errorf("frontier of none = %v", got)
	}
}

func TestDistinctOutcomes(t *testing.T) {
	f := func(hours, attainment, capacity float64) fluid {
		return fluid{hours: hours, paid: hours, attainment: attainment, capacity: capacity}
	}
	nan := math.NaN()
	all := []fluid{f(5, 0.9, 3), f(5, 0.9, 3), f(5, 0.8, 3), f(5, 0.9, 9), f(5, nan, nan), f(5, nan, nan)}
	far := []int{4, 1, 1, 1, 2, 2}
	got := distinctOutcomes(all, func(i, j int) bool { return far[i] < far[j] })
	if want := []int{1, 2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("distinctOutcomes = %v, want %v: the nearer of those alike, the first of those as near", got, want)
	}
}

// mixed returns n days, every second of which costs `more` more.
func mixed(n int, base, more float64) []float64 {
	out := steady(n, base)
	for i := range out {
		if i%2 == 1 {
			out[i] += more
		}
	}
	return out
}

func TestAsCheap(t *testing.T) {
	b := made(2, 10, 40, 0, steady(40, 100)...)
	for _, c := range []struct {
		name  string
		hours []float64
		want  bool
	}{
		{"exactly 1 %", steady(40, 101), true}, {"a little more than 1 %", steady(40, 101.01), false},
		// The mean of d and 0 alternating is d/2, its standard error d/2·√(40/39)/√40 = 0.0801
		// d. 1.645 times that is 0.13 d, so no d makes half of it noise.
		{"1.5 % on average, on every second day", mixed(40, 100, 3), false},
		// With 4 days the standard error is 0.289 d: 1.645 times that is 0.475 d, less than
		// half of d.
		{"the same on four days", mixed(4, 100, 3), false},
		// With 3 days (0, d, 0) the mean is d/3 and its error d/3: 1.645 times that is more
		// than the mean.
		{"on one of three days", mixed(3, 100, 4.5), true},
		{"2 % on one of three days", mixed(3, 100, 6), true},
		{"a little more than 2 % on one of three days is too much", mixed(3, 100, 6.06), false},
		{"cheaper", steady(40, 50), true},
	} {
		if got := asCheap(made(3, 10, 40, 0, c.hours...), b); got != c.want {
			t.Errorf("%s: asCheap = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestDistinctOutcomesByEachFigure(t *testing.T) {
	base := fluid{hours: 5, attainment: 0.9, errors: 0.01, capacity: 31}
	all := []fluid{base, base, base, base, base}
	all[1].hours += 2e-6
	all[2].attainment += 2e-6
	all[3].errors += 2e-6
	all[4].capacity++
	if got := distinctOutcomes(all, func(i, j int) bool { return false }); len(got) != 5 {
		t.Errorf("%d kept of 5 that differ in one figure each", len(got))
	}
	all[1].hours, all[2].attainment, all[3].errors, all[4].capacity = 5+2e-7, 0.9+2e-7, 0.01+2e-7, 31.4
	if got := distinctOutcomes(all, func(i, j int) bool { return false }); len(got) != 1 || got[0] != 0 {
		t.Errorf("%v kept of 5 alike, want the first", got)
	}
}
