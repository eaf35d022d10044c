package manifest

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
)

// Default fills what the API server fills in an autoscaling/v2 spec, in place:
// minReplicas, metrics where there are none, and, where behavior is present (be
// it {}), each nil field of both directions. Policies are replaced as a list;
// the scale-down window stays nil, since the controller's flag stands for it.
//
// Source: kubernetes/pkg/apis/autoscaling/v2/defaults.go, v1.37.2.
func Default(s *autoscalingv2.HorizontalPodAutoscalerSpec) {
	if s.MinReplicas == nil {
		s.MinReplicas = new(int32(1))
	}
	if len(s.Metrics) == 0 {
		s.Metrics = []autoscalingv2.MetricSpec{cpuMetric(80)}
	}
	if s.Behavior == nil {
		return
	}
	s.Behavior.ScaleUp = filled(s.Behavior.ScaleUp, &autoscalingv2.HPAScalingRules{
		StabilizationWindowSeconds: new(int32(0)),
		Policies: []autoscalingv2.HPAScalingPolicy{
			{Type: autoscalingv2.PodsScalingPolicy, Value: 4, PeriodSeconds: 15},
			{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15},
		},
	})
	s.Behavior.ScaleDown = filled(s.Behavior.ScaleDown, &autoscalingv2.HPAScalingRules{
		Policies: []autoscalingv2.HPAScalingPolicy{{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15}},
	})
}

func filled(from, to *autoscalingv2.HPAScalingRules) *autoscalingv2.HPAScalingRules {
	to.SelectPolicy = new(autoscalingv2.MaxChangePolicySelect)
	if from == nil {
		return to
	}
	if from.SelectPolicy != nil {
		to.SelectPolicy = from.SelectPolicy
	}
	if from.StabilizationWindowSeconds != nil {
		to.StabilizationWindowSeconds = from.StabilizationWindowSeconds
	}
	if from.Policies != nil {
		to.Policies = from.Policies
	}
	to.Tolerance = from.Tolerance
	return to
}

func cpuMetric(percent int32) autoscalingv2.MetricSpec {
	return autoscalingv2.MetricSpec{
		Type: autoscalingv2.ResourceMetricSourceType,
		Resource: &autoscalingv2.ResourceMetricSource{
			Name:   corev1.ResourceCPU,
			Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &percent},
		},
	}
}
