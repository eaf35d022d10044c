// Promadapter serves the custom metrics API from Prometheus, as prometheus-adapter
// does: a rule names a metric of pods and the query that gives it, one series a
// pod, told by the labels namespace and pod.
//
//	promadapter --prometheus http://10.96.0.9:9090 --rule 'in_flight=vllm:num_requests_running+vllm:num_requests_waiting' …
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	basecmd "sigs.k8s.io/custom-metrics-apiserver/pkg/cmd"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "promadapter:", err)
		os.Exit(1)
	}
}

func run() error {
	cmd := &basecmd.AdapterBase{Name: "promadapter"}
	p := &prometheus{client: http.Client{Timeout: 5 * time.Second}}
	cmd.Flags().StringVar(&p.url, "prometheus", "", "URL of Prometheus")
	cmd.Flags().StringArrayVar(&p.rules, "rule", nil, "NAME=QUERY of a metric of pods (repeat)")
	if err := cmd.Flags().Parse(os.Args[1:]); err != nil {
		return err
	}
	if p.url == "" || len(p.rules) == 0 {
		return errors.New("--prometheus and at least one --rule are needed")
	}
	var err error
	if p.pods, err = cmd.DynamicClient(); err != nil {
		return err
	}
	cmd.WithCustomMetrics(p)
	return cmd.Run(context.Background())
}

// prometheus is a provider of the metrics that rules name.
type prometheus struct {
	url    string
	rules  []string
	client http.Client
	pods   dynamic.Interface
}

var podKind = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

func (p *prometheus) query(info provider.CustomMetricInfo) (string, error) {
	for _, rule := range p.rules {
		if name, query, ok := strings.Cut(rule, "="); ok && name == info.Metric && info.GroupResource.Resource == "pods" {
			return query, nil
		}
	}
	return "", provider.NewMetricNotFoundError(info.GroupResource, info.Metric)
}

func (p *prometheus) ListAllMetrics() []provider.CustomMetricInfo {
	var out []provider.CustomMetricInfo
	for _, rule := range p.rules {
		name, _, _ := strings.Cut(rule, "=")
		out = append(out, provider.CustomMetricInfo{
			GroupResource: schema.GroupResource{Resource: "pods"}, Namespaced: true, Metric: name,
		})
	}
	return out
}

func (p *prometheus) GetMetricByName(ctx context.Context, name types.NamespacedName, info provider.CustomMetricInfo,
	_ labels.Selector) (*custom_metrics.MetricValue, error) {
	values, err := p.values(ctx, name.Namespace, info)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(values, func(v custom_metrics.MetricValue) bool { return v.DescribedObject.Name == name.Name })
	if i < 0 {
		return nil, provider.NewMetricNotFoundForError(info.GroupResource, info.Metric, name.Name)
	}
	return &values[i], nil
}

func (p *prometheus) GetMetricBySelector(ctx context.Context, namespace string, selector labels.Selector,
	info provider.CustomMetricInfo, _ labels.Selector) (*custom_metrics.MetricValueList, error) {
	values, err := p.values(ctx, namespace, info)
	if err != nil {
		return nil, err
	}
	pods, err := p.pods.Resource(podKind).
		Namespace(namespace).
		List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return nil, err
	}
	out := new(custom_metrics.MetricValueList)
	for _, pod := range pods.Items {
		for _, v := range values {
			if v.DescribedObject.Name == pod.GetName() {
				out.Items = append(out.Items, v)
			}
		}
	}
	return out, nil
}

// values asks Prometheus for a metric of all pods of a namespace. A value that
// is no number is left out, as if the pod had none.
func (p *prometheus) values(
	ctx context.Context,
	namespace string,
	info provider.CustomMetricInfo,
) ([]custom_metrics.MetricValue, error) {
	query, err := p.query(info)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/query?query="+url.QueryEscape(query), nil)
	if err != nil {
		return nil, err
	}
	res, err := p.client.Do(req)
	if err != nil {
		return nil, apierrors.NewServiceUnavailable(err.Error())
	}
	defer res.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("%s: %v", query, err))
	}
	if answer.Status != "success" {
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("%s: %s", query, answer.Error))
	}
	var out []custom_metrics.MetricValue
	for _, series := range answer.Data.Result {
		at, _ := series.Value[0].(float64)
		text, _ := series.Value[1].(string)
		v, err := strconv.ParseFloat(text, 64)
		if series.Metric["namespace"] != namespace || err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		out = append(out, custom_metrics.MetricValue{
			DescribedObject: custom_metrics.ObjectReference{
				APIVersion: "v1",
				Kind:       "Pod",
				Namespace:  namespace,
				Name:       series.Metric["pod"],
			},
			Metric:    custom_metrics.MetricIdentifier{Name: info.Metric},
			Timestamp: metav1.NewTime(time.UnixMilli(int64(at * 1000))),
			Value:     *resource.NewMilliQuantity(int64(math.Round(v*1000)), resource.DecimalSI),
		})
	}
	return out, nil
}
