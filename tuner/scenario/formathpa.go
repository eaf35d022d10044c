package scenario

import (
	"strconv"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// manifestOf is the spec as an autoscaling/v2 object, so that it is read back exactly:
// quantities in thousandths, every field that is set.
func manifestOf(c *hpa.Config, id hpa.Identity) object {
	var metrics []object
	for i := range c.Metrics {
		metrics = append(metrics, metricObject(&c.Metrics[i]))
	}
	spec := object{"minReplicas": c.MinReplicas, "maxReplicas": c.MaxReplicas, "metrics": metrics}
	if id.Kind != "" && id.Target != "" {
		spec["scaleTargetRef"] = object{"apiVersion": "apps/v1", "kind": id.Kind, "name": id.Target}
	}
	if c.Behavior {
		spec["behavior"] = object{"scaleUp": rulesObject(&c.ScaleUp), "scaleDown": rulesObject(&c.ScaleDown)}
	}
	h := object{"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": spec}
	meta := object{}
	if id.Name != "" {
		meta["name"] = id.Name
	}
	if id.Namespace != "" {
		meta["namespace"] = id.Namespace
	}
	if len(meta) > 0 {
		h["metadata"] = meta
	}
	return h
}

func metricObject(m *hpa.Metric) object {
	target := object{"type": m.Target.Type.String()}
	if m.Target.Utilization != 0 {
		target["averageUtilization"] = m.Target.Utilization
	}
	if m.Target.AverageMilli != 0 {
		target["averageValue"] = strconv.FormatInt(m.Target.AverageMilli, 10) + "m"
	}
	if m.Target.ValueMilli != 0 {
		target["value"] = strconv.FormatInt(m.Target.ValueMilli, 10) + "m"
	}
	id := object{"name": m.Name}
	if m.SelectorSet {
		labels, expressions := hpa.ParseSelectorText(m.Selector)
		s := object{}
		if len(labels) > 0 {
			s["matchLabels"] = labels
		}
		var es []object
		for _, e := range expressions {
			o := object{"key": e.Key, "operator": e.Operator}
			if len(e.Values) > 0 {
				o["values"] = e.Values
			}
			es = append(es, o)
		}
		if es != nil {
			s["matchExpressions"] = es
		}
		id["selector"] = s
	}
	source := m.Source.String()
	switch m.Source {
	case hpa.Resource:
		return object{"type": source, "resource": object{"name": m.Name, "target": target}}
	case hpa.ContainerResource:
		return object{"type": source, "containerResource": object{"name": m.Name, "container": m.Container, "target": target}}
	case hpa.Pods:
		return object{"type": source, "pods": object{"metric": id, "target": target}}
	case hpa.Object:
		of := object{"kind": m.Object.Kind, "name": m.Object.Name}
		if m.Object.APIVersion != "" {
			of["apiVersion"] = m.Object.APIVersion
		}
		return object{"type": source, "object": object{"metric": id, "describedObject": of, "target": target}}
	}
	return object{"type": source, "external": object{"metric": id, "target": target}}
}

func rulesObject(r *hpa.Rules) object {
	o := object{"selectPolicy": r.Select.String()}
	policies := []object{}
	for _, p := range r.Policies {
		policies = append(
			policies,
			object{"type": p.Type.String(), "value": p.Value, "periodSeconds": int64(p.Period.Seconds())},
		)
	}
	o["policies"] = policies
	if r.WindowSet {
		o["stabilizationWindowSeconds"] = int64(r.Window.Seconds())
	}
	if r.ToleranceSet {
		o["tolerance"] = strconv.FormatFloat(r.Tolerance, 'f', -1, 64)
	}
	return o
}
