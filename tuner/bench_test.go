package tuner

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/cost"
	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// clockwork is a world that can be computed by hand. A replica serves one request at a time in
// half a second, with its first token after a quarter of a second. Each request uses half a
// core-second, and one comes every second, at a tenth past. It starts with two replicas.
func clockwork(t *testing.T, seconds int, turn func(*replay.World)) *replay.World {
	t.Helper()
	w := replay.World{
		Demand:   replay.Demand{Step: time.Second},
		Service:  plant.SlotsLaw(1, []plant.ServiceTime{{First: 0.25, Total: 0.5}}),
		Start:    []plant.PhaseSample{{Ready: 20 * time.Second}, {Pull: 10 * time.Second, Ready: 30 * time.Second}},
		Limits:   plant.Limits{TTFT: 500 * time.Millisecond},
		Replicas: 2,
		Pipes: []plant.Pipe{
			{Name: "cpu", Base: 0.01, PerDone: 0.5, Ceiling: 1, Every: 15 * time.Second, Phase: 7 * time.Second,
				Window: 15 * time.Second, Delay: 5 * time.Second},
		},
		Containers: []hpa.Container{{Name: "app", CPU: 1000, HasCPU: true}},
		Seed:       1,
	}
	for i := range seconds {
		w.Demand.Bins = append(w.Demand.Bins, 1)
		w.Demand.Arrivals = append(
			w.Demand.Arrivals,
			profiles.Arrival{At: time.Duration(i)*time.Second + 100*time.Millisecond, Index: i},
		)
	}
	if turn != nil {
		turn(&w)
	}
	out, err := replay.New(w)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sized is an HPA with a fixed size.
func sized(n int32) hpa.Config { return cpuHPA(n, n, 50) }

// steadyRate sets the demand to perSec requests per second.
func steadyRate(perSec float64) func(*replay.World) {
	return func(w *replay.World) {
		for i := range w.Demand.Bins {
			w.Demand.Bins[i] = perSec
		}
		w.Demand.Arrivals = nil
	}
}

// newBenchOf returns a bench as Recommend makes it.
func newBenchOf(t *testing.T, w *replay.World, run *results.Run, o Options, texts ...string) *bench {
	t.Helper()
	if run == nil {
		run = &results.Run{}
	}
	f := Fitted{World: w, Replica: cost.Replica{CPUCores: 1, MemoryGB: 2},
		Reaches: []fit.Reach{{Metric: "cpu", Largest: 0.5, N: 9}, {Metric: "memory", Largest: 1, N: 9}}}
	b, err := newBench(run, f, newGoals(objectivesOf(t, texts...)), o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNewBench(t *testing.T) {
	w := clockwork(t, 120, steadyRate(3))
	run := &results.Run{Meta: results.Meta{Represents: "day", Target: results.Target{Streams: true},
		Stages: []results.StageInfo{{Name: "warm-up", ToS: 60, Warmup: true}, {Name: "load", FromS: 60, ToS: 120}}}}
	price := Price{Name: "made up", CPU: 0.5, RAM: 0.25}
	b := newBenchOf(t, w, run, Options{Price: price, Seed: 7, First: true, Space: Space{MaxLimit: 9}}, "ttft.p95 < 500ms")
	if b.goals.cost != 1 || b.represents != "day" || !b.streams || b.seed != 7 {
		t.Errorf("cost of a replica-hour %v, represents %q, streams %v, seed %d, want 1, day, true, 7",
			b.goals.cost, b.represents, b.streams, b.seed)
	}
	if b.space.Start != 30*time.Second || !b.space.First || b.space.MaxLimit != 9 {
		t.Errorf("space %+v, want a start of 30 s, the mean of 20 and 40, and what was asked for", b.space)
	}
	// One replica serves at most 2 per second, and fewer within the limit.
	if b.perReplica <= 1 || b.perReplica >= 2 || b.space.Need != int32(math.Ceil(3/b.perReplica)) {
		t.Errorf(
			"a replica carries %v/s, need %d, want between 1 and 2/s, and as many as 3/s take",
			b.perReplica,
			b.space.Need,
		)
	}
	if len(b.need) != 120 || b.need[60] != float64(b.space.Need) {
		t.Errorf("need of %d ticks, %v in the middle, want 120 of %d", len(b.need), b.need[60], b.space.Need)
	}
	if !b.warmup(0) || !b.warmup(59) || b.warmup(60) || b.warmup(119) {
		t.Error("the first minute is warm-up, and no more")
	}
	if w.Doubt.Service != 0 || w.Doubt.Starts || b.world.Doubt.Off != replay.NotOff {
		t.Errorf("the world's own doubt became %+v, the bench's is %+v", w.Doubt, b.world.Doubt)
	}
	if d := b.day(3); d.Seed != b.world.Draw(replicate(7, 3)).Seed || d.Seed == b.day(4).Seed {
		t.Error("day 3 is not the fourth of the seed's days")
	}
	if no := b.hopeless(); no != nil {
		t.Errorf("refuses: %+v", no)
	}
	// If the size of a replica is not known, neither is its cost.
	run.Meta.Represents = ""
	unpriced, err := newBench(run, Fitted{World: w}, newGoals(nil), Options{Price: price})
	if err != nil || unpriced.goals.cost != 0 {
		t.Errorf("cost %v, %v, want none", unpriced.goals.cost, err)
	}
	// A load that no size can serve in time is refused.
	never := newBenchOf(
		t,
		clockwork(t, 60, func(w *replay.World) { w.Limits.TTFT = 200 * time.Millisecond }),
		nil,
		Options{},
		"ttft.p95 < 200ms",
	)
	if no := never.hopeless(); no == nil || no.ID != "service" || never.need != nil || never.space.Need != 0 {
		t.Errorf("a first token that takes 250 ms within 200: %+v, need %v", no, never.need)
	}
}

// What a replica can serve is found at the recorded size, but at two replicas at least.
func TestNewBenchSizesAReplica(t *testing.T) {
	for recorded, at := range map[int32]int32{1: 2, 2: 2, 3: 3} {
		w := clockwork(t, 60, func(w *replay.World) { w.Replicas, w.Demand.CV2 = recorded, 1 })
		want, err := capacity(w, at, 0.95)
		if got := newBenchOf(t, w, nil, Options{}, "ttft.p95 < 500ms").perReplica; err != nil || got != want {
			t.Errorf("recorded with %d: %v/s, want the %v/s of one among %d", recorded, got, want, at)
		}
	}
	one := []plant.PhaseSample{{Ready: 20 * time.Second}}
	slow := newBenchOf(t, clockwork(t, 60, func(w *replay.World) {
		w.Start, w.Limits.TTFT = one, time.Minute
		w.Service = plant.SlotsLaw(1, []plant.ServiceTime{{First: 1, Total: 4}})
	}), nil, Options{}, "ttft.p95 < 1m")
	if slow.hopeless() != nil || slow.perReplica > 0.25 || slow.need == nil || slow.space.Start != 20*time.Second {
		t.Errorf("a request in four seconds: %v/s, hopeless %+v, start %v", slow.perReplica, slow.hopeless(), slow.space.Start)
	}
}

// Zero is a candidate for minReplicas if something can wake the target and the user did not
// ask for a floor.
func TestNewBenchLooksAtZero(t *testing.T) {
	for _, c := range []struct {
		sentence string
		trigger  keda.Trigger
		floor    int32
		want     bool
	}{
		{"a metric from outside", keda.Trigger{Metric: "s0-prometheus", Target: 4}, 0, true},
		{"the user wants one at least", keda.Trigger{Metric: "s0-prometheus", Target: 4}, 1, false},
		{"a metric that the pods export", keda.Trigger{Metric: "s0-prometheus", OfPods: true}, 0, false},
	} {
		run, f := quietRun(t)
		o := Options{Current: queueHPA(1), Loop: &keda.Loop{Triggers: []keda.Trigger{c.trigger}}, Space: Space{MinFloor: c.floor}}
		b, err := newBench(run, f, newGoals(nil), o)
		if err != nil || b.space.Zero != c.want {
			t.Errorf("%s: zero %v, %v, want %v", c.sentence, b.space.Zero, err, c.want)
		}
	}
	if b := newBenchOf(t, clockwork(t, 60, nil), nil, Options{}, "ttft.p95 < 500ms"); b.space.Zero {
		t.Errorf("an HPA on CPU: zero is among %+v", b.space)
	}
}

func TestWarmupsGoByTheMiddleOfATick(t *testing.T) {
	in := warmups([]results.StageInfo{{FromS: 1.5, ToS: 3.5, Warmup: true}, {FromS: 3.5, ToS: 9}}, time.Second)
	got := ""
	for i := range 6 {
		got += fmt.Sprint(in(i), " ")
	}
	if want := "false true true false false false "; got != want {
		t.Errorf("ticks in a warm-up of 1.5 to 3.5 s: %s, want %s", got, want)
	}
}

// How far a target lies beyond the samples is checked for the metric that the search varies.
func TestReachIsOfThePrimaryMetric(t *testing.T) {
	b := newBenchOf(t, clockwork(t, 60, nil), nil, Options{}, "ttft.p95 < 500ms")
	both := cpuHPA(2, 9, 90)
	both.Metrics = append(
		[]hpa.Metric{{Source: hpa.Resource, Name: "memory", Target: hpa.Target{Utilization: 70}}},
		both.Metrics...)
	if far, text := b.reach(&both); far != fit.Unseen || text == "" {
		t.Errorf("90 %% where half a core was the most: %v (%s), want unseen", far, text)
	}
	both.Metrics[1].Target.Utilization = 40
	if far, _ := b.reach(&both); far != fit.Seen || len(both.Metrics) != 2 {
		t.Errorf("40 %%: %v, want seen, and the configuration as it was: %d metrics", far, len(both.Metrics))
	}
	slices.Reverse(both.Metrics)
	if far, _ := b.reach(&both); far != fit.Seen {
		t.Errorf("the same, with memory behind it: %v, want seen", far)
	}
	both.Metrics = nil
	if far, _ := b.reach(&both); far != fit.Seen || b.beyond(&both) != 1 {
		t.Errorf("no metric: %v, %v times beyond, want seen", far, b.beyond(&both))
	}
}

// sameDay reports whether two days are equal; figures that are NaN in both do not differ.
func sameDay(a, b outcome) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

func TestADayOfTheExactPlant(t *testing.T) {
	warm := &results.Run{Meta: results.Meta{Stages: []results.StageInfo{{ToS: 30, Warmup: true}}}}
	var s replay.Scratch
	for _, c := range []struct {
		sentence   string
		size       int32
		run        *results.Run
		asRecorded bool
		want       outcome
	}{
		{"two replicas are idle most of the time", 2, nil, false,
			outcome{attainment: 1, hours: 240.0 / 3600, ready: 240.0 / 3600, peak: 2, ttft: 0.25, e2e: 0.5, requests: 120, met: true}},
		{"the first half minute only warms up", 2, warm, false,
			outcome{attainment: 1, hours: 240.0 / 3600, ready: 240.0 / 3600, peak: 2, ttft: 0.25, e2e: 0.5, requests: 90, met: true}},
		{"three stand there from the start", 3, nil, false,
			outcome{attainment: 1, hours: 360.0 / 3600, ready: 360.0 / 3600, peak: 3, ttft: 0.25, e2e: 0.5, requests: 120, met: true}},
	} {
		w := clockwork(t, 120, nil)
		b := newBenchOf(t, w, c.run, Options{}, "ttft.p95 < 500ms")
		got := b.live(w, sized(c.size), &s)
		same := func(a, b float64) bool { return math.Abs(a-b) <= 0.01*math.Abs(b)+1e-9 }
		if !same(got.attainment, c.want.attainment) || !same(got.hours, c.want.hours) || !same(got.ready, c.want.ready) ||
			!same(got.ttft, c.want.ttft) || !same(got.e2e, c.want.e2e) ||
			got.peak != c.want.peak || got.requests != c.want.requests || got.met != c.want.met || got.errors != 0 || got.flaps != 0 || got.capacity != 0 {
			t.Errorf("%s: %+v\nwant %+v", c.sentence, got, c.want)
		}
		// The scratch is reused, and days do not affect each other.
		if again := b.live(w, sized(c.size), &s); !sameDay(again, got) {
			t.Errorf("%s: the same day again is %+v, was %+v", c.sentence, again, got)
		}
		if s.Latency != nil || s.Warmup != nil {
			t.Errorf("%s: the scratch still holds the day", c.sentence)
		}
	}
	// The recorded arrivals are replayed, not others with the same rate.
	uneven := clockwork(t, 120, func(w *replay.World) { w.Demand.CV2 = 1 })
	if got := newBenchOf(t, uneven, nil, Options{}, "ttft.p95 < 500ms").live(uneven, sized(2), &s); got.requests != 120 || got.ttft > 0.26 {
		t.Errorf("one request a second, recorded: %v requests, first token after %v s", got.requests, got.ttft)
	}
	// Far too slow: nothing is within the limit, and every objective is missed.
	slow := clockwork(t, 120, func(w *replay.World) {
		w.Service = plant.SlotsLaw(1, []plant.ServiceTime{{First: 0.25, Total: 4}})
	})
	b := newBenchOf(t, slow, nil, Options{}, "ttft.p95 < 500ms")
	if got := b.live(slow, sized(1), &s); got.met || got.attainment > 0.1 || !(got.ttft > 10) || got.capacity != 0 {
		t.Errorf("one replica with four times what it can: %+v", got)
	}
}

func TestAPassOfTheFluidPlant(t *testing.T) {
	w := clockwork(t, 120, steadyRate(0.5))
	b := newBenchOf(t, w, nil, Options{}, "ttft.p95 < 500ms", "replica_hours < 0.1")
	var s replay.Scratch
	got := b.pass(w, sized(2), &s)
	if want := 240.0 / 3600; math.Abs(got.hours-want) > 1e-9 || got.errors != 0 || got.capacity != 0 || got.windows != 1 {
		t.Errorf("%+v, want %v replica-hours, no errors, no time short, no windows", got, want)
	}
	if want := sized(2); !got.config.Equal(&want) {
		t.Errorf("it is of %s, want %s", Describe(got.config), Describe(want))
	}
	// The hours use two thirds of their limit; the requests have the smaller margin.
	if want := min(1-240.0/3600/0.1, got.attainment-0.95); math.Abs(got.margin-want) > 1e-9 || got.attainment < 0.95 {
		t.Errorf("margin %v at %v within, want %v", got.margin, got.attainment, want)
	}
	windowed := newBenchOf(t, w, nil, Options{}, "ttft.p95 < 500ms each 1m for 90%")
	if got := windowed.pass(w, sized(2), &s); got.windows != 1 || math.Abs(got.margin-0.05) > 1e-9 {
		t.Errorf("windows %v, margin %v, want all of them, and half of the tenth that may miss", got.windows, got.margin)
	}
}

func TestTryHasADayForEachReplicate(t *testing.T) {
	w := clockwork(t, 60, func(w *replay.World) { w.Demand.CV2 = 1 })
	b := newBenchOf(t, w, nil, Options{Seed: 3}, "ttft.p95 < 500ms")
	var s replay.Scratch
	got := b.try(sized(2), 3, &s)
	if len(got.days) != 3 || got.days[0].requests == got.days[1].requests && got.days[1].requests == got.days[2].requests {
		t.Errorf("days %+v, want three that differ", got.days)
	}
	if want := b.live(b.day(1), sized(2), &s); !sameDay(got.days[1], want) {
		t.Errorf("the second day is %+v, want %+v", got.days[1], want)
	}
}

func TestNeeds(t *testing.T) {
	bins := slices.Repeat([]float64{0}, 100)
	bins[50] = 62 // 2 per second on average over the 31 ticks around it
	got := needs(bins, time.Second, 0.5)
	if got[34] != 0 || got[35] != 4 || got[50] != 4 || got[65] != 4 || got[66] != 0 {
		t.Errorf("need around a spike: %v, want 4 from 15 ticks before to 15 after", got[33:68])
	}
	fine := slices.Repeat([]float64{0}, 200)
	fine[100] = 61 // half-second ticks: 2 per second on average over the 61 around it
	if got := needs(fine, time.Second/2, 0.5); got[69] != 0 || got[70] != 4 || got[130] != 4 || got[131] != 0 {
		t.Errorf("need around a spike: %v, want 4 from 15 s before to 15 s after", got[68:133])
	}
	if got := needs([]float64{2, 2}, 2*time.Second, 1); got[0] != 1 || got[1] != 1 {
		t.Errorf("a need of exactly one replica is %v, want 1", got)
	}
	if got := smoothed(
		[]float64{6, 0, 0, 0, 3},
		time.Second,
		2*time.Second,
	); !slices.Equal(
		got,
		[]float64{3, 2, 0, 1, 1.5},
	) {
		t.Errorf("smoothed = %v, want means of the neighbours there are", got)
	}
	if peak([]float64{1, 3, 2}) != 3 || peak(nil) != 0 {
		t.Error("peak is the largest")
	}
}

func TestCapacity(t *testing.T) {
	for _, c := range []struct {
		sentence string
		limit    time.Duration
		n        int32
		want     float64
		lo, hi   float64
	}{
		{"any wait is good: all that a replica can, to a thousandth", time.Hour, 2, 0.95, 1.998, 2},
		{"less than it takes when idle", 200 * time.Millisecond, 2, 0.95, 0, 0},
		{"a little wait", 500 * time.Millisecond, 2, 0.95, 0.5, 1.2},
		{"all must be good, and all are: so the exact plant decides, to a thousandth", time.Hour, 2, 1, 1.998, 1.999},
		{"fewer need be good", 500 * time.Millisecond, 2, 0.5, 1.5, 2},
	} {
		w := clockwork(t, 60, func(w *replay.World) { w.Limits.TTFT, w.Demand.CV2 = c.limit, 1 })
		if got, err := capacity(w, c.n, c.want); err != nil || got < c.lo || got > c.hi {
			t.Errorf("%s: capacity %v, %v, want %v to %v requests/s", c.sentence, got, err, c.lo, c.hi)
		}
	}
	// Under a random balancer each replica is an M/D/1 queue, in which a request waits at most
	// t < D with probability (1 − ρ)·exp(λ·t) (Erlang, 1909). With D = 500 ms and t = 250 ms
	// that is 95 % at 0.187/s and 80 % at 0.635/s.
	for want, rate := range map[float64]float64{0.95: 0.187, 0.8: 0.635} {
		w := clockwork(t, 60, func(w *replay.World) { w.Balancer, w.Demand.CV2 = plant.Random, 1 })
		if got, err := capacity(w, 2, want); err != nil || math.Abs(got/rate-1) > 0.1 {
			t.Errorf("%v in time: %v/s, %v, want %v/s", want, got, err, rate)
		}
	}
	few, _ := capacity(clockwork(t, 60, func(w *replay.World) { w.Demand.CV2 = 1 }), 2, 0.95)
	many, _ := capacity(clockwork(t, 60, func(w *replay.World) { w.Demand.CV2 = 1 }), 20, 0.95)
	if few != many && many < few {
		t.Errorf("among 20 replicas one carries %v, among 2 %v", many, few)
	}
}

// An idle replica serves each request at once: the first token comes after 250 ms, whatever the
// load was.
func TestIdleShare(t *testing.T) {
	for limit, want := range map[time.Duration]float64{300 * time.Millisecond: 1, 200 * time.Millisecond: 0} {
		w := clockwork(t, 60, func(w *replay.World) { w.Limits.TTFT = limit })
		if got, err := idleShare(w); err != nil || math.Abs(got-want) > 0.001 {
			t.Errorf("within %v: %v, %v, want %v of the requests", limit, got, err, want)
		}
	}
}

func TestAWorldThatCannotBeReplayedHasNoCapacity(t *testing.T) {
	w := *clockwork(t, 60, nil)
	w.Start = nil
	if got, err := capacity(&w, 2, 0.95); got != 0 || err == nil {
		t.Errorf("without a start-up: capacity %v, %v, want 0 and an error", got, err)
	}
	if got, err := idleShare(&w); got != 0 || err == nil {
		t.Errorf("without a start-up: share %v, %v, want 0 and an error", got, err)
	}
}

func TestSpanFor(t *testing.T) {
	for _, c := range []struct {
		sentence  string
		top, want float64
	}{
		{"a rate of nothing takes the longest span", 0, 3600},
		{"slow servers are watched for an hour at most", 5, 3600},
		{"in between it is 20,000 requests", 10, 2000},
		{"fast servers are watched for a minute at least", 400, 60},
	} {
		if got := spanFor(c.top); got != c.want {
			t.Errorf("%s: %v s at %v/s, want %v", c.sentence, got, c.top, c.want)
		}
	}
}

func TestDaysAt(t *testing.T) {
	for k, want := range map[float64]int{1: 1, 0.75: 2, 0.5: 2, 0.4: 3, 0.125: 8, 0.001: 8} {
		if got := daysAt(k); got != want {
			t.Errorf("a share of %v is replayed %d times, want %d", k, got, want)
		}
	}
}

func TestMostThatHolds(t *testing.T) {
	upTo := func(most float64) func(float64) bool { return func(k float64) bool { return k <= most } }
	for _, c := range []struct {
		sentence     string
		fluid, exact float64
		lo, hi       float64
	}{
		{"the exact plant decides, below the fluid one", 0.9, 0.3, 0.299, 0.3},
		{"and above it", 0.3, 0.9, 0.899, 0.9},
		{"where the fluid plant holds nowhere, none does", -1, 0.9, 0, 0},
		{"where the exact one holds nowhere, the fluid one's, to a millionth", 0.3, -1, 0.299999, 0.3},
		{"of all the load, all but a thousandth", 1, 1, 1 - 1.0/1024, 1 - 1.0/1024},
		{"of all the load, by the fluid plant, all but a millionth", 1, -1, 1 - 1.0/(1<<20), 1 - 1.0/(1<<20)},
		{"a fluid share of a millionth is a share", 1.0 / (1 << 20), 0.5, 0.499, 0.5},
	} {
		if got := mostThatHolds(upTo(c.fluid), upTo(c.exact)); got < c.lo || got > c.hi {
			t.Errorf("%s: %v, want %v to %v", c.sentence, got, c.lo, c.hi)
		}
	}
	if got := bisect(3, upTo(1)); got != 0.875 {
		t.Errorf("after three halvings %v, want 7/8", got)
	}
}

func TestResampled(t *testing.T) {
	b := newBenchOf(t, clockwork(t, 120, steadyRate(3)), nil, Options{}, "ttft.p95 < 500ms")
	b.perReplica = 2
	if got, err := b.resampled(t.Context(), 3); err != nil || got != 2 {
		t.Errorf("days of 3/s at 2/s a replica need %d, %v, want 2", got, err)
	}
	bursty := newBenchOf(
		t,
		clockwork(t, 120, func(w *replay.World) { steadyRate(3)(w); w.Demand.CV2 = 30 }),
		nil,
		Options{},
		"ttft.p95 < 500ms",
	)
	bursty.perReplica = 1
	peaks := 0.0
	for i := range 5 {
		d := bursty.day(i).Demand
		peaks = max(peaks, peak(needs(d.Bins, d.Step, 1)))
	}
	if got, err := bursty.resampled(t.Context(), 5); err != nil || float64(got) != peaks || peaks <= 3 {
		t.Errorf("five uneven days need %d, %v, want %v, which is more than the mean's 3", got, err, peaks)
	}
}

// The days of a search share memory. What one day measured must not be in the next one's
// figures, and the same day gives the same ones.
func TestADaysMemoryIsEmptiedForTheNext(t *testing.T) {
	w := clockwork(t, 60, func(w *replay.World) {
		w.Service = plant.SlotsLaw(1, []plant.ServiceTime{{First: 0.25, Total: 0.5, Tokens: 6, Gap: 0.05}})
	})
	b := newBenchOf(t, w, late(0), Options{}, "tpot.p95 < 1s")
	var s replay.Scratch
	var d day
	for i := range 3 {
		b.timeline(b.world, sized(2), &s, &d.timeline, &d.latency)
		for name, h := range map[string]*results.Hist{
			"TTFT": &d.timeline.TTFT, "TPOT": &d.timeline.TPOT, "E2E": &d.timeline.E2E,
		} {
			if n := h.Count(); n != 60 {
				t.Errorf("day %d: %s of %v requests, want 60", i+1, name, n)
			}
		}
	}
}

// What an idle replica meets is known from a load that is next to none: at its capacity it meets less.
func TestNewBenchKnowsWhatAnIdleReplicaMeets(t *testing.T) {
	in := *clockwork(t, 120, steadyRate(3))
	in.Limits.TTFT, in.Demand.CV2 = 300*time.Millisecond, 1
	w, err := replay.New(in)
	if err != nil {
		t.Fatal(err)
	}
	b := newBenchOf(t, w, nil, Options{}, "ttft.p95 < 300ms")
	busy, err := newFlat(w, 2)
	if idle, e := idleShare(w); err != nil || e != nil || b.goals.idle != idle || idle <= busy.within(1) {
		t.Errorf("an idle replica meets the limits for %v of the requests, want %v, and more than a busy one; %v, %v",
			b.goals.idle, idle, err, e)
	}
}
