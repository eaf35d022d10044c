package manifest

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// Meta names an HPA and its target where one is written.
type Meta struct {
	Namespace, Name string            // Namespace "" is left out
	Labels          map[string]string // kept from the HPA that this one replaces
	Annotations     map[string]string
	Target          autoscalingv2.CrossVersionObjectReference
}

// MetaOf returns the names of an HPA as it was read. kubectl's own
// last-applied annotation stays behind.
func MetaOf(h *autoscalingv2.HorizontalPodAutoscaler) Meta {
	m := Meta{Namespace: h.Namespace, Name: h.Name, Labels: h.Labels, Target: h.Spec.ScaleTargetRef}
	for k, v := range h.Annotations {
		if k == corev1.LastAppliedConfigAnnotation {
			continue
		}
		if m.Annotations == nil {
			m.Annotations = map[string]string{}
		}
		m.Annotations[k] = v
	}
	return m
}

// ToV2 returns a Config as an autoscaling/v2 spec with every default written
// out. FromV2 gives the same Config back.
func ToV2(c *hpa.Config, target autoscalingv2.CrossVersionObjectReference) autoscalingv2.HorizontalPodAutoscalerSpec {
	s := autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: target,
		MinReplicas:    new(c.MinReplicas),
		MaxReplicas:    c.MaxReplicas,
	}
	for i := range c.Metrics {
		s.Metrics = append(s.Metrics, metricTo(&c.Metrics[i]))
	}
	if c.Behavior {
		s.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{
			ScaleUp:   rulesTo(&c.ScaleUp),
			ScaleDown: rulesTo(&c.ScaleDown),
		}
	}
	return s
}

// SpecJSON returns ToV2's spec as JSON: "spec" of a recommendation's PICK.
func SpecJSON(c *hpa.Config, target autoscalingv2.CrossVersionObjectReference) ([]byte, error) {
	return json.Marshal(ToV2(c, target))
}

func metricTo(m *hpa.Metric) autoscalingv2.MetricSpec {
	t := autoscalingv2.MetricTarget{Type: autoscalingv2.MetricTargetType(m.Target.Type.String())}
	if m.Target.Utilization != 0 {
		t.AverageUtilization = new(m.Target.Utilization)
	}
	if m.Target.AverageMilli != 0 {
		t.AverageValue = quantity(m.Target.AverageMilli)
	}
	if m.Target.ValueMilli != 0 {
		t.Value = quantity(m.Target.ValueMilli)
	}
	id := autoscalingv2.MetricIdentifier{Name: m.Name}
	if m.SelectorSet {
		id.Selector = &metav1.LabelSelector{}
		labels, expressions := hpa.ParseSelectorText(m.Selector)
		if len(labels) > 0 {
			id.Selector.MatchLabels = labels
		}
		for _, e := range expressions {
			id.Selector.MatchExpressions = append(
				id.Selector.MatchExpressions,
				metav1.LabelSelectorRequirement{Key: e.Key, Operator: metav1.LabelSelectorOperator(e.Operator), Values: e.Values},
			)
		}
	}
	out := autoscalingv2.MetricSpec{Type: autoscalingv2.MetricSourceType(m.Source.String())}
	switch m.Source {
	case hpa.Resource:
		out.Resource = &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceName(m.Name), Target: t}
	case hpa.ContainerResource:
		out.ContainerResource = &autoscalingv2.ContainerResourceMetricSource{
			Name:      corev1.ResourceName(m.Name),
			Container: m.Container,
			Target:    t,
		}
	case hpa.Pods:
		out.Pods = &autoscalingv2.PodsMetricSource{Metric: id, Target: t}
	case hpa.Object:
		out.Object = &autoscalingv2.ObjectMetricSource{
			Metric: id,
			Target: t,
			DescribedObject: autoscalingv2.CrossVersionObjectReference{
				APIVersion: m.Object.APIVersion,
				Kind:       m.Object.Kind,
				Name:       m.Object.Name,
			},
		}
	case hpa.External:
		out.External = &autoscalingv2.ExternalMetricSource{Metric: id, Target: t}
	}
	return out
}

// quantity writes thousandths as people do: whole mebibytes in Mi and Gi, the
// rest in decimal.
func quantity(milli int64) *resource.Quantity {
	if milli%(1000<<20) == 0 {
		return resource.NewQuantity(milli/1000, resource.BinarySI)
	}
	return resource.NewMilliQuantity(milli, resource.DecimalSI)
}

func rulesTo(r *hpa.Rules) *autoscalingv2.HPAScalingRules {
	out := &autoscalingv2.HPAScalingRules{
		SelectPolicy: new(autoscalingv2.ScalingPolicySelect(r.Select.String())),
		Policies:     []autoscalingv2.HPAScalingPolicy{},
	}
	if r.WindowSet {
		out.StabilizationWindowSeconds = new(int32(r.Window / time.Second))
	}
	for _, p := range r.Policies {
		out.Policies = append(
			out.Policies,
			autoscalingv2.HPAScalingPolicy{
				Type:          autoscalingv2.HPAScalingPolicyType(p.Type.String()),
				Value:         p.Value,
				PeriodSeconds: int32(p.Period / time.Second),
			},
		)
	}
	if r.ToleranceSet {
		q := resource.MustParse(ratio(r.Tolerance))
		out.Tolerance = &q
	}
	return out
}

// ratio writes a tolerance to the billionth, which is as far as a quantity goes
// (it would round the rest up).
func ratio(f float64) string {
	s := strconv.FormatFloat(f, 'f', 9, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
