package doctor

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// The checks of quantities that mean something other than what was meant.

// What hardly any pod has: less memory than any process, more cores than a node or than a
// target can mean.
const (
	leastMemory = 1 << 20
	leastCores  = 0.005 // a server that does nothing burns as much
	manyCores   = 128
	highTarget  = 32
)

// resourceMetric finds Resource metrics that metrics-server does not serve.
func resourceMetric(s *subject) (hits []hit, ok bool) {
	for _, i := range s.resources() {
		if m := s.config.Metrics[i]; m.Name != "cpu" && m.Name != "memory" {
			hits = append(
				hits,
				s.hit(
					metricPath(i),
					"metrics.k8s.io has only cpu and memory, so %s can never be read: FailedGet%sMetric",
					m.Name,
					m.Source,
				),
			)
		}
	}
	return hits, true
}

// oddQuantity finds amounts without their unit: in targets, and in the requests
// and limits that utilization divides by.
func oddQuantity(s *subject) (hits []hit, ok bool) {
	for _, i := range s.resources() {
		m := s.config.Metrics[i]
		if m.Target.AverageMilli == 0 {
			continue
		}
		amount := float64(m.Target.AverageMilli) / 1000
		text := s.doc.HPA.Spec.Metrics[i]
		written := ""
		var q *resource.Quantity
		if text.Resource != nil {
			q = text.Resource.Target.AverageValue
		} else if text.ContainerResource != nil {
			q = text.ContainerResource.Target.AverageValue
		}
		if q != nil { // finer than the thousandths that the controller counts in
			written, amount = q.String(), q.AsApproximateFloat64()
		}
		if what, fix := odd(m.Name, amount, written, leastCores, highTarget); what != "" {
			h := s.hit(
				metricPath(i),
				"the target for %s per pod is %s: %s",
				m.Name,
				what,
				map[bool]string{true: "every pod uses more, so the size is always maxReplicas",
					false: "no pod uses that much, so the size is always minReplicas"}[m.Name == "memory" || amount < leastCores],
			)
			h.fix = fix
			hits = append(hits, h)
		}
	}
	if s.work == nil {
		return hits, true
	}
	list, paths := s.written()
	for k, c := range list {
		for _, r := range []struct {
			field string
			list  corev1.ResourceList
		}{{"requests", c.Resources.Requests}, {"limits", c.Resources.Limits}} {
			for _, name := range []string{"cpu", "memory"} {
				q, has := r.list[corev1.ResourceName(name)]
				if !has {
					continue
				}
				if what, fix := odd(name, q.AsApproximateFloat64(), q.String(), leastRequest, manyCores); what != "" {
					h := s.podHit(paths[k]+".resources."+r.field+"."+name, "container %s %s %s: %s", c.Name, r.field, name, what)
					h.fix = fix
					hits = append(hits, h)
				}
			}
		}
	}
	return hits, true
}

// leastRequest is a request that Kubernetes rounds up: there is none below 1m.
const leastRequest = 0.001

// odd says what an amount of memory, or of cpu (below least cores, or from most on), means
// if nobody can have meant it.
func odd(name string, amount float64, written string, least, most float64) (what, fix string) {
	number := strings.TrimSuffix(written, "m")
	switch {
	case name == "memory" && amount > 0 && amount < leastMemory:
		what = fmt.Sprintf("%s, which is %.3g bytes", written, amount)
		if strings.HasSuffix(written, "m") {
			what += " (m is a thousandth)"
		}
		return what, fmt.Sprintf("write the unit: %sMi or %sGi", number, number)
	case name == "cpu" && amount > 0 && amount < least:
		return fmt.Sprintf("%s, which is %.4g cores (m is a thousandth)", thousandths(amount), amount),
			fmt.Sprintf("write cores without m, or thousandths with it: %.4g or %.4gm", amount*1000, amount*1e6)
	case name == "cpu" && amount >= most:
		return fmt.Sprintf(
				"%s, which is %.4g cores",
				written,
				amount,
			), fmt.Sprintf(
				"use m for thousandths of a core: %sm",
				number,
			)
	}
	return "", ""
}

// thousandths writes cores in the usual form: 0.5m for what a quantity prints as 500u.
func thousandths(cores float64) string { return fmt.Sprintf("%.4gm", cores*1000) }

// targetType finds targets whose type names another field than the one that is set.
func targetType(s *subject) (hits []hit, ok bool) {
	for i, m := range s.config.Metrics {
		fields := map[hpa.TargetType]bool{
			hpa.Utilization:  m.Target.Utilization != 0,
			hpa.AverageValue: m.Target.AverageMilli != 0,
			hpa.Value:        m.Target.ValueMilli != 0,
		}
		names := map[hpa.TargetType]string{
			hpa.Utilization:  "averageUtilization",
			hpa.AverageValue: "averageValue",
			hpa.Value:        "value",
		}
		if fields[m.Target.Type] {
			continue
		}
		set := ""
		for _, t := range []hpa.TargetType{hpa.AverageValue, hpa.Utilization, hpa.Value} {
			if fields[t] && set == "" {
				set = names[t]
			}
		}
		if set == "" {
			continue
		}
		path := metricPath(i) + "." + strings.ToLower(m.Source.String()[:1]) + m.Source.String()[1:] + ".target.type"
		h := s.hit(
			path,
			"type is %v but %s is set: the controller uses the field that is set (%s), and the type misleads",
			m.Target.Type,
			set,
			set,
		)
		h.fix = "set the type that matches " + set
		if m.Source == hpa.Object { // here alone the controller goes by the type
			h.severity = Error
			h.why = fmt.Sprintf(
				"type is %v but %s is set: for an Object metric the controller uses the type, so the metric has no target and "+
					"always fails: FailedGetObjectMetric",
				m.Target.Type,
				set,
			)
		}
		hits = append(hits, h)
	}
	return hits, true
}
