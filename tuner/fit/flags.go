package fit

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// withFlags returns the run with the controller's flags as its reconciles show them, for flags
// that nobody stated. Defaults stay unless the reconciles disprove them; a value that replaces
// one is noted as assumed. The run itself is not changed.
//
// The sync period is read from the distances between reconciles. Every other flag is tried
// with other usual values, one flag after the other. A value is taken if it leaves at most a
// third of the reconciles in which the core decides differently.
func withFlags(run *results.Run, cfg hpa.Config) (*results.Run, notes) {
	var n notes
	h := run.Meta.HPA
	if !h.Assumed || h.Controller == results.SandboxController || len(run.Syncs) < 4 {
		return run, n
	}
	out := *run
	if h.SyncPeriodS == 0 {
		stated := replay.Params(run).SyncPeriod
		if p, ok := periodOf(run.Syncs, stated); ok {
			out.Meta.HPA.SyncPeriodS = p.Seconds()
			n.assume("the controller reconciles every %s instead of every %s (the default), as its reconciles show "+
				"(override with --controller syncPeriod=…)", figure.Duration(p), figure.Duration(stated))
		}
	}
	differ := func(r *results.Run) int {
		s, err := replay.Shadowed(r, cfg)
		if err != nil {
			return math.MaxInt
		}
		return s.Differ
	}
	before := differ(&out)
	if before == 0 || before == math.MaxInt {
		return &out, n
	}
	flags := []struct {
		name   string
		to     *float64
		value  float64
		usual  []float64
		inText func(float64) string
	}{
		{"downscaleStabilization", &out.Meta.HPA.DownscaleStabilizationS,
			replay.Params(run).DownscaleStabilization.Seconds(), []float64{1, 10, 15, 30, 60, 120, 180, 600}, inSeconds},
		{"tolerance", &out.Meta.HPA.Tolerance, replay.Params(run).Tolerance, []float64{0.01, 0.02, 0.05, 0.15, 0.2}, inRatio},
		{"cpuInitializationPeriod", &out.Meta.HPA.CPUInitializationPeriodS,
			replay.Params(run).CPUInitializationPeriod.Seconds(), []float64{1, 10, 30, 60, 120, 600}, inSeconds},
		{"initialReadinessDelay", &out.Meta.HPA.InitialReadinessDelayS, replay.Params(run).InitialReadinessDelay.Seconds(),
			[]float64{1, 5, 10, 60, 120}, inSeconds},
	}
	for _, f := range flags {
		if *f.to > 0 {
			continue
		}
		best, value := before, 0.0
		for _, v := range f.usual {
			*f.to = v
			if d := differ(&out); d < best {
				best, value = d, v
			}
		}
		if *f.to = 0; 3*best > before {
			continue
		}
		*f.to = value
		n.assume("the controller's %s is %s instead of %s (the default): with it, hpatune differs from the "+
			"controller in %d reconciles, with the default in %d (override with --controller %s=…)",
			f.name, f.inText(value), f.inText(f.value), best, before, f.name)
		if before = best; before == 0 {
			break
		}
	}
	return &out, n
}

// inSeconds prints the value of a flag that is a duration: 0.5 as 500ms.
func inSeconds(s float64) string { return figure.Duration(seconds(s)) }

// inRatio prints the value of a flag that is a ratio, such as the tolerance: 0.1.
func inRatio(v float64) string { return fmt.Sprintf("%g", v) }

// periodOf returns the sync period that the reconciles show, if they disprove the stated one:
// at least three of them are closer together than it allows. A controller leaves a trace only
// if its status changes, so distances are whole numbers of periods, each longer by the
// duration of the reconcile.
func periodOf(syncs []results.Sync, stated time.Duration) (time.Duration, bool) {
	var gaps []float64
	closer := 0
	for i := 1; i < len(syncs); i++ {
		if syncs[i].Restart {
			continue
		}
		d := (syncs[i].At - syncs[i-1].At).Seconds()
		if d <= 0.2 {
			continue
		}
		if gaps = append(gaps, d); d < 0.8*stated.Seconds() {
			closer++
		}
	}
	if closer < 3 {
		return 0, false
	}
	usual := []float64{1, 2, 3, 5, 10, 15, 20, 30, 60}
	sorted := slices.Clone(gaps)
	slices.Sort(sorted)
	usual = append(usual, math.Round(sorted[len(sorted)/20]))
	best := 0.0
	for _, p := range usual {
		fits := 0
		for _, d := range gaps {
			k := max(1, math.Round(d/p))
			if off := d - k*p; off > -0.1*p && off < 0.04*k*p+0.1*p {
				fits++
			}
		}
		if fits*20 >= len(gaps)*19 {
			best = max(best, p)
		}
	}
	if best == 0 {
		return 0, false
	}
	return seconds(best), true
}
