package tuner

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

func objectives(t *testing.T, texts ...string) []results.Objective {
	t.Helper()
	out, err := results.ParseObjectives(texts)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestMargin(t *testing.T) {
	f := fluid{attainment: 0.97, hours: 8, errors: 0.004, capacity: 45, windows: 0.95}
	for _, c := range []struct {
		name  string
		texts []string
		of    func(*fluid)
		want  float64
	}{
		{"share within the limit", []string{"ttft.p95 < 1s"}, nil, 0.02},
		{"the strictest quantile counts", []string{"ttft.p95 < 1s", "e2e.p99 < 9s"}, nil, -0.02},
		{"a mean is sized as the median", []string{"e2e.mean < 9s"}, nil, 0.47},
		{"goodput asks for its own share", []string{"goodput > 96%"}, nil, 0.01},
		{"errors, in share of requests", []string{"error_rate < 1%"}, nil, 0.006},
		{"without an error there is nothing to gain", []string{"error_rate < 1%"}, func(f *fluid) { f.errors = 0 }, math.Inf(1)},
		{"hours, as a share of the limit", []string{"replica_hours < 10"}, nil, 0.2},
		{"hours above the limit", []string{"replica_hours < 4"}, nil, -1},
		{"time to capacity, a tenth of it", []string{"time_to_capacity < 90s"}, nil, 0.05},
		{"a need that is not known is not met", []string{"time_to_capacity < 90s"}, func(f *fluid) { f.capacity = math.NaN() }, math.Inf(-1)},
		{"windows, half their share", []string{"ttft.p95 < 1s each 1m for 90%"}, nil, 0.025},
		{"windows of a second", []string{"ttft.p95 < 1s each 1s for 90%"}, nil, 0.025},
		{"the tightest of several", []string{"ttft.p95 < 1s", "error_rate < 0.5%", "replica_hours < 10"}, nil, 0.001},
		{"flaps are not known to the fluid plant", []string{"flaps < 3"}, nil, math.Inf(1)},
		{"no request came", []string{"ttft.p95 < 1s"}, func(f *fluid) { f.attainment = math.NaN() }, math.Inf(-1)},
	} {
		x := f
		if c.of != nil {
			c.of(&x)
		}
		if got := newGoals(objectives(t, c.texts...)).margin(x); math.Abs(got-c.want) > 1e-9 && got != c.want {
			t.Errorf("%s: margin of %q = %v, want %v", c.name, c.texts, got, c.want)
		}
	}
}

func TestWant(t *testing.T) {
	for _, c := range []struct {
		texts []string
		want  float64
	}{
		{[]string{"ttft.p95 < 1s"}, 0.95}, {[]string{"e2e.p90 < 1s", "ttft.p99 < 1s"}, 0.99}, {[]string{"e2e.mean < 1s"}, 0.5},
		{[]string{"goodput > 97%", "ttft.p50 < 1s"}, 0.97}, {[]string{"error_rate < 1%"}, 0.95}, {nil, 0.95},
	} {
		if got := newGoals(objectives(t, c.texts...)).want(); got != c.want {
			t.Errorf("want of %q = %v, want %v", c.texts, got, c.want)
		}
	}
}

// Objectives with different quantiles want less of an idle replica than the larger for both.
func TestWantOfDifferentQuantiles(t *testing.T) {
	for _, c := range []struct {
		sentence string
		texts    []string
		idle     float64
		want     float64
	}{
		{"an idle replica gives enough for the larger", []string{"ttft.p95 < 1s", "e2e.p50 < 1s"}, 0.96, 0.95},
		{"it gives exactly the larger", []string{"ttft.p95 < 1s", "e2e.p50 < 1s"}, 0.95, 0.95},
		{"no objective is about requests", []string{"error_rate < 1%"}, 0.6, 0.95},
		{"it gives less, and more than both may miss", []string{"ttft.p95 < 1s", "e2e.p50 < 1s"}, 0.6, 0.57},
		{"both may miss more than it does", []string{"ttft.p95 < 1s", "e2e.p50 < 1s"}, 0.46, 0.45},
		{"it gives less than both may miss", []string{"ttft.p95 < 1s", "e2e.p50 < 1s"}, 0.3, 0.45},
		{"a mean counts as the median", []string{"ttft.p95 < 1s", "e2e.mean < 1s"}, 0.6, 0.57},
		{"each may miss another 5 %", []string{"ttft.p95 < 1s", "e2e.p95 < 1s"}, 0.92, 0.9},
		{"one objective is as it was", []string{"ttft.p95 < 1s"}, 0.6, 0.95},
		{"goodput is about all limits", []string{"goodput > 97%", "e2e.p50 < 1s"}, 0.6, 0.97},
	} {
		g := newGoals(objectives(t, c.texts...))
		g.idle = c.idle
		if got := g.want(); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: want %v of the requests, should be %v", c.sentence, got, c.want)
		}
	}
}

func TestWindows(t *testing.T) {
	g := newGoals(objectives(t, "error_rate < 1%", "ttft.p95 < 1s each 1m for 90%"))
	if got := g.windowTicks(time.Second); got != 60 {
		t.Errorf("a minute has %d ticks of a second, want 60", got)
	}
	if got := g.windowTicks(2 * time.Minute); got != 1 {
		t.Errorf("a window shorter than a tick has %d, want 1", got)
	}
	if got := newGoals(objectives(t, "ttft.p95 < 1s each 1s for 90%")).windowTicks(time.Second); got != 1 {
		t.Errorf("a second has %d ticks of a second, want 1", got)
	}
	if got := newGoals(objectives(t, "ttft.p95 < 1s")).windowTicks(time.Second); got != 0 {
		t.Errorf("no window asked for: %d ticks, want 0", got)
	}
	a := &tally{by: 60, goodBy: []float64{95, 94, 0, 10, 1}, arrivalsBy: []float64{100, 100, 0, 10, 1}}
	if got := g.windowShare(a); math.Abs(got-3.0/4) > 1e-12 {
		t.Errorf("three of four windows with arrivals met it: %v, want 0.75", got)
	}
	if got := g.windowShare(&tally{}); got != 1 {
		t.Errorf("without windows %v, want 1", got)
	}
}

func TestLimitsOfGoals(t *testing.T) {
	for _, c := range []struct {
		texts     []string
		ttft, e2e time.Duration
	}{
		{[]string{"ttft.p95 < 1s", "ttft.p50 < 300ms", "e2e.p99 < 9s"}, 300 * time.Millisecond, 9 * time.Second},
		{[]string{"ttft_from_sent.p95 < 800ms", "ttft.p95 < 1s"}, 800 * time.Millisecond, 0},
		{[]string{"e2e_from_sent.p95 < 2s"}, 0, 2 * time.Second},
		{[]string{"error_rate < 1%"}, 0, 0},
	} {
		if l := newGoals(objectives(t, c.texts...)).limits(); l.TTFT != c.ttft || l.E2E != c.e2e {
			t.Errorf("limits of %q = %+v, want %v, %v", c.texts, l, c.ttft, c.e2e)
		}
	}
}

// What a replay knows beyond its ticks, and whether every objective is met.
func TestMetOnADay(t *testing.T) {
	var l results.Hist
	for i := range 100 {
		l.Record(time.Duration(i+1) * 10 * time.Millisecond) // p95 0.95 s
	}
	tl := results.Timeline{Step: time.Second, Ticks: []results.Tick{{Arrivals: 100, Done: 99, Good: 95, Failed: 1, Pods: 4, Ready: 4, Spec: 4}}, TTFT: l, E2E: l}
	for range 30 {
		tl.Ticks = append(tl.Ticks, results.Tick{Pods: 4, Ready: 4, Spec: 5, Desired: 5})
	}
	a := &tally{step: time.Second, ticks: 1800, podSeconds: 7200}
	for _, c := range []struct {
		text string
		cost float64
		want bool
	}{
		{"ttft.p95 < 1s", 0, true}, {"ttft.p95 < 900ms", 0, false}, {"error_rate < 2%", 0, true}, {"error_rate < 1%", 0, false},
		{"time_to_capacity < 31s", 0, true}, {"time_to_capacity < 30s", 0, false},
		// 2 replica-hours in half an hour, at 0.5 each: 2 per hour, 1460 per month.
		{"usd_hour < 2.01", 0.5, true}, {"usd_hour < 1.99", 0.5, false}, {"usd_month < 1461", 0.5, true}, {"usd_month < 1459", 0.5, false},
		{"usd_month < 1461", 0, false}, // an unknown cost is not met
	} {
		g := goals{list: objectives(t, c.text), cost: c.cost}
		if got := g.met(&tl, a); got != c.want {
			t.Errorf("%q at %v a replica-hour: met %v, want %v", c.text, c.cost, got, c.want)
		}
	}
}

func TestGoalsAreNamedAsWritten(t *testing.T) {
	if got, want := newGoals(objectives(t, "ttft.p95 < 1s", "error_rate < 1%")).String(), `"ttft.p95 < 1s" and "error_rate < 1%"`; got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
}

func TestOfTokens(t *testing.T) {
	for text, want := range map[string]bool{
		"ttft.p95 < 4s": false, "e2e.p95 < 9s": false, "error_rate < 1%": false, "itl.p95 < 60ms": true,
		"tpot.p95 < 50ms": true,
	} {
		if got := newGoals(objectives(t, text)).ofTokens(); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	if !newGoals(objectives(t, "ttft.p95 < 4s", "tpot.p95 < 50ms")).ofTokens() {
		t.Error("one of two limits the time between tokens")
	}
}
