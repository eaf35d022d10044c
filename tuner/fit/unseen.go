package fit

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// stretches are times of a run that do not count as evidence.
type stretches [][2]time.Duration

// meet reports whether any of them overlaps [from, to], ends included.
func (s stretches) meet(from, to time.Duration) bool {
	return slices.ContainsFunc(s, func(x [2]time.Duration) bool { return from <= x[1] && to >= x[0] })
}

// unseenPods returns the times in which the pods were not seen: what a request took then, or
// how long a pod took to start, cannot be attributed to a pod.
func unseenPods(run *results.Run) stretches {
	var out stretches
	for _, g := range run.Gaps {
		if g.HidesPods() {
			out = append(out, [2]time.Duration{g.From, g.To})
		}
	}
	return out
}

// undecided returns the times in which what the autoscaler read or did was not seen, each
// extended by the time for which the autoscaler may remember it; and all times after an edit
// of the HPA.
func undecided(run *results.Run, p hpa.Params, cfg hpa.Config) stretches {
	var out stretches
	for _, g := range run.Gaps {
		if g.HidesDecisions() {
			out = append(out, [2]time.Duration{g.From, g.To + replay.Remembered(p, cfg)})
		}
	}
	if at, ok := run.Edited(); ok {
		out = append(out, [2]time.Duration{at, math.MaxInt64})
	}
	return out
}

// unseenOf says which parts of the run are left out, and why.
func unseenOf(run *results.Run, p hpa.Params, cfg hpa.Config) notes {
	var n notes
	var sources []string
	from, to := time.Duration(math.MaxInt64), time.Duration(0)
	for _, g := range run.Gaps {
		if g.HidesDecisions() || g.HidesPods() {
			sources = append(sources, string(g.Source))
			from, to = min(from, g.From), max(to, g.To)
		}
	}
	if len(sources) > 0 {
		slices.Sort(sources)
		n.warn("%s could not be observed at times between %s and %s: that time is not used, nor are the "+
			"decisions up to %s later, which depend on it",
			strings.Join(slices.Compact(sources), ", "), figure.Duration(from.Round(time.Second)),
			figure.Duration(to.Round(time.Second)), figure.Duration(replay.Remembered(p, cfg)))
	}
	for _, m := range run.Meddled() {
		if m.Ends {
			n.warn("%s", m.Text)
			break
		}
	}
	return n
}
