// Package manifest reads and writes HorizontalPodAutoscaler manifests: bytes in, bytes out.
package manifest

import (
	"fmt"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hpatune/hpatune/tuner/hpa"
)

func identity(m *metav1.ObjectMeta, kind, target string) hpa.Identity {
	return hpa.Identity{Namespace: m.Namespace, Name: m.Name, Kind: kind, Target: target}
}

// FromV2 returns the core's form of a spec, with the API server's defaults filled in.
// Source: pkg/apis/autoscaling/v2/defaults.go.
func FromV2(s *autoscalingv2.HorizontalPodAutoscalerSpec) (hpa.Config, error) {
	c := hpa.DefaultConfig(s.MaxReplicas)
	if s.MinReplicas != nil {
		c.MinReplicas = *s.MinReplicas
	}
	if len(s.Metrics) > 0 {
		c.Metrics = nil
	}
	for i := range s.Metrics {
		m, err := metricFrom(&s.Metrics[i])
		if err != nil {
			return c, fmt.Errorf("spec.metrics[%d]: %w", i, err)
		}
		c.Metrics = append(c.Metrics, m)
	}
	if s.Behavior != nil {
		c.EnsureBehavior()
		if err := rulesFrom(&c.ScaleUp, s.Behavior.ScaleUp); err != nil {
			return c, fmt.Errorf("spec.behavior.scaleUp: %w", err)
		}
		if err := rulesFrom(&c.ScaleDown, s.Behavior.ScaleDown); err != nil {
			return c, fmt.Errorf("spec.behavior.scaleDown: %w", err)
		}
	}
	return c, nil
}

func metricFrom(s *autoscalingv2.MetricSpec) (m hpa.Metric, err error) {
	source, ok := hpa.ParseSource(string(s.Type))
	if !ok {
		return m, fmt.Errorf("type %q: want Resource, ContainerResource, Pods, Object or External", s.Type)
	}
	m.Source = source
	missing := fmt.Errorf("type is %s, but its field is missing", s.Type)
	var t *autoscalingv2.MetricTarget
	var id *autoscalingv2.MetricIdentifier
	switch source {
	case hpa.Resource:
		if s.Resource == nil {
			return m, missing
		}
		m.Name, t = string(s.Resource.Name), &s.Resource.Target
	case hpa.ContainerResource:
		if s.ContainerResource == nil {
			return m, missing
		}
		m.Name, m.Container, t = string(s.ContainerResource.Name), s.ContainerResource.Container, &s.ContainerResource.Target
	case hpa.Pods:
		if s.Pods == nil {
			return m, missing
		}
		id, t = &s.Pods.Metric, &s.Pods.Target
	case hpa.Object:
		if s.Object == nil {
			return m, missing
		}
		d := s.Object.DescribedObject
		m.Object = hpa.ObjectRef{APIVersion: d.APIVersion, Kind: d.Kind, Name: d.Name}
		id, t = &s.Object.Metric, &s.Object.Target
	case hpa.External:
		if s.External == nil {
			return m, missing
		}
		id, t = &s.External.Metric, &s.External.Target
	}
	if id != nil {
		m.Name = id.Name
		if id.Selector != nil {
			var expressions []hpa.Requirement
			for _, e := range id.Selector.MatchExpressions {
				expressions = append(expressions, hpa.Requirement{Key: e.Key, Operator: string(e.Operator), Values: e.Values})
			}
			m.Selector, m.SelectorSet = hpa.SelectorText(id.Selector.MatchLabels, expressions), true
			if _, err := metav1.LabelSelectorAsSelector(id.Selector); err != nil {
				m.SelectorErr = err.Error()
			}
		}
	}
	m.Target.Type, _ = hpa.ParseTargetType(string(t.Type))
	if t.AverageUtilization != nil {
		m.Target.Utilization = *t.AverageUtilization
	}
	if t.AverageValue != nil {
		m.Target.AverageMilli = t.AverageValue.MilliValue()
	}
	if t.Value != nil {
		m.Target.ValueMilli = t.Value.MilliValue()
	}
	return m, nil
}

func rulesFrom(r *hpa.Rules, s *autoscalingv2.HPAScalingRules) error {
	if s == nil {
		return nil
	}
	if s.StabilizationWindowSeconds != nil {
		r.Window, r.WindowSet = time.Duration(*s.StabilizationWindowSeconds)*time.Second, true
	}
	if s.SelectPolicy != nil {
		p, ok := hpa.ParseSelect(string(*s.SelectPolicy))
		if !ok {
			return fmt.Errorf("selectPolicy %q: want Max, Min or Disabled", *s.SelectPolicy)
		}
		r.Select = p
	}
	if s.Policies != nil {
		r.Policies = nil
	}
	for i, p := range s.Policies {
		t := hpa.PodsPolicy
		switch p.Type {
		case autoscalingv2.PodsScalingPolicy:
		case autoscalingv2.PercentScalingPolicy:
			t = hpa.PercentPolicy
		default:
			return fmt.Errorf("policies[%d]: type %q: want Pods or Percent", i, p.Type)
		}
		r.Policies = append(
			r.Policies,
			hpa.Policy{Type: t, Value: p.Value, Period: time.Duration(p.PeriodSeconds) * time.Second},
		)
	}
	if s.Tolerance != nil {
		// The API server stores "0.3" as "300m", and only that becomes exactly 0.3.
		r.Tolerance, r.ToleranceSet = s.Tolerance.AsApproximateFloat64(), true
		if q, err := resource.ParseQuantity(s.Tolerance.String()); err == nil {
			r.Tolerance = q.AsApproximateFloat64()
		}
	}
	return nil
}
