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

// Shadow is the comparison of the core with the recorded controller, reconcile by
// reconcile.
type Shadow struct {
	Agree, Differ, Unknown int          // over all recorded reconciles
	Rescales, Quiet        Tally        // the same, separately, since agreeing to do nothing is easier
	Unseen                 int          // quiet reconciles that left no trace and were inserted; not counted above
	Differences            []Difference // in order; the first ones are the most useful
}

// Tally counts reconciles by whether the core agrees with them.
type Tally struct{ Agree, Differ, Unknown int }

// N is how many there were.
func (t Tally) N() int { return t.Agree + t.Differ + t.Unknown }

// Difference is a reconcile in which the core decided something other than what was
// recorded.
type Difference struct {
	At             time.Duration
	Recorded, Ours int32 // spec.replicas after
	Explanation    string
}

// Params reads the controller's flags from a run: the recorded ones, otherwise the defaults
// of its release.
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

// Observations turns the recorded reconciles into the core's input: one per Sync, in order,
// the first with the given configuration. It reports syncs that do not match the
// configuration's metrics.
func Observations(run *results.Run, cfg hpa.Config) ([]hpa.Observation, error) {
	spec := cfg.Clone()
	out := make([]hpa.Observation, 0, len(run.Syncs))
	var errs []error
	for i := range run.Syncs {
		s := &run.Syncs[i]
		if len(s.Metrics) > len(cfg.Metrics) {
			errs = append(
				errs,
				fmt.Errorf(
					"sync at %v: %d metrics recorded, the HPA has %d; is it the one that ran?",
					s.At,
					len(s.Metrics),
					len(cfg.Metrics),
				),
			)
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
			Name:    c.Name,
			Init:    c.Init,
			Sidecar: c.Sidecar,
			CPU: max(
				0,
				c.CPUMilli,
			),
			HasCPU:    c.CPUMilli >= 0,
			Memory:    max(0, c.MemoryBytes) * 1000,
			HasMemory: c.MemoryBytes >= 0,
		})
	}
	if p.PodCPUMilli > 0 || p.PodMemoryBytes > 0 { // 0 cannot be told from a record that never had the field
		out.Level = &hpa.PodLevel{
			CPU:       max(0, p.PodCPUMilli),
			HasCPU:    p.PodCPUMilli > 0,
			Memory:    max(0, p.PodMemoryBytes) * 1000,
			HasMemory: p.PodMemoryBytes > 0,
		}
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
// with what was recorded: the size, and of a rescale the reason where one was
// recorded. A decision is compared at the reconcile at which it was recorded, so
// one that comes a reconcile late or early is two differences.
//
// Unknown are the reconciles whose input was not found; where the controller
// was there before the recording, those within the longest window of its begin,
// or of the end of a gap, that do not agree: what it remembered then is not in
// the record; and all after an edit of the HPA in mid-run.
//
// A controller in a cluster writes its status only when it changes. Where the
// next status is more than a period away, the reconciles between are put in
// with the input of the last one: an unchanged status says that the metrics
// gave the same figures, and what was proposed then counts in the windows.
//
// Where a status has a total as an average that is rounded up, a decision also agrees if it is
// that of a controller that got the least such totals all along.
func Shadowed(run *results.Run, cfg hpa.Config) (Shadow, error) {
	obs, err := Observations(run, cfg)
	if err != nil || len(obs) == 0 {
		return Shadow{}, err
	}
	p := Params(run)
	remembered := Remembered(p, cfg)
	whole := run.Meta.HPA.Controller == results.SandboxController // it started with the run, and shows every reconcile
	if whole {
		remembered = 0
	}
	edited, ok := run.Edited()
	if !ok {
		edited = 1<<63 - 1
	}
	known := run.Syncs[0].At + remembered // from here on, everything that it remembers is recorded
	c, least := hpa.New(p), hpa.New(p)
	var d, dLeast hpa.Decision
	var out Shadow
	low, rounded := leastTotals(obs, run, &cfg)
	rounded = rounded && !whole
	for i := range obs {
		s := &run.Syncs[i]
		if s.Restart {
			c.Restart()
			least.Restart()
		}
		if i > 0 {
			if end, ok := blind(run, run.Syncs[i-1].At, s.At); ok {
				known = max(known, end+remembered)
			} else {
				unseen := Unseen(run, i, p.SyncPeriod)
				out.Unseen += c.Repeat(&obs[i-1], run.Syncs[i-1].At, s.At, unseen)
				if rounded {
					least.Repeat(&low[i-1], run.Syncs[i-1].At, s.At, unseen)
				}
			}
		}
		tally := &out.Quiet
		if s.Rescaled() {
			tally = &out.Rescales
		}
		if len(s.Metrics) < len(cfg.Metrics) && s.Spec >= cfg.MinReplicas && s.Spec <= cfg.MaxReplicas || s.At >= edited {
			tally.Unknown++ // its input was not found, or its configuration is another
			if obs[i].Spec != nil && i+1 < len(obs) {
				obs[i+1].Spec, low[i+1].Spec = obs[i].Spec, obs[i].Spec
			}
			continue
		}
		c.Step(&obs[i], &d)
		of := &d
		if rounded {
			if least.Step(&low[i], &dLeast); d.Replicas != s.Replicas {
				of = &dLeast
			}
		}
		why := ""
		switch {
		case of.Replicas == s.Replicas && (!s.Rescaled() || s.Reason == "" || s.Reason == of.RescaleReason()):
		case d.Replicas != s.Replicas:
			why = d.Explain()
		case s.Rescaled() && s.Reason != "" && s.Reason != d.RescaleReason():
			why = fmt.Sprintf(
				"the size is the same, but the reason differs: recorded %q, hpatune %q",
				s.Reason,
				d.RescaleReason(),
			)
		}
		switch {
		case why == "":
			tally.Agree++
		case !whole && s.At <= known:
			tally.Unknown++
		default:
			tally.Differ++
			out.Differences = append(
				out.Differences,
				Difference{At: s.At, Recorded: s.Replicas, Ours: d.Replicas, Explanation: why},
			)
		}
	}
	out.Agree, out.Differ, out.Unknown = out.Rescales.Agree+out.Quiet.Agree, out.Rescales.Differ+out.Quiet.Differ,
		out.Rescales.Unknown+out.Quiet.Unknown
	return out, nil
}

// Unseen is the number of reconciles that left no trace before the i-th recorded one: a
// controller in a cluster writes its status only when it changes. None can be inserted
// after a rescale or a failure, since what they saw is unknown, nor in a gap, nor in the
// sandbox, which shows every reconcile.
func Unseen(run *results.Run, i int, period time.Duration) int {
	if i == 0 || run.Meta.HPA.Controller == results.SandboxController {
		return 0
	}
	s, next := &run.Syncs[i-1], run.Syncs[i].At
	if _, ok := blind(run, s.At, next); ok || s.Rescaled() || s.Err != "" || len(s.Metrics) == 0 {
		return 0
	}
	return max(0, int((next-s.At+period/2)/period)-1)
}

// Remembered is how long an earlier proposal of a controller can affect its decisions: the
// longer of its windows.
func Remembered(p hpa.Params, cfg hpa.Config) time.Duration {
	if cfg.Behavior && cfg.ScaleDown.WindowSet {
		return max(cfg.ScaleDown.Window, cfg.ScaleUp.Window)
	}
	return max(p.DownscaleStabilization, cfg.ScaleUp.Window)
}

// blind returns the end of the last gap between two reconciles in which what the HPA did or
// read was not observed.
func blind(run *results.Run, from, to time.Duration) (end time.Duration, ok bool) {
	for _, g := range run.Gaps {
		if g.HidesDecisions() && g.From < to && g.To > from {
			end, ok = max(end, g.To), true
		}
	}
	return end, ok
}
