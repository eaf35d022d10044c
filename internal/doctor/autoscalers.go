package doctor

import (
	"slices"
	"strings"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// The checks of other autoscalers beside an HPA.

// vpaSpec is what is read of a VerticalPodAutoscaler.
type vpaSpec struct {
	Spec struct {
		TargetRef    struct{ Kind, Name string }
		UpdatePolicy struct{ UpdateMode string }
		Policy       struct {
			ContainerPolicies []containerPolicy `json:"containerPolicies"`
		} `json:"resourcePolicy"`
	}
}

type containerPolicy struct {
	Name       string    `json:"containerName"` // "*" = every container without one of its own
	Mode       string    `json:"mode"`
	Controlled *[]string `json:"controlledResources"` // nil = cpu and memory
}

// controls reports whether a VPA changes a container's request for a resource. A container
// without a policy of its own has that of "*", or else everything is controlled.
//
// Source: kubernetes/autoscaler vertical-pod-autoscaler/pkg/utils/vpa
// (GetContainerResourcePolicy, GetContainerControlledResources).
func (v *vpaSpec) controls(container, resource string) bool {
	if v.Spec.UpdatePolicy.UpdateMode == "Off" {
		return false
	}
	var policy *containerPolicy
	for i := range v.Spec.Policy.ContainerPolicies {
		p := &v.Spec.Policy.ContainerPolicies[i]
		if p.Name == container || p.Name == "*" && policy == nil {
			if policy = p; p.Name == container {
				break
			}
		}
	}
	if policy == nil {
		return true
	}
	return policy.Mode != "Off" && (policy.Controlled == nil || slices.Contains(*policy.Controlled, resource))
}

// vpa judges the containers of the pods; if these are unknown, it reports nothing unless
// every container would be changed.
func vpa(s *subject) (hits []hit, ok bool) {
	for _, d := range s.of("VerticalPodAutoscaler") {
		v, err := decode[vpaSpec](s.facts, d)
		ref := s.doc.HPA.Spec.ScaleTargetRef
		if err != nil || v.Spec.TargetRef.Kind != ref.Kind || v.Spec.TargetRef.Name != ref.Name {
			continue
		}
		known := s.work != nil
		var names []string
		list, _ := s.containers()
		for _, c := range list {
			names = append(names, c.Name)
		}
		if !known {
			own := slices.ContainsFunc(v.Spec.Policy.ContainerPolicies, func(p containerPolicy) bool { return p.Name != "*" })
			if own { // perhaps those are all that there are
				continue
			}
			names = []string{"*"}
		}
		ok = true
		for _, i := range s.resources() {
			m := s.config.Metrics[i]
			if m.Target.Utilization == 0 || m.Target.AverageMilli != 0 {
				continue
			}
			var changed []string
			for _, n := range names {
				if (m.Container == "" || m.Container == n || !known) && v.controls(n, m.Name) {
					changed = append(changed, n)
				}
			}
			if len(changed) == 0 {
				continue
			}
			of := ""
			if known {
				of = " of container " + strings.Join(changed, ", ")
			}
			hits = append(
				hits,
				s.hit(
					metricPath(i),
					"%s changes the %s request%s, and utilization is usage divided by request, so the VPA and the HPA change "+
						"each other's input",
					object(d),
					m.Name,
					of,
				),
			)
		}
	}
	return hits, ok
}

// frozen finds an HPA that cannot change the size.
func frozen(s *subject) ([]hit, bool) {
	if s.config.MinReplicas != s.config.MaxReplicas {
		return nil, true
	}
	return []hit{
		s.hit(
			"spec.maxReplicas",
			"minReplicas and maxReplicas are both %d, so the HPA never changes the size",
			s.config.MaxReplicas,
		),
	}, true
}

// disabled finds directions that are switched off.
func disabled(s *subject) (hits []hit, ok bool) {
	if !s.config.Behavior {
		return nil, true
	}
	if s.up.Select == hpa.Disabled {
		hits = append(
			hits,
			s.hit(
				"spec.behavior.scaleUp.selectPolicy",
				"scaling up is Disabled, so the size never grows beyond minReplicas, whatever the load",
			),
		)
	}
	if s.down.Select == hpa.Disabled {
		h := s.hit(
			"spec.behavior.scaleDown.selectPolicy",
			"scaling down is Disabled: after a peak you pay for its size until somebody scales down by hand",
		)
		h.severity = Info
		hits = append(hits, h)
	}
	return hits, true
}

// zero says what minReplicas 0 needs.
func zero(s *subject) ([]hit, bool) {
	if s.config.MinReplicas != 0 {
		return nil, true
	}
	return []hit{
		s.hit(
			"spec.minReplicas",
			"minReplicas 0 needs the feature gate HPAScaleToZero, which is off by default up to Kubernetes 1.36 (the API "+
				"server then rejects the HPA) and on from 1.37; requests that arrive at zero find no pod",
		),
	}, true
}
