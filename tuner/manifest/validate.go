package manifest

import (
	"fmt"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The API's limits. Source: pkg/apis/autoscaling/validation.
const (
	maxPeriodSeconds = 1800
	maxWindowSeconds = 3600
)

// validator applies the rules of the API server of v1.37 on create, in its
// order and its words, to a defaulted object.
//
// Source: kubernetes/pkg/apis/autoscaling/validation/validation.go and
// pkg/registry/autoscaling/horizontalpodautoscaler/strategy.go, v1.37.2, where
// HPAScaleToZero is on. The texts are upstream's, so that a search finds them.
type validator struct{ errs field.ErrorList }

func (v *validator) add(e ...*field.Error) { v.errs = append(v.errs, e...) }

// Validate returns what the API server would refuse in a defaulted HPA: all of
// it, in upstream's words. The namespace may be empty: a client fills it in.
func Validate(h *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	var v validator
	meta := *h.ObjectMeta.DeepCopy()
	if meta.Namespace == "" {
		meta.Namespace = "default"
	}
	v.add(apivalidation.ValidateObjectMeta(&meta, true, apivalidation.NameIsDNSSubdomain, field.NewPath("metadata"))...)
	spec := field.NewPath("spec")
	v.reference(h.Spec.ScaleTargetRef, spec.Child("scaleTargetRef"), h.Spec.ScaleTargetRef.Kind == "ReplicationController")
	v.spec(&h.Spec, spec)
	return v.errs
}

// validateSpec is Validate for an HPA without metadata and scaleTargetRef.
func validateSpec(s *autoscalingv2.HorizontalPodAutoscalerSpec) field.ErrorList {
	var v validator
	v.spec(s, field.NewPath("spec"))
	return v.errs
}

func (v *validator) spec(s *autoscalingv2.HorizontalPodAutoscalerSpec, at *field.Path) {
	if s.MinReplicas != nil && *s.MinReplicas < 0 {
		v.add(field.Invalid(at.Child("minReplicas"), *s.MinReplicas, "must be greater than or equal to 0"))
	}
	switch {
	case s.MaxReplicas == 0:
		v.add(field.Required(at.Child("maxReplicas"), "must be set and greater than 0"))
	case s.MaxReplicas < 0:
		v.add(field.Invalid(at.Child("maxReplicas"), s.MaxReplicas, "must be greater than or equal to 1"))
	}
	if s.MinReplicas != nil && s.MaxReplicas < *s.MinReplicas {
		v.add(field.Invalid(at.Child("maxReplicas"), s.MaxReplicas, "must be greater than or equal to `minReplicas`"))
	}
	outside := false
	for i := range s.Metrics {
		v.metric(&s.Metrics[i], at.Child("metrics").Index(i))
		outside = outside || s.Metrics[i].Type == autoscalingv2.ObjectMetricSourceType ||
			s.Metrics[i].Type == autoscalingv2.ExternalMetricSourceType
	}
	if s.MinReplicas != nil && *s.MinReplicas == 0 && !outside {
		v.add(
			field.Forbidden(
				at.Child("metrics"),
				"must specify at least one Object or External metric to support scaling to zero replicas",
			),
		)
	}
	if b := s.Behavior; b != nil {
		v.rules(b.ScaleUp, at.Child("behavior", "scaleUp"))
		v.rules(b.ScaleDown, at.Child("behavior", "scaleDown"))
	}
}

func (v *validator) reference(r autoscalingv2.CrossVersionObjectReference, at *field.Path, emptyGroup bool) {
	for _, f := range []struct{ name, value string }{{"kind", r.Kind}, {"name", r.Name}} {
		if f.value == "" {
			v.add(field.Required(at.Child(f.name), ""))
			continue
		}
		for _, msg := range content.IsPathSegmentName(f.value) {
			v.add(field.Invalid(at.Child(f.name), f.value, msg))
		}
	}
	gv, err := schema.ParseGroupVersion(r.APIVersion)
	if err == nil && !emptyGroup && gv.Group == "" {
		err = fmt.Errorf("apiVersion must specify API group")
	}
	if err != nil {
		v.add(field.Invalid(at.Child("apiVersion"), r.APIVersion, err.Error()))
	}
}

var metricTypes = []string{"ContainerResource", "External", "Object", "Pods", "Resource"}

func (v *validator) metric(m *autoscalingv2.MetricSpec, at *field.Path) {
	if m.Type == "" {
		v.add(field.Required(at.Child("type"), "must specify a metric source type"))
	} else if !slices.Contains(metricTypes, string(m.Type)) {
		v.add(field.NotSupported(at.Child("type"), m.Type, metricTypes))
	}
	// Of several sources upstream checks the first, in this order.
	var present []string
	source := func(set bool, name string, check func(*field.Path)) {
		if !set {
			return
		}
		if present = append(present, name); len(present) == 1 {
			check(at.Child(name))
		}
	}
	source(m.Object != nil, "object", func(at *field.Path) {
		v.reference(m.Object.DescribedObject, at.Child("describedObject"), true)
		v.identifier(m.Object.Metric, at.Child("metric"))
		v.target(m.Object.Target, at.Child("target"))
		if m.Object.Target.Value == nil && m.Object.Target.AverageValue == nil {
			v.add(field.Required(at.Child("target", "averageValue"), "must set either a target value or averageValue"))
		}
	})
	source(m.External != nil, "external", func(at *field.Path) {
		t := m.External.Target
		v.identifier(m.External.Metric, at.Child("metric"))
		v.target(t, at.Child("target"))
		if t.Value == nil && t.AverageValue == nil {
			v.add(
				field.Required(at.Child("target", "averageValue"), "must set either a target value for metric or a per-pod target"),
			)
		}
		if t.Value != nil && t.AverageValue != nil {
			v.add(
				field.Forbidden(at.Child("target", "value"), "may not set both a target value for metric and a per-pod target"),
			)
		}
	})
	source(m.Pods != nil, "pods", func(at *field.Path) {
		v.identifier(m.Pods.Metric, at.Child("metric"))
		v.target(m.Pods.Target, at.Child("target"))
		if m.Pods.Target.AverageValue == nil {
			v.add(field.Required(at.Child("target", "averageValue"), "must specify a positive target averageValue"))
		}
	})
	source(m.Resource != nil, "resource", func(at *field.Path) {
		if m.Resource.Name == "" {
			v.add(field.Required(at.Child("name"), "must specify a resource name"))
		}
		v.resourceTarget(m.Resource.Target, at.Child("target"))
	})
	source(m.ContainerResource != nil, "containerResource", func(at *field.Path) {
		if m.ContainerResource.Name == "" {
			v.add(field.Required(at.Child("name"), "must specify a resource name"))
		} else {
			v.containerResource(m.ContainerResource.Name, at.Child("name"))
		}
		if m.ContainerResource.Container == "" {
			v.add(field.Required(at.Child("container"), "must specify a container"))
		}
		for _, msg := range validation.IsDNS1123Label(m.ContainerResource.Container) {
			if m.ContainerResource.Container != "" {
				v.add(field.Invalid(at.Child("container"), m.ContainerResource.Container, msg))
			}
		}
		v.resourceTarget(m.ContainerResource.Target, at.Child("target"))
	})
	want := map[autoscalingv2.MetricSourceType]string{"Object": "object", "Pods": "pods", "Resource": "resource",
		"External": "external", "ContainerResource": "containerResource"}[m.Type]
	if want != "" && !slices.Contains(present, want) {
		v.add(field.Required(at.Child(want), "must populate information for the given metric source"))
	}
	if len(present) != 1 {
		for _, name := range present {
			if name != want {
				v.add(field.Forbidden(at.Child(name), "must populate the given metric source only"))
			}
		}
	}
}

func (v *validator) identifier(id autoscalingv2.MetricIdentifier, at *field.Path) {
	if id.Name == "" {
		v.add(field.Required(at.Child("name"), "must specify a metric name"))
	}
	for _, msg := range content.IsPathSegmentName(id.Name) {
		v.add(field.Invalid(at.Child("name"), id.Name, msg))
	}
}

func (v *validator) resourceTarget(t autoscalingv2.MetricTarget, at *field.Path) {
	v.target(t, at)
	if t.AverageUtilization == nil && t.AverageValue == nil {
		v.add(field.Required(at.Child("averageUtilization"), "must set either a target raw value or a target utilization"))
	}
	if t.AverageUtilization != nil && t.AverageValue != nil {
		v.add(field.Forbidden(at.Child("averageValue"), "may not set both a target raw value and a target utilization"))
	}
}

func (v *validator) target(t autoscalingv2.MetricTarget, at *field.Path) {
	switch t.Type {
	case "":
		v.add(field.Required(at.Child("type"), "must specify a metric target type"))
	case autoscalingv2.UtilizationMetricType, autoscalingv2.ValueMetricType, autoscalingv2.AverageValueMetricType:
	default:
		v.add(field.Invalid(at.Child("type"), t.Type, "must be either Utilization, Value, or AverageValue"))
	}
	for _, q := range []struct {
		name  string
		value *resource.Quantity
	}{{"value", t.Value}, {"averageValue", t.AverageValue}} {
		if q.value != nil && q.value.Sign() != 1 {
			v.add(field.Invalid(at.Child(q.name), q.value.String(), "must be positive"))
		}
	}
	if t.AverageUtilization != nil && *t.AverageUtilization < 1 {
		v.add(field.Invalid(at.Child("averageUtilization"), *t.AverageUtilization, "must be greater than 0"))
	}
}

// standardResources are the unqualified names that a resource may have, and
// containerResources those of them that a container may.
// Source: pkg/apis/core/helper/helpers.go.
var (
	containerResources = []string{"cpu", "memory", "ephemeral-storage"}
	standardResources  = append(
		[]string{
			"requests.cpu",
			"requests.memory",
			"requests.ephemeral-storage",
			"limits.cpu",
			"limits.memory",
			"limits.ephemeral-storage",
			"pods",
			"resourcequotas",
			"services",
			"replicationcontrollers",
			"secrets",
			"configmaps",
			"persistentvolumeclaims",
			"storage",
			"requests.storage",
			"services.nodeports",
			"services.loadbalancers",
		},
		containerResources...)
)

func (v *validator) containerResource(name corev1.ResourceName, at *field.Path) {
	s := string(name)
	malformed := validation.IsQualifiedName(s)
	for _, msg := range malformed {
		v.add(field.Invalid(at, s, msg))
	}
	hugePage := strings.HasPrefix(s, "hugepages-")
	switch {
	case !strings.Contains(s, "/"):
		if len(malformed) == 0 && !slices.Contains(standardResources, s) && !hugePage {
			v.add(field.Invalid(at, s, "must be a standard resource type or fully qualified"))
		}
		if !slices.Contains(containerResources, s) && !hugePage {
			v.add(field.Invalid(at, s, "must be a standard resource for containers"))
		}
	case strings.Contains(s, "kubernetes.io/"):
	case strings.HasPrefix(s, "requests.") || len(validation.IsQualifiedName("requests."+s)) > 0:
		v.add(field.Invalid(at, s, "doesn't follow extended resource name standard"))
	}
}

var selectPolicies = []string{"Disabled", "Max", "Min"}

func (v *validator) rules(r *autoscalingv2.HPAScalingRules, at *field.Path) {
	if r == nil {
		return
	}
	if w := r.StabilizationWindowSeconds; w != nil && *w < 0 {
		v.add(field.Invalid(at.Child("stabilizationWindowSeconds"), *w, "must be greater than or equal to zero"))
	} else if w != nil && *w > maxWindowSeconds {
		v.add(
			field.Invalid(
				at.Child("stabilizationWindowSeconds"),
				*w,
				fmt.Sprintf("must be less than or equal to %d", maxWindowSeconds),
			),
		)
	}
	if r.SelectPolicy != nil && !slices.Contains(selectPolicies, string(*r.SelectPolicy)) {
		v.add(field.NotSupported(at.Child("selectPolicy"), *r.SelectPolicy, selectPolicies))
	}
	if len(r.Policies) == 0 {
		v.add(field.Required(at.Child("policies"), "must specify at least one Policy"))
	}
	for i, p := range r.Policies {
		v.policy(p, at.Child("policies").Index(i))
	}
	if r.Tolerance != nil && r.Tolerance.Sign() < 0 {
		v.add(field.Invalid(at.Child("tolerance"), r.Tolerance.String(), "must be greater than or equal to 0"))
	}
}

func (v *validator) policy(p autoscalingv2.HPAScalingPolicy, at *field.Path) {
	if p.Type != autoscalingv2.PodsScalingPolicy && p.Type != autoscalingv2.PercentScalingPolicy {
		v.add(field.NotSupported(at.Child("type"), p.Type, []string{"Percent", "Pods"}))
	}
	if p.Value <= 0 {
		v.add(field.Invalid(at.Child("value"), p.Value, "must be greater than zero"))
	}
	switch {
	case p.PeriodSeconds <= 0:
		v.add(field.Invalid(at.Child("periodSeconds"), p.PeriodSeconds, "must be greater than zero"))
	case p.PeriodSeconds > maxPeriodSeconds:
		v.add(
			field.Invalid(
				at.Child("periodSeconds"),
				p.PeriodSeconds,
				fmt.Sprintf("must be less than or equal to %d", maxPeriodSeconds),
			),
		)
	}
}
