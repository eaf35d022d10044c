// Package fit learns a world from a recorded run: what load was offered, how a
// replica serves, who gets the next request, how metrics follow, how long pods
// take to start. It says what it had to assume, how good each part is, and
// whether a replay of the run reproduces it.
package fit

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/cost"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// Options is what a recording cannot say, or did not. What is stated here
// where nothing was measured is called assumed in every output.
type Options struct {
	Limits plant.Limits // the per-request limits that the objectives set
	Seed   uint64

	Startup     time.Duration // a new pod's way to readiness; 0 = not stated
	CPUMilli    int64         // a pod's CPU request; 0 = not stated
	MemoryBytes int64         // a pod's memory request; 0 = not stated
	Replicas    int32         // ready when the run began; 0 = not stated

	// Load is the run whose arrivals are the demand, where the evidence is joined
	// of several; nil = the run itself.
	Load *results.Run
}

// Fitted is a world fitted to a run, and how far it can be believed.
type Fitted struct {
	World   *replay.World
	Replica cost.Replica // what a replica asks of a node
	// Assumed names what was stated and not measured, for people.
	Assumed  []string
	Warnings []string
	// Quality is how well each part of the fit meets what was recorded.
	Quality    []Quality
	SelfReplay SelfReplay
	Shadow     *Shadow // nil: no reconcile was recorded
}

// Shadow is how often the core decided what the recorded controller decided.
type Shadow struct {
	Agree   int `json:"agree"`
	Differ  int `json:"differ"`
	Unknown int `json:"unknown"`
	// The same apart: agreeing to do nothing is easier than agreeing on a size.
	Rescales Tally `json:"rescales"`
	Quiet    Tally `json:"quiet"`
	// Unseen are quiet reconciles that left no trace and were put in.
	Unseen int `json:"unseen"`
}

// Tally is a Shadow's counts over one kind of reconcile.
type Tally struct {
	Agree   int `json:"agree"`
	Differ  int `json:"differ"`
	Unknown int `json:"unknown"`
}

// Quality is one figure of how good a part of the fit is.
type Quality struct {
	Part  string  // service, slots, cpu, memory, startup, balancer, …
	Value float64 // in the unit that Text names
	N     int     // observations behind it
	Text  string
}

// fitting is a Fitted under construction.
type fitting struct {
	run *results.Run
	cfg hpa.Config
	o   Options
	w   replay.World
	out Fitted
	// served are the requests that a replica worked on, by Arrival.
	served  []served
	servers []server     // replicas that answered, by Meta.Backends; one for all where none is visible
	visible bool         // backends are
	hidden  stretches    // in which nobody saw the pods
	readyAt [][2]float64 // each pod's time in traffic, seconds
}

// Fit fits a world to a run under cfg, the configuration that ran (or is to be
// improved, where none ran). It says what it had to assume, how good the fit
// is, whether the core decides as the recorded controller did (Shadow), and
// whether a replay of the run reproduces it (SelfReplay).
//
// It returns an error where the run cannot carry a model at all: no arrivals,
// no answered request, no cold start seen or stated, no request size where the
// metrics need one.
func Fit(run *results.Run, cfg hpa.Config, o Options) (Fitted, error) {
	f := &fitting{run: run, cfg: cfg, o: o, hidden: unseenPods(run)}
	f.w = replay.World{Limits: o.Limits, Seed: o.Seed, Params: replay.Params(run)}
	f.unseen()
	errs := []error{f.demand()}
	if errs[0] == nil {
		f.match()
		errs = append(errs, f.service())
	}
	if errors.Join(errs...) == nil {
		f.balancer()
	}
	errs = append(errs, f.requests(), f.startup())
	if err := errors.Join(errs...); err != nil {
		return f.out, err
	}
	f.pipes()
	f.drain()
	f.begin()
	w, err := replay.New(f.w)
	if err != nil {
		return f.out, err
	}
	f.out.World = w
	if len(run.Syncs) > 0 {
		s, err := replay.Shadowed(run, cfg)
		if err != nil {
			return f.out, err
		}
		f.out.Shadow = &Shadow{s.Agree, s.Differ, s.Unknown, Tally(s.Rescales), Tally(s.Quiet), s.Unseen}
		if len(s.Differences) > 0 {
			d := s.Differences[0]
			f.warn("the core differs from the recorded controller in %d of %d syncs, first at %v: recorded %d replicas, the core says %d (%s)",
				s.Differ, len(run.Syncs), d.At.Round(time.Second), d.Recorded, d.Ours, d.Explanation)
		}
	}
	f.out.SelfReplay = SelfReplayOf(run, w, cfg)
	if len(f.out.Assumed) > 0 && len(run.Syncs) == 0 {
		f.out.SelfReplay.Verdict = "assumed"
	}
	return f.out, nil
}

func (f *fitting) warn(format string, args ...any) {
	f.out.Warnings = append(f.out.Warnings, fmt.Sprintf(format, args...))
}

func (f *fitting) assume(format string, args ...any) {
	f.out.Assumed = append(f.out.Assumed, fmt.Sprintf(format, args...))
}

func (f *fitting) quality(part string, value float64, n int, format string, args ...any) {
	f.out.Quality = append(f.out.Quality, Quality{part, value, n, fmt.Sprintf(format, args...)})
}

// demand takes the offered load from the request log: every scheduled arrival,
// shed and failed ones too.
func (f *fitting) demand() error {
	run := f.run
	if f.o.Load != nil {
		run = f.o.Load
	}
	if len(run.Requests) == 0 {
		return errors.New("fit: the run has no requests, so nothing says what load was offered; record one with hpatune run")
	}
	d := &f.w.Demand
	d.Step = time.Second
	rs := slices.Clone(run.Requests)
	slices.SortStableFunc(rs, func(a, b results.Request) int { return int(a.Scheduled - b.Scheduled) })
	var end time.Duration
	for i := range rs {
		r := &rs[i]
		end = max(end, r.Scheduled)
		d.Arrivals = append(d.Arrivals, profiles.Arrival{Index: r.Arrival, At: max(0, r.Scheduled), Stage: r.Stage, Class: r.Class, Prompt: r.Prompt, Max: r.Tokens})
	}
	end += d.Step
	if n := len(run.Meta.Stages); n > 0 && !run.Meta.Partial {
		end = max(end, time.Duration(run.Meta.Stages[n-1].ToS*float64(time.Second)))
	}
	d.Bins = replay.Bin(d.Arrivals, d.Step, end)
	d.CV2 = arrivalCV2(d.Arrivals)
	f.quality("arrivals", d.CV2, len(rs), "squared coefficient of variation of the gaps at an even rate (0 constant, 1 Poisson)")
	for _, st := range f.run.Meta.Stages {
		d.Breaks = append(d.Breaks, seconds(st.FromS))
	}
	blind := time.Duration(0)
	for _, g := range run.Gaps {
		if g.Source != "loadgen" && g.Source != "client" {
			continue
		}
		d.Censored = append(d.Censored, replay.Span{From: g.From, To: g.To, Why: g.Why})
		blind += g.To - g.From
	}
	if blind*20 > end {
		f.warn("arrivals are unknown for %v of %v: the replayed load is a lower bound", blind, end)
	}
	if run.Meta.Partial {
		f.warn("the run is partial (%s): %v of load", run.Meta.Why, end.Round(time.Second))
	}
	return nil
}

// arrivalCV2 is the squared coefficient of variation of the gaps, each times
// the local rate over 25 arrivals to either side, so that a changing rate is
// not taken for burstiness. 1 where there are too few to tell.
func arrivalCV2(a []profiles.Arrival) float64 {
	const side = 25
	if len(a) < 4*side {
		return 1
	}
	n, sum, sq := 0.0, 0.0, 0.0
	for i := side; i+side+1 < len(a); i++ {
		span := (a[i+side+1].At - a[i-side].At).Seconds()
		if span <= 0 {
			continue
		}
		x := (a[i+1].At - a[i].At).Seconds() * float64(2*side+1) / span
		n++
		sum += x
		sq += x * x
	}
	mean := sum / n
	return min(25, max(0, (sq/n-mean*mean)/(mean*mean)))
}

// requests takes the pods' requests from what the controller saw, from the
// workload's description, or from what was stated.
func (f *fitting) requests() error {
	for i := range f.run.Syncs {
		for _, p := range f.run.Syncs[i].Pods {
			for _, c := range p.Containers {
				f.w.Containers = append(f.w.Containers, hpa.Container{Name: c.Name, Init: c.Init, Sidecar: c.Sidecar,
					CPU: max(0, c.CPUMilli), HasCPU: c.CPUMilli >= 0, Memory: max(0, c.MemoryBytes) * 1000, HasMemory: c.MemoryBytes >= 0})
			}
			break
		}
		if len(f.w.Containers) > 0 {
			break
		}
	}
	m := f.run.Meta.Workload
	if len(f.w.Containers) == 0 {
		if m.CPUMilli == 0 && m.MemoryBytes == 0 {
			m.CPUMilli, m.MemoryBytes = f.o.CPUMilli, f.o.MemoryBytes
			if m.CPUMilli > 0 || m.MemoryBytes > 0 {
				f.assume("a pod requests %d millicores and %d MiB of memory (stated)", m.CPUMilli, m.MemoryBytes>>20)
			}
		}
		f.w.Containers = []hpa.Container{{Name: "app", CPU: m.CPUMilli, HasCPU: m.CPUMilli > 0, Memory: m.MemoryBytes * 1000, HasMemory: m.MemoryBytes > 0}}
	}
	var cpu, memory int64
	for _, c := range f.w.Containers {
		if c.Init && !c.Sidecar {
			continue
		}
		cpu, memory = cpu+c.CPU, memory+c.Memory/1000
	}
	f.out.Replica = cost.Replica{CPUCores: float64(cpu) / 1000, MemoryGB: float64(memory) / (1 << 30), GPUs: float64(m.GPUs)}
	var errs []error
	for _, x := range f.cfg.Metrics {
		if x.Source != hpa.Resource && x.Source != hpa.ContainerResource || x.Target.Utilization == 0 {
			continue
		}
		if x.Name == "cpu" && cpu == 0 || x.Name == "memory" && memory == 0 {
			errs = append(errs, fmt.Errorf("fit: the HPA scales on %s utilization and the pods' %s request is unknown; state it: --requests cpu=1,memory=2Gi", x.Name, x.Name))
		}
	}
	return errors.Join(errs...)
}
