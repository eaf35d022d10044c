package tuner

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
)

// Space is what the search may change. Zero fields take the defaults in the comments.
type Space struct {
	MinFloor int32 // smallest minReplicas to consider; 0 = 2 if MaxLimit allows it, since one replica has no spare
	MaxLimit int32 // nothing above it is recommended, because of a quota or nodes; 0 = none
	// Need is how many ready replicas the recorded peak needs, and Start how long a replica
	// takes to become ready. They determine the range of min and the policies' period.
	Need  int32
	Start time.Duration
	// Peak is the same for the highest of the redrawn days, which maxReplicas must not
	// limit; 0 = Need.
	Peak int32
	// First means that no HPA ran, so maxReplicas is not a user's choice, and is derived.
	First bool
	// Zero means that a size of zero may be recommended: minReplicas 0, or minReplicaCount
	// 0 of a ScaledObject.
	Zero bool
}

// maxHeadroom is how far above the need maxReplicas is set if it is set at all. A peak a
// quarter higher than the tested one is then served before maxReplicas limits it.
const maxHeadroom = 1.25

// minHeadroom is how far above the need of the mean load minReplicas is searched, since
// bursts need more than the mean.
const minHeadroom = 1.5

// floor is the smallest minReplicas.
func (s Space) floor() int32 {
	switch {
	case s.MinFloor > 0:
		return s.MinFloor
	case s.MaxLimit == 1:
		return 1
	}
	return 2
}

// allows reports whether a configuration is within the user's limits.
func (s Space) allows(c *hpa.Config) bool {
	return (c.MinReplicas >= s.floor() || s.Zero && c.MinReplicas == 0) && (s.MaxLimit <= 0 || c.MaxReplicas <= s.MaxLimit)
}

// MaxReplicas returns maxReplicas for a minReplicas, given the current one. It is a safety
// bound and is not searched, since a lower one only saves money by missing the objectives.
// It is raised if a peak needs more, and lowered to the user's limit.
func (s Space) MaxReplicas(floor, present int32) int32 {
	need := max(s.Need, s.Peak)
	m := present
	if s.First || need >= present {
		m = int32(math.Ceil(float64(need) * maxHeadroom))
	}
	m = max(m, floor)
	if s.MaxLimit > 0 {
		m = min(m, max(s.MaxLimit, floor))
	}
	return m
}

// Candidates returns the current configuration unchanged, and the grid of minReplicas and
// targets around it, with its own behavior. Every candidate is valid: 1 ≤ min ≤ max. The
// order is deterministic.
//
// min ranges from the floor to beyond the need; the target is that of the first metric that
// follows the load. The values of the current configuration are always included. Variants
// changes the behavior of promising candidates.
func (s Space) Candidates(current hpa.Config) []hpa.Config {
	knob, targets := s.targets(&current)
	out := []hpa.Config{current.Clone()}
	for _, lo := range s.mins(current.MinReplicas) {
		for _, target := range targets {
			c := current.Clone()
			c.MinReplicas, c.MaxReplicas = lo, s.MaxReplicas(lo, current.MaxReplicas)
			if knob != nil {
				knob.Set(&c, target)
			}
			out = append(out, c)
		}
	}
	return out
}

// Variants returns c with other behaviors: the scale-up window (0, 30, 60 s) with a few
// policies, and the scale-down window (1, 2, 5, 10 min; 0 would follow every dip) with a
// few, each direction with the other's current rules. c itself is not included.
func (s Space) Variants(c hpa.Config) []hpa.Config {
	base := c.Clone()
	base.EnsureBehavior()
	var out []hpa.Config
	add := func(v hpa.Config) {
		if !v.Equal(&base) {
			out = append(out, v)
		}
	}
	up := window(base.ScaleUp, 0)
	for _, w := range axis([]time.Duration{0, 30 * time.Second, 60 * time.Second}, up) {
		for _, p := range s.upPolicies(base.ScaleUp) {
			v := base.Clone()
			if w != up {
				v.ScaleUp.Window, v.ScaleUp.WindowSet = w, true
			}
			v.ScaleUp.Policies, v.ScaleUp.Select = slices.Clone(p.Policies), p.Select
			add(v)
		}
	}
	down := window(base.ScaleDown, 5*time.Minute)
	for _, w := range axis([]time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute}, down) {
		for _, p := range s.downPolicies(base.ScaleDown) {
			v := base.Clone()
			if w != down {
				v.ScaleDown.Window, v.ScaleDown.WindowSet = w, true
			}
			v.ScaleDown.Policies, v.ScaleDown.Select = slices.Clone(p.Policies), p.Select
			add(v)
		}
	}
	return out
}

// Safest returns the configuration of the space that is most likely to hold: min replicas
// at all times, with the lowest target.
func (s Space) Safest(current hpa.Config, lo int32) hpa.Config {
	c := current.Clone()
	c.MinReplicas, c.MaxReplicas = lo, s.MaxReplicas(lo, current.MaxReplicas)
	if knob, targets := s.targets(&current); knob != nil {
		knob.Set(&c, targets[0])
	}
	return c
}

// mins is the axis of minReplicas: every size up to 20, then steps of a tenth, up to half
// more than the peak of the mean load needs.
func (s Space) mins(current int32) []int32 {
	floor := s.floor()
	top := max(int32(math.Ceil(float64(s.Need)*minHeadroom)), floor)
	if s.MaxLimit > 0 {
		top = min(top, s.MaxLimit)
	}
	var out []int32
	if s.Zero {
		out = append(out, 0)
	}
	for m := floor; m <= top; {
		out = append(out, m)
		m += max(1, m/10)
	}
	if n := len(out); n > 0 && out[n-1] < top {
		out = append(out, top)
	}
	if current >= floor && (s.MaxLimit <= 0 || current <= s.MaxLimit) && !slices.Contains(out, current) {
		out = append(out, current)
	}
	slices.Sort(out)
	return out
}

// targets is the axis of the metric that follows the load: percent of the request for a
// utilization, multiples of the current target otherwise. A memory metric is left alone,
// since memory seldom falls with the load.
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
// is not memory or the time of day; −1 if there is none.
func Primary(c *hpa.Config) int {
	return slices.IndexFunc(c.Metrics, func(m hpa.Metric) bool {
		return !(m.Source == hpa.External && keda.Scheduled(m.Name)) &&
			!((m.Source == hpa.Resource || m.Source == hpa.ContainerResource) && m.Name == "memory")
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

// upPolicies is the axis of scale-up policies: the current ones, Kubernetes' default,
// doubling or growing by half once per start-up time, by at least 2 pods, so that a
// decision is not repeated before its pods could respond, and a fixed number of pods per
// minute, about a sixth of the need: a short burst then buys few pods, however high the
// metric is.
func (s Space) upPolicies(present hpa.Rules) []hpa.Rules {
	startup := policyPeriod(s.Start)
	return distinct([]hpa.Rules{
		{Select: present.Select, Policies: present.Policies},
		{Policies: hpa.DefaultScaleUp().Policies},
		{
			Policies: []hpa.Policy{
				{Type: hpa.PercentPolicy, Value: 100, Period: startup},
				{Type: hpa.PodsPolicy, Value: 2, Period: startup},
			},
		},
		{
			Policies: []hpa.Policy{
				{Type: hpa.PercentPolicy, Value: 50, Period: startup},
				{Type: hpa.PodsPolicy, Value: 2, Period: startup},
			},
		},
		{Policies: []hpa.Policy{{Type: hpa.PodsPolicy, Value: max(2, (s.Need+3)/6), Period: time.Minute}}},
	})
}

// downPolicies is the axis of scale-down policies: the current ones, Kubernetes' default,
// and a tenth or a quarter per minute, at least one pod.
func (s Space) downPolicies(present hpa.Rules) []hpa.Rules {
	return distinct([]hpa.Rules{
		{Select: present.Select, Policies: present.Policies},
		{Policies: hpa.DefaultScaleDown().Policies},
		{
			Policies: []hpa.Policy{
				{Type: hpa.PercentPolicy, Value: 25, Period: time.Minute},
				{Type: hpa.PodsPolicy, Value: 1, Period: time.Minute},
			},
		},
		{
			Policies: []hpa.Policy{
				{Type: hpa.PercentPolicy, Value: 10, Period: time.Minute},
				{Type: hpa.PodsPolicy, Value: 1, Period: time.Minute},
			},
		},
	})
}

// policyPeriod rounds a start-up time up to a quarter of a minute, within what the API
// allows (1 to 1800 s).
func policyPeriod(start time.Duration) time.Duration {
	const quarter = 15 * time.Second
	p := (start + quarter - 1) / quarter * quarter
	return min(max(p, quarter), 30*time.Minute)
}

// axis returns values and extra, sorted, without duplicates.
func axis[T int32 | time.Duration](values []T, extra T) []T {
	if !slices.Contains(values, extra) {
		values = append(values, extra)
	}
	slices.Sort(values)
	return values
}

// window returns a rule's stabilization window, or the controller's flag if none is set.
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

// Distance counts the settings in which two configurations differ. A new behavior is one
// setting, plus one for each of its values that is not Kubernetes' default.
func Distance(a, b hpa.Config) int {
	n, _ := apart(a, b)
	return n
}

// apart is Distance, and the total difference of the values: |ln(b/a)| for two positive
// numbers or times, 1 for anything else.
func apart(a, b hpa.Config) (n int, shift float64) {
	for _, k := range hpa.Knobs(&a) {
		from, to := k.Get(&a), k.Get(&b)
		if unchanged(k, from, to) {
			continue
		}
		n++
		if from == nil {
			from = k.Default
		}
		x, okX := positive(from)
		y, okY := positive(to)
		if okX && okY {
			shift += math.Abs(math.Log(y / x))
		} else {
			shift++
		}
	}
	return n, shift
}

// positive returns a setting's value as a number; ok is false if it is not a number above
// 0.
func positive(v any) (x float64, ok bool) {
	switch v := v.(type) {
	case int32:
		x = float64(v)
	case int64:
		x = float64(v)
	case float64:
		x = v
	case time.Duration:
		x = v.Seconds()
	}
	return x, x > 0
}

// unchanged reports whether two values of a setting are the same, including the case that
// one configuration does not have the setting and the other has the API server's default.
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
