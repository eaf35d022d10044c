package replay

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
)

// onQueue is an HPA as KEDA creates it from one prometheus trigger: requests in flight, 4 per
// replica.
func onQueue(lo int32) hpa.Config {
	c := hpa.DefaultConfig(8)
	c.MinReplicas = lo
	c.Metrics = []hpa.Metric{{Source: hpa.External, Name: "s0-prometheus",
		Target: hpa.Target{Type: hpa.AverageValue, AverageMilli: 4000}}}
	return c
}

// quiet is load, then no load for a third of an hour, then load again.
func quiet() []float64 {
	bins := make([]float64, 3600)
	for i := range bins {
		if i < 600 || i >= 2400 {
			bins[i] = 4
		}
	}
	return bins
}

// toZero is a service under a ScaledObject that may scale to zero; a pod starts in 30 s. With
// ofPods, the pods export the metric that its trigger reads.
func toZero(hold time.Duration, ofPods bool) World {
	w := web(quiet())
	w.Demand.CV2 = 0
	w.Start = []plant.PhaseSample{{Schedule: 5 * time.Second, Ready: 25 * time.Second}}
	w.Limits = plant.Limits{E2E: time.Minute}
	w.Pipes = []plant.Pipe{{Name: "s0-prometheus", PerRunning: 1, PerWaiting: 1, PerDone: 0.5, Every: 15 * time.Second}}
	w.Hold = hold
	w.Loop = &keda.Loop{Polling: 30 * time.Second, Cooldown: 5 * time.Minute,
		Triggers: []keda.Trigger{{Metric: "s0-prometheus", OfPods: ofPods, Target: 4}}}
	w.Outside = w.Loop.Outside()
	w.Sync.Poll = 10 * time.Second
	return w
}

// zeros is what a replay did at size zero.
type zeros struct {
	from, to int // ticks in which spec.replicas was 0, the first and the last; -1 = never
	sum      results.Tick
	at       []results.Tick
}

func watch(run func(visit func(*results.Tick))) zeros {
	z := zeros{from: -1, to: -1}
	i := 0
	run(func(t *results.Tick) {
		if t.Spec == 0 {
			if z.from < 0 {
				z.from = i
			}
			z.to = i
		}
		z.at = append(z.at, *t)
		i++
	})
	z.sum = Sum(z.at, 0)
	return z
}

func TestZero(t *testing.T) {
	for _, x := range []struct {
		name   string
		world  World
		lo     int32
		zero   bool
		lost   [2]float64 // requests that fail, from and to
		wakeup bool
	}{
		// KEDA's first poll after a scrape that sees a request wakes the target, and the start
		// takes 30 s. Until then, 4 requests per second are refused from the return of the load
		// on.
		{"refused until a pod is ready", toZero(0, false), 0, true, [2]float64{4 * 30, 4 * 90}, true},
		{"held by a proxy: nobody is refused", toZero(2*time.Minute, false), 0, true, [2]float64{0, 0}, true},
		{"held for less than it takes: the first fail", toZero(20*time.Second, false), 0, true, [2]float64{4 * 10, 4 * 70}, true},
		{"what the pods export cannot wake them", toZero(0, true), 0, true, [2]float64{4 * 1200, 4 * 1200}, false},
		{"one replica at least", toZero(0, false), 1, true, [2]float64{4 * 30, 4 * 90}, true}, // the object's own 0 stays
		{"two replicas at least: the loop does nothing", toZero(0, false), 2, false, [2]float64{0, 0}, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := world(t, x.world)
			var s Scratch
			fluid := watch(func(visit func(*results.Tick)) { Simulate(w, onQueue(x.lo), &s, visit) })
			exact := watch(func(visit func(*results.Tick)) { SimulateExact(w, onQueue(x.lo), 0, &s, visit) })
			for name, z := range map[string]zeros{"fluid": fluid, "exact": exact} {
				if (z.from >= 0) != x.zero {
					t.Fatalf("%s: at zero from tick %d", name, z.from)
				}
				if f := z.sum.Failed; f < x.lost[0]-1e-6 || f > x.lost[1]+1e-6 {
					t.Errorf("%s: %.1f requests fail, want %v", name, f, x.lost)
				}
				if got := z.sum.Done + z.sum.Failed; math.Abs(got-z.sum.Arrivals) > 1e-6 {
					t.Errorf("%s: %.3f done and failed of %.0f arrivals", name, got, z.sum.Arrivals)
				}
				if !x.zero {
					continue
				}
				// The load ends at 600 s; at the first poll five minutes later, nothing runs.
				if z.from < 900 || z.from > 960 {
					t.Errorf("%s: at zero from %d s, want 5 to 6 minutes after the load's end at 600 s", name, z.from)
				}
				if awake := z.to < 2470; awake != x.wakeup {
					t.Errorf("%s: at zero until %d s, want awake again: %v", name, z.to, x.wakeup)
				}
			}
			if math.Abs(fluid.sum.Failed-exact.sum.Failed) > 8 || math.Abs(fluid.sum.Pods-exact.sum.Pods) > 60 {
				t.Errorf("the plants differ: %.1f and %.1f fail, %.0f and %.0f pod-seconds", fluid.sum.Failed,
					exact.sum.Failed, fluid.sum.Pods, exact.sum.Pods)
			}
		})
	}
}

// TestHeldWait: held requests are answered late, and their latency contains the wait.
func TestHeldWait(t *testing.T) {
	w := world(t, toZero(5*time.Minute, false))
	var s Scratch
	tl := Timeline(w, onQueue(0), &s)
	var l plant.Latency
	s.Latency = &l
	SimulateExact(w, onQueue(0), 0, &s, func(*results.Tick) {})
	fluid, _ := tl.E2E.Quantile(1)
	exact, _ := l.E2E.Quantile(1)
	for name, d := range map[string]time.Duration{"fluid": fluid, "exact": exact} {
		// At least the start of 30 s; at most a scrape, a poll and the queue that follows on
		// top.
		if d < 30*time.Second || d > 2*time.Minute {
			t.Errorf("%s: the longest wait is %v", name, d)
		}
	}
}

// TestPaused: KEDA deletes the HPA of a paused object, and nothing moves.
func TestPaused(t *testing.T) {
	for _, at := range []int32{-1, 0, 5} {
		x := toZero(0, false)
		x.Loop.Paused, x.Loop.PausedAt = true, at
		w := world(t, x)
		want := float64(at)
		if at < 0 {
			want = float64(w.Replicas)
		}
		var s Scratch
		Simulate(w, onQueue(0), &s, func(k *results.Tick) {
			if k.Spec != want {
				t.Fatalf("paused at %d: spec.replicas %g, want %g", at, k.Spec, want)
			}
		})
	}
}

// TestFallbackWakes: with ignoreNullValues false, no pods means no series, which is a failure.
// A fallback above zero then wakes the target whenever it is at zero.
func TestFallbackWakes(t *testing.T) {
	x := toZero(0, true)
	x.Loop.Triggers[0].EmptyFails = true
	x.Loop.Fallback = &keda.Fallback{FailureThreshold: 3, Replicas: 2}
	x.Sync.Poll = 0
	w := world(t, x)
	var s Scratch
	z := watch(func(visit func(*results.Tick)) { Simulate(w, onQueue(0), &s, visit) })
	wakes, before := 0, 1.0
	for _, k := range z.at {
		if before == 0 && k.Spec > 0 {
			wakes++
		}
		before = k.Spec
	}
	if wakes < 2 {
		t.Errorf("woken %d times, want again and again: four failed looks are 2 minutes", wakes)
	}
}

// TestIdle: idleReplicaCount 0 scales to zero below a minimum of 3, and wakes to that minimum.
func TestIdle(t *testing.T) {
	x := toZero(time.Minute, false)
	none := int32(0)
	x.Loop.Idle, x.Loop.Min = &none, 3
	w := world(t, x)
	var s Scratch
	z := watch(func(visit func(*results.Tick)) { Simulate(w, onQueue(3), &s, visit) })
	if z.from < 0 || z.at[z.to+1].Spec != 3 {
		t.Errorf("at zero from %d to %d, then %g; want 3", z.from, z.to, z.at[z.to+1].Spec)
	}
}

// A cron trigger depends on the time of day alone: a number of replicas between two times,
// besides what the load needs. It needs no recording.
func TestACronTriggerIsPlayed(t *testing.T) {
	cron := &keda.Cron{Start: "10 8 * * *", End: "40 8 * * *", Timezone: "Europe/Berlin", Desired: 3}
	const metric = "s1-cron-Europe-Berlin-108xxx-408xxx"
	of := func(lo int32, c *keda.Cron) (World, hpa.Config) {
		w := toZero(2*time.Minute, false)
		w.Wall = time.Date(2026, 11, 27, 7, 0, 0, 0, time.UTC) // 8:00 in Berlin
		l := *w.Loop
		l.Triggers = append(l.Triggers[:1:1], keda.Trigger{Metric: metric, Target: 1, Cron: c})
		w.Loop, w.Outside = &l, l.Outside()
		cfg := onQueue(lo)
		cfg.Metrics = append(cfg.Metrics, hpa.Metric{Source: hpa.External, Name: metric, Target: hpa.Target{Type: hpa.AverageValue, AverageMilli: 1000}})
		return w, cfg
	}
	raw, cfg := of(0, cron)
	w := world(t, raw)
	if blind := w.Blind(&cfg); len(blind) > 0 {
		t.Errorf("not known: %v", blind)
	}
	var s Scratch
	for name, z := range map[string]zeros{
		"fluid": watch(func(visit func(*results.Tick)) { Simulate(w, cfg, &s, visit) }),
		"exact": watch(func(visit func(*results.Tick)) { SimulateExact(w, cfg, 0, &s, visit) }),
	} {
		// The load stops at 600 s, when the trigger becomes active, and returns at 2,400 s,
		// when the trigger ends: in between, the trigger alone keeps three replicas.
		for _, at := range []int{700, 1500, 2390} {
			if got := z.at[at].Spec; got != 3 {
				t.Errorf("%s: %v replicas at %d s, want the three of the trigger", name, got, at)
			}
		}
		if got := z.at[3500].Spec; got != 1 {
			t.Errorf("%s: %v replicas at the end, want the one that the load takes", name, got)
		}
		if z.from >= 0 {
			t.Errorf("%s: at zero from %d s", name, z.from)
		}
	}
	// Another loop computes it anew, and a time zone that KEDA does not know fails.
	other := w.Under(&keda.Loop{Polling: 30 * time.Second, Triggers: []keda.Trigger{{Metric: metric, Target: 1,
		Cron: &keda.Cron{Start: "0 8 * * *", End: "5 8 * * *", Timezone: "UTC", Desired: 2}}}})
	if r := other.onTime(0, 3600); r.Value != 2 || r.Failed { // 8:00 UTC
		t.Errorf("an hour in, under another loop: %+v, want 2", r)
	}
	bad := *cron
	bad.Timezone = "Mars/Olympus"
	raw, _ = of(0, &bad)
	if r := world(t, raw).onTime(1, 700); !r.Failed {
		t.Errorf("in a zone that nobody knows: %+v, want a failure", r)
	}
}

// An external scaler's metric is replayed as recorded, at any size.
func TestAnExternalScalerIsPlayedAsRecorded(t *testing.T) {
	raw := toZero(2*time.Minute, false)
	l := *raw.Loop
	l.Triggers = append(l.Triggers[:1:1], keda.Trigger{Metric: "s1-external-push", Target: 10, Foreign: true})
	raw.Loop, raw.Outside = &l, l.Outside()
	cfg := onQueue(0)
	cfg.Metrics = append(cfg.Metrics, hpa.Metric{Source: hpa.External, Name: "s1-external-push", Target: hpa.Target{Type: hpa.AverageValue, AverageMilli: 10_000}})
	unknown := world(t, raw)
	if blind := unknown.Blind(&cfg); len(blind) != 1 {
		t.Errorf("not recorded: %v; want it named", blind)
	}
	raw.Recorded = []Recorded{{Metric: "s1-external-push", At: []time.Duration{5 * time.Second, 1000 * time.Second, 1600 * time.Second}, Value: []float64{0, 45, 0}}}
	w := world(t, raw)
	if blind := w.Blind(&cfg); len(blind) > 0 {
		t.Errorf("not known: %v", blind)
	}
	var s Scratch
	for name, z := range map[string]zeros{
		"fluid": watch(func(visit func(*results.Tick)) { Simulate(w, cfg, &s, visit) }),
		"exact": watch(func(visit func(*results.Tick)) { SimulateExact(w, cfg, 0, &s, visit) }),
	} {
		if got := z.at[1500].Spec; got != 5 {
			t.Errorf("%s: %v replicas for 45 at 10 a replica, want 5", name, got)
		}
		if z.from < 0 || z.to < 2000 || z.to > 2500 {
			t.Errorf("%s: at zero from %d to %d s, want it in the silence but for what was recorded", name, z.from, z.to)
		}
	}
	r := &w.Recorded[0]
	for at, want := range map[time.Duration]float64{0: 0, 999 * time.Second: 0, 1000 * time.Second: 45, 1599 * time.Second: 45, time.Hour: 0} {
		if got := r.of(at); got != want {
			t.Errorf("at %v: %v, want %v", at, got, want)
		}
	}
}
