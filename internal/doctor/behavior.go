package doctor

import (
	"fmt"
	"math"
	"slices"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// slow is the number of decisions to 4 times the load from which scaling is too slow:
// doubling needs two.
const slow = 4

func slowGrowth(s *subject) (hits []hit, ok bool) {
	from := max(s.config.MinReplicas, 1)
	times := min(4, float64(s.config.MaxReplicas)/float64(from))
	for i, m := range s.config.Metrics {
		c, t, unit, known := s.ceiling(i)
		ok = ok || known
		if !known || t == 0 || c <= t*(1+s.tolerance()) { // that one is unreachable
			continue
		}
		growth, n, decisions := c/t, float64(from), 0
		for ; n < times*float64(from) && decisions < 1000; decisions++ {
			n = math.Ceil(n * growth)
		}
		if decisions > slow {
			h := s.hit(
				metricPath(i),
				"%s cannot exceed %.4g%s, and the target is %.4g: each decision grows the size at most %.3g times, so it "+
					"takes %d decisions to reach %.3g× the load (%d to %.0f replicas), each of them after the pods of the one "+
					"before are ready and measured%s",
				m.Name,
				c,
				unit,
				t,
				growth,
				decisions,
				times,
				from,
				times*float64(from),
				prefixed("; a pod starts in ", s.startup, ""),
			)
			if _, _, bounded := s.bound(i); bounded { // everybody's signal, and its nature
				h.severity, h.fix = Info, "lower the target, or add a queue metric, which has no such bound"
			}
			hits = append(hits, h)
		}
	}
	return hits, ok
}

func noBehavior(s *subject) ([]hit, bool) {
	if s.config.Behavior {
		return nil, true
	}
	return []hit{
		s.hit(
			"spec",
			"without behavior, the size may double (or grow to 4) at each decision, and falls to the highest proposal of "+
				"the last 5 minutes (a flag of the controller)",
		),
	}, true
}

func shortWindow(s *subject) ([]hit, bool) {
	w := s.down.Window
	if !s.down.WindowSet {
		w = hpa.DefaultParams().DownscaleStabilization
	}
	if s.m.Startup == 0 || w >= s.m.Startup || s.down.Select == hpa.Disabled {
		return nil, s.m.Startup != 0
	}
	return []hit{
		s.hit(
			"spec.behavior.scaleDown.stabilizationWindowSeconds",
			"the scale-down window is %v, and a pod takes %s to start: a dip that is shorter than a pod's start removes "+
				"replicas that are needed again",
			w,
			s.startup,
		),
	}, true
}

func cascade(s *subject) (hits []hit, ok bool) {
	if s.m.Startup == 0 {
		return nil, false
	}
	for i, p := range s.up.Policies {
		if !s.config.Behavior || p.Period >= s.m.Startup || s.up.Select == hpa.Disabled {
			continue
		}
		h := s.hit(
			fmt.Sprintf("spec.behavior.scaleUp.policies[%d].periodSeconds", i),
			"the policy's period of %v passes %d times while a pod starts, which takes %s. Until the pod is ready the "+
				"queue grows, and the metric with it, so each period adds more replicas than the load needs",
			p,
			int(s.m.Startup/p.Period),
			s.startup,
		)
		if len(s.resources()) == len(s.config.Metrics) {
			if s.defaultPolicies() {
				continue
			}
			// No folklore: a starting pod counts as 0 CPU on the way up, so nothing cascades.
			h.severity = Info
			h.why = fmt.Sprintf(
				"the policy's period of %v passes %d times while a pod starts, which takes %s. CPU and memory are capped by "+
					"the pods' limits, and a starting pod counts as 0 CPU, so these metrics do not overshoot; a queue or "+
					"in-flight metric would",
				p,
				int(s.m.Startup/p.Period),
				s.startup,
			)
		}
		hits = append(hits, h)
	}
	return hits, true
}

// defaultPolicies reports whether the scale-up policies are Kubernetes' own.
func (s *subject) defaultPolicies() bool {
	return slices.Equal(s.up.Policies, hpa.DefaultScaleUp().Policies)
}

func deadPolicy(s *subject) (hits []hit, ok bool) {
	for _, d := range manifest.DeadPolicies(&s.config) {
		if d.Up && s.defaultPolicies() { // the API server wrote both: nobody's mistake
			continue
		}
		hits = append(hits, s.hit(d.Path, "%s", d.Why))
	}
	return hits, true
}
