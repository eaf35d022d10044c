package observer

import (
	"context"
	"fmt"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"github.com/hpatune/hpatune/internal/exposition"
	"github.com/hpatune/hpatune/results"
)

// throttled are cAdvisor's counters of a container's CPU periods, and of those in which it
// was throttled at its limit.
var throttled = []string{"container_cpu_cfs_periods_total", "container_cpu_cfs_throttled_periods_total"}

// throttling reads the kubelet of each node that has one of the pods, through the API
// server's proxy.
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
		families, err := exposition.Read(body, func(name string) bool { return slices.Contains(throttled, name) })
		if err != nil {
			return fmt.Errorf("kubelet of %s: %w", node, err)
		}
		k.mu.Lock()
		now := k.now()
		for _, name := range throttled {
			for _, m := range perContainer(families[name].GetMetric(), k.subject.Namespace) {
				if pod := exposition.Label(m, "pod"); k.pods[pod] != nil {
					k.emit(
						results.Sample{
							At:        now,
							Source:    "kubelet",
							Name:      name,
							Pod:       pod,
							Container: exposition.Label(m, "container"),
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

// perContainer returns a namespace's rows by container; if cAdvisor has no such rows for a
// pod, those of the pod's own group.
func perContainer(rows []*dto.Metric, namespace string) (out []*dto.Metric) {
	has := map[string]bool{}
	for _, m := range rows {
		if exposition.Label(m, "namespace") == namespace && exposition.Label(m, "container") != "" {
			has[exposition.Label(m, "pod")] = true
		}
	}
	for _, m := range rows {
		if exposition.Label(m, "namespace") == namespace && exposition.Label(m, "pod") != "" &&
			(exposition.Label(m, "container") != "") == has[exposition.Label(m, "pod")] {
			out = append(out, m)
		}
	}
	return out
}
