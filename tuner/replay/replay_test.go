package replay

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// lognormal returns n service times at the quantile middles of a lognormal
// distribution with the given mean and coefficient of variation.
func lognormal(n int, mean, cv float64) []plant.ServiceTime {
	s2 := math.Log(1 + cv*cv)
	mu := math.Log(mean) - s2/2
	out := make([]plant.ServiceTime, n)
	sum := 0.0
	for i := range out {
		q := (float64(i) + 0.5) / float64(n)
		z := math.Sqrt2 * math.Erfinv(2*q-1)
		out[i].Total = math.Exp(mu + math.Sqrt(s2)*z)
		sum += out[i].Total
	}
	for i := range out {
		out[i].Total *= mean * float64(n) / sum
		out[i].First = out[i].Total
	}
	return out
}

// web is a service with 80 ms of CPU per request on one core: 12.5 requests/s per replica,
// ready 40 s after creation.
func web(bins []float64) World {
	start := []plant.PhaseSample{}
	for i := range 9 {
		start = append(start, plant.PhaseSample{Schedule: time.Second, Pull: time.Duration(4+i) * time.Second, Start: time.Second, Ready: time.Duration(24+2*i) * time.Second})
	}
	return World{
		Demand:  Demand{Bins: bins, CV2: 1},
		Service: plant.SlotsLaw(1, lognormal(200, 0.08, 0.6)),
		Start:   start,
		Pipes: []plant.Pipe{{Name: "cpu", Base: 0.01, Starting: 0.2, PerDone: 0.08, Ceiling: 1,
			Every: 15 * time.Second, Phase: 7 * time.Second, Window: 15 * time.Second, Delay: 5 * time.Second, Fresh: 10 * time.Second}},
		Limits:     plant.Limits{E2E: 500 * time.Millisecond},
		Replicas:   2,
		Containers: []hpa.Container{{Name: "app", CPU: 1000, HasCPU: true}},
		Seed:       1,
	}
}

// diurnal is a small day in an hour: from a tenth of the peak to the peak and back, twice.
func diurnal(peak float64) []float64 {
	bins := make([]float64, 3600)
	for i := range bins {
		bins[i] = peak * (0.55 - 0.45*math.Cos(2*math.Pi*float64(i)/1800))
	}
	return bins
}

func cpu(minReplicas, maxReplicas, target int32) hpa.Config {
	c := hpa.DefaultConfig(maxReplicas)
	c.MinReplicas = minReplicas
	c.Metrics[0].Target.Utilization = target
	return c
}

func world(t testing.TB, w World) *World {
	t.Helper()
	p, err := New(w)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func run(w *World, cfg hpa.Config) []results.Tick {
	var s Scratch
	var out []results.Tick
	Simulate(w, cfg, &s, func(t *results.Tick) { out = append(out, *t) })
	return out
}

func TestSimulateFollowsTheLoad(t *testing.T) {
	w := world(t, web(diurnal(150)))
	ticks := run(w, cpu(2, 30, 60))
	peak := 0.0
	for _, k := range ticks {
		peak = max(peak, k.Ready)
	}
	// 150/s at 12.5/s per replica and 60 % of that: 20 replicas.
	if peak < 19 || peak > 24 {
		t.Errorf("peak of 150/s is met by %v replicas, want about 20", peak)
	}
	sum := Sum(ticks, 0)
	if a := sum.Good / sum.Arrivals; a < 0.9 {
		t.Errorf("attainment %.3f; 60 %% of CPU leaves room", a)
	}
}

// BenchmarkReplay1hDiurnal is the named world of the speed bar: an hour of
// diurnal load, 2 to 30 pods, one CPU metric, the share within a latency limit
// in every tick.
func BenchmarkReplay1hDiurnal(b *testing.B) {
	w := world(b, web(diurnal(230)))
	cfg := cpu(2, 30, 65)
	cfg.EnsureBehavior()
	var s Scratch
	good := 0.0
	b.ReportAllocs()
	for b.Loop() {
		Simulate(w, cfg, &s, func(t *results.Tick) { good += t.Good })
	}
	b.ReportMetric(float64(b.N)*float64(len(w.Demand.Bins))/b.Elapsed().Seconds(), "ticks/s")
}

func TestFluidAgreesWithExact(t *testing.T) {
	for _, row := range []struct {
		name string
		bins []float64
		cfg  hpa.Config
	}{
		{"diurnal, roomy", diurnal(100), cpu(2, 30, 60)},
		{"diurnal, tight", diurnal(100), cpu(2, 30, 85)},
		{"steps, slow to come down", stairs(20, 120, 40, 150, 20), cpu(3, 30, 70)},
		{"a spike that the ceiling cuts", stairs(20, 130, 20), cpu(2, 8, 70)},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := world(t, *world(t, web(row.bins)).Draw(3)) // counts, as recorded ones are
			var s Scratch
			fluid := run(w, row.cfg)
			var exact []results.Tick
			SimulateExact(w, row.cfg, 0, &s, func(t *results.Tick) { exact = append(exact, *t) })
			f, e := Sum(fluid, 0), Sum(exact, 0)
			diff := 0.0
			for i := range fluid {
				diff += math.Abs(fluid[i].Pods-exact[i].Pods) / float64(len(fluid))
			}
			if diff > 0.6 {
				t.Errorf("replicas differ by %.2f in the mean", diff)
			}
			t.Logf("replica-hours %.3f, %.3f; good %.4f, %.4f; mean difference %.2f replicas", e.Pods/3600, f.Pods/3600, e.Good/e.Arrivals, f.Good/f.Arrivals, diff)
			if math.Abs(f.Pods-e.Pods) > 0.02*e.Pods {
				t.Errorf("replica-hours: exact %.3f, fluid %.3f", e.Pods/3600, f.Pods/3600)
			}
			if math.Abs(f.Good/f.Arrivals-e.Good/e.Arrivals) > 0.04 {
				t.Errorf("attainment: exact %.4f, fluid %.4f", e.Good/e.Arrivals, f.Good/f.Arrivals)
			}
		})
	}
}

// stairs holds each rate for an equal part of an hour.
func stairs(rates ...float64) []float64 {
	bins := make([]float64, 3600)
	for i := range bins {
		bins[i] = rates[i*len(rates)/len(bins)]
	}
	return bins
}

func TestNeverOutsideMinAndMax(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	w0 := world(t, web(stairs(5, 200, 10, 300, 0, 90)))
	var s Scratch
	for i := range 30 {
		lo := 1 + r.Int32N(8)
		hi := lo + r.Int32N(20)
		cfg := cpu(lo, hi, 20+r.Int32N(80))
		if i%2 == 0 {
			cfg.EnsureBehavior()
			cfg.ScaleUp.Window, cfg.ScaleUp.WindowSet = time.Duration(r.IntN(120))*time.Second, true
			cfg.ScaleDown.Window, cfg.ScaleDown.WindowSet = time.Duration(r.IntN(600))*time.Second, true
		}
		w := w0.Draw(uint64(i + 1))
		w.Replicas = lo
		check := func(t *testing.T, plant string) func(*results.Tick) {
			return func(k *results.Tick) {
				if k.Spec < float64(lo) || k.Spec > float64(hi) || k.Ready > float64(hi) {
					t.Fatalf("%s, min %d, max %d: spec %v, ready %v", plant, lo, hi, k.Spec, k.Ready)
				}
				if math.Abs(k.Done+k.Failed+k.Shed-k.Arrivals) > 1e-6 || k.Good > k.Done+1e-9 || k.Waiting > k.InFlight+1e-9 {
					t.Fatalf("%s: tick does not add up: %+v", plant, *k)
				}
			}
		}
		Simulate(w, cfg, &s, check(t, "fluid"))
		if i%15 == 0 {
			SimulateExact(w, cfg, 0, &s, check(t, "exact"))
		}
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	w := world(t, web(diurnal(120)))
	cfg := cpu(2, 20, 65)
	print := func(seed uint64, s *Scratch) string {
		var b strings.Builder
		Simulate(w.Draw(seed), cfg, s, func(t *results.Tick) { fmt.Fprintf(&b, "%v", *t) })
		SimulateExact(w, cfg, seed, s, func(t *results.Tick) { fmt.Fprintf(&b, "%v", *t) })
		return b.String()
	}
	var used, fresh Scratch
	one := print(1, &used)
	if two := print(2, &used); two == one {
		t.Error("another seed gives the same ticks")
	}
	if again := print(1, &used); again != one {
		t.Error("the same seed gives other ticks in a used scratch")
	}
	if again := print(1, &fresh); again != one {
		t.Error("the same seed gives other ticks in a fresh scratch")
	}
}

// The trap (MODEL.md): a recording with maxReplicas 6 uses at most the CPU of 6 pods, so a
// replay of its CPU can never want more than 6·limit/(request·target) pods. A replay of the
// offered load can, and does.
func TestOfferedLoadAsksForMoreThanRecordedCPUCould(t *testing.T) {
	w := world(t, web(stairs(20, 60, 150, 60, 20)))
	var s Scratch
	burnt := 0.0 // the recording's peak, in cores of all pods
	peak := 0.0
	s.OnDecision = func(o *hpa.Observation, d *hpa.Decision) {
		sum := 0.0
		for i, v := range o.Metrics[0].Samples {
			sum += float64(v.Milli) / 1000 * float64(max(1, o.Pods[i].Count))
		}
		burnt = max(burnt, sum)
	}
	Simulate(w, cpu(2, 6, 80), &s, func(t *results.Tick) { peak = max(peak, t.Ready) })
	if peak != 6 {
		t.Fatalf("the recording peaks at %v pods; it must stand at its ceiling of 6", peak)
	}
	bound := 6 * 1 / (1 * 0.5) // recorded max · limit / (request · target)
	if most := burnt / (1 * 0.5); most > bound+0.1 {
		t.Fatalf("recorded CPU of %.2f cores would ask for %.1f pods, above the bound of %.0f", burnt, most, bound)
	}
	s.OnDecision, peak = nil, 0
	Simulate(w, cpu(3, 30, 50), &s, func(t *results.Tick) { peak = max(peak, t.Ready) })
	if peak <= bound {
		t.Errorf("replay at target 50 %% and max 30 peaks at %v pods; recorded CPU alone could ask for %v", peak, bound)
	}
	t.Logf("recorded peak %.2f cores; recorded CPU could ask for %v pods, the offered load asks for %v", burnt, bound, peak)
}

func TestAMetricWithoutPipeFailsAsInACluster(t *testing.T) {
	w := world(t, web(diurnal(100)))
	cfg := cpu(2, 20, 60)
	cfg.Metrics = append(cfg.Metrics, hpa.Metric{Source: hpa.External, Name: "queue", Target: hpa.Target{Type: hpa.AverageValue, AverageMilli: 3000}})
	if got := w.Blind(&cfg); len(got) != 1 || got[0] != "External metric queue" {
		t.Errorf("Blind = %q", got)
	}
	var s Scratch
	failed, down := 0, false
	last := 0.0
	s.OnDecision = func(_ *hpa.Observation, d *hpa.Decision) {
		if d.Per[1].Fault.Code != hpa.OK {
			failed++
		}
	}
	Simulate(w, cfg, &s, func(t *results.Tick) {
		down = down || t.Spec < last
		last = t.Spec
	})
	if failed == 0 || down {
		t.Errorf("%d syncs with a failed metric, scaled down: %v; one bad metric forbids scaling down", failed, down)
	}
}

func BenchmarkExact1hDiurnal(b *testing.B) {
	w := world(b, web(diurnal(230))).Draw(1)
	var s Scratch
	for b.Loop() {
		SimulateExact(w, cpu(2, 30, 65), 0, &s, func(*results.Tick) {})
	}
}
