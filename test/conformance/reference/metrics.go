package reference

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	customapi "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	externalapi "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"
	metricsapi "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	resourceclient "k8s.io/metrics/pkg/client/clientset/versioned/typed/metrics/v1beta1"
	customclient "k8s.io/metrics/pkg/client/custom_metrics"
	externalclient "k8s.io/metrics/pkg/client/external_metrics"

	"github.com/hpatune/hpatune/test/conformance/gen"
)

// The three metrics APIs answer with the current observation; upstream's REST client
// (podautoscaler/metrics) turns the answers into the controller's numbers.

type resourceAPI struct{ w *world }

func (a resourceAPI) PodMetricses(string) resourceclient.PodMetricsInterface {
	return podMetrics{w: a.w}
}

type podMetrics struct {
	resourceclient.PodMetricsInterface // only List is called
	w                                  *world
}

func (p podMetrics) List(context.Context, metav1.ListOptions) (*metricsapi.PodMetricsList, error) {
	m := p.w.observation().Resource
	l := &metricsapi.PodMetricsList{}
	if m == nil {
		return l, nil
	}
	if m.Error != "" {
		return nil, errors.New(m.Error)
	}
	for _, s := range m.Pods {
		item := metricsapi.PodMetrics{
			ObjectMeta: metav1.ObjectMeta{Name: s.Pod, Namespace: p.w.hpa.Namespace},
			Timestamp:  p.w.time(s.Timestamp), Window: metav1.Duration{Duration: gen.Seconds(s.WindowSeconds)}}
		for _, c := range s.Containers {
			item.Containers = append(
				item.Containers,
				metricsapi.ContainerMetrics{Name: c.Name, Usage: corev1.ResourceList(amounts(c.CPUMilli, c.MemoryBytes))},
			)
		}
		l.Items = append(l.Items, item)
	}
	return l, nil
}

type customAPI struct{ w *world }

func (a customAPI) RootScopedMetrics() customclient.MetricsInterface {
	return customMetrics{a.w, true}
}
func (a customAPI) NamespacedMetrics(string) customclient.MetricsInterface {
	return customMetrics{a.w, false}
}

type customMetrics struct {
	w    *world
	root bool
}

func (c customMetrics) GetForObject(
	kind schema.GroupKind,
	name, metric string,
	selector labels.Selector,
) (*customapi.MetricValue, error) {
	o := c.w.observation()
	if c.root { // it is asked with the HPA's namespace as the name
		name = namespace
	}
	for _, key := range []string{kind.Kind + "/" + name + "/" + metric, fmt.Sprintf("%s{%s}", metric, selector), metric} {
		if m, ok := o.Objects[key]; ok {
			if m.Error != "" {
				return nil, errors.New(m.Error)
			}
			return &customapi.MetricValue{
				Timestamp: metav1.NewTime(time.Now()),
				Value:     *resource.NewMilliQuantity(m.Milli, resource.DecimalSI),
			}, nil
		}
	}
	return nil, errors.New("the scenario has no value for object metric " + metric)
}

func (c customMetrics) GetForObjects(
	_ schema.GroupKind,
	_ labels.Selector,
	metric string,
	selector labels.Selector,
) (*customapi.MetricValueList, error) {
	o := c.w.observation()
	m, ok := o.PodsMetrics[fmt.Sprintf("%s{%s}", metric, selector)]
	if !ok {
		m = o.PodsMetrics[metric]
	}
	if m.Error != "" {
		return nil, errors.New(m.Error)
	}
	l := &customapi.MetricValueList{}
	for _, v := range m.Values {
		l.Items = append(l.Items, customapi.MetricValue{
			DescribedObject: corev1.ObjectReference{Kind: "Pod", Name: v.Pod},
			Timestamp:       metav1.NewTime(time.Now()), WindowSeconds: v.WindowSeconds,
			Value: *resource.NewMilliQuantity(v.Milli, resource.DecimalSI)})
	}
	return l, nil
}

type externalAPI struct{ w *world }

func (a externalAPI) NamespacedMetrics(string) externalclient.MetricsInterface {
	return externalMetrics{a.w}
}

type externalMetrics struct{ w *world }

func (e externalMetrics) List(metric string, selector labels.Selector) (*externalapi.ExternalMetricValueList, error) {
	o := e.w.observation()
	m, ok := o.External[fmt.Sprintf("%s{%s}", metric, selector)]
	if !ok {
		m = o.External[metric]
	}
	if m.Error != "" {
		return nil, errors.New(m.Error)
	}
	l := &externalapi.ExternalMetricValueList{}
	for _, v := range m.Milli {
		l.Items = append(
			l.Items,
			externalapi.ExternalMetricValue{
				MetricName: metric,
				Timestamp:  metav1.NewTime(time.Now()),
				Value:      *resource.NewMilliQuantity(v, resource.DecimalSI),
			},
		)
	}
	return l, nil
}
