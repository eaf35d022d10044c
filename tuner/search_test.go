package tuner

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
)

func cpuHPA(lo, hi, target int32) hpa.Config {
	c := hpa.DefaultConfig(hi)
	c.MinReplicas = lo
	c.Metrics = []hpa.Metric{{Source: hpa.Resource, Name: "cpu", Target: hpa.Target{Utilization: target}}}
	return c
}

func TestMaxReplicas(t *testing.T) {
	for _, c := range []struct {
		name          string
		space         Space
		floor, before int32
		want          int32
	}{
		{"a bound that does not bind stays", Space{Need: 6}, 2, 10, 10},
		{"a far bound stays, too", Space{Need: 6}, 2, 100, 100},
		{"one that the peak binds on is raised by a quarter", Space{Need: 12}, 2, 12, 15},
		{"a redrawn peak binds as well", Space{Need: 6, Peak: 10}, 2, 10, 13},
		{"one more at least", Space{Need: 2}, 2, 2, 3},
		{"one more than one", Space{Need: 1}, 1, 1, 2},
		{"a limit of one", Space{Need: 1, MaxLimit: 1}, 1, 5, 1},
		{"never below min", Space{Need: 2}, 12, 10, 12},
		{"set to the limit", Space{Need: 6, MaxLimit: 8}, 2, 10, 8},
		{"a limit above it changes nothing", Space{Need: 6, MaxLimit: 20}, 2, 10, 10},
		{"raised up to the limit", Space{Need: 12, MaxLimit: 13}, 2, 10, 13},
		{"without an HPA it is derived", Space{Need: 8, First: true}, 2, 40, 10},
	} {
		if got := c.space.MaxReplicas(c.floor, c.before); got != c.want {
			t.Errorf("%s: MaxReplicas(%d, %d) = %d, want %d", c.name, c.floor, c.before, got, c.want)
		}
	}
}

func TestMins(t *testing.T) {
	for _, c := range []struct {
		name    string
		space   Space
		current int32
		want    []int32
	}{
		{"up to half more than the need", Space{Need: 4}, 2, []int32{2, 3, 4, 5, 6}},
		{"one more than a small need", Space{Need: 1}, 2, []int32{2}},
		{"one more where half more is none", Space{Need: 1, MinFloor: 1}, 1, []int32{1, 2}},
		{"the present one at the floor", Space{Need: 4, MinFloor: 3}, 3, []int32{3, 4, 5, 6}},
		{"the present one at the limit", Space{Need: 2, MaxLimit: 7}, 7, []int32{2, 3, 7}},
		{"half of an odd need is rounded up", Space{Need: 3}, 2, []int32{2, 3, 4, 5}},
		{"from the floor", Space{Need: 4, MinFloor: 1}, 2, []int32{1, 2, 3, 4, 5, 6}},
		{"not above the limit", Space{Need: 9, MaxLimit: 4}, 2, []int32{2, 3, 4}},
		{"a limit of one", Space{Need: 9, MaxLimit: 1}, 2, []int32{1}},
		{"the present one is on it", Space{Need: 2}, 7, []int32{2, 3, 7}},
		{"but not above the limit", Space{Need: 2, MaxLimit: 5}, 7, []int32{2, 3}},
		{"nor below the floor", Space{Need: 4, MinFloor: 3}, 2, []int32{3, 4, 5, 6}},
		{"steps of a tenth from 20 on", Space{Need: 16}, 2, []int32{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 24}},
		{"the top is always on it", Space{Need: 17}, 2, []int32{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 24, 26}},
		{"one above a floor of 20 is less than a step, and on it", Space{Need: 14, MinFloor: 20}, 20, []int32{20, 21}},
		{"zero, too, where it may be recommended", Space{Need: 2, Zero: true}, 2, []int32{0, 2, 3}},
		{"a floor above the limit leaves none", Space{Need: 4, MinFloor: 9, MaxLimit: 5}, 2, nil},
	} {
		if got := c.space.mins(c.current); !slices.Equal(got, c.want) {
			t.Errorf("%s: mins(%d) of %+v = %v, want %v", c.name, c.current, c.space, got, c.want)
		}
	}
}

func TestCandidates(t *testing.T) {
	current := cpuHPA(2, 10, 65)
	s := Space{Need: 4, Start: 40 * time.Second}
	all := s.Candidates(current)
	if !all[0].Equal(&current) {
		t.Errorf("the first is %s, want the present one", Describe(all[0]))
	}
	if want := 1 + 5*8; len(all) != want { // mins 2…6; 30, 40, 50, 60, 65, 70, 80, 90 %
		t.Errorf("%d candidates, want %d", len(all), want)
	}
	targets := map[int32]bool{}
	for _, c := range all {
		targets[c.Metrics[0].Target.Utilization] = true
		if c.MinReplicas < 1 || c.MaxReplicas < c.MinReplicas || c.Behavior || c.MaxReplicas != 10 {
			t.Errorf("not a candidate: %s", Describe(c))
		}
	}
	for _, want := range []int32{30, 40, 50, 60, 65, 70, 80, 90} {
		if !targets[want] {
			t.Errorf("no candidate has a target of %d %%: %v", want, targets)
		}
	}
	// An average value is varied in multiples of itself.
	queue := hpa.DefaultConfig(10)
	queue.Metrics = []hpa.Metric{{Source: hpa.Resource, Name: "memory", Target: hpa.Target{Utilization: 80}}, {Source: hpa.Pods, Name: "queue", Target: hpa.Target{AverageMilli: 2000}}}
	var got []int64
	for _, c := range (Space{Need: 1}).Candidates(queue)[1:] {
		got = append(got, c.Metrics[1].Target.AverageMilli)
		if c.Metrics[0].Target.Utilization != 80 {
			t.Errorf("memory's target moved: %s", Describe(c))
		}
	}
	if want := []int64{800, 1100, 1400, 1700, 2000, 2400, 3000}; !slices.Equal(got, append(want, want...)[:len(got)]) {
		t.Errorf("targets %v, want %v", got, want)
	}
	// A target of one percent is a target.
	one := cpuHPA(2, 10, 1)
	if _, targets := s.targets(&one); len(targets) != 8 || targets[0] != int32(1) {
		t.Errorf("targets around 1 %%: %v, want it and the usual seven", targets)
	}
	// Memory only: nothing but min can be varied.
	memory := hpa.DefaultConfig(10)
	memory.Metrics = queue.Metrics[:1]
	if n := len(s.Candidates(memory)); n != 1+5 {
		t.Errorf("%d candidates of an HPA on memory, want 6", n)
	}
}

func TestSafest(t *testing.T) {
	c := Space{Need: 4, MaxLimit: 8}.Safest(cpuHPA(2, 10, 70), 6)
	if got, want := fmt.Sprint(c.MinReplicas, c.MaxReplicas, c.Metrics[0].Target.Utilization), "6 8 30"; got != want {
		t.Errorf("Safest = %s, want %s", got, want)
	}
}

func TestVariants(t *testing.T) {
	plain := cpuHPA(2, 10, 70)
	all := Space{Start: 40 * time.Second}.Variants(plain)
	seen := map[string]bool{}
	ups, downs := map[time.Duration]bool{}, map[time.Duration]bool{}
	for _, v := range all {
		if seen[Describe(v)] || !v.Behavior || v.MinReplicas != 2 || v.MaxReplicas != 10 || v.Metrics[0].Target.Utilization != 70 {
			t.Errorf("not a variant, or twice: %s", Describe(v))
		}
		seen[Describe(v)] = true
		ups[window(v.ScaleUp, 0)], downs[window(v.ScaleDown, 5*time.Minute)] = true, true
	}
	// Up: 3 windows × 4 policies; down: 4 windows × 3 policies; the present rules occur twice,
	// and are left out.
	if len(all) != 12+12-2 || len(ups) != 3 || len(downs) != 4 {
		t.Errorf("%d variants with %d scale-up and %d scale-down windows, want 22, 3 and 4", len(all), len(ups), len(downs))
	}
	periods := map[time.Duration]bool{}
	for _, v := range all {
		for _, p := range v.ScaleUp.Policies {
			periods[p.Period] = true
		}
	}
	if !periods[45*time.Second] || !periods[time.Minute] || len(periods) != 3 {
		t.Errorf("scale-up periods %v, want the default's 15 s, 45 s, a start-up of 40 s rounded up to quarters of a minute, and 1 min",
			periods)
	}
}

// Rules without a window have the controller's default, which is none for scaling up. Rules
// without a policy have nothing to vary.
func TestVariantsOfWhatIsUnset(t *testing.T) {
	c := cpuHPA(2, 10, 70)
	c.EnsureBehavior()
	c.ScaleUp.WindowSet, c.ScaleUp.Window = false, 0
	set := map[string]bool{}
	for _, v := range (Space{Start: 15 * time.Second}).Variants(c) {
		set[fmt.Sprint(v.ScaleUp.WindowSet, v.ScaleUp.Window)] = true
	}
	if want := map[string]bool{"false 0s": true, "true 30s": true, "true 1m0s": true}; !maps.Equal(set, want) {
		t.Errorf("scale-up windows %v, want the unset one, 30 and 60 s", set)
	}
	some := hpa.Rules{Policies: []hpa.Policy{{Type: hpa.PodsPolicy, Value: 1, Period: time.Minute}}}
	if got := distinct([]hpa.Rules{{}, some, some}); len(got) != 1 || len(got[0].Policies) != 1 {
		t.Errorf("of no policy and twice the same: %+v, want it once", got)
	}
}

// Every rule that is tried, as it is written.
func TestVariantsInFull(t *testing.T) {
	var ups, downs []string
	for _, v := range (Space{Start: 15 * time.Second}).Variants(cpuHPA(2, 10, 70)) {
		up := fmt.Sprint(window(v.ScaleUp, 0), " ", hpa.FormatValue(v.ScaleUp.Policies))
		down := fmt.Sprint(window(v.ScaleDown, 5*time.Minute), " ", hpa.FormatValue(v.ScaleDown.Policies))
		if !slices.Contains(ups, up) {
			ups = append(ups, up)
		}
		if !slices.Contains(downs, down) {
			downs = append(downs, down)
		}
	}
	slices.Sort(ups)
	slices.Sort(downs)
	quick, double, half, few := "4 pods/15s, 100 %/15s", "100 %/15s, 2 pods/15s", "50 %/15s, 2 pods/15s", "2 pods/60s"
	all, quarter, tenth := "100 %/15s", "25 %/60s, 1 pod/60s", "10 %/60s, 1 pod/60s"
	var wantUps, wantDowns []string
	for _, w := range []string{"0s", "30s", "1m0s"} {
		wantUps = append(wantUps, w+" "+quick, w+" "+double, w+" "+half, w+" "+few)
	}
	for _, w := range []string{"1m0s", "2m0s", "5m0s", "10m0s"} {
		wantDowns = append(wantDowns, w+" "+all, w+" "+quarter, w+" "+tenth)
	}
	slices.Sort(wantUps)
	slices.Sort(wantDowns)
	if !slices.Equal(ups, wantUps) || !slices.Equal(downs, wantDowns) {
		t.Errorf("up %q, want %q\ndown %q, want %q", ups, wantUps, downs, wantDowns)
	}
}

// A fixed number of pods per minute is about a sixth of the need, and at least two.
func TestPodsPerMinute(t *testing.T) {
	for need, want := range map[int32]int32{0: 2, 12: 2, 14: 2, 15: 3, 30: 5, 120: 20} {
		up := Space{Need: need, Start: 15 * time.Second}.upPolicies(hpa.DefaultScaleUp())
		if got := up[len(up)-1].Policies; len(got) != 1 || got[0] != (hpa.Policy{Type: hpa.PodsPolicy, Value: want, Period: time.Minute}) {
			t.Errorf("for a need of %d: %+v, want %d pods a minute", need, got, want)
		}
	}
}

func TestPrimary(t *testing.T) {
	m := func(s hpa.Source, name string) hpa.Metric { return hpa.Metric{Source: s, Name: name} }
	for _, c := range []struct {
		name    string
		metrics []hpa.Metric
		want    int
	}{
		{"none", nil, -1}, {"memory alone", []hpa.Metric{m(hpa.Resource, "memory")}, -1},
		{"a container's memory alone", []hpa.Metric{m(hpa.ContainerResource, "memory")}, -1},
		{"CPU after memory", []hpa.Metric{m(hpa.Resource, "memory"), m(hpa.Resource, "cpu")}, 1},
		{"a container's CPU", []hpa.Metric{m(hpa.ContainerResource, "cpu")}, 0},
		{"the time of day is no load", []hpa.Metric{m(hpa.External, "s0-cron-UTC-08xx1-5-018xx1-5")}, -1},
		{"what follows the time of day", []hpa.Metric{m(hpa.External, "s0-cron-UTC-08xx1-5-018xx1-5"), m(hpa.External, "s1-prometheus")}, 1},
		{"a Pods metric named as a time of day", []hpa.Metric{m(hpa.Pods, "s0-cron-UTC-08xx1-5-018xx1-5")}, 0},
		{"a Pods metric called memory is a load", []hpa.Metric{m(hpa.Pods, "memory")}, 0},
	} {
		if got := Primary(&hpa.Config{Metrics: c.metrics}); got != c.want {
			t.Errorf("%s: Primary = %d, want %d", c.name, got, c.want)
		}
	}
}

func TestPolicyPeriod(t *testing.T) {
	for start, want := range map[time.Duration]time.Duration{0: 15 * time.Second, 15 * time.Second: 15 * time.Second, 16 * time.Second: 30 * time.Second, time.Hour: 30 * time.Minute} {
		if got := policyPeriod(start); got != want {
			t.Errorf("policyPeriod(%v) = %v, want %v", start, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	a := cpuHPA(2, 10, 70)
	for _, c := range []struct {
		name  string
		edit  func(*hpa.Config)
		n     int
		shift float64
	}{
		{"itself", func(*hpa.Config) {}, 0, 0},
		{"min doubled", func(c *hpa.Config) { c.MinReplicas = 4 }, 1, math.Ln2},
		{"target halved, max changed", func(c *hpa.Config) { c.Metrics[0].Target.Utilization = 35; c.MaxReplicas = 20 }, 2, 2 * math.Ln2},
		{"an empty behavior is Kubernetes' own", func(c *hpa.Config) { c.EnsureBehavior() }, 1, 1},
		{"behavior with a window of a minute", func(c *hpa.Config) {
			c.EnsureBehavior()
			c.ScaleDown.Window, c.ScaleDown.WindowSet = time.Minute, true
		}, 2, 2},
		{"other policies", func(c *hpa.Config) {
			c.EnsureBehavior()
			c.ScaleUp.Policies = []hpa.Policy{{Type: hpa.PodsPolicy, Value: 1, Period: time.Minute}}
		}, 2, 2},
	} {
		b := a.Clone()
		c.edit(&b)
		if n, shift := apart(a, b); n != c.n || math.Abs(shift-c.shift) > 1e-9 || Distance(a, b) != n {
			t.Errorf("%s: apart = %d, %v, want %d, %v", c.name, n, shift, c.n, c.shift)
		}
	}
	from, to := a.Clone(), a.Clone()
	from.EnsureBehavior()
	to.EnsureBehavior()
	from.ScaleDown.Window, from.ScaleDown.WindowSet = time.Minute, true
	to.ScaleDown.Window, to.ScaleDown.WindowSet = 2*time.Minute, true
	if n, shift := apart(from, to); n != 1 || math.Abs(shift-math.Ln2) > 1e-9 {
		t.Errorf("a window doubled: apart = %d, %v, want 1, ln 2", n, shift)
	}
}

func TestLimitsOfTheUser(t *testing.T) {
	for _, c := range []struct {
		space  Space
		lo, hi int32
		want   bool
	}{
		{Space{}, 2, 99, true}, {Space{}, 1, 9, false}, {Space{MinFloor: 1}, 1, 9, true}, {Space{MinFloor: 3}, 2, 9, false}, {Space{MinFloor: 3}, 3, 9, true},
		{Space{MaxLimit: 9}, 2, 9, true}, {Space{MaxLimit: 9}, 2, 10, false}, {Space{MaxLimit: 1}, 1, 1, true}, {Space{MaxLimit: 1}, 1, 2, false},
		{Space{}, 0, 9, false}, {Space{Zero: true}, 0, 9, true}, {Space{Zero: true}, 1, 9, false}, {Space{Zero: true}, 2, 9, true},
	} {
		cfg := cpuHPA(c.lo, c.hi, 70)
		if got := c.space.allows(&cfg); got != c.want {
			t.Errorf("%+v allows min %d, max %d: %v, want %v", c.space, c.lo, c.hi, got, c.want)
		}
	}
}
