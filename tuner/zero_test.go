package tuner

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// queueHPA is an HPA on the requests in flight, 4 a replica.
func queueHPA(lo int32) hpa.Config {
	c := hpa.DefaultConfig(6)
	c.MinReplicas = lo
	c.Metrics = []hpa.Metric{{Source: hpa.External, Name: "s0-prometheus",
		Target: hpa.Target{Type: hpa.AverageValue, AverageMilli: 4000}}}
	return c
}

// quietRun is an hour with nothing to do from minute 10 to minute 50, on pods that start in 30 s.
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
			"spec.minReplicaCount", "cooldownPeriod 2h0m0s"},
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
				days = 30 // as many as it takes to be sure
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
			if x.verdict != ZeroAdvised {
				return
			}
			// Asleep from about minute 16 to minute 50; woken once; the first waits for a look, and a start.
			if h := z.HoursAtZero.Value; h < 0.5 || h > 0.6 {
				t.Errorf("%.2f h at zero, want a little more than half an hour", h)
			}
			if z.Wakes.Value != 1 || z.FirstWait.Value < 30 || z.FirstWait.Value > 90 || z.Lost.Value != 0 {
				t.Errorf("woken %v times, the first waits %v s, %v lost", z.Wakes.Value, z.FirstWait.Value, z.Lost.Value)
			}
			// Without zero there are two, or one where idleReplicaCount is what sleeps: then the rush that was
			// held takes back most of it.
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

// TestZeroIsNothingOfACPUHPA: what only the pods have cannot wake them, and nobody asks.
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

// TestTheSandboxRanWithoutTheLoop: a replay of a sandbox run has no loop of KEDA's either.
func TestTheSandboxRanWithoutTheLoop(t *testing.T) {
	_, f := quietRun(t)
	b := &bench{world: f.World.Under(&keda.Loop{Polling: time.Minute})}
	for _, x := range []struct {
		kind results.TargetKind
		loop bool
		min  int32
	}{{results.OfSandbox, false, 1}, {results.OfHPA, true, 0}} {
		as, c := b.asRan(&results.Run{Meta: results.Meta{Target: results.Target{Kind: x.kind}}}, queueHPA(0))
		if (as.world.Loop != nil) != x.loop || c.MinReplicas != x.min {
			t.Errorf("%s: loop %v, minReplicas %d; want %v, %d", x.kind, as.world.Loop, c.MinReplicas, x.loop, x.min)
		}
	}
}
