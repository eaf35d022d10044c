package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
)

// The checks of the objects around an HPA and its target.

func pdb(s *subject) (hits []hit, ok bool) {
	if s.work == nil {
		return nil, false
	}
	for _, d := range s.of("PodDisruptionBudget") {
		b, err := decode[policyv1.PodDisruptionBudget](s.facts, d)
		if err != nil || b.Spec.Selector == nil || !s.selects(b.Spec.Selector) {
			continue
		}
		ok = true
		if n, said := allowed(b, s.config.MinReplicas); said && n <= 0 && s.config.MinReplicas > 0 {
			hits = append(
				hits,
				hit{
					doc:  d,
					path: "spec",
					why: fmt.Sprintf(
						"at minReplicas %d it allows no eviction, so nodes cannot be drained (the HPA is not affected: it does not "+
							"evict pods)",
						s.config.MinReplicas,
					),
				},
			)
		}
	}
	return hits, ok
}

// allowed is how many of n pods a budget allows to be evicted.
func allowed(b *policyv1.PodDisruptionBudget, n int32) (pods int, ok bool) {
	percent := func(text string) int {
		p, err := strconv.Atoi(strings.TrimSuffix(text, "%"))
		if err != nil {
			return 0
		}
		return (p*int(n) + 99) / 100
	}
	switch {
	case b.Spec.MaxUnavailable != nil:
		if b.Spec.MaxUnavailable.StrVal != "" {
			return percent(b.Spec.MaxUnavailable.StrVal), true
		}
		return b.Spec.MaxUnavailable.IntValue(), true
	case b.Spec.MinAvailable != nil:
		if b.Spec.MinAvailable.StrVal != "" {
			return int(n) - percent(b.Spec.MinAvailable.StrVal), true
		}
		return int(n) - b.Spec.MinAvailable.IntValue(), true
	}
	return 0, false
}

func quota(s *subject) (hits []hit, ok bool) {
	if s.work == nil {
		return nil, false
	}
	for _, d := range s.of("ResourceQuota") {
		q, err := decode[corev1.ResourceQuota](s.facts, d)
		if err != nil || len(q.Spec.Scopes) > 0 || q.Spec.ScopeSelector != nil { // which pods count is not known then
			continue
		}
		ok = true
		var names []string
		for name := range q.Spec.Hard {
			names = append(names, string(name))
		}
		slices.Sort(names)
		for _, name := range names {
			hard := q.Spec.Hard[corev1.ResourceName(name)]
			one := 1.0
			if name != "pods" && name != "count/pods" {
				known := false
				bare, limits := strings.CutPrefix(name, "limits.")
				if one, known = s.amount("", strings.TrimPrefix(bare, "requests."), limits); !known {
					continue // storage, Services and others
				}
			}
			need, words := one*float64(s.config.MaxReplicas), ""
			used, known := q.Status.Used[corev1.ResourceName(name)]
			// What others use is the use apart from this target's own pods.
			if others := quantity(used) - one*float64(len(s.pods)); known && others > 0 {
				need, words = need+others, fmt.Sprintf(" in addition to the %.4g that others use", others)
			}
			if need > quantity(hard)*(1+1e-9) {
				hits = append(
					hits,
					s.hit(
						"spec.maxReplicas",
						"%d replicas request %.4g of %s%s, but %s allows %s",
						s.config.MaxReplicas,
						one*float64(s.config.MaxReplicas),
						name,
						words,
						object(d),
						hard.String(),
					),
				)
			}
		}
	}
	return hits, ok
}

// nodes counts how many pods the empty nodes would hold. That is an upper bound, since
// other pods run there, too, and taints are ignored.
func nodes(s *subject) ([]hit, bool) {
	if s.work == nil {
		return nil, false
	}
	fit, seen, eligible := 0, 0, 0
	sel := labels.SelectorFromSet(s.spec.NodeSelector)
	for _, d := range s.facts.of("", "Node") {
		n, err := decode[corev1.Node](s.facts, d)
		if err != nil {
			continue
		}
		seen++
		if !sel.Matches(labels.Set(n.Labels)) {
			continue
		}
		eligible++
		here := int(quantity(n.Status.Allocatable[corev1.ResourcePods]))
		for _, name := range []string{"cpu", "memory", "nvidia.com/gpu", "amd.com/gpu"} {
			if one, _ := s.amount("", name, false); one > 0 {
				here = min(here, int(quantity(n.Status.Allocatable[corev1.ResourceName(name)])/one+1e-9))
			}
		}
		fit += here
	}
	if seen == 0 || int(s.config.MaxReplicas) <= fit {
		return nil, seen > 0
	}
	which := fmt.Sprintf("the %d nodes hold", seen)
	switch {
	case len(s.spec.NodeSelector) > 0 && eligible == 1:
		which = "the 1 node that its nodeSelector allows holds"
	case len(s.spec.NodeSelector) > 0:
		which = fmt.Sprintf("the %d nodes that its nodeSelector allows hold", eligible)
	case seen == 1:
		which = "the one node holds"
	}
	return []hit{
		s.hit(
			"spec.maxReplicas",
			"%d replicas, but %s at most %d, even when empty; the rest stay Pending",
			s.config.MaxReplicas,
			which,
			fit,
		),
	}, true
}

// reason is the meaning of one of the controller's reasons, and what to do.
type reason struct{ means, fix string }

const readAPI = "read the error in kubectl describe hpa, then check that the adapter has the series (kubectl get " +
	"--raw /apis/…)"

// reasons are the controller's reasons for failures, in conditions and events.
//
// Source: k8s.io/kubernetes pkg/controller/podautoscaler/horizontal.go.
var reasons = map[string]reason{
	"FailedGetResourceMetric": {
		"CPU or memory could not be read",
		"run kubectl top pods to see whether metrics-server answers; set every missing request",
	},
	"FailedGetContainerResourceMetric": {
		"the container's metric could not be read",
		"check the container's name and its request; run kubectl top pods --containers to see whether metrics-server answers",
	},
	"FailedGetPodsMetric":     {"the custom metrics API returned no value for the pods", readAPI},
	"FailedGetObjectMetric":   {"the custom metrics API returned no value for the object", readAPI},
	"FailedGetExternalMetric": {"the external metrics API returned no value", readAPI},
	"FailedComputeMetricsReplicas": {
		"all metrics failed, or one failed and the others proposed fewer replicas (a failed metric blocks scaling down)",
		"fix the metric that the message names",
	},
	"FailedGetScale": {"the target does not exist or has no /scale", "correct spec.scaleTargetRef"},
	"FailedUpdateScale": {
		"the new size could not be written",
		"check whether an admission webhook or a quota rejects it",
	},
	"FailedRescale": {
		"the new size could not be written",
		"check whether an admission webhook or a quota rejects it",
	},
	"FailedUpdateStatus": {"the HPA's status could not be written", "check the health of the API server"},
	"AmbiguousSelector": {
		"another HPA selects the same pods, so both stop",
		"keep one HPA with all metrics, and selectors that do not overlap",
	},
	"SelectorRequired": {
		"the target's scale has no selector",
		"give the target's scale subresource a labelSelectorPath",
	},
	"InvalidSelector": {
		"the target's selector is empty or cannot be read",
		"correct the target's selector",
	},
	"InvalidMetricSourceType": {"a metric has an unknown type", "correct spec.metrics"},
}

// failing explains what the autoscaler reports: its conditions are its current state;
// events are the last hour, and only used without a condition.
func failing(s *subject) (hits []hit, ok bool) {
	said := func(path, name, message string) {
		r := reasons[name]
		h := s.hit(path, "%s%s: %s", name, prefixed(" (", r.means, ")"), message)
		h.fix = r.fix
		hits = append(hits, h)
	}
	status, active := s.doc.HPA.Status, false
	for _, c := range status.Conditions {
		active = active || c.Type == autoscalingv2.ScalingActive && c.Status == corev1.ConditionTrue
		if c.Status != corev1.ConditionFalse ||
			c.Type != autoscalingv2.ScalingActive && c.Type != autoscalingv2.AbleToScale ||
			c.Reason == "ScalingDisabled" {
			continue
		}
		if strings.HasPrefix(c.Reason, "FailedGet") && strings.HasSuffix(c.Reason, "ResourceMetric") && s.settling() {
			return nil, false // new pods have no metric for two scrapes, in every cluster
		}
		if two, _ := rivals(s); c.Reason == "AmbiguousSelector" && len(two) > 0 {
			continue // that check names the other one
		}
		said("", c.Reason, c.Message)
	}
	newest := s.events()
	if len(status.Conditions) == 0 {
		for _, e := range newest {
			said("", e.Reason, e.Message)
		}
		return hits, len(newest) > 0
	}
	for i, m := range status.CurrentMetrics { // a metric that failed while others did not is an empty entry
		if m.Type == "" && active && i < len(s.config.Metrics) && !s.settling() {
			h := s.hit(
				metricPath(i),
				"the autoscaler could not read metric %s at its last reconcile; while that fails, it uses the other metrics "+
					"only and does not scale down",
				s.config.Metrics[i].Name,
			)
			for _, e := range newest {
				if e.Reason == "FailedGet"+s.config.Metrics[i].Source.String()+"Metric" {
					h.why, h.fix = h.why+": "+e.Message, reasons[e.Reason].fix
				}
			}
			hits = append(hits, h)
		}
	}
	return hits, true
}

// events returns the newest event of each failure, by reason.
func (s *subject) events() (out []*corev1.Event) {
	newest := map[string]*corev1.Event{}
	for _, d := range s.facts.of(s.doc.Namespace, "Event") {
		e, err := decode[corev1.Event](s.facts, d)
		if err != nil || e.InvolvedObject.Kind != s.doc.Kind || e.InvolvedObject.Name != s.doc.Name {
			continue
		}
		if _, failure := reasons[e.Reason]; !failure {
			continue
		}
		if old := newest[e.Reason]; old == nil || old.LastTimestamp.Before(&e.LastTimestamp) {
			newest[e.Reason] = e
		}
	}
	for _, e := range newest {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *corev1.Event) int { return cmp.Compare(a.Reason, b.Reason) })
	return out
}

func quantity(q resource.Quantity) float64 { return q.AsApproximateFloat64() }
