// Package fittest simulates clusters whose truth is known, for the tests of the fit. Each
// writes the run that an observer and a load generator would have recorded. It shares no code
// with the plant.
package fittest

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// Truth is a simulated cluster. It writes the run that an observer and a load generator would
// have recorded. It shares no code with the plant: a FIFO queue needs no events, only the
// times at which slots become free.
type Truth struct {
	Rate     func(t float64) float64 // requests per second at t seconds; > 0
	Seconds  float64                 // how long load is offered
	Config   hpa.Config              // the HPA that runs
	Replicas int                     // ready at the start
	Slots    int                     // requests that a replica works on at once
	Streams  bool                    // answers have a first token
	Balancer plant.Balancer
	Seed     uint64
	Params   hpa.Params // the controller's flags; zero fields are the defaults
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

// What a pod of a Truth uses, in cores: at rest, and for each busy slot.
const (
	Idle    = 0.015 // cores
	PerSlot = 0.12
)

// Run simulates the cluster for Seconds and returns what was recorded.
func (c Truth) Run() *results.Run {
	r := rand.New(rand.NewPCG(c.Seed, 9))
	inf := math.Inf(1)
	var pods []*truthPod
	run := &results.Run{Meta: results.Meta{
		Run: "truth", Classes: []string{"only"}, DurationS: c.Seconds,
		Stages:   []results.StageInfo{{Name: "all", ToS: c.Seconds}},
		HPA:      results.HPAContext{Name: "t", Controller: results.SandboxController},
		Workload: results.Workload{CPUMilli: 1000, CPULimitMilli: 1500, MemoryBytes: 2 << 30},
	}}
	say := func(p *truthPod, phase results.PodPhase, at float64) {
		run.Pods = append(run.Pods, results.Pod{At: Dur(at), Name: p.name, Phase: phase})
	}
	add := func(now float64, old bool) {
		p := &truthPod{name: fmt.Sprintf("pod-%d", len(pods)), created: now, ended: inf, out: inf, free: make([]float64,
			c.Slots)}
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
	for range c.Replicas {
		add(0, true)
	}
	size := int32(c.Replicas)
	params := hpa.DefaultParams()
	if c.Params.DownscaleStabilization > 0 {
		params.DownscaleStabilization = c.Params.DownscaleStabilization
	}
	controller := hpa.New(params)
	var d hpa.Decision
	turn := 0
	nextSync, lastScrape := 4.0, -9.6 // timestamps are truncated to whole seconds
	requests := []results.ContainerState{{Name: "app", CPUMilli: 1000, MemoryBytes: 2 << 30}}
	index := 0
	for t := 0.0; t < c.Seconds; t += 0.1 {
		for nextScrape := lastScrape + 15; t >= nextScrape+5; nextScrape += 15 { // readable 5 s later
			lastScrape = nextScrape
			for i, p := range pods {
				if p.started > lastScrape-15 || p.out < lastScrape {
					continue
				}
				cores := Idle + PerSlot*p.slotSeconds(lastScrape-15, lastScrape)/15
				run.Samples = append(run.Samples, results.Sample{At: Dur(t), Source: "metrics.k8s.io", Name: "cpu_milli",
					Pod: p.name, Value: cores * 1000, Window: 15 * time.Second, SampledAt: Dur(math.Floor(lastScrape))})
				_ = i
			}
		}
		if t >= nextSync {
			nextSync += 15.03
			o := hpa.Observation{At: Dur(t), SpecReplicas: size, Selector: "a=b", Metrics: []hpa.Reading{{Listed: true}}}
			if d.At == 0 {
				o.Spec = &c.Config
			}
			s := results.Sync{At: Dur(t), Spec: size, Selector: "a=b", Metrics: []results.Reading{{Metric: "cpu"}}}
			for _, p := range pods {
				if p.out <= t {
					continue
				}
				if p.ended > t {
					o.StatusReplicas++
				}
				ps := results.PodState{
					Name:    p.name,
					Phase:   "Running",
					Ready:   "False",
					Started: Dur(math.Floor(p.scheduled)),
					ReadySince: Dur(
						math.Floor(p.scheduled),
					),
					Deleted:        p.ended <= t,
					Containers:     requests,
					PodCPUMilli:    -1,
					PodMemoryBytes: -1,
				}
				if p.started > t {
					ps.Phase = "Pending"
				}
				if p.ready <= t {
					ps.Ready, ps.ReadySince = "True", Dur(math.Floor(p.ready))
				}
				s.Pods = append(s.Pods, ps)
				o.Pods = append(o.Pods, hpaPod(ps))
				sample := hpa.Sample{}
				if p.started <= lastScrape-15 {
					cores := Idle + PerSlot*p.slotSeconds(lastScrape-15, lastScrape)/15
					sample = hpa.Sample{Milli: int64(math.Ceil(cores * 1000)), At: Dur(math.Floor(lastScrape)),
						Window: 15 * time.Second, OK: true}
					s.Metrics[0].Pods = append(s.Metrics[0].Pods, results.PodValue{Pod: p.name, Milli: sample.Milli, At: sample.At,
						Window: sample.Window})
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
			slices.SortStableFunc(active, func(a, b *truthPod) int { return cmp.Compare(b.ready, a.ready) })
			for _, p := range active[:max(0, len(active)-int(d.Replicas))] {
				p.ended, p.out = t, max(t+1, slices.Max(p.free)+1)
				say(p, results.PodDeleted, p.ended)
				say(p, results.PodGone, p.out)
			}
			size = d.Replicas
		}
		// Arrivals of this tenth of a second.
		for u := r.ExpFloat64() / c.Rate(t); u < 0.1; u += r.ExpFloat64() / c.Rate(t) {
			at := t + u
			var ready []int
			for i, p := range pods {
				if p.ready <= t && p.ended > t {
					ready = append(ready, i)
				}
			}
			k := ready[turn%len(ready)]
			switch c.Balancer {
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
			q := results.Request{Arrival: index, Scheduled: Dur(at), Sent: Dur(at), First: results.NotYet,
				Last: results.NotYet, Done: Dur(done), Tokens: tokens, Backend: int32(k), Err: -1, Code: 200}
			if c.Streams {
				q.First, q.Last = Dur(first), Dur(done)
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

// Dur converts seconds to a Duration.
func Dur(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Wave is a load that climbs, holds and falls, within a quarter of an hour.
func Wave(t float64) float64 {
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

// CPUConfig is an HPA of 2 to 12 replicas on CPU utilization of target percent,
// with a scale-down window of two minutes.
func CPUConfig(target int32) hpa.Config {
	c := hpa.DefaultConfig(12)
	c.MinReplicas = 2
	c.Metrics[0].Target.Utilization = target
	c.EnsureBehavior()
	c.ScaleDown.Window, c.ScaleDown.WindowSet = 2*time.Minute, true
	return c
}

// Blinded is a run whose records between 240 and 400 s are wrong: requests took a third of
// their time, CPU was three times as high, and the size changed at 300 s for no reason.
func Blinded(source results.GapSource) (*results.Run, Truth) {
	c := Truth{Rate: Wave, Seconds: 900, Config: CPUConfig(70), Replicas: 2, Slots: 8, Streams: true, Seed: 3}
	run := c.Run()
	from, to := Dur(240), Dur(400)
	run.Gaps = []results.Gap{{Source: source, From: from, To: to, Why: "connection refused"}}
	for i := range run.Requests {
		if q := &run.Requests[i]; q.Sent >= from && q.Done <= to {
			q.First, q.Done = q.Sent+(q.First-q.Sent)/3, q.Sent+(q.Done-q.Sent)/3
		}
	}
	for i := range run.Samples {
		if s := &run.Samples[i]; s.SampledAt >= from && s.SampledAt <= to {
			s.Value *= 3
		}
	}
	run.Syncs = slices.DeleteFunc(run.Syncs, func(s results.Sync) bool { return s.At >= from && s.At <= to })
	i := slices.IndexFunc(run.Syncs, func(s results.Sync) bool { return s.At > to })
	run.Syncs = slices.Insert(run.Syncs, i, results.Sync{At: Dur(300), Spec: run.Syncs[i].Spec, Replicas: 1, Desired: 1})
	return run, c
}
