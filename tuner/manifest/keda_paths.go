package manifest

import (
	"fmt"
	"strings"

	"github.com/hpatune/hpatune/tuner/hpa"
)

const kedaBehavior = "spec.advanced.horizontalPodAutoscalerConfig.behavior"

// SourcePath returns where a setting of the generated HPA is in the ScaledObject: a path as
// hpa.Knobs has it ("spec.metrics[s0-prometheus{…}]…") or by index ("spec.metrics[0]"). ""
// if it has no place there.
func (o *ScaledObject) SourcePath(path string) string {
	switch {
	case path == "spec.minReplicas":
		return "spec.minReplicaCount"
	case path == "spec.maxReplicas":
		return "spec.maxReplicaCount"
	case strings.HasPrefix(path, "spec.behavior"):
		return kedaBehavior + strings.TrimPrefix(path, "spec.behavior")
	case strings.HasPrefix(path, "spec.metrics["):
		return o.metricPath(path)
	case path == "spec.metrics":
		return "spec.triggers"
	}
	return path // metadata, scaleTargetRef: as in the HPA
}

// metricPath finds the trigger behind "spec.metrics[…]".
func (o *ScaledObject) metricPath(path string) string {
	h, origin, err := o.HPA()
	if err != nil {
		return ""
	}
	c, err := FromV2(&h.Spec)
	if err != nil {
		return ""
	}
	names := metricNames(&c)
	for i := range names {
		for _, name := range []string{names[i], fmt.Sprintf("spec.metrics[%d]", i)} {
			rest, ok := strings.CutPrefix(path, name)
			if !ok || rest != "" && rest[0] != '.' {
				continue
			}
			if origin[i] < 0 {
				if strings.Contains(rest, ".target") {
					return "spec.advanced.scalingModifiers.target"
				}
				return "spec.advanced.scalingModifiers"
			}
			at := fmt.Sprintf("spec.triggers[%d]", origin[i])
			t := &o.Spec.Triggers[origin[i]]
			switch {
			case rest == "" || strings.HasPrefix(rest, ".metric"):
				return at
			case strings.HasSuffix(rest, ".target.type"):
				return at + ".metricType"
			case strings.HasSuffix(rest, ".container"):
				return at + ".metadata.containerName"
			case strings.Contains(rest, ".target"):
				return at + ".metadata." + t.valueField()
			}
			return at
		}
	}
	return ""
}

// valueField is the metadata field of the target.
func (t *Trigger) valueField() string {
	if t.Type == "cpu" || t.Type == "memory" {
		return "value"
	}
	s, _ := scalerOf(t.Type)
	for _, f := range s.fields {
		if _, has := t.Metadata[f]; has {
			return f
		}
	}
	return s.fields[0]
}

// Trigger returns the trigger behind a metric of the generated HPA, by its index;
// nil for the metric of a formula, and for an HPA that was not made from one.
func (d *Doc) Trigger(metric int) *Trigger {
	if d.Scaled == nil || metric >= len(d.origin) || d.origin[metric] < 0 {
		return nil
	}
	return &d.Scaled.Spec.Triggers[d.origin[metric]]
}

// targetPath returns the name of the target's setting of metric i in hpa.Knobs.
func targetPath(names []string, m *hpa.Metric, i int) string {
	switch {
	case m.Target.Utilization != 0:
		return names[i] + ".target.averageUtilization"
	case m.Target.AverageMilli != 0:
		return names[i] + ".target.averageValue"
	}
	return names[i] + ".target.value"
}
