package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/tuner/hpa"
)

func metricsServer(s *subject) ([]hit, bool) {
	r := s.resources()
	if !s.facts.Live || len(r) == 0 {
		return nil, s.facts.Live
	}
	return s.apiHit("metrics.k8s.io", r[0])
}

// apiHit finds out whether a metrics API is served: from its APIService, which says why
// not, or by calling it.
func (s *subject) apiHit(group string, metric int) ([]hit, bool) {
	why, known := s.facts.Served[group]
	listed := s.facts.of("", "APIService")
	for _, d := range listed {
		if !strings.HasSuffix(d.Name, "."+group) {
			continue
		}
		a, err := decode[struct {
			Status struct {
				Conditions []struct{ Type, Status, Message string }
			}
		}](s.facts, d)
		if err != nil {
			return nil, false
		}
		for _, c := range a.Status.Conditions {
			if c.Type == "Available" && c.Status != "True" {
				return []hit{s.hit(metricPath(metric), "%s is registered but unavailable: %s", d.Name, c.Message)}, true
			}
		}
		return nil, true
	}
	switch {
	case known && why != "":
		return []hit{
			s.hit(metricPath(metric), "the cluster serves no %s, so the metric cannot be read: %s", group, why),
		}, true
	case known:
		return nil, true
	case len(listed) > 0:
		return []hit{s.hit(metricPath(metric), "no APIService serves %s, so the metric cannot be read", group)}, true
	}
	return nil, false
}

func missingRequest(s *subject) (hits []hit, ok bool) {
	if s.work == nil {
		return nil, false
	}
	list, paths := s.containers()
	for k, c := range list {
		var missing []string
		for _, i := range s.resources() {
			m := s.config.Metrics[i]
			_, found := c.Resources.Requests[corev1.ResourceName(m.Name)]
			if p := s.spec.Resources; p != nil && m.Container == "" {
				_, atPod := p.Requests[corev1.ResourceName(m.Name)] // from 1.34
				found = found || atPod
			}
			// A plain value divides by no request.
			if !found && m.Target.AverageMilli == 0 && (m.Container == "" || m.Container == c.Name) &&
				!slices.Contains(missing, m.Name) {
				missing = append(missing, m.Name)
			}
		}
		if len(missing) > 0 {
			hits = append(
				hits,
				s.podHit(
					paths[k],
					"container %s has no %s request: one container without it makes the metric fail for the whole HPA, with a "+
						"Warning event FailedGetResourceMetric at every reconcile",
					c.Name,
					strings.Join(missing, " or "),
				),
			)
		}
	}
	return hits, true
}

func autoscalingV1(s *subject) ([]hit, bool) {
	if s.doc.Scaled != nil {
		return nil, false
	}
	v1 := s.doc.APIVersion == "autoscaling/v1" ||
		strings.Contains(s.doc.HPA.Annotations[corev1.LastAppliedConfigAnnotation], `"autoscaling/v1"`)
	for _, m := range s.doc.HPA.ManagedFields {
		// The controller writes the status, in its own version.
		v1 = v1 || m.Subresource == "" && m.APIVersion == "autoscaling/v1"
	}
	if v1 {
		return []hit{
			s.hit(
				"apiVersion",
				"the manifest that was applied is autoscaling/v1 (the API server returns every HPA as v2, so only the "+
					"manifest shows it)",
			),
		}, true
	}
	return nil, true
}

func minOne(s *subject) ([]hit, bool) {
	if s.config.MinReplicas != 1 || s.keda != nil && s.keda.Scaled.Min() == 0 { // on purpose
		return nil, true
	}
	return []hit{
		s.hit(
			"spec.minReplicas",
			"with 1 replica, losing the pod or its node means no service until another pod has started%s",
			prefixed(": a start takes ", s.startup, ""),
		),
	}, true
}

// noSeries judges the metrics that adapters serve.
func noSeries(s *subject) (hits []hit, ok bool) {
	for i, m := range s.config.Metrics {
		group := map[hpa.Source]string{hpa.Pods: "custom.metrics.k8s.io", hpa.Object: "custom.metrics.k8s.io",
			hpa.External: "external.metrics.k8s.io"}[m.Source]
		if n, told := s.m.Series[m.Name]; told {
			ok = true
			if n == 0 {
				hits = append(
					hits,
					s.hit(
						metricPath(i),
						"metric %s has no series. One failing metric blocks scaling down; if all fail, the HPA does nothing",
						m.Name,
					),
				)
			}
			continue
		}
		if group == "" {
			continue
		}
		if h, known := s.apiHit(group, i); known {
			hits, ok = append(hits, h...), true
			if len(h) > 0 {
				continue // an API that is not served has no series either
			}
		}
		p, asked := s.facts.Probes[key(s.doc)][i]
		ok = ok || asked
		if asked && p.Series == 0 {
			hits = append(
				hits,
				s.hit(
					metricPath(i),
					"%s has no series for %s metric %s now%s. One failing metric blocks scaling down; if all fail, the HPA does "+
						"nothing",
					group,
					m.Source,
					m.Name,
					prefixed(" (", p.Why, ")"),
				),
			)
		}
	}
	return hits, ok
}

// prefixed puts text between others unless it is "".
func prefixed(before, text, after string) string {
	if text == "" {
		return ""
	}
	return before + text + after
}

// ceiling is the highest value that a metric's target is compared with.
func (s *subject) ceiling(i int) (ceiling, target float64, unit string, ok bool) {
	m := s.config.Metrics[i]
	perRequest := m.Target.Utilization != 0
	target = float64(m.Target.Utilization)
	if m.Target.AverageMilli != 0 {
		perRequest, target = false, float64(m.Target.AverageMilli)/1000
	} else if m.Target.ValueMilli != 0 {
		target = float64(m.Target.ValueMilli) / 1000
	}
	if perRequest {
		unit = " %"
	}
	if c, told := s.m.Ceiling[m.Name]; told {
		return c, target, unit, target > 0
	}
	if c, _, known := s.bound(i); known {
		return c, target, unit, target > 0
	}
	if s.work == nil || m.Source != hpa.Resource && m.Source != hpa.ContainerResource || target == 0 {
		return 0, 0, "", false
	}
	limit, ok := s.amount(m.Container, m.Name, true)
	if !ok || !perRequest {
		return limit, target, unit, ok
	}
	request, ok := s.amount(m.Container, m.Name, false)
	return 100 * limit / request, target, unit, ok && request > 0
}

func unreachable(s *subject) (hits []hit, ok bool) {
	for i, m := range s.config.Metrics {
		c, t, unit, known := s.ceiling(i)
		ok = ok || known
		if !known || c > t*(1+s.tolerance()) {
			continue
		}
		h := s.hit(
			metricPath(i),
			"%s can reach at most %.4g%s, but the HPA scales up only above %.4g%s (target %.4g, tolerance %.3g)",
			m.Name,
			c,
			unit,
			t*(1+s.tolerance()),
			unit,
			t,
			s.tolerance(),
		)
		if most, why, bounded := s.bound(i); bounded && most == c {
			h.why += ": " + why
			h.fix = "lower the target below " + number(c/(1+s.tolerance()))
			if most == 1 && t > 1 && t <= 100 {
				h.fix = fmt.Sprintf("write %s (%s)", s.words(t/100), figure.Percent(t/100))
			}
		}
		hits = append(hits, h)
	}
	return hits, ok
}

func memoryTarget(s *subject) (hits []hit, ok bool) {
	for i, m := range s.config.Metrics {
		if (m.Source == hpa.Resource || m.Source == hpa.ContainerResource) && m.Name == "memory" && !s.m.MemoryFalls {
			hits = append(
				hits,
				s.hit(
					metricPath(i),
					"with a memory target, the size falls only if the process frees memory when the load goes; most model "+
						"servers do not. The largest proposal wins, so memory alone then keeps the size up",
				),
			)
		}
	}
	return hits, true
}

// named finds metrics whose names contain one of the words. A count or a rate of such
// things is not a signal of that kind.
func (s *subject) named(why string, words ...string) (hits []hit, ok bool) {
	for i := range s.config.Metrics {
		list, _ := s.reads(i)
		for _, x := range list {
			if matches(x.Name, words...) && !matches(x.Name, "_count", "_rate", "per_second", "_total") {
				hits = append(hits, s.hit(metricPath(i), why, x.Name))
				break
			}
		}
	}
	return hits, true
}

func latencySignal(s *subject) ([]hit, bool) {
	return s.named(
		"%s: latency is flat until the service is full, and then not proportional to the load, as the HPA assumes",
		"latency",
		"duration",
		"ttft",
		"time_to_first",
		"time_per_output",
		"inter_token",
		"response_time",
	)
}

func gpuSignal(s *subject) ([]hit, bool) {
	return s.named(
		"%s is the share of time in which the GPU was busy, not how much more load it could take: a batching server "+
			"keeps it near 100 %% at a fraction of its capacity",
		"gpu_util",
		"gpu_usage",
		"duty_cycle",
		"sm_active",
		"gr_engine_active",
	)
}

func queueValue(s *subject) (hits []hit, ok bool) {
	for i, m := range s.config.Metrics {
		if m.Source != hpa.External && m.Source != hpa.Object || m.Target.ValueMilli == 0 || m.Target.AverageMilli != 0 {
			continue
		}
		list, _ := s.reads(i)
		for _, x := range list {
			k, _ := lookUp(x.Name)
			if matches(x.Name, "queue", "waiting", "backlog", "pending") && k.kind != counter && k.kind != histogram &&
				!k.averaged &&
				!x.Has(means...) &&
				!x.Has(rates...) {
				hits = append(
					hits,
					s.hit(
						metricPath(i),
						"%s with value: the size becomes ready pods × depth / value, so a queue that stays above value multiplies "+
							"the size at each decision; with averageValue the size is depth / averageValue",
						describe(x, m),
					),
				)
				break
			}
		}
	}
	return hits, true
}

func coarse(s *subject) ([]hit, bool) {
	t := s.tolerance()
	// From n, the ratio must exceed 1 + t (inclusive within), so n·t ≥ 1 leaves n+1 out.
	if t <= 0 || float64(s.config.MaxReplicas-1)*t < 1-1e-9 {
		return nil, true
	}
	n := s.config.MaxReplicas - 1
	next := int32(float64(n)*(1+t)+1e-9) + 1
	return []hit{
		s.hit(
			"spec.behavior.scaleUp",
			"with tolerance %.3g, at %d replicas the HPA scales up only when %d are needed; a smaller overload stays",
			t,
			n,
			next,
		),
	}, true
}

func farRequest(s *subject) (hits []hit, ok bool) {
	for _, name := range []string{"cpu", "memory"} {
		u, known := s.m.Usage[name]
		ok = ok || known
		_, told := s.facts.Told.Usage[name]
		// The current use says nothing about the use under load if the size is at its
		// minimum.
		idle := !told && s.doc.HPA.Status.CurrentReplicas <= s.config.MinReplicas
		if !known || u <= 2 && (u >= 0.3 || idle) {
			continue
		}
		when := "at load"
		if !told {
			when = fmt.Sprintf(
				"now (%d ready pods, %d replicas, min %d)",
				s.usedBy,
				s.doc.HPA.Status.CurrentReplicas,
				s.config.MinReplicas,
			)
		}
		h := s.podHit(
			"spec.template.spec.containers",
			"%s use %s is %s of the request, and the scheduler fills nodes by requests",
			name,
			when,
			figure.Percent(u),
		)
		for _, i := range s.resources() {
			if m := s.config.Metrics[i]; m.Name == name && m.Target.Utilization != 0 {
				h = s.hit(
					metricPath(i),
					"%s use %s is %s of the request: utilization is relative to the request, so the target of %d %% is not "+
						"the load that it seems to be",
					name,
					when,
					figure.Percent(u),
					m.Target.Utilization,
				)
			}
		}
		h.doc = cmp.Or(h.doc, s.doc)
		hits = append(hits, h)
	}
	return hits, ok
}
