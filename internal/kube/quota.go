package kube

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hpatune/hpatune/results"
)

// quotas are the bounds of the namespace's ResourceQuotas on the subject's pods, whose
// spec is given. One for only some pods (scopes) is left out: whether it counts these
// is not known. None where they may not be read.
func (c *Cluster) quotas(ctx context.Context, s *Subject, spec *corev1.PodSpec) (out []results.Quota) {
	list, err := c.Clients.CoreV1().ResourceQuotas(s.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil // not everybody may look at quotas: Missing has said so
	}
	for i := range list.Items {
		q := &list.Items[i]
		if len(q.Spec.Scopes) > 0 || q.Spec.ScopeSelector != nil {
			continue
		}
		for name, hard := range q.Spec.Hard {
			one := perPod(spec, string(name))
			if one <= 0 {
				continue // storage, Services and others, or what these pods take none of
			}
			used := q.Status.Used[name]
			out = append(out, results.Quota{Name: q.Name, Resource: string(name), Hard: hard.AsApproximateFloat64(),
				Used: used.AsApproximateFloat64(), Own: one * float64(len(s.Pods)), PerPod: one})
		}
	}
	slices.SortFunc(out, func(a, b results.Quota) int {
		return strings.Compare(a.Name+"/"+a.Resource, b.Name+"/"+b.Resource)
	})
	return out
}

// perPod is what a pod counts towards a quota's resource; 0 = nothing.
func perPod(spec *corev1.PodSpec, name string) (sum float64) {
	if name == "pods" || name == "count/pods" {
		return 1
	}
	bare, limits := strings.CutPrefix(name, "limits.")
	resource := corev1.ResourceName(strings.TrimPrefix(bare, "requests."))
	of := func(r *corev1.ResourceRequirements) corev1.ResourceList {
		if limits {
			return r.Limits
		}
		return r.Requests
	}
	if spec.Resources != nil {
		if q, has := of(spec.Resources)[resource]; has {
			return q.AsApproximateFloat64() // the pod's own, from 1.34
		}
	}
	for _, k := range Containers(spec) {
		q := of(&k.Resources)[resource]
		sum += q.AsApproximateFloat64()
	}
	return sum
}
