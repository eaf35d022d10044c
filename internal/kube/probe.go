package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hpatune/hpatune/internal/doctor"
)

// probes are the requests for custom and external metrics: each as the
// autoscaler itself would ask.
func (g *gathering) probes() (work []func(context.Context)) {
	for _, i := range g.judged {
		h := &g.hpas[i]
		for k := range h.Spec.Metrics {
			m := &h.Spec.Metrics[k]
			group := "custom.metrics.k8s.io"
			if m.External != nil {
				group = "external.metrics.k8s.io"
			} else if m.Pods == nil && m.Object == nil {
				continue
			}
			if g.has(group) {
				work = append(work, func(ctx context.Context) { g.probe(ctx, h, k, group, m) })
			}
		}
	}
	return work
}

func (g *gathering) probe(
	ctx context.Context,
	h *autoscalingv2.HorizontalPodAutoscaler,
	k int,
	group string,
	m *autoscalingv2.MetricSpec,
) {
	if ctx.Err() != nil {
		g.mu.Lock()
		g.late++
		g.mu.Unlock()
		return
	}
	path, query, err := g.metric(h, m)
	var list struct{ Items []json.RawMessage }
	if err == nil {
		var body []byte
		if body, err = g.c.Raw(
			ctx,
			"/apis/"+group+"/"+g.version(group)+"/namespaces/"+h.Namespace+"/"+path,
			query,
		); err == nil {
			err = json.Unmarshal(body, &list)
		}
	}
	found := doctor.Probe{Series: len(list.Items)}
	var said apierrors.APIStatus
	switch {
	case err == nil:
	case apierrors.IsServiceUnavailable(err):
		g.serves(group, err.Error())
		return
	case apierrors.IsForbidden(err):
		g.refused(group, err)
		return
	case !errors.As(err, &said) || apierrors.IsTooManyRequests(err) || ctx.Err() != nil:
		g.missed(ctx, fmt.Sprintf("metric %d of HPA %s/%s", k, h.Namespace, h.Name), err)
		return
	default: // not found, or the adapter's own trouble: the autoscaler gets no value either
		found.Why = err.Error()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	id := h.Namespace + "/" + h.Name
	if g.facts.Probes[id] == nil {
		g.facts.Probes[id] = map[int]doctor.Probe{}
	}
	g.facts.Probes[id][k] = found
}

// refused notes that a metrics API may not be asked, once for all HPAs.
func (g *gathering) refused(group string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.ContainsFunc(g.facts.Missed, func(m string) bool { return strings.HasPrefix(m, group+": ") }) {
		g.facts.Missed = append(g.facts.Missed, fmt.Sprintf("%s: %v", group, Explain(err, g.command)))
	}
}

// version is the one to ask an API group for: the newest that we can read.
func (g *gathering) version(group string) string {
	if group == "custom.metrics.k8s.io" && (g.groups == nil || slices.Contains(g.groups[group], "v1beta2")) {
		return "v1beta2"
	}
	return "v1beta1"
}

// errNoSelector says that a Pods metric cannot be asked for.
var errNoSelector = errors.New("the target's selector is not known")

// metric is a metric's path below its namespace.
func (g *gathering) metric(
	h *autoscalingv2.HorizontalPodAutoscaler,
	m *autoscalingv2.MetricSpec,
) (string, url.Values, error) {
	q := url.Values{}
	labelled := func(name string, id *autoscalingv2.MetricIdentifier) {
		if id.Selector != nil {
			if text := metav1.FormatLabelSelector(id.Selector); text != "" && text != "<none>" {
				q.Set(name, text)
			}
		}
	}
	switch {
	case m.External != nil:
		labelled("labelSelector", &m.External.Metric)
		return m.External.Metric.Name, q, nil
	case m.Pods != nil:
		s := g.targets[h.Namespace][h.Spec.ScaleTargetRef.Kind+"/"+h.Spec.ScaleTargetRef.Name]
		if s == nil {
			return "", nil, errNoSelector
		}
		q.Set("labelSelector", s.String())
		labelled("metricLabelSelector", &m.Pods.Metric)
		return "pods/*/" + m.Pods.Metric.Name, q, nil
	}
	labelled("metricLabelSelector", &m.Object.Metric)
	o := m.Object.DescribedObject
	gv, err := schema.ParseGroupVersion(o.APIVersion)
	if err != nil {
		return "", nil, err
	}
	if o.Kind == "Namespace" && gv.Group == "" {
		return "metrics/" + m.Object.Metric.Name, q, nil
	}
	mapping, err := g.c.Mapper.RESTMapping(schema.GroupKind{Group: gv.Group, Kind: o.Kind}, gv.Version)
	if err != nil {
		return "", nil, fmt.Errorf("%s %s: %w", o.APIVersion, o.Kind, err)
	}
	return mapping.Resource.GroupResource().String() + "/" + o.Name + "/" + m.Object.Metric.Name, q, nil
}
