package manifest

import (
	"fmt"
	"strconv"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// Patch is a Config in the format of the object that owns an HPA. Such an HPA is never
// written directly, since its owner would revert it.
type Patch struct {
	Body []byte   // a commented YAML merge patch: kubectl patch … --type merge --patch-file
	Rest []string // what the patch cannot express, one sentence each: where to change it by hand
}

// KEDA returns a Config as a patch of the ScaledObject that owns the HPA: bounds and
// behavior. Notes are named as for V2. Targets are in the triggers, a list that a merge
// patch would replace completely, so they are sentences in Rest.
//
// Source: kedacore/keda apis/keda/v1alpha1/scaledobject_types.go; behavior has the type of
// autoscaling/v2.
func KEDA(c *hpa.Config, namespace, name string, notes []Note) Patch {
	w := newWriter(notes)
	w.comment("", 0)
	w.owner("keda.sh/v1alpha1", "ScaledObject", namespace, name)
	if c.MinReplicas <= 1 {
		w.remark(1, "Keep 0 if KEDA scales to zero; the HPA's own minimum is then still 1.")
	}
	w.field(1, "spec.minReplicas", "minReplicaCount: "+strconv.Itoa(int(c.MinReplicas)))
	w.field(1, "spec.maxReplicas", "maxReplicaCount: "+strconv.Itoa(int(c.MaxReplicas)))
	if c.Behavior {
		w.line(1, "advanced:")
		w.line(2, "horizontalPodAutoscalerConfig:")
		w.indent = 2
		spec := ToV2(c, autoscalingv2.CrossVersionObjectReference{})
		w.behavior(c, &spec)
	}
	p := Patch{Body: []byte(w.b.String())}
	for i := range c.Metrics {
		m := &c.Metrics[i]
		switch {
		case m.Source == hpa.Resource || m.Source == hpa.ContainerResource:
			in := ""
			if m.Container != "" {
				in = fmt.Sprintf(" and metadata.containerName %q", m.Container)
			}
			p.Rest = append(
				p.Rest,
				fmt.Sprintf(
					"in the trigger of type %s%s: metricType %v and metadata.value %q",
					m.Name,
					in,
					m.Target.Type,
					targetText(m),
				),
			)
		default:
			p.Rest = append(
				p.Rest,
				fmt.Sprintf(
					"in the trigger of the metric %s: metricType %v and threshold %q (the field's name depends on the scaler)",
					m.Name,
					m.Target.Type,
					targetText(m),
				),
			)
		}
	}
	return p
}

// KServe returns a Config as a patch of the predictor of the InferenceService that owns the
// HPA (raw deployment mode): bounds, and one cpu or memory utilization. Rest has what it
// cannot express.
//
// Source: kserve/kserve pkg/apis/serving/v1beta1/component.go.
func KServe(c *hpa.Config, namespace, name string, notes []Note) Patch {
	w := newWriter(notes)
	var p Patch
	w.comment("", 0)
	w.owner("serving.kserve.io/v1beta1", "InferenceService", namespace, name)
	w.line(1, "predictor:")
	w.indent = 1
	w.field(1, "spec.minReplicas", "minReplicas: "+strconv.Itoa(int(c.MinReplicas)))
	w.field(1, "spec.maxReplicas", "maxReplicas: "+strconv.Itoa(int(c.MaxReplicas)))
	names := metricNames(c)
	said := false
	for i := range c.Metrics {
		m := &c.Metrics[i]
		if !said && m.Source == hpa.Resource && m.Target.Utilization > 0 && (m.Name == "cpu" || m.Name == "memory") {
			said = true
			w.field(1, names[i], "scaleMetric: "+m.Name)
			w.field(1, names[i]+".target.averageUtilization", "scaleTarget: "+strconv.Itoa(int(m.Target.Utilization)))
			continue
		}
		p.Rest = append(
			p.Rest,
			fmt.Sprintf(
				"the %v metric %s (%v %s) cannot be set with scaleMetric and scaleTarget; set "+
					"serving.kserve.io/autoscalerClass to external and create the HPA yourself",
				m.Source,
				m.Name,
				m.Target.Type,
				targetText(m),
			),
		)
	}
	if c.Behavior {
		p.Rest = append(
			p.Rest,
			"behavior (windows, policies) cannot be set in an InferenceService; set serving.kserve.io/autoscalerClass to "+
				"external and create the HPA yourself",
		)
	}
	p.Body = []byte(w.b.String())
	return p
}

func (w *writer) owner(apiVersion, kind, namespace, name string) {
	w.line(0, "apiVersion: "+apiVersion)
	w.line(0, "kind: "+kind)
	w.line(0, "metadata:")
	if namespace != "" {
		w.line(1, "namespace: "+text(namespace))
	}
	w.line(1, "name: "+text(name))
	w.line(0, "spec:")
}

func targetText(m *hpa.Metric) string {
	switch {
	case m.Target.Utilization > 0:
		return strconv.Itoa(int(m.Target.Utilization))
	case m.Target.AverageMilli > 0:
		return quantity(m.Target.AverageMilli).String()
	}
	return quantity(m.Target.ValueMilli).String()
}
