package kube

import (
	"errors"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/hpatune/hpatune/tuner/manifest"
)

func someHPA(max int32) *autoscalingv2.HorizontalPodAutoscaler {
	one := int32(1)
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "x"},
		Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Foo", Name: "x"}, MinReplicas: &one, MaxReplicas: max},
	}
}

func fakeCluster(objects ...runtime.Object) *Cluster {
	clients := fake.NewClientset(objects...)
	// The tracker stores dry runs, too: keep them out as an API server does.
	clients.PrependReactor("update", "horizontalpodautoscalers", func(a clienttesting.Action) (bool, runtime.Object, error) {
		u := a.(clienttesting.UpdateActionImpl)
		if len(u.UpdateOptions.DryRun) > 0 {
			return true, u.GetObject().DeepCopyObject(), nil
		}
		return false, nil, nil
	})
	return &Cluster{Namespace: "ml", Clients: clients, Dynamic: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		known["Deployment"]: "DeploymentList", known["StatefulSet"]: "StatefulSetList", known["ReplicaSet"]: "ReplicaSetList",
	})}
}

func subjectOf(h *autoscalingv2.HorizontalPodAutoscaler) *Subject {
	return &Subject{Namespace: h.Namespace, HPA: h, Object: &unstructured.Unstructured{}, Target: Ref{Kind: "Foo", Name: "x"}}
}

func get(t *testing.T, c *Cluster) *autoscalingv2.HorizontalPodAutoscaler {
	t.Helper()
	h, err := c.Clients.AutoscalingV2().HorizontalPodAutoscalers("ml").Get(t.Context(), "x", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestWhatIsAppliedIsPutBack(t *testing.T) {
	before := someHPA(5)
	c, s := fakeCluster(before), subjectOf(before)
	stored, err := c.ApplyHPA(t.Context(), s, someHPA(9).Spec, "laptop/run1")
	if err != nil || stored.MaxReplicas != 9 {
		t.Fatalf("ApplyHPA = %+v, %v; want the new maximum of 9", stored, err)
	}
	if h := get(t, c); h.Spec.MaxReplicas != 9 || !strings.Contains(h.Annotations[Original], `"maxReplicas":5`) {
		t.Errorf("HPA with maximum %d and annotation %q; want 9, and what was there before", h.Spec.MaxReplicas, h.Annotations[Original])
	}
	if _, err := c.ApplyHPA(t.Context(), s, someHPA(7).Spec, "laptop/run2"); !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), "hpatune restore -n ml") {
		t.Errorf("a second ApplyHPA = %v; want a refusal that names restore, or the original would be lost", err)
	}
	s.HPA = get(t, c)
	if err := s.Left(); !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), "hpatune restore -n ml") {
		t.Errorf("Left = %v; want that a run has changed it, and how to put it back", err)
	}
	if done, err := c.Restore(t.Context(), s, "laptop/run2"); err != nil || done[0].Put || get(t, c).Spec.MaxReplicas != 9 {
		t.Errorf("Restore by the run that was refused = %+v, %v; want what another changed left alone", done, err)
	}
	done, err := c.RestoreAll(t.Context(), "ml", false) // from any machine: by the annotation alone
	if err != nil || len(done) != 1 || !done[0].Put || done[0].Run != "laptop/run1" {
		t.Fatalf("RestoreAll = %+v, %v; want the one HPA put back", done, err)
	}
	if h := get(t, c); h.Spec.MaxReplicas != 5 || len(h.Annotations) != 0 {
		t.Errorf("HPA with maximum %d and annotations %v after restore; want 5 and none", h.Spec.MaxReplicas, h.Annotations)
	}
}

func TestAnOwnedHPAIsNeverPatched(t *testing.T) {
	for _, kind := range []string{"KEDA", "KServe", "Argo CD", "Flux"} {
		h := someHPA(5)
		c, s := fakeCluster(h), subjectOf(h)
		s.HPAOwner = manifest.Owner{Kind: kind, Name: "o", How: "label"}
		if _, err := c.ApplyHPA(t.Context(), s, someHPA(9).Spec, "run"); err == nil || !strings.Contains(err.Error(), s.HPAOwner.Where()) {
			t.Errorf("ApplyHPA on an HPA of %s = %v; want a refusal that says what to change", kind, err)
		}
		for _, a := range c.Clients.(*fake.Clientset).Actions() {
			if v := a.GetVerb(); v != "get" && v != "list" {
				t.Errorf("%s: %s was sent", kind, v)
			}
		}
	}
}

func TestALeaseIsForOneRun(t *testing.T) {
	h := someHPA(5)
	c, s := fakeCluster(h), subjectOf(h)
	first, err := c.Take(t.Context(), s, "laptop/run1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Take(t.Context(), s, "ci/run2"); err == nil || !strings.Contains(err.Error(), "laptop/run1") {
		t.Errorf("a second Take = %v; want a refusal that names the run", err)
	}
	if got := c.Held(t.Context(), s); got != "laptop/run1" {
		t.Errorf("Held = %q", got)
	}
	if _, err := c.ApplyHPA(t.Context(), s, someHPA(9).Spec, "laptop/run1"); err != nil {
		t.Fatal(err)
	}
	if done, err := c.RestoreAll(t.Context(), "ml", false); err != nil || len(done) != 1 || done[0].Put {
		t.Errorf("RestoreAll of a live run = %+v, %v; want it left alone", done, err)
	}
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Clients.CoordinationV1().Leases("ml").Get(t.Context(), leaseName(s), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the lease after Release: %v; want none", err)
	}
	second, err := c.Take(t.Context(), s, "ci/run2")
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestALeaseThatAnotherRunHasByNowIsNotReleased(t *testing.T) {
	h := someHPA(5)
	c, s := fakeCluster(h), subjectOf(h)
	slow, err := c.Take(t.Context(), s, "laptop/slow")
	if err != nil {
		t.Fatal(err)
	}
	leases := c.Clients.CoordinationV1().Leases("ml")
	l, err := leases.Get(t.Context(), leaseName(s), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	long := metav1.NewMicroTime(time.Now().Add(-2 * leaseFor)) // as if the API server had been away so long
	l.Spec.RenewTime = &long
	if _, err := leases.Update(t.Context(), l, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	next, err := c.Take(t.Context(), s, "ci/next")
	if err != nil {
		t.Fatalf("a dead lease is not taken over: %v", err)
	}
	if err := slow.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := c.Held(t.Context(), s); got != "ci/next" {
		t.Errorf("the slow run's Release took the lease away from the next: held by %q", got)
	}
	if err := next.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestBareLosesWhatManagersWrote(t *testing.T) {
	object := map[string]any{
		"metadata": map[string]any{"name": "x", "annotations": map[string]any{"kubectl.kubernetes.io/last-applied-configuration": "hush", "team": "ml"},
			"managedFields": []any{map[string]any{"manager": "kubectl"}}},
		"spec": map[string]any{"maxReplicas": int64(3)},
	}
	got := string(mustJSON(bare(object)))
	if want := `{"metadata":{"annotations":{"team":"ml"},"name":"x"},"spec":{"maxReplicas":3}}`; got != want {
		t.Errorf("bare = %s, want %s", got, want)
	}
	if !strings.Contains(string(mustJSON(object)), "hush") {
		t.Error("bare changed its argument")
	}
}

func TestWays(t *testing.T) {
	svc := corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "x"}, Spec: corev1.ServiceSpec{ClusterIP: "10.96.1.1", Ports: []corev1.ServicePort{{Name: "http", Port: 8080}}}}
	c := fakeCluster()
	s := &Subject{Namespace: "ml", Target: Ref{Kind: "Deployment", Name: "x"}, Services: []corev1.Service{svc}}
	scheme := runtime.NewScheme()
	c.Dynamic = dynamicfake.NewSimpleDynamicClientWithCustomListKinds(scheme, map[schema.GroupVersionResource]string{{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}: "HTTPRouteList"})
	outside, inside, err := c.Ways(t.Context(), s)
	if err != nil || len(outside) != 0 || len(inside) != 1 || inside[0].URL != "http://10.96.1.1:8080" {
		t.Errorf("Ways = %v, %v, %v; want only the cluster IP, from inside", outside, inside, err)
	}
	svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{Hostname: "lb.example.com"}}
	s.Services = []corev1.Service{svc}
	if outside, _, err = c.Ways(t.Context(), s); err != nil || len(outside) != 1 || outside[0].URL != "http://lb.example.com:8080" {
		t.Errorf("Ways = %v, %v; want the load balancer", outside, err)
	}
	s.Services = nil
	if _, _, err := c.Ways(t.Context(), s); err == nil {
		t.Error("Ways without a Service: no error")
	}
}
