package fit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit/fittest"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// TestACPULimitBoundsTheLaw: under a quota requests are fast while the budget of a period
// lasts, so their times do not show the capacity; CPU does.
func TestACPULimitBoundsTheLaw(t *testing.T) {
	const idle, each, limit = 0.005, 0.010, 0.200 // cores, core-seconds per request, cores
	r := rand.New(rand.NewPCG(1, 2))
	run := &results.Run{Meta: results.Meta{
		Run: "light", DurationS: 300, Stages: []results.StageInfo{{Name: "all", ToS: 300}},
		Workload: results.Workload{CPUMilli: 100, CPULimitMilli: int64(limit * 1000), MemoryBytes: 64 << 20},
		Backends: []results.Backend{{Name: "pod-0"}},
	}}
	for _, phase := range []results.PodPhase{results.PodCreated, results.PodStarted, results.PodReady} {
		run.Pods = append(run.Pods, results.Pod{At: -time.Minute, Name: "pod-0", Phase: phase})
	}
	rate := func(at float64) float64 { return 5 + 3*math.Sin(at/30) }
	done := 0
	for at, next := 0.0, 10.0; at < 300; at += r.ExpFloat64() / rate(at) {
		for ; at >= next; next += 10 {
			run.Samples = append(run.Samples, results.Sample{At: fittest.Dur(next + 1), Source: "metrics.k8s.io", Name: "cpu_milli", Pod: "pod-0", Value: 1000 * (idle + each*float64(done)/10), Window: 10 * time.Second, SampledAt: fittest.Dur(next)})
			done = 0
		}
		run.Requests = append(run.Requests, results.Request{Arrival: len(run.Requests), Scheduled: fittest.Dur(at), Sent: fittest.Dur(at), First: results.NotYet, Last: results.NotYet, Done: fittest.Dur(at + 0.015 + 0.01*r.Float64()), Tokens: 1, Code: 200, Err: -1})
		done++
	}
	o := Options{Seed: 1, Startup: 5 * time.Second}
	fit, err := Fit(run, fittest.CPUConfig(70), o)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fit.World.Service.Capacity(), (limit-idle)/each; math.Abs(got/want-1) > 0.05 {
		t.Errorf("capacity %.1f requests/s a replica, want about %.1f: %d millicores over %v core-seconds each", got, want, run.Meta.Workload.CPULimitMilli, each)
	}
	run.Meta.Workload.CPULimitMilli = 0
	if fit, err = Fit(run, fittest.CPUConfig(70), o); err != nil {
		t.Fatal(err)
	}
	if got := fit.World.Service.Capacity(); got < 40 {
		t.Errorf("capacity %.1f requests/s a replica without a limit, want what 20 ms a request allow", got)
	}
}

// TestAQuotaStopsAndGoes: the fit recovers what a pod under a quota did, and the replay
// reproduces the clients' latencies, from lone requests to loads past saturation.
func TestAQuotaStopsAndGoes(t *testing.T) {
	light := func(r *rand.Rand) (float64, float64, int) { // 11 to 26 ms of CPU
		n := 1 + r.IntN(8)
		return 0.004, 0.01 + 0.002*float64(n)*(0.9+0.2*r.Float64()), n
	}
	heavy := func(r *rand.Rand) (float64, float64, int) { // more than a period's budget
		n := 1 + r.IntN(8)
		return 0.02, 0.04 + 0.01*float64(n), n
	}
	for _, row := range []struct {
		name    string
		own     func(*rand.Rand) (float64, float64, int)
		mean    float64
		streams bool
		pick    string
	}{
		{"one piece, a budget of a request", light, 0.019, false, "turns"},
		{"streams, a budget of a request", light, 0.019, true, "turns"},
		{"requests of several periods", heavy, 0.085, true, "turns"},
	} {
		t.Run(row.name, func(t *testing.T) {
			const limit, idle = 0.2, 0.004
			capacity := (limit - idle) / row.mean
			s := fittest.Serve{Seconds: 400, Own: row.own, Limit: limit, Idle: idle, Density: 1, Streams: row.streams, Pick: row.pick, Seed: 6,
				Pods: func(at float64) int { return 2 + int(at/300) },
				Rate: func(at float64) float64 {
					if at > 200 && at < 240 {
						return 3.5 * capacity
					}
					return capacity * (0.3 + math.Mod(at, 100)/100)
				}}
			run := s.Run()
			fitted, err := Fit(run, fittest.CPUConfig(70), Options{Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			law := fitted.World.Service
			t.Logf("capacity %.2f (%.2f), each %.4f (%.4f), alone %.4f, slots %d, scatter %.2f, %s", law.Capacity(), capacity, law.Quota.Each, row.mean, meanTotal(law.Times), law.Slots(), law.Quota.Spread, fitted.World.Balancer)
			if e := law.Capacity()/capacity - 1; math.Abs(e) > 0.05 {
				t.Errorf("capacity %.2f requests/s, want %.2f", law.Capacity(), capacity)
			}
			if e := meanTotal(law.Times)/row.mean - 1; math.Abs(e) > 0.15 {
				t.Errorf("alone a request takes %.1f ms, want %.1f", 1e3*meanTotal(law.Times), 1e3*row.mean)
			}
			// A request costs its own time over the law's mean, so that in total the replay of
			// the run uses what each request costs.
			if k := meanTotal(fitted.World.Demand.Times) / meanTotal(law.Times); math.Abs(k-1) > 0.02 {
				t.Errorf("the run's own requests are worth %.3f of the law's on the average, want 1", k)
			}
			w := *fitted.World
			w.Demand.Times = nil
			var l plant.Latency
			scratch := replay.Scratch{Latency: &l}
			// The third pod comes at 300 s, as recorded, so a replay with an HPA that never
			// moves covers the first half only.
			w.Demand.Bins = w.Demand.Bins[:300]
			w.Demand.Arrivals = slices.DeleteFunc(slices.Clone(w.Demand.Arrivals), func(a profiles.Arrival) bool { return a.At >= 300*time.Second })
			fixed := hpa.DefaultConfig(2)
			fixed.MinReplicas = 2
			replay.SimulateExact(&w, fixed, 0, &scratch, func(*results.Tick) {})
			var took []float64
			for _, q := range run.Requests {
				if q.Sent < 300*time.Second {
					took = append(took, (q.Done - q.Sent).Seconds())
				}
			}
			slices.Sort(took)
			text := ""
			for _, q := range []float64{0.9, 0.95, 0.99} {
				got, _ := l.E2E.Quantile(q)
				want := took[int(q*float64(len(took)-1))]
				text += fmt.Sprintf(" p%.0f %.0f for %.0f ms,", 100*q, 1e3*got.Seconds(), 1e3*want)
				if e := got.Seconds()/want - 1; math.Abs(e) > 0.25 && math.Abs(got.Seconds()-want) > 0.02 {
					t.Errorf("e2e p%.0f %.0f ms, recorded %.0f", 100*q, 1e3*got.Seconds(), 1e3*want)
				}
			}
			for _, limit := range []float64{0.05, 0.2, 1, 5} {
				got, _ := l.E2E.ShareWithin(time.Duration(limit * float64(time.Second)))
				i, _ := slices.BinarySearch(took, limit)
				want := float64(i) / float64(len(took))
				text += fmt.Sprintf(" within %g s %.3f for %.3f,", limit, got, want)
				if math.Abs(got-want) > 0.07 {
					t.Errorf("within %g s %.3f, recorded %.3f", limit, got, want)
				}
			}
			t.Log(text)
		})
	}
}
