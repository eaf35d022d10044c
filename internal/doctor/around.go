package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func vpa(s *subject) (hits []hit, ok bool) {
	for d := range s.facts.of(s.doc.Namespace, "VerticalPodAutoscaler") {
		v, err := decode[struct {
			Spec struct {
				TargetRef    struct{ Kind, Name string }
				UpdatePolicy struct{ UpdateMode string }
				Policy       struct {
					ContainerPolicies []struct {
						Controlled []string `json:"controlledResources"`
					} `json:"containerPolicies"`
				} `json:"resourcePolicy"`
			}
		}](d)
		ref := s.doc.HPA.Spec.ScaleTargetRef
		if err != nil || v.Spec.TargetRef.Kind != ref.Kind || v.Spec.TargetRef.Name != ref.Name {
			continue
		}
		ok = true
		if v.Spec.UpdatePolicy.UpdateMode == "Off" {
			continue
		}
		for _, i := range s.resources() {
			m := s.config.Metrics[i]
			controlled := len(v.Spec.Policy.ContainerPolicies) == 0
			for _, p := range v.Spec.Policy.ContainerPolicies {
				controlled = controlled || len(p.Controlled) == 0 || slices.Contains(p.Controlled, m.Name)
			}
			if controlled && m.Target.Utilization != 0 {
				hits = append(hits, s.hit(metricPath(i), "%s changes the %s request, and utilization is usage over request: each moves what the other one measures", object(d), m.Name))
			}
		}
	}
	return hits, ok
}

func quota(s *subject) (hits []hit, ok bool) {
	if s.pods == nil {
		return nil, false
	}
	for d := range s.facts.of(s.doc.Namespace, "ResourceQuota") {
		q, err := decode[corev1.ResourceQuota](d)
		if err != nil {
			continue
		}
		ok = true
		for _, name := range []string{"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory", "pods"} {
			hard, limited := q.Spec.Hard[corev1.ResourceName(name)]
			if !limited {
				continue
			}
			one := 1.0
			if name != "pods" {
				limits := strings.HasPrefix(name, "limits.")
				one, _ = s.pods.amount("", strings.TrimPrefix(strings.TrimPrefix(name, "limits."), "requests."), limits)
			}
			if need := one * float64(s.config.MaxReplicas); need > quantity(hard) {
				hits = append(hits, s.hit("spec.maxReplicas", "%d replicas ask for %.4g of %s, and %s allows %s", s.config.MaxReplicas, need, name, object(d), hard.String()))
			}
		}
	}
	return hits, ok
}

// nodes counts how many pods the empty nodes would hold: an upper bound, since
// others live there too and taints are not looked at.
func nodes(s *subject) ([]hit, bool) {
	if s.pods == nil {
		return nil, false
	}
	fit, seen := 0, 0
	for d := range s.facts.of("", "Node") {
		n, err := decode[corev1.Node](d)
		if err != nil {
			continue
		}
		seen++
		here := int(quantity(n.Status.Allocatable[corev1.ResourcePods]))
		for _, name := range []string{"cpu", "memory", "nvidia.com/gpu"} {
			if one, _ := s.pods.amount("", name, false); one > 0 {
				here = min(here, int(quantity(n.Status.Allocatable[corev1.ResourceName(name)])/one))
			}
		}
		fit += here
	}
	if seen == 0 || int(s.config.MaxReplicas) <= fit {
		return nil, seen > 0
	}
	return []hit{s.hit("spec.maxReplicas", "%d replicas, and the %d nodes hold %d at most, even if they were empty: the others stay Pending", s.config.MaxReplicas, seen, fit)}, true
}

func movingTag(s *subject) (hits []hit, ok bool) {
	if s.pods == nil {
		return nil, false
	}
	for i, c := range s.pods.Spec.Template.Spec.Containers {
		name := c.Image[strings.LastIndex(c.Image, "/")+1:]
		_, tag, tagged := strings.Cut(name, ":")
		if !strings.Contains(name, "@") && (!tagged || slices.Contains([]string{"latest", "main", "master", "stable", "edge", "nightly"}, tag)) {
			hits = append(hits, hit{s.podDoc, fmt.Sprintf("spec.template.spec.containers[%d].image", i), fmt.Sprintf("image %q may be another one at the next start: replicas of one size may differ, and a measurement holds for neither", c.Image), ""})
		}
	}
	return hits, true
}

func farRequest(s *subject) (hits []hit, ok bool) {
	for _, i := range s.resources() {
		name := s.config.Metrics[i].Name
		u, known := s.m.Usage[name]
		ok = ok || known
		if known && (u < 0.3 || u > 2) {
			hits = append(hits, s.hit(metricPath(i), "%s use at load is %.0f %% of the request: utilization is a share of the request, so the target means another load than it seems", name, 100*u))
		}
	}
	return hits, ok
}

func coarse(s *subject) ([]hit, bool) {
	t := s.tolerance()
	// From n, the ratio must exceed 1 + t (inclusive within), so n·t ≥ 1 leaves n+1 out.
	if t <= 0 || float64(s.config.MaxReplicas-1)*t < 1-1e-9 {
		return nil, true
	}
	n := s.config.MaxReplicas - 1
	next := int32(float64(n)*(1+t)+1e-9) + 1
	return []hit{s.hit("spec.behavior.scaleUp", "with tolerance %.3g nothing happens from %d replicas until %d are needed; smaller overloads stay", t, n, next)}, true
}

func keda(s *subject) (hits []hit, ok bool) {
	for d := range s.facts.of(s.doc.Namespace, "ScaledObject") {
		k, err := decode[struct {
			Spec struct {
				ScaleTargetRef  struct{ Name string }
				CooldownPeriod  *int
				MinReplicaCount int
			}
		}](d)
		if err != nil || s.m.Startup == 0 || k.Spec.ScaleTargetRef.Name != s.doc.HPA.Spec.ScaleTargetRef.Name {
			continue
		}
		ok = true
		cooldown := 300 * time.Second // KEDA's default
		if k.Spec.CooldownPeriod != nil {
			cooldown = time.Duration(*k.Spec.CooldownPeriod) * time.Second
		}
		// The cooldown counts for the way to zero only.
		if k.Spec.MinReplicaCount == 0 && cooldown < s.m.Startup {
			hits = append(hits, hit{d, "spec.cooldownPeriod", fmt.Sprintf("cooldownPeriod %v is shorter than the start-up time %v: a pod may be taken to zero while it still loads", cooldown, s.m.Startup), ""})
		}
	}
	return hits, ok
}

// explained says what the controller's reasons mean.
var explained = map[string]string{
	"FailedGetResourceMetric":          "CPU or memory could not be read: metrics-server, or a missing request",
	"FailedGetContainerResourceMetric": "the container's metric could not be read: its name, its request, or metrics-server",
	"FailedGetPodsMetric":              "the custom metrics API gave no value for the pods",
	"FailedGetObjectMetric":            "the custom metrics API gave no value for the object",
	"FailedGetExternalMetric":          "the external metrics API gave no value",
	"FailedComputeMetricsReplicas":     "all metrics failed, or one did and the others asked for fewer: a failed metric forbids scaling down",
	"FailedGetScale":                   "the target does not exist or has no /scale",
	"FailedRescale":                    "the new size could not be written",
	"FailedUpdateStatus":               "the HPA's status could not be written",
	"AmbiguousSelector":                "another HPA selects the same pods: both stop",
	"SelectorRequired":                 "the target's scale has no selector",
	"InvalidSelector":                  "the target's selector cannot be read",
	"InvalidMetricSourceType":          "a metric has an unknown type",
}

func failing(s *subject) (hits []hit, ok bool) {
	for d := range s.facts.of(s.doc.Namespace, "Event") {
		e, err := decode[corev1.Event](d)
		if err != nil || e.InvolvedObject.Kind != "HorizontalPodAutoscaler" || e.InvolvedObject.Name != s.doc.Name {
			continue
		}
		ok = true
		if text := explained[e.Reason]; text != "" {
			hits = append(hits, s.hit("", "%s (%s): %s", e.Reason, text, e.Message))
		}
	}
	return hits, ok
}
