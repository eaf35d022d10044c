package kube

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestQuotas(t *testing.T) {
	amounts := func(pairs ...string) corev1.ResourceList {
		l := corev1.ResourceList{}
		for i := 0; i < len(pairs); i += 2 {
			l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
		}
		return l
	}
	quota := func(name string, hard, used corev1.ResourceList, scopes ...corev1.ResourceQuotaScope) *corev1.ResourceQuota {
		return &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: name},
			Spec: corev1.ResourceQuotaSpec{Hard: hard, Scopes: scopes}, Status: corev1.ResourceQuotaStatus{Used: used}}
	}
	always := corev1.ContainerRestartPolicyAlways
	pod := corev1.Pod{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{
			{Name: "pull", Resources: corev1.ResourceRequirements{Requests: amounts("cpu", "4")}},
			{Name: "proxy", RestartPolicy: &always, Resources: corev1.ResourceRequirements{Requests: amounts("cpu", "100m")}},
		},
		Containers: []corev1.Container{{Name: "app", Resources: corev1.ResourceRequirements{Requests: amounts("cpu", "400m", "nvidia.com/gpu", "1"), Limits: amounts("memory", "1Gi")}}},
	}}
	h := someHPA(5)
	c, s := fakeCluster(h,
		quota("b", amounts("requests.cpu", "3", "limits.memory", "4Gi", "requests.storage", "1Ti", "services", "5"), amounts("requests.cpu", "2")),
		quota("a", amounts("pods", "9", "requests.nvidia.com/gpu", "8"), amounts("pods", "3", "requests.nvidia.com/gpu", "4")),
		quota("batch", amounts("pods", "1"), nil, corev1.ResourceQuotaScopeTerminating)), subjectOf(h)
	s.Pods = []corev1.Pod{pod, pod}
	d, err := c.Describe(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, q := range d.Workload.Quotas {
		got = append(got, fmt.Sprintf("%s %s %g-%g+%g by %g: %d", q.Name, q.Resource, q.Hard, q.Used, q.Own, q.PerPod, q.Room()))
	}
	want := "a pods 9-3+2 by 1: 8; a requests.nvidia.com/gpu 8-4+2 by 1: 6; b limits.memory 4.294967296e+09-0+2.147483648e+09 by 1.073741824e+09: 4; b requests.cpu 3-2+1 by 0.5: 4"
	if text := strings.Join(got, "; "); text != want {
		t.Errorf("quotas:\n%s\nwant\n%s", text, want)
	}
}
