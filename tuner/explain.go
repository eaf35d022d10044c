package tuner

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// change is a setting that differs between two configurations.
type change struct {
	knob     hpa.Knob
	from, to any
}

// changesBetween lists the settings in which to differs from from, in the order of the
// manifest. A new behavior is listed by its parts.
func changesBetween(from, to hpa.Config) []change {
	var out []change
	for _, k := range hpa.Knobs(&to) {
		a, b := k.Get(&from), k.Get(&to)
		if k.Path == wholeBehavior || unchanged(k, a, b) {
			continue
		}
		out = append(out, change{k, a, b})
	}
	return out
}

// wholeBehavior is the path that stands for all of spec.behavior.
const wholeBehavior = "spec.behavior"

// revert returns to with one setting reverted; ok is false if that is not a valid
// configuration (min above max).
func revert(to hpa.Config, c change) (hpa.Config, bool) {
	r := to.Clone()
	c.knob.Set(&r, c.from)
	return r, r.MinReplicas <= r.MaxReplicas
}

// paired summarises b − a over their common days.
func paired(a, b *trial, figure func(*outcome) float64, scale float64) *Interval {
	d := make([]float64, min(len(a.days), len(b.days)))
	for i := range d {
		d[i] = (figure(&b.days[i]) - figure(&a.days[i])) * scale
	}
	return over(d)
}

// worstSpan is the width of the periods that are searched for misses.
const worstSpan = time.Minute

// sight is what bound at one sync.
type sight struct {
	at      time.Duration
	bound   Bound
	text    string
	replica int32
}

// worst replays cfg and returns up to three minutes that missed the most requests, adjacent
// ones joined, each with its limiting factor.
func worst(
	w *replay.World,
	under func(*replay.World, hpa.Config, *replay.Scratch) *replay.World,
	cfg hpa.Config,
	need []float64,
	warmup func(int) bool,
) []Worst {
	var (
		s     replay.Scratch
		seen  []sight
		ready float64
		pods  float64
		tick  int
	)
	w = under(w, cfg, &s)
	s.OnDecision = func(_ *hpa.Observation, d *hpa.Decision) {
		wanted := 0.0
		if tick < len(need) {
			wanted = need[tick]
		}
		seen = append(seen, judgeSync(d, &cfg, ready, pods, wanted))
	}
	by := max(int(worstSpan/w.Demand.Step), 1)
	var missed []float64
	replay.Simulate(w, cfg, &s, func(t *results.Tick) {
		ready, pods = t.Ready, t.Pods
		if i := tick / by; warmup == nil || !warmup(tick) {
			for len(missed) <= i {
				missed = append(missed, 0)
			}
			missed[i] += t.Arrivals - t.Good
		}
		tick++
	})
	order := make([]int, 0, len(missed))
	for i, m := range missed {
		if m >= 0.5 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(missed[b], missed[a]) })
	order = order[:min(3, len(order))]
	slices.Sort(order)
	var out []Worst
	for _, i := range order {
		from, to := float64(i)*worstSpan.Seconds(), float64(i+1)*worstSpan.Seconds()
		if n := len(out); n > 0 && out[n-1].ToS == from {
			out[n-1].ToS, out[n-1].Missed = to, out[n-1].Missed+missed[i]
			continue
		}
		out = append(out, Worst{FromS: from, ToS: to, Missed: missed[i]})
	}
	for i := range out {
		out[i].Missed = math.Round(out[i].Missed)
		out[i].BoundBy, out[i].Text = boundIn(seen, out[i].FromS, out[i].ToS)
	}
	return out
}

// judgeSync says what kept the size below the need at one reconcile. It is the first that
// applies of max, policy, window, startup (pods are starting), tolerance, and else lag: the
// metric does not show the load yet.
func judgeSync(d *hpa.Decision, cfg *hpa.Config, ready, pods, need float64) sight {
	s := sight{at: d.At, bound: BoundLag, replica: d.Replicas}
	switch {
	case ready >= need && need > 0:
		s.bound = ""
	case d.Path == hpa.AtZero && pods == 0:
		s.text = "there were no replicas, and nothing had scaled up from zero yet"
	case d.HasProposal && d.Replicas >= cfg.MaxReplicas && d.Proposal.Replicas > cfg.MaxReplicas:
		s.bound, s.text = BoundMax, fmt.Sprintf(
			"the metrics asked for %d, maxReplicas is %d",
			d.Proposal.Replicas,
			cfg.MaxReplicas,
		)
	case d.HasProposal && d.Up && d.Stable > d.Limited:
		s.bound, s.text = BoundPolicy, fmt.Sprintf(
			"the metrics asked for %d, the scale-up policies allowed %d",
			d.Stable,
			d.Limited,
		)
	case d.HasProposal && d.Proposal.Replicas > d.Stable && d.Stable >= d.From:
		s.bound, s.text = BoundWindow, fmt.Sprintf(
			"the metrics asked for %d, the scale-up window kept it at %d",
			d.Proposal.Replicas,
			d.Stable,
		)
	case pods > ready:
		s.bound, s.text = BoundStartup, fmt.Sprintf("%.0f of %.0f pods were still starting", pods-ready, pods)
	case d.HasProposal && d.Proposal.Tolerated:
		s.bound, s.text = BoundTolerance, fmt.Sprintf(
			"usage was within tolerance of the target (ratio %.2f)",
			d.Proposal.Ratio,
		)
	default:
		s.text = "the metric did not show the rise in load yet"
	}
	return s
}

// boundIn returns the most frequent limiting factor between two times. The reconciles of
// the minute before count, too, since what they did not ask for is missing now.
func boundIn(seen []sight, from, to float64) (Bound, string) {
	count, text := map[Bound]int{}, map[Bound]string{}
	for _, s := range seen {
		if at := s.at.Seconds(); s.bound == "" || at < from-60 || at >= to {
			continue
		}
		count[s.bound]++
		if text[s.bound] == "" {
			text[s.bound] = s.text
		}
	}
	best := BoundLag
	for _, b := range []Bound{BoundStartup, BoundLag, BoundPolicy, BoundMax, BoundTolerance, BoundWindow} {
		if count[b] > count[best] {
			best = b
		}
	}
	if count[best] == 0 {
		return best, "bursts shorter than a minute; on average there were enough ready replicas"
	}
	return best, text[best]
}

// why explains a change: its effect on its own, in figures, and what they do not show.
func (b *bench) why(c change, e *Reverted) string {
	if e == nil {
		return "required by the other changes: without it the configuration is not valid"
	}
	var parts []string
	if a := e.Attainment; a != nil && math.Abs(a.Value) >= 0.0005 {
		parts = append(parts, figure.Difference(a.Value, figure.Ratio)+" within limits")
	}
	if u := e.USDMonth; u != nil && math.Abs(u.Value) >= 0.01 {
		parts = append(parts, figure.Difference(u.Value, b.price.Currency)+" per month")
	}
	if f := e.Flaps; f != nil && math.Abs(f.Value) >= 0.5 {
		parts = append(parts, figure.Difference(f.Value, "")+" flaps")
	}
	if c.knob.Path == hpa.MaxReplicasPath {
		parts = append(
			parts,
			fmt.Sprintf(
				"an upper bound, not a saving: the highest peak needs %d ready replicas at %.2f requests/s each",
				max(b.space.Need, b.space.Peak),
				b.perReplica,
			),
		)
	}
	if len(parts) == 0 {
		return "almost no effect on its own; it matters together with the other changes"
	}
	return strings.Join(parts, ", ")
}

// Describe names a configuration in one line.
func Describe(c hpa.Config) string {
	parts := []string{fmt.Sprintf("min %d, max %d", c.MinReplicas, c.MaxReplicas)}
	for i := range c.Metrics {
		if k := TargetKnob(&c, i); k != nil {
			v := hpa.FormatValue(k.Get(&c))
			if c.Metrics[i].Target.Utilization > 0 {
				v += " %"
			}
			parts = append(parts, c.Metrics[i].Key()+" "+v)
		}
	}
	if !c.Behavior {
		return strings.Join(append(parts, "no behavior"), ", ")
	}
	for _, d := range []struct {
		name  string
		rules hpa.Rules
	}{{"up", c.ScaleUp}, {"down", c.ScaleDown}} {
		w := "flag"
		if d.rules.WindowSet {
			w = hpa.FormatValue(d.rules.Window)
		}
		parts = append(parts, fmt.Sprintf("%s %s window, %s", d.name, w, hpa.FormatValue(d.rules.Policies)))
	}
	return strings.Join(parts, ", ")
}
