package tuner

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// truth is a cluster that a test makes up: it writes the run that an observer
// and a load generator would have recorded. It shares no code with the plant:
// a FIFO queue needs no events, only the instants at which slots come free.
type truth struct {
	rate     func(t float64) float64
	seconds  float64
	cfg      hpa.Config
	replicas int
	slots    int
	streams  bool
	pick     plant.Balancer
	seed     uint64
}

type truthPod struct {
	name                                           string
	created, scheduled, started, ready, ended, out float64
	free                                           []float64 // when each slot comes free
	busy                                           [][2]float64
}

func (p *truthPod) slotSeconds(from, to float64) float64 {
	sum := 0.0
	for _, b := range p.busy {
		sum += max(0, min(b[1], to)-max(b[0], from))
	}
	return sum
}

func (p *truthPod) inside(at float64) int {
	n := 0
	for _, b := range p.busy {
		if b[1] > at {
			n++
		}
	}
	return n
}

const (
	truthIdle    = 0.015 // cores
	truthPerSlot = 0.12
)

func (c truth) run() *results.Run {
	r := rand.New(rand.NewPCG(c.seed, 9))
	inf := math.Inf(1)
	var pods []*truthPod
	run := &results.Run{Meta: results.Meta{
		Run: "truth", Classes: []string{"only"}, DurationS: c.seconds,
		Stages:   []results.StageInfo{{Name: "all", ToS: c.seconds}},
		HPA:      results.HPAContext{Name: "t", Controller: "sandbox"},
		Workload: results.Workload{CPUMilli: 1000, CPULimitMilli: 1500, MemoryBytes: 2 << 30},
	}}
	say := func(p *truthPod, phase results.PodPhase, at float64) {
		run.Pods = append(run.Pods, results.Pod{At: dur(at), Name: p.name, Phase: phase})
	}
	add := func(now float64, old bool) {
		p := &truthPod{name: fmt.Sprintf("pod-%d", len(pods)), created: now, ended: inf, out: inf, free: make([]float64, c.slots)}
		p.scheduled = now + 0.5 + r.Float64()
		p.started = p.scheduled + 6 + 2*r.Float64()
		p.ready = p.started + 18 + 8*r.Float64()
		if old {
			p.created, p.scheduled, p.started, p.ready = -600, -599, -590, -570
		}
		run.Meta.Backends = append(run.Meta.Backends, results.Backend{Name: p.name})
		pods = append(pods, p)
		say(p, results.PodCreated, p.created)
		say(p, results.PodScheduled, p.scheduled)
		say(p, results.PodStarted, p.started)
		say(p, results.PodReady, p.ready)
	}
	for range c.replicas {
		add(0, true)
	}
	size := int32(c.replicas)
	controller := hpa.New(hpa.DefaultParams())
	var d hpa.Decision
	turn := 0
	nextSync, lastScrape := 4.0, -9.6 // stamps are cut to whole seconds
	requests := []results.ContainerState{{Name: "app", CPUMilli: 1000, MemoryBytes: 2 << 30}}
	index := 0
	for t := 0.0; t < c.seconds; t += 0.1 {
		for nextScrape := lastScrape + 15; t >= nextScrape+5; nextScrape += 15 { // readable 5 s later
			lastScrape = nextScrape
			for i, p := range pods {
				if p.started > lastScrape-15 || p.out < lastScrape {
					continue
				}
				cores := truthIdle + truthPerSlot*p.slotSeconds(lastScrape-15, lastScrape)/15
				run.Samples = append(run.Samples, results.Sample{At: dur(t), Source: "metrics.k8s.io", Name: "cpu_milli", Pod: p.name, Value: cores * 1000, Window: 15 * time.Second, SampledAt: dur(math.Floor(lastScrape))})
				_ = i
			}
		}
		if t >= nextSync {
			nextSync += 15.03
			o := hpa.Observation{At: dur(t), SpecReplicas: size, Selector: "a=b", Metrics: []hpa.Reading{{Listed: true}}}
			if d.At == 0 {
				o.Spec = &c.cfg
			}
			s := results.Sync{At: dur(t), Spec: size, Selector: "a=b", Metrics: []results.Reading{{Metric: "cpu"}}}
			for _, p := range pods {
				if p.out <= t {
					continue
				}
				if p.ended > t {
					o.StatusReplicas++
				}
				ps := results.PodState{Name: p.name, Phase: "Running", Ready: "False", Started: dur(math.Floor(p.scheduled)), ReadySince: dur(math.Floor(p.scheduled)), Deleted: p.ended <= t, Containers: requests, PodCPUMilli: -1, PodMemoryBytes: -1}
				if p.started > t {
					ps.Phase = "Pending"
				}
				if p.ready <= t {
					ps.Ready, ps.ReadySince = "True", dur(math.Floor(p.ready))
				}
				s.Pods = append(s.Pods, ps)
				o.Pods = append(o.Pods, hpaPod(ps))
				sample := hpa.Sample{}
				if p.started <= lastScrape-15 {
					cores := truthIdle + truthPerSlot*p.slotSeconds(lastScrape-15, lastScrape)/15
					sample = hpa.Sample{Milli: int64(math.Ceil(cores * 1000)), At: dur(math.Floor(lastScrape)), Window: 15 * time.Second, OK: true}
					s.Metrics[0].Pods = append(s.Metrics[0].Pods, results.PodValue{Pod: p.name, Milli: sample.Milli, At: sample.At, Window: sample.Window})
				}
				o.Metrics[0].Samples = append(o.Metrics[0].Samples, sample)
			}
			s.Status = o.StatusReplicas
			controller.Step(&o, &d)
			s.Desired, s.Replicas = d.Desired, d.Replicas
			run.Syncs = append(run.Syncs, s)
			active := slices.DeleteFunc(slices.Clone(pods), func(p *truthPod) bool { return p.ended <= t })
			for range int(d.Replicas) - len(active) {
				add(t, false)
			}
			slices.SortStableFunc(active, func(a, b *truthPod) int { return sign(b.ready - a.ready) })
			for _, p := range active[:max(0, len(active)-int(d.Replicas))] {
				p.ended, p.out = t, max(t+1, slices.Max(p.free)+1)
				say(p, results.PodDeleted, p.ended)
				say(p, results.PodGone, p.out)
			}
			size = d.Replicas
		}
		// Arrivals of this tenth of a second.
		for u := r.ExpFloat64() / c.rate(t); u < 0.1; u += r.ExpFloat64() / c.rate(t) {
			at := t + u
			var ready []int
			for i, p := range pods {
				if p.ready <= t && p.ended > t {
					ready = append(ready, i)
				}
			}
			k := ready[turn%len(ready)]
			switch c.pick {
			case plant.Random:
				k = ready[r.IntN(len(ready))]
			case plant.LeastConnections:
				k = slices.MinFunc(ready, func(a, b int) int { return pods[a].inside(at) - pods[b].inside(at) })
			}
			turn++
			p := pods[k]
			slot := 0
			for i := range p.free {
				if p.free[i] < p.free[slot] {
					slot = i
				}
			}
			tokens := 1 + int(r.ExpFloat64()*40)
			start := max(at, p.free[slot])
			first := start + 0.75
			done := first + 0.1*float64(tokens-1)
			p.free[slot] = done
			p.busy = append(p.busy, [2]float64{start, done})
			q := results.Request{Arrival: index, Scheduled: dur(at), Sent: dur(at), First: results.NotYet, Last: results.NotYet, Done: dur(done), Tokens: tokens, Backend: int32(k), Err: -1, Code: 200}
			if c.streams {
				q.First, q.Last = dur(first), dur(done)
			}
			run.Requests = append(run.Requests, q)
			index++
		}
	}
	slices.SortStableFunc(run.Pods, func(a, b results.Pod) int { return int(a.At - b.At) })
	return run
}

func hpaPod(p results.PodState) hpa.Pod {
	o, err := replay.Observations(&results.Run{Syncs: []results.Sync{{Pods: []results.PodState{p}}}}, hpa.Config{})
	if err != nil {
		panic(err)
	}
	return o[0].Pods[0]
}

func dur(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// wave climbs, holds and falls, within a quarter of an hour.
func wave(t float64) float64 {
	switch {
	case t < 60:
		return 1.5
	case t < 240:
		return 1.5 + 6.5*(t-60)/180
	case t < 420:
		return 8
	}
	return 1.5
}

func cpuConfig(target int32) hpa.Config {
	c := hpa.DefaultConfig(12)
	c.MinReplicas = 2
	c.Metrics[0].Target.Utilization = target
	c.EnsureBehavior()
	c.ScaleDown.Window, c.ScaleDown.WindowSet = 2*time.Minute, true
	return c
}

func TestFitFindsTheTruth(t *testing.T) {
	for _, row := range []struct {
		name     string
		streams  bool
		balancer plant.Balancer
		hidden   bool // which replica answers is not visible
	}{
		{"streams, round robin", true, plant.RoundRobin, false},
		{"streams, random", true, plant.Random, false},
		{"streams, least connections", true, plant.LeastConnections, false},
		{"answers in one piece, round robin", false, plant.RoundRobin, false},
		{"replicas behind one address, at random", true, plant.Random, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := truth{rate: wave, seconds: 900, cfg: cpuConfig(70), replicas: 2, slots: 8, streams: row.streams, pick: row.balancer, seed: 3}
			run := c.run()
			if row.hidden {
				for i := range run.Requests {
					run.Requests[i].Backend = -1
				}
				run.Meta.Backends = nil
			}
			fit, err := Fit(run, c.cfg, FitOptions{Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range fit.Quality {
				t.Logf("%-10s %8.3f  n=%d  %s", q.Part, q.Value, q.N, q.Text)
			}
			t.Logf("warnings %q, assumed %q", fit.Warnings, fit.Assumed)
			w := fit.World
			if w.Service.Slots() != 8 && row.streams {
				t.Errorf("%d slots, want 8", w.Service.Slots())
			}
			if math.Abs(w.Service.Capacity()/(8/4.7)-1) > 0.15 {
				t.Errorf("capacity %.3f/s a replica, want about %.3f", w.Service.Capacity(), 8/4.7)
			}
			if w.Balancer != row.balancer {
				t.Errorf("balancer %v, want %v", w.Balancer, row.balancer)
			}
			cpu := w.Pipes[0]
			if per := cpu.PerRunning; math.Abs(per-truthPerSlot) > 0.006 || math.Abs(cpu.Base-truthIdle) > 0.01 {
				t.Errorf("CPU %.4f + %.4f a slot, want %.3f + %.3f", cpu.Base, per, truthIdle, truthPerSlot)
			}
			if cpu.Every != 15*time.Second || cpu.Window != 15*time.Second || cpu.Delay < 4*time.Second || cpu.Delay > 6*time.Second {
				t.Errorf("pipe %+v, want 15 s windows readable 5 s late", cpu)
			}
			for _, s := range w.Start {
				if s.Total() < 24*time.Second || s.Total() > 37*time.Second {
					t.Errorf("cold start %+v, want 24.5 to 35.5 s", s)
				}
			}
			if fit.Shadow.Differ != 0 || fit.Shadow.Unknown != 0 || fit.Shadow.Agree != len(run.Syncs) {
				t.Errorf("shadow %+v of %d syncs; the same core decided both", *fit.Shadow, len(run.Syncs))
			}
			s := fit.SelfReplay
			t.Logf("self-replay %s: error %+.3f, %d of %d rescales, mean |Δ| %.2f", s.Verdict, *s.ReplicaHoursError, s.RescalesMatched, s.Rescales, *s.MeanAbsReplicas)
			if s.Verdict != "pass" {
				t.Errorf("self-replay: %s", s.Verdict)
			}
		})
	}
}
