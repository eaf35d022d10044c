package gen

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// A metric is one entry of spec.metrics, with what is needed to write values for it.
type metric struct {
	source    string // Resource, ContainerResource, Pods, Object, External
	resource  string // cpu, memory
	container string
	name      string
	key       string // in podsMetrics, objectMetrics or externalMetrics
	percent   int64  // utilization target; 0 = value
	milli     int64  // value target in thousandths (of bytes for memory)
	average   bool   // Object, External: per pod
	spec      object
}

// A spec is a generated HPA; doc is its manifest.
type spec struct {
	plain        bool   // autoscaling/v1, if v1 can express it
	text         bool   // the manifest is a string
	bare         bool   // no metrics: the API server sets its default
	meta, target object // nil = left out
	min, max     int
	hasMin       bool
	metrics      []metric
	behavior     object // nil = absent
	up, down     float64
	doc          object
}

func (d dice) seconds() int {
	// Multiples of a 15 s tick make ages equal windows exactly.
	return one(d, 15, 15, 30, 30, 45, 60, 60, 75, 90, 120, 150, 180, 300, d.in(1, 200))
}

// quantity writes thousandths as an API quantity.
func quantity(milli int64) string {
	if milli%1000 == 0 {
		return strconv.FormatInt(milli/1000, 10)
	}
	return strconv.FormatInt(milli, 10) + "m"
}

func (d dice) tolerance() (string, float64) {
	switch d.IntN(8) {
	case 0:
		return "0", 0
	case 1:
		return "50m", 0.05
	case 2:
		return "0.2", 0.2
	case 3:
		return "1", 1
	case 4:
		return "1.5", 1.5
	case 5:
		return "5e-1", 0.5
	case 6:
		return "0.1", 0.1
	}
	n := d.in(1, 400)
	return fmt.Sprintf("%dm", n), float64(n) / 1000
}

func (d dice) policies() []any {
	n := one(d, 1, 1, 2, 2, 3)
	var out []any
	for range n {
		kind, value := "Pods", one(d, 1, 1, 2, 3, 4, 5, 10, d.in(1, 30))
		if d.chance(0.5) {
			kind, value = "Percent", one(d, 10, 12, 25, 50, 80, 90, 92, 100, 120, 200, 900, d.in(1, 150))
		}
		if d.chance(0.02) {
			value = one(d, 1<<31-1, 2_000_000_000, 1_000_000)
		}
		out = append(out, object{"type": kind, "value": value, "periodSeconds": d.seconds()})
	}
	return out
}

func (d dice) rules(up bool) object {
	r := object{}
	if d.chance(0.6) {
		w := d.seconds()
		if d.chance(0.5) {
			w = 0
		} else if d.chance(0.05) {
			w = one(d, 600, 1800, 3600)
		}
		r["stabilizationWindowSeconds"] = w
	}
	if d.chance(0.5) {
		r["selectPolicy"] = one(d, "Max", "Max", "Min", "Min", "Disabled")
	}
	if d.chance(0.7) {
		r["policies"] = d.policies()
	}
	return r
}

func (d dice) behavior(s *spec) {
	s.behavior, s.up, s.down = nil, 0, 0
	switch n := d.IntN(20); {
	case n < 6:
		return
	case n < 8:
		s.behavior = object{}
	default:
		b := object{}
		if d.chance(0.8) {
			b["scaleUp"] = d.rules(true)
		}
		if d.chance(0.8) {
			b["scaleDown"] = d.rules(false)
		}
		for _, dir := range []string{"scaleUp", "scaleDown"} {
			if r, ok := b[dir].(object); ok && d.chance(0.3) {
				text, v := d.tolerance()
				r["tolerance"] = text
				if dir == "scaleUp" {
					s.up = v
				} else {
					s.down = v
				}
			}
		}
		s.behavior = b
	}
}

var labelSelectors = []object{nil, nil, nil, {"matchLabels": object{"queue": "a"}},
	{"matchExpressions": []any{object{"key": "zone", "operator": "In", "values": []any{"x", "y"}}}}}

func (d dice) valueTarget() int64 {
	return one[int64](d, 1000, 1000, 2000, 5000, 10000, 30000, 100000, 500, 1, 333, 1500, int64(d.in(1, 200000)))
}

// metric returns entry n of spec.metrics.
func (d dice) metric(n int, outside bool) metric {
	m := metric{
		source: one(d, "Resource", "Resource", "Resource", "ContainerResource", "Pods", "Object", "External", "External"),
	}
	if outside {
		m.source = one(d, "Object", "External")
	}
	target := object{}
	switch m.source {
	case "Resource", "ContainerResource":
		m.resource = one(d, "cpu", "cpu", "cpu", "memory")
		if d.chance(0.01) {
			m.resource = one(d, "ephemeral-storage", "example.com/gpu") // which no metrics API serves
		}
		body := object{"name": m.resource, "target": target}
		if m.source == "ContainerResource" {
			m.container = one(d, "app", "app", "app", "proxy", "helper")
			if d.chance(0.03) {
				m.container = "nowhere"
			}
			body["container"] = m.container
		}
		if d.chance(0.65) {
			m.percent = int64(one(d, 70, 70, 50, 60, 80, 90, 100, 110, 150, 10, 1, d.in(1, 300)))
			target["type"], target["averageUtilization"] = "Utilization", m.percent
		} else {
			m.milli = one[int64](d, 100, 250, 500, 1000, 70, 1, int64(d.in(1, 3000)))
			if m.resource == "memory" {
				m.milli = one[int64](d, 1<<20, 64<<20, 100_000_000, 1<<30, int64(d.in(1, 1<<30))) * 1000
			}
			target["type"], target["averageValue"] = "AverageValue", quantity(m.milli)
		}
		if d.chance(0.03) {
			target["type"] = "Value" // passes validation, and is ignored
		}
		m.spec = object{
			"type": m.source,
			map[string]string{"Resource": "resource", "ContainerResource": "containerResource"}[m.source]: body,
		}
		return m
	}
	m.name = fmt.Sprintf("m%d", n)
	if d.chance(0.1) {
		m.name = "shared"
	}
	m.key = m.name
	ident := object{"name": m.name}
	if sel := labelSelectors[d.IntN(len(labelSelectors))]; sel != nil && m.source != "Object" {
		ident["selector"] = sel
	}
	if d.chance(0.01) && m.source != "Object" { // the API server accepts it, the controller does not
		ident["selector"] = object{"matchExpressions": []any{object{"key": "zone", "operator": one(d, "In", "Exist")}}}
	}
	m.milli = d.valueTarget()
	switch m.source {
	case "Pods":
		target["type"], target["averageValue"] = "AverageValue", quantity(m.milli)
		m.spec = object{"type": m.source, "pods": object{"metric": ident, "target": target}}
	case "Object":
		kind, name := one(d, "Ingress", "Service", "Namespace"), one(d, "main", "edge")
		if kind == "Namespace" {
			name = "default" // the controller asks for the HPA's own namespace, whatever the name
		}
		m.key = one(d, m.name, kind+"/"+name+"/"+m.name)
		described := object{
			"kind":       kind,
			"name":       name,
			"apiVersion": map[string]string{"Ingress": "networking.k8s.io/v1", "Service": "v1", "Namespace": "v1"}[kind],
		}
		m.average = d.chance(0.5)
		if m.average {
			target["type"], target["averageValue"] = "AverageValue", quantity(m.milli)
		} else {
			target["type"], target["value"] = "Value", quantity(m.milli)
		}
		if d.chance(0.04) { // type and field disagree: valid, but fails in the controller
			target["type"] = one(d, "Utilization", "Value", "AverageValue")
		}
		if d.chance(0.04) { // both may be given
			target["value"], target["averageValue"] = quantity(m.milli), quantity(m.milli)
		}
		m.spec = object{"type": m.source, "object": object{"describedObject": described, "metric": ident, "target": target}}
	case "External":
		m.average = d.chance(0.5)
		if m.average {
			target["type"], target["averageValue"] = "AverageValue", quantity(m.milli)
		} else {
			target["type"], target["value"] = "Value", quantity(m.milli)
		}
		if d.chance(0.03) {
			target["type"] = one(d, "Value", "AverageValue", "Utilization")
		}
		m.spec = object{"type": m.source, "external": object{"metric": ident, "target": target}}
	}
	return m
}

// bounds picks minReplicas and maxReplicas; zero allows minReplicas 0.
func (d dice) bounds(s *spec, zero bool) {
	s.hasMin = d.chance(0.8)
	s.min = one(d, 1, 1, 2, 3, 5, d.in(1, 20))
	if zero && d.chance(0.8) {
		s.hasMin, s.min = true, 0
	}
	if !s.hasMin {
		s.min = 1
	}
	s.max = max(s.min, 1) + one(d, 0, 2, 5, 9, 9, 20, 20, 50, d.in(0, 100))
	if d.chance(0.02) {
		s.max = one(d, 1000, 1<<31-1)
	}
}

// newSpec returns an HPA; with zero, it may scale to zero.
func (d dice) newSpec(zero bool) *spec {
	s := &spec{}
	d.bounds(s, zero)
	n := one(d, 1, 1, 1, 1, 2, 2, 3, 4)
	for i := range n {
		s.metrics = append(s.metrics, d.metric(i, zero && i == 0))
	}
	d.behavior(s)
	s.plain, s.text = d.chance(0.2), d.chance(0.03)
	if s.bare = d.chance(0.02) && !zero; s.bare {
		s.metrics = []metric{{source: "Resource", resource: "cpu", percent: 80}}
	}
	if d.chance(0.1) {
		s.meta = object{"name": one(d, "front", "web-hpa"), "namespace": one(d, "shop", "default")}
	}
	if d.chance(0.1) {
		s.target = object{
			"apiVersion": "apps/v1",
			"kind":       one(d, "Deployment", "StatefulSet", "ReplicaSet"),
			"name":       one(d, "front", "db"),
		}
	}
	s.write()
	return s
}

// write returns the manifest.
func (s *spec) write() {
	body := object{"maxReplicas": s.max}
	s.doc = object{"spec": body}
	if s.hasMin {
		body["minReplicas"] = s.min
	}
	if s.target != nil {
		body["scaleTargetRef"] = s.target
	}
	if s.meta != nil {
		s.doc["metadata"] = s.meta
	}
	if m := s.metrics[0]; s.plain && len(s.metrics) == 1 && s.behavior == nil && m.source == "Resource" &&
		m.resource == "cpu" &&
		m.percent > 0 {
		s.doc["apiVersion"] = "autoscaling/v1"
		if !s.bare {
			body["targetCPUUtilizationPercentage"] = m.percent
		}
		return
	}
	if s.behavior != nil {
		body["behavior"] = s.behavior
	}
	var ms []any
	for _, m := range s.metrics {
		ms = append(ms, m.spec)
	}
	if !s.bare {
		body["metrics"] = ms
	}
}

// manifest returns the JSON of the scenario's hpa field.
func (s *spec) manifest() json.RawMessage {
	if s.text {
		return raw(string(raw(s.doc)))
	}
	return raw(s.doc)
}

// edit returns a copy with a change that a user might make.
func (d dice) edit(s *spec, zero bool) *spec {
	c := *s
	c.metrics = append([]metric(nil), s.metrics...)
	for range d.in(1, 2) {
		switch d.IntN(6) {
		case 0, 1:
			d.bounds(&c, zero)
		case 2, 3:
			d.behavior(&c)
		case 4:
			if c.bare {
				continue
			}
			i := d.IntN(len(c.metrics))
			c.metrics[i] = d.metric(i, zero && i == 0)
		case 5:
			if c.bare {
				continue
			}
			if len(c.metrics) > 1 && !zero {
				c.metrics = c.metrics[:len(c.metrics)-1]
			} else {
				c.metrics = append(c.metrics, d.metric(len(c.metrics), false))
			}
		}
	}
	if c.max == s.max { // an edit without a change makes no new generation
		if c.max > max(c.min, 1) {
			c.max--
		} else {
			c.max++
		}
	}
	c.write()
	return &c
}
