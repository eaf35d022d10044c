package replay

import (
	"math"
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

// web is a service of 80 ms of CPU a request on one core: 12.5 requests/s a
// replica, ready 40 s after creation.
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

// diurnal is an hour of a day in small: from a tenth of the peak to the peak
// and back, twice.
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
	// 150/s at 12.5/s a replica and 60 % of it: 20 replicas.
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
