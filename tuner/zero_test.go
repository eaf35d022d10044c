package tuner

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// queueHPA is an HPA on the requests in flight, 4 per replica.
func queueHPA(lo int32) hpa.Config {
	c := hpa.DefaultConfig(6)
	c.MinReplicas = lo
	c.Metrics = []hpa.Metric{{Source: hpa.External, Name: "s0-prometheus",
		Target: hpa.Target{Type: hpa.AverageValue, AverageMilli: 4000}}}
	return c
}

// quietRun is an hour without load from minute 10 to minute 50, on pods that start in 30 s.
func quietRun(t *testing.T) (*results.Run, Fitted) {
	t.Helper()
	bins := make([]float64, 3600)
	for i := range bins {
		if i < 600 || i >= 3000 {
			bins[i] = 2
		}
	}
	times := make([]plant.ServiceTime, 20)
	for i := range times {
		times[i].Total = 0.1 + 0.01*float64(i)
		times[i].First = times[i].Total
	}
	w, err := replay.New(replay.World{
		Demand:   replay.Demand{Bins: bins, CV2: 1, Breaks: []time.Duration{10 * time.Minute, 50 * time.Minute}},
		Service:  plant.SlotsLaw(4, times),
		Start:    []plant.PhaseSample{{Schedule: 5 * time.Second, Ready: 25 * time.Second}},
		Pipes:    []plant.Pipe{{Name: "s0-prometheus", PerRunning: 1, PerWaiting: 1, PerDone: 0.5}},
		Limits:   plant.Limits{E2E: 2 * time.Minute},
		Replicas: 2, Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &results.Run{Meta: results.Meta{HPA: results.HPAContext{Kubernetes: "v1.37.2"}}},
		Fitted{World: w, Replica: Replica{CPUCores: 4, MemoryGB: 8}}
}

func TestZero(t *testing.T) {
	loop := func(f func(*keda.Loop)) *keda.Loop {
		l := &keda.Loop{Polling: 30 * time.Second, Cooldown: 5 * time.Minute,
			Triggers: []keda.Trigger{{Metric: "s0-prometheus", Reads: "gateway_requests", Target: 4}}}
		if f != nil {
			f(l)
		}
		return l
	}
	none := int32(0)
	for _, x := range []struct {
		name      string
		loop      *keda.Loop
		hold      time.Duration
		objective string
		min       int32 // of the best configuration
		floor     int32 // --min-floor
		edit      func(*results.Run, *replay.World)
		verdict   ZeroVerdict
		path, why string
	}{
		{"held, it holds, and is what was chosen", loop(nil), 2 * time.Minute, "error_rate < 1%", 0, 0, nil, ZeroAdvised,
			"spec.minReplicaCount", "hold with it on"},
		{"refused, it breaks the objective", loop(nil), 0, "error_rate < 1%", 1, 0, nil, ZeroNot,
			"spec.minReplicaCount", `with it, "error_rate < 1%" held on only 0 of`},
		{"the user wants one at least", loop(nil), 2 * time.Minute, "error_rate < 1%", 1, 1, nil, ZeroNot,
			"spec.minReplicaCount", "--min-floor is 1"},
		{"never asleep", loop(func(l *keda.Loop) { l.Cooldown = 2 * time.Hour }), 0, "error_rate < 1%", 1, 0, nil, ZeroNot,
			"spec.minReplicaCount", "cooldownPeriod 2h"},
		{"the pods' own metric cannot wake them", loop(func(l *keda.Loop) {
			l.Triggers[0].OfPods, l.Triggers[0].Reads = true, "vllm:num_requests_waiting"
		}), time.Minute, "error_rate < 1%", 1, 0, nil, ZeroRefused, "spec.minReplicaCount",
			"no pod exports s0-prometheus (vllm:num_requests_waiting)"},
		{"an annotation keeps it awake", loop(func(l *keda.Loop) { l.PausedIn = true }), 0, "error_rate < 1%", 1, 0, nil,
			ZeroRefused, "spec.minReplicaCount", "paused-scale-in"},
		{"idleReplicaCount is zero, too", loop(func(l *keda.Loop) { l.Idle = &none }), 2 * time.Minute, "error_rate < 1%", 1, 0,
			nil, ZeroAdvised, "spec.idleReplicaCount", "hold with it"},
		{"an HPA alone, on a metric from outside", nil, 2 * time.Minute, "error_rate < 1%", 0, 0,
			func(_ *results.Run, w *replay.World) { w.Outside = []string{"s0-prometheus"} }, ZeroAdvised, "spec.minReplicas", "hold with it"},
		{"an HPA of Kubernetes 1.36", nil, 0, "error_rate < 1%", 1, 0, func(r *results.Run, w *replay.World) {
			r.Meta.HPA.Kubernetes, w.Params = "v1.36.1", hpa.ParamsFor(36)
			w.Outside = []string{"s0-prometheus"}
		}, ZeroRefused, "spec.minReplicas", "from Kubernetes 1.37 on"},
		{"an HPA on what its pods export", nil, 0, "error_rate < 1%", 1, 0, nil, ZeroRefused, "spec.minReplicas", "no pod exports"},
	} {
		t.Run(x.name, func(t *testing.T) {
			run, f := quietRun(t)
			w := *f.World
			w.Hold = x.hold
			if x.edit != nil {
				x.edit(run, &w)
			}
			var err error
			if f.World, err = replay.New(w); err != nil {
				t.Fatal(err)
			}
			ob, err := results.ParseObjective(x.objective)
			if err != nil {
				t.Fatal(err)
			}
			o := Options{Current: queueHPA(1), Loop: x.loop, Price: DefaultPrice(), Replicates: 5, Seed: 1,
				Space: Space{MinFloor: x.floor}, Progress: func(string, int, int) {}}
			b, err := newBench(run, f, newGoals([]results.Objective{ob}), o)
			if err != nil {
				t.Fatal(err)
			}
			days := 5
			if x.verdict == ZeroAdvised {
				days = 30 // as many as certainty needs
			}
			var s replay.Scratch
			best := b.try(queueHPA(x.min), days, &s)
			var r Recommendation
			if err := b.zero(context.Background(), &r, ranking{choice: choice{best: best}, trials: []*trial{best}}, o); err != nil {
				t.Fatal(err)
			}
			z := r.Zero
			if z == nil || z.Verdict != x.verdict || z.Path != x.path || !strings.Contains(z.Why, x.why) {
				t.Fatalf("zero: %+v, want %s at %s since %s", z, x.verdict, x.path, x.why)
			}
			var assumed []string // of an HPA alone: KEDA's loop says itself what wakes the target
			if x.loop == nil && x.verdict == ZeroAdvised {
				assumed = []string{"s0-prometheus is available while no pod runs"}
			}
			if !slices.Equal(r.Assumed, assumed) {
				t.Errorf("assumes %q, want %q", r.Assumed, assumed)
			}
			if x.verdict != ZeroAdvised {
				return
			}
			// At zero from about minute 16 to minute 50; woken once; the first request waits
			// for a poll and a start.
			if h := z.HoursAtZero.Value; h < 0.5 || h > 0.6 {
				t.Errorf("%.2f h at zero, want a little more than half an hour", h)
			}
			if z.Wakes.Value != 1 || z.FirstWait.Value < 30 || z.FirstWait.Value > 90 || z.Lost.Value != 0 {
				t.Errorf("woken %v times, the first waits %v s, %v lost", z.Wakes.Value, z.FirstWait.Value, z.Lost.Value)
			}
			// Without zero there are two replicas, or one if idleReplicaCount is what goes to
			// zero. Then the rush of held requests cancels most of the saving.
			least := 0.5
			if x.path == "spec.idleReplicaCount" {
				least = 0.05
			}
			if z.SavedHours.Value < least || z.SavedUSDMonth == nil || z.SavedUSDMonth.Value <= 0 {
				t.Errorf("saves %v h, %v a month", z.SavedHours, z.SavedUSDMonth)
			}
		})
	}
}

// TestZeroIsNothingOfACPUHPA: a metric that only the pods export cannot wake them, so zero is
// not considered.
func TestZeroIsNothingOfACPUHPA(t *testing.T) {
	run, f := quietRun(t)
	b := &bench{world: f.World}
	c := cpuHPA(2, 10, 65)
	if z := zeroOf(run, b, &c); z != nil {
		t.Errorf("zero: %+v, want none", z)
	}
}

func TestMinimumIsTheScaledObjectsOwn(t *testing.T) {
	for _, x := range []struct {
		name       string
		loop       *keda.Loop
		from, want int32
	}{
		{"no ScaledObject", nil, 1, 1}, {"minReplicaCount 0", &keda.Loop{}, 1, 0}, {"minReplicaCount 1", &keda.Loop{Min: 1}, 1, 1},
		{"an HPA of another minimum", &keda.Loop{}, 3, 3},
	} {
		if got := minimum(x.loop, queueHPA(x.from)).MinReplicas; got != x.want {
			t.Errorf("%s: %d, want %d", x.name, got, x.want)
		}
	}
}

// A run is replayed under the loop that ran, not under the one for the candidates. In the
// sandbox no loop ran, and a minimum of zero counted as one.
func TestTheRunIsReplayedUnderTheLoopThatRan(t *testing.T) {
	_, f := quietRun(t)
	asked, ran := &keda.Loop{Polling: time.Minute}, &keda.Loop{Polling: time.Hour}
	for _, x := range []struct {
		sentence   string
		kind       results.TargetKind
		asked, ran *keda.Loop
		want       *keda.Loop
		min        int32
	}{
		{"in the sandbox none ran", results.OfSandbox, asked, nil, nil, 1},
		{"a sandbox run whose own loop is known", results.OfSandbox, asked, ran, ran, 1},
		{"a sandbox run, and no loop for the candidates", results.OfSandbox, nil, ran, ran, 1},
		{"the sandbox, and no loop at all", results.OfSandbox, nil, nil, nil, 0},
		{"a cluster whose loop is not known ran the candidates' one", results.OfHPA, asked, nil, asked, 0},
		{"a cluster whose loop is known", results.OfHPA, asked, ran, ran, 0},
		{"a cluster with a loop, and none for the candidates", results.OfHPA, nil, ran, ran, 0},
		{"a cluster, and no loop at all", results.OfHPA, nil, nil, nil, 0},
	} {
		b := &bench{world: f.World.Under(x.asked), ran: x.ran}
		as, c := b.asRan(&results.Run{Meta: results.Meta{Target: results.Target{Kind: x.kind}}}, queueHPA(0))
		if as.world.Loop != x.want || c.MinReplicas != x.min {
			t.Errorf("%s: loop %+v, minReplicas %d; want %+v, %d", x.sentence, as.world.Loop, c.MinReplicas, x.want, x.min)
		}
	}
}

// atRest is a bench with a world of one hour, a replica at one dollar per hour, and this loop.
func atRest(loop *keda.Loop) *bench {
	return &bench{world: &replay.World{Loop: loop, Demand: replay.Demand{Step: time.Second, Bins: make([]float64, 3600)}},
		price: Price{CPU: 1}, replica: Replica{CPUCores: 1}}
}

func TestWhatLooksAtZero(t *testing.T) {
	run := func(version string) *results.Run {
		return &results.Run{Meta: results.Meta{HPA: results.HPAContext{Kubernetes: version}}}
	}
	outside := keda.Trigger{Metric: "s0-queue"}
	pods := keda.Trigger{Metric: "s1-busy", OfPods: true}
	none, one := int32(0), int32(1)
	object := func(names ...string) *hpa.Config {
		c := cpuHPA(1, 9, 50)
		for _, n := range names {
			c.Metrics = append(c.Metrics, hpa.Metric{Source: hpa.External, Name: n})
		}
		requests := hpa.Metric{Source: hpa.Object, Name: "requests"}
		requests.Object.Kind, requests.Object.Name = "Ingress", "main"
		c.Metrics = append(c.Metrics, requests)
		return &c
	}
	for _, c := range []struct {
		sentence string
		loop     *keda.Loop
		hold     time.Duration
		current  *hpa.Config
		outside  []string
		version  string
		minor    int
		want     *Zero
	}{
		{"an HPA on what only pods have", nil, 0, ptr(cpuHPA(1, 9, 50)), nil, "v1.37.0", 37, nil},
		{"its metrics from outside were not seen without pods", nil, 0, object("queue"), nil, "v1.37.0", 37,
			&Zero{Verdict: ZeroRefused, Why: "no pod exports queue and Ingress/main/requests,", Path: "spec.minReplicas", AtZero: "refuse"}},
		{"an HPA on a metric from outside", nil, 0, object("queue"), []string{"queue"}, "v1.37.0", 37, &Zero{Path: "spec.minReplicas", AtZero: "refuse"}},
		{"something holds requests for a minute", nil, time.Minute, object(), []string{"queue"}, "v1.37.0", 37,
			&Zero{Path: "spec.minReplicas", AtZero: "hold 1m"}},
		{"or for half a second", nil, time.Second / 2, object(), []string{"queue"}, "v1.37.0", 37, &Zero{Path: "spec.minReplicas", AtZero: "hold 500ms"}},
		{"nobody knows the version", nil, 0, object(), []string{"queue"}, "", 37,
			&Zero{Verdict: ZeroRefused, Why: "the Kubernetes version is unknown", Path: "spec.minReplicas", AtZero: "refuse"}},
		{"an older cluster", nil, 0, object(), []string{"queue"}, "v1.36.4", 36,
			&Zero{Verdict: ZeroRefused, Why: "this run is from v1.36.4", Path: "spec.minReplicas", AtZero: "refuse"}},
		{"a ScaledObject", &keda.Loop{Triggers: []keda.Trigger{outside}}, 0, object(), nil, "", 30, &Zero{Path: "spec.minReplicaCount", AtZero: "refuse"}},
		{"its triggers are the pods' own", &keda.Loop{Triggers: []keda.Trigger{pods, pods}}, 0, object(), nil, "", 30,
			&Zero{Verdict: ZeroRefused, Why: "no pod exports s1-busy, so", Path: "spec.minReplicaCount", AtZero: "refuse"}},
		{"idleReplicaCount 0", &keda.Loop{Idle: &none, Triggers: []keda.Trigger{outside}}, 0, object(), nil, "", 30,
			&Zero{Path: "spec.idleReplicaCount", AtZero: "refuse"}},
		{"idleReplicaCount 1", &keda.Loop{Idle: &one, Triggers: []keda.Trigger{outside}}, 0, object(), nil, "", 30,
			&Zero{Path: "spec.minReplicaCount", AtZero: "refuse"}},
		{"forced to be active", &keda.Loop{Forced: true, Triggers: []keda.Trigger{outside}}, 0, object(), nil, "", 30,
			&Zero{Verdict: ZeroRefused, Why: "force-activation", Path: "spec.minReplicaCount", AtZero: "refuse"}},
	} {
		b := atRest(c.loop)
		b.world.Hold, b.world.Outside, b.world.Params = c.hold, c.outside, hpa.ParamsFor(c.minor)
		got := zeroOf(run(c.version), b, c.current)
		if (got == nil) != (c.want == nil) || got != nil && (got.Verdict != c.want.Verdict || !strings.Contains(got.Why, c.want.Why) ||
			c.want.Why == "" && got.Why != "" || got.Path != c.want.Path || got.AtZero != c.want.AtZero) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.sentence, got, c.want)
		}
	}
}

func ptr[T any](v T) *T { return &v }

func TestWhoSleeps(t *testing.T) {
	none, one := int32(0), int32(1)
	for _, c := range []struct {
		sentence string
		loop     *keda.Loop
		min      int32
		want     bool
	}{
		{"minReplicas 0", nil, 0, true}, {"minReplicas 1", nil, 1, false}, {"minReplicaCount 0", &keda.Loop{}, 0, true},
		{"minReplicaCount 1", &keda.Loop{}, 1, false}, {"idleReplicaCount 0", &keda.Loop{Idle: &none}, 2, true},
		{"idleReplicaCount 1", &keda.Loop{Idle: &one}, 2, false},
	} {
		if k := queueHPA(c.min); atRest(c.loop).sleeps(&k) != c.want {
			t.Errorf("%s: sleeps %v, want %v", c.sentence, !c.want, c.want)
		}
	}
}

// In a search the configurations set the minimum, so the loop's is at least 1: a loop at 0
// would scale to zero by itself.
func TestTheLoopOfASearch(t *testing.T) {
	for from, want := range map[int32]int32{0: 1, 1: 1, 3: 3} {
		l := &keda.Loop{Min: from}
		if got := byMinimum(l).Min; got != want || l.Min != from {
			t.Errorf("minReplicaCount %d: the loop has %d (and its own %d), want %d", from, got, l.Min, want)
		}
	}
	if byMinimum(nil) != nil {
		t.Error("a loop out of nothing")
	}
	recorded := queueHPA(1)
	o := Options{Current: queueHPA(1), Loop: &keda.Loop{Min: 1}, Recorded: &recorded, Fit: FitOptions{Loop: &keda.Loop{}}}
	if got := o.asScaled(); got.Current.MinReplicas != 1 || got.Recorded.MinReplicas != 0 || recorded.MinReplicas != 1 {
		t.Errorf("min %d now, %d when it was recorded, want 1 and 0", got.Current.MinReplicas, got.Recorded.MinReplicas)
	}
	if got := (Options{Current: queueHPA(1), Loop: &keda.Loop{}}).asScaled(); got.Current.MinReplicas != 0 || got.Recorded != nil {
		t.Errorf("%+v, want a minimum of 0 and nothing recorded", got)
	}
	paused := &keda.Loop{Paused: true}
	o = Options{Loop: paused}
	if notes := o.resumed(); len(notes) != 1 || o.Loop.Paused || !paused.Paused {
		t.Errorf("a pause is lifted for the search alone: %q, %+v", notes, o.Loop)
	}
	o = Options{Loop: &keda.Loop{}}
	if notes := append(o.resumed(), (&Options{}).resumed()...); notes != nil {
		t.Errorf("no pause: %q", notes)
	}
}

// With zero and without: which two configurations are compared.
func TestSidesOfZero(t *testing.T) {
	none := int32(0)
	at := func(lo, hi int32, cost float64) *trial { return made(lo, hi, 40, 0, steady(40, cost)...) }
	failing := func(lo int32) *trial { return made(lo, 9, 0, 0, steady(40, 1)...) }
	zero, cheap, dear := at(0, 9, 3), at(2, 9, 5), at(3, 8, 6)
	for _, c := range []struct {
		sentence      string
		loop          *keda.Loop
		best          *trial
		trials        []*trial
		space         Space
		with, without string // min/max and days
	}{
		{"zero is best: against the cheapest that holds without", nil, zero, []*trial{dear, zero, cheap}, Space{}, "0/9×40", "2/9×40"},
		{"the user's limits hold there, too", nil, zero, []*trial{dear, zero, cheap}, Space{MinFloor: 3}, "0/9×40", "3/8×40"},
		{"nothing else holds: against itself at the floor", nil, zero, []*trial{zero, failing(2)}, Space{MinFloor: 4}, "0/9×40", "4/9×0"},
		{"which was tried", nil, zero, []*trial{zero, failing(2)}, Space{}, "0/9×40", "2/9×40"},
		{"and its maximum is no less", nil, at(0, 1, 3), nil, Space{}, "0/1×40", "2/2×0"},
		{"zero is not best: it at zero against it", nil, cheap, []*trial{cheap}, Space{}, "0/9×0", "2/9×40"},
		{"and that was tried", nil, cheap, []*trial{cheap, zero}, Space{}, "0/9×40", "2/9×40"},
		{"nothing holds: the present one", nil, nil, []*trial{failing(3), zero}, Space{}, "0/9×40", "3/9×40"},
		{"idleReplicaCount: the same, on two benches", &keda.Loop{Idle: &none}, cheap, []*trial{cheap}, Space{}, "2/9×40", "2/9×0"},
	} {
		with, without := atRest(c.loop).sides(ranking{choice: choice{best: c.best}, trials: c.trials}, c.space)
		named := func(t *trial) string {
			return fmt.Sprintf("%d/%d×%d", t.config.MinReplicas, t.config.MaxReplicas, len(t.days))
		}
		if named(with) != c.with || named(without) != c.without {
			t.Errorf("%s: %s against %s, want %s against %s", c.sentence, named(with), named(without), c.with, c.without)
		}
	}
	idle := atRest(&keda.Loop{Idle: &none})
	idle.day = func(int) *replay.World { return idle.world }
	if awake := idle.awake(); awake.idles() || awake.day(3).Loop.Idle != nil || !idle.idles() {
		t.Error("without idleReplicaCount it is still idle, or with it no longer")
	}
}

func TestJudgeZero(t *testing.T) {
	good, open, bad := made(0, 9, 40, 0, steady(40, 1)...), made(0, 9, 5, 0, steady(5, 1)...), made(0, 9, 0, 0, steady(5, 1)...)
	hour := &Interval{Value: 0.5}
	for _, c := range []struct {
		sentence string
		loop     *keda.Loop
		asleep   *Interval
		best     *trial // nil: none holds
		with     *trial
		floor    int32
		want     ZeroVerdict
		why      string
	}{
		{"it is the best", nil, hour, good, good, 0, ZeroAdvised, "with it on 40 of 40 replayed days"},
		{"a long sleep", nil, &Interval{Value: 3}, good, good, 0, ZeroAdvised, "40 of 40"},
		{"it never sleeps", nil, &Interval{}, good, good, 0, ZeroNot, "long enough, so it would"},
		{"nobody knows whether it sleeps", nil, nil, good, good, 0, ZeroNot, "long enough, so it would"},
		{"its loop waits too long", &keda.Loop{Cooldown: time.Hour}, &Interval{}, good, good, 0, ZeroNot, "(cooldownPeriod 1h)"},
		{"another is better", nil, hour, made(2, 9, 40, 0, steady(40, 1)...), good, 0, ZeroNot, "smaller than the variation"},
		{"the user has a floor", nil, hour, made(2, 9, 40, 0, steady(40, 1)...), good, 1, ZeroNot, "--min-floor is 1"},
		{"it misses", nil, hour, made(2, 9, 40, 0, steady(40, 1)...), bad, 0, ZeroNot, "on only 0 of 5 replayed days"},
		{"it was best, and too few days say that it holds", nil, hour, open, open, 0, ZeroNot, "on only 5 of 5"},
		{"nothing holds", nil, hour, nil, bad, 0, ZeroNot, "on only 0 of 5"},
	} {
		got, why := atRest(c.loop).judgeZero(&Zero{HoursAtZero: c.asleep}, c.with, c.best, c.floor)
		if got != c.want || !strings.Contains(why, c.why) {
			t.Errorf("%s: %s since %s, want %s since %s", c.sentence, got, why, c.want, c.why)
		}
	}
}

// What zero does is taken from the side with zero; what it saves is the difference.
func TestFiguresOfZero(t *testing.T) {
	with, without := made(0, 9, 4, 0, steady(5, 3)...), made(2, 9, 5, 0, steady(5, 5)...)
	for i := range with.days {
		d := &with.days[i]
		d.asleep, d.wakes, d.lost, d.firstWait, d.attainment = 0.5, 2, 7, 40, 0.9
	}
	b := atRest(nil)
	b.world.Doubt.Off = replay.Off{Misses: 1}
	var z Zero
	b.fillZero(&z, with, without)
	for _, c := range []struct {
		name string
		got  *Interval
		want float64
	}{
		{"hours at zero", z.HoursAtZero, 0.5}, {"wakes", z.Wakes, 2}, {"first wait", z.FirstWait, 40}, {"lost", z.Lost, 7},
		{"hours saved", z.SavedHours, 2}, {"a month's dollars of it", z.SavedUSDMonth, 2 * 730}, {"within limits", z.Attainment, 0.9},
	} {
		if c.got == nil || math.Abs(c.got.Value-c.want) > 1e-9 {
			t.Errorf("%s: %+v, want %v", c.name, c.got, c.want)
		}
	}
	if *z.PSLOMet != 0.8 || strings.Contains(z.Against, "idle") {
		t.Errorf("met on %v of the days, against %q, want 0.8 and the configuration", *z.PSLOMet, z.Against)
	}
	free := atRest(nil)
	free.replica.GPUs = 1 // which has no price
	z = Zero{}
	if free.fillZero(&z, with, without); z.SavedUSDMonth != nil {
		t.Errorf("saves %+v where no price is known", z.SavedUSDMonth)
	}
}

func TestWhatIsAssumedAtZero(t *testing.T) {
	for _, c := range []struct {
		sentence string
		verdict  ZeroVerdict
		keda     bool
		want     string
	}{
		{"an HPA wakes the target only if its metrics are there", ZeroAdvised, false, "a and b is available while no pod runs"},
		{"KEDA's triggers are its own affair", ZeroAdvised, true, ""},
		{"what is not advised rests on nothing", ZeroRefused, false, ""},
	} {
		if got := assumedAtZero(c.verdict, c.keda, []string{"a", "b"}); got != c.want {
			t.Errorf("%s: %q, want %q", c.sentence, got, c.want)
		}
	}
}
