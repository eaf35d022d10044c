package doctor

import (
	"fmt"
	"math"
	"slices"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// slow is how many decisions to 4 times the load are too many: doubling needs two.
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
				"%s cannot exceed %.4g%s, with target %.4g: each decision grows the size by %.3g times at most, so %d decisions lead to %.3g× the load (%d to %.0f replicas), each after the pods of the one before are ready and measured%s",
				m.Name,
				c,
				unit,
				t,
				growth,
				decisions,
				times,
				from,
				times*float64(from),
				prefixed("; a start takes ", s.startup, ""),
			)
			if _, _, bounded := s.bound(i); bounded { // everybody's signal, and its nature
				h.severity, h.fix = Info, "lower the target, or scale on a queue beside it, which has no such bound"
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
			"without behavior a size may double (or reach 4) at each decision, and falls after 5 minutes (the controller's flag) to the highest recent proposal; scale-up may go back to an older recommendation",
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
			"the scale-down window is %v and a pod starts in %s: replicas go for a dip that is shorter than the start of their replacement",
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
			"%v renews its budget %d times while a pod starts in %s. What waits for the service keeps growing until then, and so does the metric: each period asks for more than the load needs",
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
				"%v renews its budget %d times while a pod starts in %s. CPU and memory stop at the pods' limits, and a starting pod counts as 0 CPU, so they alone do not overshoot; a queue or requests in flight beside them would",
				p,
				int(s.m.Startup/p.Period),
				s.startup,
			)
		}
		hits = append(hits, h)
	}
	return hits, true
}

// defaultPolicies says whether the scale-up policies are Kubernetes' own.
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
