package observer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	custom "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	external "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"
	metricsv1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/results"
)

// metrics is what the metrics APIs returned, reading by reading.
type metrics struct {
	looks     []look // oldest first, each unlike the one before
	custom    map[int][]customLook
	gap       time.Duration // shortest between two of a pod's samples: the resolution
	lastStamp map[string]time.Duration
}

// look is the answer of metrics.k8s.io from an instant on.
type look struct {
	at   time.Duration
	pods []podMetrics // by name
}

type podMetrics struct {
	name       string
	at         time.Duration // timestamp
	window     time.Duration
	containers []containerMetrics
}

type containerMetrics struct {
	name             string
	cpu, memory      int64 // millicores; bytes × 1000
	hasCPU, hasBytes bool
}

// customLook is the answer for one entry of spec.metrics from an instant on.
type customLook struct {
	instant bool // the adapter says no window
	at      time.Duration
	pods    []results.PodValue // Pods metrics
	series  []int64            // Object (one), External; milli
}

const (
	pollFirst = 5 * time.Second // until the resolution is known
	pollLeast = time.Second
	pollMost  = 20 * time.Second
	keepLooks = 120
)

// poll reads the metrics APIs about three times in each of their periods, so that it sees
// every answer that the controller can have got.
func (k *Kube) poll(ctx context.Context) error {
	k.mu.Lock()
	k.metrics.custom, k.metrics.lastStamp = map[int][]customLook{}, map[string]time.Duration{}
	k.mu.Unlock()
	every := k.clock.Wall(k.every)
	blind, why := map[results.GapSource]time.Time{}, map[results.GapSource]string{}
	told := func(source results.GapSource, err error) {
		since, was := blind[source]
		now := time.Now()
		switch {
		case err != nil && !was && ctx.Err() == nil:
			blind[source], why[source] = now.Add(-every), whyBlind(err)
			k.warn(results.WarnObserverBlind, "%s: %v; retrying", source, brief(kube.Explain(err, "run")))
		case err == nil && was:
			delete(blind, source)
			k.emit(results.Gap{Source: source, From: k.clock.At(since), To: k.clock.At(now), Why: why[source]})
		}
	}
	for ctx.Err() == nil {
		began := time.Now()
		err := k.resources(ctx)
		told(results.SourceResources, err)
		if h := k.subject.HPA; h != nil {
			for i := range h.Spec.Metrics {
				if m := &h.Spec.Metrics[i]; m.Resource == nil && m.ContainerResource == nil {
					told(results.SourceMetric(string(m.Type), metricName(m)), k.others(ctx, i, m))
				}
			}
		}
		if k.o.Throttling {
			told(results.SourceKubelet, k.throttling(ctx))
		}
		k.mu.Lock()
		for i := range k.pending {
			k.pending[i].polls++
		}
		k.settle(false)
		if g := k.metrics.gap; g > 0 {
			every = k.clock.Wall(min(max(g/3, pollLeast), pollMost))
		}
		k.mu.Unlock()
		sleep(ctx, every-time.Since(began))
	}
	for source, since := range blind {
		k.emit(results.Gap{Source: source, From: k.clock.At(since), To: k.now(), Why: why[source]})
	}
	return nil
}

// errNoSeries is an answer without any value, which the autoscaler treats as a failure.
var errNoSeries = errors.New("the answer has no series")

func whyBlind(err error) string {
	if errors.Is(err, errNoSeries) {
		return err.Error()
	}
	return "the metrics API did not answer"
}

// resources reads metrics.k8s.io for the pods, as the controller does.
func (k *Kube) resources(ctx context.Context) error {
	body, err := k.cluster.Raw(
		ctx,
		"/apis/metrics.k8s.io/v1beta1/namespaces/"+k.subject.Namespace+"/pods",
		url.Values{"labelSelector": {k.subject.Selector}},
	)
	if err != nil {
		return err
	}
	var list metricsv1.PodMetricsList
	if err := json.Unmarshal(body, &list); err != nil {
		return fmt.Errorf("metrics.k8s.io: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	l := look{at: k.now()}
	for i := range list.Items {
		m := &list.Items[i]
		p := podMetrics{name: m.Name, at: k.at(m.Timestamp.Time), window: m.Window.Duration}
		for _, c := range m.Containers {
			v := containerMetrics{name: c.Name}
			if q, ok := c.Usage[corev1.ResourceCPU]; ok {
				v.cpu, v.hasCPU = values(q), true
			}
			if q, ok := c.Usage[corev1.ResourceMemory]; ok {
				v.memory, v.hasBytes = values(q), true
			}
			p.containers = append(p.containers, v)
		}
		l.pods = append(l.pods, p)
		k.sampled(l.at, &p)
	}
	slices.SortFunc(l.pods, func(a, b podMetrics) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	if n := len(k.metrics.looks); n == 0 || !slices.EqualFunc(k.metrics.looks[n-1].pods, l.pods, samePod) {
		k.metrics.looks = append(k.metrics.looks, l)
		if len(k.metrics.looks) > keepLooks {
			k.metrics.looks = slices.Delete(k.metrics.looks, 0, len(k.metrics.looks)-keepLooks)
		}
	}
	return nil
}

func samePod(a, b podMetrics) bool {
	return a.name == b.name && a.at == b.at && a.window == b.window && slices.Equal(a.containers, b.containers)
}

// sampled emits a pod's sample once, and learns the resolution.
func (k *Kube) sampled(now time.Duration, p *podMetrics) {
	last, ok := k.metrics.lastStamp[p.name]
	if ok && last == p.at {
		return
	}
	if d := p.at - last; ok && d > 0 && (k.metrics.gap == 0 || d < k.metrics.gap) {
		k.metrics.gap = d
	}
	k.metrics.lastStamp[p.name] = p.at
	for _, c := range p.containers {
		s := results.Sample{
			At:        now,
			Source:    "metrics.k8s.io",
			Pod:       p.name,
			Container: c.name,
			Window:    p.window,
			SampledAt: p.at,
		}
		if c.hasCPU {
			s.Name, s.Value = results.SampleCPU, float64(c.cpu)
			k.emit(s)
		}
		if c.hasBytes {
			s.Name, s.Value = results.SampleMemory, float64(c.memory)/1000
			k.emit(s)
		}
	}
}

// others reads one Pods, Object or External entry of spec.metrics.
func (k *Kube) others(ctx context.Context, i int, m *autoscalingv2.MetricSpec) error {
	ns := k.subject.Namespace
	c := customLook{}
	selector := func(id *autoscalingv2.MetricIdentifier) string {
		if id.Selector == nil {
			return ""
		}
		return metav1.FormatLabelSelector(id.Selector)
	}
	switch {
	case m.Pods != nil:
		list, err := k.customMetric(
			ctx,
			"namespaces/"+ns+"/pods/*/"+m.Pods.Metric.Name,
			k.subject.Selector,
			selector(&m.Pods.Metric),
		)
		if err != nil {
			return err
		}
		for _, v := range list.Items {
			window := time.Minute // the controller's, where none is said
			if v.WindowSeconds != nil {
				window = time.Duration(*v.WindowSeconds) * time.Second
			} else {
				c.instant = true
			}
			c.pods = append(
				c.pods,
				results.PodValue{Pod: v.DescribedObject.Name, Milli: values(v.Value), At: k.at(v.Timestamp.Time), Window: window},
			)
		}
	case m.Object != nil:
		o := m.Object.DescribedObject
		gv, err := schema.ParseGroupVersion(o.APIVersion)
		if err != nil {
			return err
		}
		mapping, err := k.cluster.Mapper.RESTMapping(gv.WithKind(o.Kind).GroupKind(), gv.Version)
		if err != nil {
			return fmt.Errorf("%s %s: %w", o.APIVersion, o.Kind, err)
		}
		path := "namespaces/" + ns + "/" + mapping.Resource.GroupResource().
			String() +
			"/" + o.Name + "/" + m.Object.Metric.Name
		if o.Kind == "Namespace" && gv.Group == "" {
			path = "namespaces/" + ns + "/metrics/" + m.Object.Metric.Name
		}
		list, err := k.customMetric(ctx, path, "", selector(&m.Object.Metric))
		if err != nil {
			return err
		}
		for _, v := range list.Items {
			c.series = append(c.series, values(v.Value))
		}
	case m.External != nil:
		body, err := k.cluster.Raw(
			ctx,
			"/apis/external.metrics.k8s.io/v1beta1/namespaces/"+ns+"/"+m.External.Metric.Name,
			labelled("labelSelector", selector(&m.External.Metric)),
		)
		if err != nil {
			return err
		}
		var list external.ExternalMetricValueList
		if err := json.Unmarshal(body, &list); err != nil {
			return fmt.Errorf("external.metrics.k8s.io: %w", err)
		}
		for _, v := range list.Items {
			c.series = append(c.series, values(v.Value))
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	c.at = k.now()
	looks := k.metrics.custom[i]
	var none error // without pods, nobody has a value
	if len(c.pods)+len(c.series) == 0 && (m.Pods == nil || len(k.pods) > 0) {
		none = errNoSeries
	}
	if n := len(looks); n > 0 && slices.Equal(looks[n-1].pods, c.pods) && slices.Equal(looks[n-1].series, c.series) {
		return none
	}
	if looks = append(looks, c); len(looks) > keepLooks {
		looks = slices.Delete(looks, 0, len(looks)-keepLooks)
	}
	k.metrics.custom[i] = looks
	source := "custom.metrics.k8s.io"
	if m.External != nil {
		source = "external.metrics.k8s.io"
	}
	for _, v := range c.pods {
		window := v.Window
		if c.instant { // the controller's minute is only for CPU: this value is instantaneous
			window = 0
		}
		k.emit(
			results.Sample{
				At:        c.at,
				Source:    source,
				Name:      metricName(m),
				Pod:       v.Pod,
				Value:     float64(v.Milli) / 1000,
				Window:    window,
				SampledAt: v.At,
			},
		)
	}
	for _, v := range c.series {
		k.emit(
			results.Sample{At: c.at, Source: source, Name: metricName(m), Value: float64(v) / 1000, SampledAt: results.NotYet},
		)
	}
	return none
}

func labelled(name, selector string) url.Values {
	if selector == "" {
		return nil
	}
	return url.Values{name: {selector}}
}

func (k *Kube) customMetric(ctx context.Context, path, pods, metric string) (custom.MetricValueList, error) {
	var list custom.MetricValueList
	q := url.Values{}
	if pods != "" {
		q.Set("labelSelector", pods)
	}
	if metric != "" {
		q.Set("metricLabelSelector", metric)
	}
	body, err := k.cluster.Raw(ctx, "/apis/custom.metrics.k8s.io/v1beta2/"+path, q)
	if err != nil {
		return list, err
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return list, fmt.Errorf("custom.metrics.k8s.io: %w", err)
	}
	return list, nil
}
