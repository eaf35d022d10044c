package replay

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// Shadow is the core beside the recorded controller, reconcile by reconcile.
type Shadow struct {
	Agree, Differ, Unknown int
	Differences            []Difference // in order; the first ones are the ones to read
}

// Difference is a reconcile in which the core decided something else than the
// recording says.
type Difference struct {
	At             time.Duration
	Recorded, Ours int32 // spec.replicas after
	Explanation    string
}

// Params reads the controller's flags off a run: those it recorded, the
// defaults of its release else.
func Params(run *results.Run) hpa.Params {
	h := run.Meta.HPA
	release := 0
	if _, rest, ok := strings.Cut(h.Kubernetes, "v1."); ok {
		digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
		release, _ = strconv.Atoi(digits) // not a number: the latest
	}
	p := hpa.ParamsFor(release)
	set := func(to *time.Duration, s float64) {
		if s > 0 {
			*to = time.Duration(s * float64(time.Second))
		}
	}
	set(&p.SyncPeriod, h.SyncPeriodS)
	set(&p.DownscaleStabilization, h.DownscaleStabilizationS)
	set(&p.CPUInitializationPeriod, h.CPUInitializationPeriodS)
	set(&p.InitialReadinessDelay, h.InitialReadinessDelayS)
	if h.Tolerance > 0 {
		p.Tolerance = h.Tolerance
	}
	return p
}

// Observations turns the recorded reconciles into what the core takes: one a
// Sync, in order, the first with the given configuration. It reports syncs that
// do not fit the configuration's metrics.
func Observations(run *results.Run, cfg hpa.Config) ([]hpa.Observation, error) {
	spec := cfg.Clone()
	out := make([]hpa.Observation, 0, len(run.Syncs))
	var errs []error
	for i := range run.Syncs {
		s := &run.Syncs[i]
		if len(s.Metrics) > len(cfg.Metrics) {
			errs = append(errs, fmt.Errorf("sync at %v: %d metrics recorded, the HPA has %d; is it the one that ran?", s.At, len(s.Metrics), len(cfg.Metrics)))
			continue
		}
		o := hpa.Observation{At: s.At, SpecReplicas: s.Spec, StatusReplicas: s.Status, Selector: s.Selector}
		if o.Selector == "" {
			o.Selector = "app=unrecorded" // only texts name it
		}
		if len(out) == 0 {
			o.Spec = &spec
		}
		for j := range s.Pods {
			o.Pods = append(o.Pods, podOf(&s.Pods[j]))
		}
		for j := range s.Metrics {
			o.Metrics = append(o.Metrics, readingOf(&s.Metrics[j], &cfg.Metrics[j], s.Pods))
		}
		out = append(out, o)
	}
	return out, errors.Join(errs...)
}

func podOf(p *results.PodState) hpa.Pod {
	out := hpa.Pod{Name: p.Name, Deleted: p.Deleted, ReadySince: p.ReadySince, StartTime: p.Started}
	if p.Started == results.NotYet {
		out.StartTime, out.NotStarted = 0, true
	}
	out.Phase, _ = hpa.ParsePhase(p.Phase)
	if r, ok := hpa.ParseReady(p.Ready); ok {
		out.Ready = r
	} else {
		out.Ready = hpa.ReadyAbsent
	}
	for _, c := range p.Containers {
		out.Containers = append(out.Containers, hpa.Container{
			Name: c.Name, Init: c.Init, Sidecar: c.Sidecar,
			CPU: max(0, c.CPUMilli), HasCPU: c.CPUMilli >= 0, Memory: max(0, c.MemoryBytes) * 1000, HasMemory: c.MemoryBytes >= 0,
		})
	}
	if p.PodCPUMilli > 0 || p.PodMemoryBytes > 0 { // 0 cannot be told from a record that never had the field
		out.Level = &hpa.PodLevel{CPU: max(0, p.PodCPUMilli), HasCPU: p.PodCPUMilli > 0, Memory: max(0, p.PodMemoryBytes) * 1000, HasMemory: p.PodMemoryBytes > 0}
	}
	return out
}

func readingOf(r *results.Reading, m *hpa.Metric, pods []results.PodState) hpa.Reading {
	out := hpa.Reading{Listed: len(r.Pods) > 0, Series: r.Values}
	if r.Err != "" {
		out.Err = errors.New(r.Err)
		return out
	}
	if m.Source == hpa.Object || m.Source == hpa.External {
		return out
	}
	out.Samples = make([]hpa.Sample, len(pods))
	ghosts := map[string]int64{}
	var names []string
	for _, v := range r.Pods {
		if m.Source == hpa.ContainerResource && v.Container != "" && v.Container != m.Container {
			continue
		}
		i := slices.IndexFunc(pods, func(p results.PodState) bool { return p.Name == v.Pod })
		if i < 0 {
			if _, ok := ghosts[v.Pod]; !ok {
				names = append(names, v.Pod)
			}
			ghosts[v.Pod] += v.Milli
			continue
		}
		// A pod's value is the sum over its containers.
		s := &out.Samples[i]
		s.Milli += v.Milli
		s.At, s.Window, s.OK = v.At, v.Window, true
	}
	for _, n := range names {
		out.Ghosts = append(out.Ghosts, ghosts[n])
	}
	return out
}

// Shadowed runs the core over the recorded inputs and compares what it decides
// with what was recorded.
//
// Unknown are the reconciles whose input was not found, and, where the
// controller was there before the recording, those within the longest window of
// its begin that do not agree: what it remembered then is not in the record.
func Shadowed(run *results.Run, cfg hpa.Config) (Shadow, error) {
	obs, err := Observations(run, cfg)
	if err != nil || len(obs) == 0 {
		return Shadow{}, err
	}
	p := Params(run)
	remembered := max(p.DownscaleStabilization, cfg.ScaleUp.Window)
	if cfg.Behavior && cfg.ScaleDown.WindowSet {
		remembered = max(cfg.ScaleDown.Window, cfg.ScaleUp.Window)
	}
	if run.Meta.HPA.Controller == "sandbox" {
		remembered = 0 // it began with the run
	}
	c := hpa.New(p)
	var d hpa.Decision
	var out Shadow
	for i := range obs {
		s := &run.Syncs[i]
		if s.Restart {
			c.Restart()
		}
		if len(s.Metrics) < len(cfg.Metrics) && s.Spec >= cfg.MinReplicas && s.Spec <= cfg.MaxReplicas {
			out.Unknown++ // its input was not found
			if obs[i].Spec != nil && i+1 < len(obs) {
				obs[i+1].Spec = obs[i].Spec
			}
			continue
		}
		c.Step(&obs[i], &d)
		switch {
		case d.Replicas == s.Replicas:
			out.Agree++
		case s.At-run.Syncs[0].At <= remembered:
			out.Unknown++
		default:
			out.Differ++
			out.Differences = append(out.Differences, Difference{At: s.At, Recorded: s.Replicas, Ours: d.Replicas, Explanation: d.Explain()})
		}
	}
	return out, nil
}
