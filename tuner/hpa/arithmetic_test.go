package hpa

import (
	"math"
	"testing"
	"time"
)

func TestConversionsAsOnAmd64(t *testing.T) {
	for _, c := range []struct {
		name string
		x    float64
		i32  int32
		i64  int64
	}{
		{"zero", 0, 0, 0},
		{"a fraction is cut off", 2.9, 2, 2},
		{"a negative one too", -2.9, -2, -2},
		{"the largest int32", 2147483647, 2147483647, 2147483647},
		{"just under the next", 2147483647.9, 2147483647, 2147483647},
		{"one more does not fit", 2147483648, math.MinInt32, 2147483648},
		{"the least int32", -2147483648, math.MinInt32, -2147483648},
		{"its neighbour", -2147483647, -2147483647, -2147483647},
		{"one less does not fit", -2147483649, math.MinInt32, -2147483649},
		{"the least int64", math.MinInt64, math.MinInt32, math.MinInt64},
		{"2^63 does not fit", 9223372036854775808, math.MinInt32, math.MinInt64},
		{"the largest float below", 9223372036854774784, math.MinInt32, 9223372036854774784},
		{"the least float above −2^63", -9223372036854774784, math.MinInt32, -9223372036854774784},
		{"infinity", math.Inf(1), math.MinInt32, math.MinInt64},
		{"NaN", math.NaN(), math.MinInt32, math.MinInt64},
	} {
		if a, b := toInt32(c.x), toInt64(c.x); a != c.i32 || b != c.i64 {
			t.Errorf("%s: toInt32(%v), toInt64 = %d, %d; want %d, %d", c.name, c.x, a, b, c.i32, c.i64)
		}
	}
}

func TestToleranceIncludesItsEdges(t *testing.T) {
	quarter := tolerances{down: 0.25, up: 0.5} // exact in binary
	for _, c := range []struct {
		name  string
		t     tolerances
		ratio float64
		want  bool
	}{
		{"on target", quarter, 1, true},
		{"the lower edge is in", quarter, 0.75, true},
		{"just below is out", quarter, 0.7499, false},
		{"the upper edge is in", quarter, 1.5, true},
		{"just above is out", quarter, 1.5001, false},
		{"NaN is out", quarter, math.NaN(), false},
		{"0.1: 1.1 is in", tolerances{down: 0.1, up: 0.1}, 1.1, true},
		{"before 1.33, 1.1 is out", tolerances{down: 0.1, up: 0.1, old: true}, 1.1, false},
		{"before 1.33, the exact edge is in", tolerances{up: 0.25, old: true}, 1.25, true},
		{"before 1.33, the lower edge too", tolerances{up: 0.25, old: true}, 0.75, true},
		{"before 1.33, past the edge is out", tolerances{up: 0.25, old: true}, 0.7499, false},
	} {
		if got := c.t.within(c.ratio); got != c.want {
			t.Errorf("%s: %+v.within(%v) = %v, want %v", c.name, c.t, c.ratio, got, c.want)
		}
	}
}

func TestListsKeepOrderAndReuseSlots(t *testing.T) {
	list := func(at ...time.Duration) (r recommendations) {
		for i, a := range at {
			r.add(a*time.Second, int32(i+1), -1)
		}
		return r
	}
	for _, c := range []struct {
		name    string
		r       recommendations
		desired int32
		cut     time.Duration
		most    int32
		from    time.Duration
		slot    int
	}{
		{"an empty list leaves desired", list(), 3, 0, 3, 100, -1},
		{"at the edge of the window it counts", list(10), 0, 10, 1, 10, -1},
		{"older than the window it may be overwritten", list(10), 0, 11, 0, 100, 0},
		{"the last old one is overwritten", list(1, 50, 2, 60), 0, 10, 4, 60, 2},
		{"the highest counts", list(50, 60, 55), 2, 10, 3, 55, -1},
		{"of equals the first is told", list(50), 1, 10, 1, 100, -1},
	} {
		most, from, slot := c.r.highest(c.desired, 100*time.Second, c.cut*time.Second)
		if most != c.most || from != c.from*time.Second || slot != c.slot {
			t.Errorf("%s: highest = %d of %v, slot %d; want %d of %ds, slot %d", c.name, most, from, slot, c.most, c.from, c.slot)
		}
	}
	for _, c := range []struct {
		name     string
		r        recommendations
		desired  int32
		up, down time.Duration // cuts
		want     band
	}{
		{"an empty list leaves desired", list(), 3, 0, 0, band{3, 3, 100, 100, -1}},
		{"inside both windows it lowers and raises", list(50, 60), 9, 10, 10, band{1, 9, 50, 100, -1}},
		{"the highest holds a decrease", list(50, 60), 0, 10, 10, band{0, 2, 100, 60, -1}},
		{"at the edge of the down window it does not count", list(10), 0, 10, 10, band{0, 0, 100, 100, -1}},
		{"nor at the edge of the up window", list(10), 9, 10, 10, band{9, 9, 100, 100, -1}},
		{"older than both it is overwritten", list(9), 9, 10, 10, band{9, 9, 100, 100, 0}},
		{"older than the up window only, it is kept", list(10), 9, 20, 5, band{9, 9, 100, 100, -1}},
		{"older than the down window only, it is kept", list(10), 9, 5, 20, band{1, 9, 10, 100, -1}},
		{"at the edge of the up and past the down window, it is kept", list(10), 9, 10, 20, band{9, 9, 100, 100, -1}},
		{"at the edge of the down and past the up window, it is kept", list(10), 0, 20, 10, band{0, 0, 100, 100, -1}},
		{"of equals desired itself is told", list(50), 1, 10, 10, band{1, 1, 100, 100, -1}},
		{"past the down window, of equals desired itself is told", list(50), 1, 10, 60, band{1, 1, 100, 100, -1}},
	} {
		c.want.upFrom, c.want.downFrom = c.want.upFrom*time.Second, c.want.downFrom*time.Second
		if got := c.r.within(c.desired, 100*time.Second, c.up*time.Second, c.down*time.Second); got != c.want {
			t.Errorf("%s: within = %+v, want %+v", c.name, got, c.want)
		}
	}
	r := list(1, 2)
	r.add(9*time.Second, 7, 0)
	r.add(10*time.Second, 8, -1)
	if len(r.n) != 3 || r.n[0] != 7 || r.t[0] != 9*time.Second || r.n[2] != 8 {
		t.Errorf("slot 0 overwritten and one appended: %+v", r)
	}
}

func TestEventsCountAndAge(t *testing.T) {
	events := changes{{At: 10 * time.Second, Change: 1}, {At: 20 * time.Second, Change: 2}, {At: 30 * time.Second, Change: 4}}
	for cut, want := range map[time.Duration]int32{9: 7, 10: 6, 20: 4, 29: 4, 30: 0} {
		if got := events.since(cut * time.Second); got != want {
			t.Errorf("since %ds = %d, want %d", cut, got, want)
		}
	}
	for _, c := range []struct {
		name    string
		longest time.Duration
		want    []int32
	}{
		{"nothing is old: append", 100, []int32{1, 2, 4, 9}},
		{"at the edge it is not old", 90, []int32{1, 2, 4, 9}},
		{"the first is old, and overwritten", 89, []int32{9, 2, 4}},
		{"of two old ones the last is overwritten", 75, []int32{1, 9, 4}},
	} {
		list := append(changes(nil), events...)
		list.store(100*time.Second, 9, c.longest*time.Second)
		var got []int32
		for _, e := range list {
			got = append(got, e.Change)
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		}
	}
	rules := Rules{Policies: []Policy{{Period: 15 * time.Second}, {Period: time.Minute}, {Period: 30 * time.Second}}}
	if got := rules.longest(); got != time.Minute {
		t.Errorf("the longest period is %v, want 1m", got)
	}
}

func TestPoliciesToTheirLimits(t *testing.T) {
	pods := func(n int32) Policy { return Policy{PodsPolicy, n, 15 * time.Second} }
	percent := func(n int32) Policy { return Policy{PercentPolicy, n, 15 * time.Second} }
	many := make([]Policy, 200)
	for i := range many {
		many[i] = pods(int32(i + 1))
	}
	for _, c := range []struct {
		name     string
		sel      Select
		policies []Policy
		current  int32
		up       int32
		upBy     int8
		down     int32
		downBy   int8
	}{
		{"disabled stays", Disabled, []Policy{pods(4)}, 10, 10, -1, 10, -1},
		{"no policy, the largest: nothing is a limit downward or upward", Max, nil, 10, math.MinInt32, -1, math.MaxInt32, -1},
		{"no policy, the smallest", Min, nil, 10, math.MaxInt32, -1, math.MinInt32, -1},
		{"the larger of pods and percent", Max, []Policy{pods(4), percent(50)}, 10, 15, 1, 5, 1},
		{"the smaller of pods and percent", Min, []Policy{pods(4), percent(50)}, 10, 14, 0, 6, 0},
		{"of equals the first is told", Max, []Policy{pods(5), percent(50)}, 10, 15, 0, 5, 0},
		{"of equals the first is told, of the smallest too", Min, []Policy{pods(5), percent(50)}, 10, 15, 0, 5, 0},
		{"10 % of 50 is one pod more than six in floating point", Max, []Policy{percent(10)}, 50, 56, 0, 45, 0},
		{"80 % less of 10 is 1", Max, []Policy{percent(80)}, 10, 18, 0, 1, 0},
		{"a doubling that does not fit wraps to the least", Max, []Policy{percent(100)}, 1 << 30, math.MinInt32, -1, 0, 0},
		{"a policy beyond the 127th is told as the 127th", Max, many, 10, 210, 127, -190, 127},
	} {
		c2 := New(DefaultParams())
		spec := behaviorSpec(0)
		spec.ScaleUp.Select, spec.ScaleDown.Select, spec.ScaleUp.Policies, spec.ScaleDown.Policies = c.sel, c.sel, c.policies, c.policies
		c2.spec = &spec
		up, upBy := c2.upLimit(0, c.current)
		down, downBy := c2.downLimit(0, c.current)
		if up != c.up || upBy != c.upBy || down != c.down || downBy != c.downBy {
			t.Errorf("%s: up %d by %d, down %d by %d; want %d by %d, %d by %d", c.name, up, upBy, down, downBy, c.up, c.upBy, c.down, c.downBy)
		}
	}
}
