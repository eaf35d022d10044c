package tuner

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// Space is what the search may turn. Zero fields take the defaults of the
// comments.
type Space struct {
	MinFloor int32 // smallest minReplicas to consider; 0 = 2: one replica has no spare
	MaxLimit int32 // largest maxReplicas, from quota or nodes; 0 = none
	// Need is how many ready replicas the recorded peak takes, and Start how long
	// one takes to become ready: they set the range of min and the policies' period.
	Need  int32
	Start time.Duration
}

// maxHeadroom is how far above the recorded need maxReplicas is set. A peak a
// quarter higher than the one that was tested is served before max binds.
const maxHeadroom = 1.25

// MaxReplicas derives maxReplicas from the need: it is not searched, since a
// lower max only ever saves money by breaking the objectives.
func (s Space) MaxReplicas(floor int32) int32 {
	m := int32(math.Ceil(float64(s.Need) * maxHeadroom))
	m = max(m, s.Need+1, floor)
	if s.MaxLimit > 0 {
		m = min(m, max(s.MaxLimit, floor))
	}
	return m
}

// Candidates returns the grid around the current configuration, the current
// one first. Every candidate is valid: 1 ≤ min ≤ max, at least one policy a
// direction. The order is deterministic.
//
// The axes: min from the floor to the need; the target of the first metric that
// follows the load; the scale-up window 0, 30, 60 s; the scale-down window 60,
// 120, 300, 600 s (0 would follow every dip); a few policies a direction. Knobs
// of the current configuration are always on their axis.
func (s Space) Candidates(current hpa.Config) []hpa.Config {
	floor := s.MinFloor
	if floor <= 0 {
		floor = 2
	}
	base := current.Clone()
	base.EnsureBehavior()
	mins := s.mins(floor, current.MinReplicas)
	knob, targets := s.targets(&base)
	upWindows := axis([]time.Duration{0, 30 * time.Second, 60 * time.Second}, base.ScaleUp.Window)
	downWindows := axis([]time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute}, window(base.ScaleDown, 5*time.Minute))
	ups := s.upPolicies(base.ScaleUp)
	downs := s.downPolicies(base.ScaleDown)

	out := []hpa.Config{current.Clone()}
	for _, lo := range mins {
		for _, target := range targets {
			for _, uw := range upWindows {
				for _, dw := range downWindows {
					for _, up := range ups {
						for _, down := range downs {
							c := base.Clone()
							c.MinReplicas, c.MaxReplicas = lo, s.MaxReplicas(lo)
							if knob != nil {
								knob.Set(&c, target)
							}
							c.ScaleUp.Window, c.ScaleUp.WindowSet = uw, true
							c.ScaleDown.Window, c.ScaleDown.WindowSet = dw, true
							c.ScaleUp.Policies, c.ScaleUp.Select = slices.Clone(up.Policies), up.Select
							c.ScaleDown.Policies, c.ScaleDown.Select = slices.Clone(down.Policies), down.Select
							out = append(out, c)
						}
					}
				}
			}
		}
	}
	return out
}

// mins is the axis of minReplicas: every size up to 4, then coarser, up to what
// the peak needs (a min above it only idles).
func (s Space) mins(floor, current int32) []int32 {
	top := max(s.Need, floor)
	var out []int32
	for m := floor; m <= top; {
		out = append(out, m)
		switch {
		case m < 4:
			m++
		case m < 12:
			m += 2
		default:
			m += max(1, m/4)
		}
	}
	if current >= floor && !slices.Contains(out, current) {
		out = append(out, current)
	}
	slices.Sort(out)
	return out
}

// targets is the axis of the metric that follows the load: percent of request
// for a utilization, multiples of the present target otherwise. A memory metric
// is left alone, since memory seldom falls with load.
func (s Space) targets(base *hpa.Config) (*hpa.Knob, []any) {
	i := Primary(base)
	if i < 0 {
		return nil, []any{nil}
	}
	m := &base.Metrics[i]
	knob := TargetKnob(base, i)
	if m.Target.Utilization > 0 {
		ts := axis([]int32{30, 40, 50, 60, 70, 80, 90}, m.Target.Utilization)
		out := make([]any, len(ts))
		for i, t := range ts {
			out[i] = t
		}
		return knob, out
	}
	var out []any
	at := max(m.Target.AverageMilli, m.Target.ValueMilli)
	for _, f := range []float64{0.4, 0.55, 0.7, 0.85, 1, 1.2, 1.5} {
		out = append(out, max(int64(math.Round(float64(at)*f)), 1))
	}
	return knob, out
}

// Primary returns the index of the metric that follows the load: the first that
// is not memory; −1 if there is none.
func Primary(c *hpa.Config) int {
	return slices.IndexFunc(c.Metrics, func(m hpa.Metric) bool {
		return !((m.Source == hpa.Resource || m.Source == hpa.ContainerResource) && m.Name == "memory")
	})
}

// TargetKnob returns the knob of metric i's target.
func TargetKnob(c *hpa.Config, i int) *hpa.Knob {
	for _, k := range hpa.Knobs(c) {
		if !strings.HasPrefix(k.Path, "spec.metrics[") {
			continue
		}
		if i == 0 {
			return &k
		}
		i--
	}
	return nil
}

// upPolicies is the axis of scale-up policies: the present ones, Kubernetes'
// default, and doubling or growing by half once a start-up, but by 2 pods at
// least, so that a decision is not repeated before its pods could answer.
func (s Space) upPolicies(present hpa.Rules) []hpa.Rules {
	startup := policyPeriod(s.Start)
	return distinct([]hpa.Rules{
		{Select: present.Select, Policies: present.Policies},
		{Policies: hpa.DefaultScaleUp().Policies},
		{Policies: []hpa.Policy{{Type: hpa.PercentPolicy, Value: 100, Period: startup}, {Type: hpa.PodsPolicy, Value: 2, Period: startup}}},
		{Policies: []hpa.Policy{{Type: hpa.PercentPolicy, Value: 50, Period: startup}, {Type: hpa.PodsPolicy, Value: 2, Period: startup}}},
	})
}

// downPolicies is the axis of scale-down policies: the present ones,
// Kubernetes' default, and a tenth or a quarter a minute, but one pod at least.
func (s Space) downPolicies(present hpa.Rules) []hpa.Rules {
	return distinct([]hpa.Rules{
		{Select: present.Select, Policies: present.Policies},
		{Policies: hpa.DefaultScaleDown().Policies},
		{Policies: []hpa.Policy{{Type: hpa.PercentPolicy, Value: 25, Period: time.Minute}, {Type: hpa.PodsPolicy, Value: 1, Period: time.Minute}}},
		{Policies: []hpa.Policy{{Type: hpa.PercentPolicy, Value: 10, Period: time.Minute}, {Type: hpa.PodsPolicy, Value: 1, Period: time.Minute}}},
	})
}

// policyPeriod rounds a start-up time up to a quarter minute within what the
// API allows (1 to 1800 s).
func policyPeriod(start time.Duration) time.Duration {
	const quarter = 15 * time.Second
	p := (start + quarter - 1) / quarter * quarter
	return min(max(p, quarter), 30*time.Minute)
}

// axis returns values with extra among them, sorted, each once.
func axis[T int32 | time.Duration](values []T, extra T) []T {
	if !slices.Contains(values, extra) {
		values = append(values, extra)
	}
	slices.Sort(values)
	return values
}

// window returns a rule's stabilization window, or the controller's flag where
// none is set.
func window(r hpa.Rules, flag time.Duration) time.Duration {
	if r.WindowSet {
		return r.Window
	}
	return flag
}

func distinct(rules []hpa.Rules) []hpa.Rules {
	var out []hpa.Rules
	for _, r := range rules {
		if len(r.Policies) > 0 && !slices.ContainsFunc(out, func(o hpa.Rules) bool {
			return o.Select == r.Select && slices.Equal(o.Policies, r.Policies)
		}) {
			out = append(out, r)
		}
	}
	return out
}

// Distance counts the knobs in which two configurations differ.
func Distance(a, b hpa.Config) int {
	n := 0
	for _, k := range hpa.Knobs(&a) {
		if !unchanged(k, k.Get(&a), k.Get(&b)) {
			n++
		}
	}
	return n
}

// unchanged says that a knob's two values are one: also where one configuration
// has no place for it, and the other has what the API server would fill in.
func unchanged(k hpa.Knob, a, b any) bool {
	return sameValue(a, b) || a == nil && sameValue(b, k.Default) || b == nil && sameValue(a, k.Default)
}

func sameValue(a, b any) bool {
	if p, ok := a.([]hpa.Policy); ok {
		q, ok := b.([]hpa.Policy)
		return ok && slices.Equal(p, q)
	}
	if _, ok := b.([]hpa.Policy); ok {
		return false
	}
	return a == b
}
