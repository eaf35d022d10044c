package observer

import (
	"bytes"
	"context"
	"fmt"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	dto "github.com/prometheus/client_model/go"

	"github.com/hpatune/hpatune/results"
)

// throttled are cAdvisor's counters of how many of a container's CPU periods
// there were, and in how many it was stopped at its limit.
var throttled = []string{"container_cpu_cfs_periods_total", "container_cpu_cfs_throttled_periods_total"}

// throttling asks the kubelet of each node that has one of the pods, through
// the API server's proxy.
func (k *Kube) throttling(ctx context.Context) error {
	k.mu.Lock()
	nodes := map[string]bool{}
	for _, p := range k.pods {
		if p.node != "" {
			nodes[p.node] = true
		}
	}
	k.mu.Unlock()
	for node := range nodes {
		body, err := k.cluster.Raw(ctx, "/api/v1/nodes/"+node+"/proxy/metrics/cadvisor", nil)
		if err != nil {
			return err
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("kubelet of %s: %w", node, err)
		}
		k.mu.Lock()
		now := k.now()
		for _, name := range throttled {
			for _, m := range perContainer(families[name].GetMetric(), k.subject.Namespace) {
				if pod := label(m, "pod"); k.pods[pod] != nil {
					k.emit(
						results.Sample{
							At:        now,
							Source:    "kubelet",
							Name:      name,
							Pod:       pod,
							Container: label(m, "container"),
							Value:     m.GetCounter().GetValue(),
							SampledAt: results.NotYet,
						},
					)
				}
			}
		}
		k.mu.Unlock()
	}
	return nil
}

// perContainer returns a namespace's rows by container; where cAdvisor has no
// such rows for a pod, those of the pod's own group.
func perContainer(rows []*dto.Metric, namespace string) (out []*dto.Metric) {
	has := map[string]bool{}
	for _, m := range rows {
		if label(m, "namespace") == namespace && label(m, "container") != "" {
			has[label(m, "pod")] = true
		}
	}
	for _, m := range rows {
		if label(m, "namespace") == namespace && label(m, "pod") != "" &&
			(label(m, "container") != "") == has[label(m, "pod")] {
			out = append(out, m)
		}
	}
	return out
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
