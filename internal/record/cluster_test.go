package record

import (
	"context"
	"errors"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/results"
)

// clusterOf is a cluster bed on the HPA ml/x, of up to max replicas.
func clusterOf(t *testing.T, max int32) (b *Cluster, live func() *autoscalingv2.HorizontalPodAutoscaler) {
	t.Helper()
	one := int32(1)
	h := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "x"},
		Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Foo", Name: "x"}, MinReplicas: &one, MaxReplicas: max},
	}
	clients := fake.NewClientset(h)
	// The tracker stores dry runs, too: keep them out as an API server does.
	clients.PrependReactor("update", "horizontalpodautoscalers", func(a clienttesting.Action) (bool, runtime.Object, error) {
		u := a.(clienttesting.UpdateActionImpl)
		return len(u.UpdateOptions.DryRun) > 0, u.GetObject().DeepCopyObject(), nil
	})
	c := &kube.Cluster{Namespace: "ml", Clients: clients}
	s := &kube.Subject{Namespace: "ml", HPA: h.DeepCopy(), Object: &unstructured.Unstructured{}, Target: kube.Ref{Kind: "Foo", Name: "x"}}
	d, err := c.Describe(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	d.HPA.SyncPeriodS = 5 // as --controller says
	return &Cluster{Cluster: c, Subject: s, Description: d, Kind: "hpa", URL: "http://127.0.0.1:1"}, func() *autoscalingv2.HorizontalPodAutoscaler {
		t.Helper()
		h, err := clients.AutoscalingV2().HorizontalPodAutoscalers("ml").Get(t.Context(), "x", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
}

func noLease(t *testing.T, b *Cluster) {
	t.Helper()
	if _, err := b.Cluster.Clients.CoordinationV1().Leases("ml").Get(t.Context(), "hpatune-foo-x", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the lease is still there: %v", err)
	}
}

func TestAClusterIsChangedAndPutBack(t *testing.T) {
	b, live := clusterOf(t, 5)
	spec := live().Spec.DeepCopy()
	spec.MaxReplicas = 9
	b.Apply = spec
	var said []string
	p := &Plan{Dir: "runs/x", Say: func(text string) { said = append(said, text) }}
	timing, err := b.Prepare(t.Context(), p)
	if err != nil || timing.Speed != 1 || timing.Lead != clusterLead {
		t.Fatalf("Prepare = %+v, %v", timing, err)
	}
	if h := live(); h.Spec.MaxReplicas != 9 || !strings.Contains(h.Annotations[kube.Original], `"maxReplicas":5`) {
		t.Errorf("in mid-run the maximum is %d, its annotation %q", h.Spec.MaxReplicas, h.Annotations[kube.Original])
	}
	if b.Cluster.Held(t.Context(), b.Subject) == "" {
		t.Error("in mid-run nobody holds the lease")
	}
	m := &results.Meta{Context: map[string]string{ShardKey: "0/2"}}
	scene, err := b.Open(&Session{Plan: p, Meta: m})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(scene.Files["hpa.yaml"]), "maxReplicas: 9") || !strings.Contains(string(scene.Files[kube.OriginalFile]), "maxReplicas: 5") {
		t.Errorf("the run keeps\n%s\nand of what was there before\n%s", scene.Files["hpa.yaml"], scene.Files[kube.OriginalFile])
	}
	if m.HPA.SyncPeriodS != 5 || m.Context[ShardKey] != "0/2" || m.Target.Kind != "hpa" || m.Target.URL != b.URL {
		t.Errorf("meta: %+v; want the controller's flags and the shard kept", m)
	}
	if err := b.PutBack(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if h := live(); h.Spec.MaxReplicas != 5 || len(h.Annotations) > 0 || strings.Join(said, "") != "HorizontalPodAutoscaler/x: restored the original spec" {
		t.Errorf("afterwards the maximum is %d, the annotations %v, said %q", h.Spec.MaxReplicas, h.Annotations, said)
	}
	noLease(t, b)
	if err := b.PutBack(t.Context(), p); err != nil {
		t.Errorf("PutBack once more = %v", err)
	}
}

// A bed that changes nothing writes nothing, unless it is told to hold the Lease.
func TestAPlainRunWritesNothing(t *testing.T) {
	for _, lease := range []bool{false, true} {
		b, _ := clusterOf(t, 5)
		b.Lease = lease
		clients := b.Cluster.Clients.(*fake.Clientset)
		since := len(clients.Actions())
		p := &Plan{Dir: "runs/x"}
		if _, err := b.Prepare(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		var wrote []string
		for _, a := range clients.Actions()[since:] {
			if v := a.GetVerb(); v != "get" && v != "list" {
				wrote = append(wrote, v+" "+a.GetResource().Resource)
			}
		}
		if want := map[bool]string{true: "create leases"}[lease]; strings.Join(wrote, ", ") != want {
			t.Errorf("Lease %v: Prepare did %q, want %q", lease, wrote, want)
		}
		if err := b.PutBack(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		noLease(t, b)
	}
}

// Several runs share one Hold: none of them puts it back, the end does, whatever
// the work came to.
func TestHoldingPutsBackOnceAtTheEnd(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		sentence string
		work     error
		edit     bool // somebody else writes what the run wrote
		want     error
	}{
		{"work that was done", nil, false, nil},
		{"work that failed", broken, false, broken},
		{"a way back that somebody is in", nil, true, ErrLeft},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			b, live := clusterOf(t, 5)
			spec := live().Spec.DeepCopy()
			spec.MaxReplicas = 9
			b.Apply = spec
			err := Holding(t.Context(), b, "runs/x", nil, func() error {
				p := &Plan{Dir: "runs/x-r1"}
				if _, err := b.Prepare(t.Context(), p); err != nil {
					t.Fatal(err)
				}
				if err := b.PutBack(context.Background(), p); err != nil || live().Spec.MaxReplicas != 9 {
					t.Errorf("between two runs: %v, maximum %d; want what was applied", err, live().Spec.MaxReplicas)
				}
				if tt.edit {
					h := live()
					h.Spec.MaxReplicas = 7
					if _, err := b.Cluster.Clients.AutoscalingV2().HorizontalPodAutoscalers("ml").Update(t.Context(), h, metav1.UpdateOptions{}); err != nil {
						t.Fatal(err)
					}
				}
				return tt.work
			})
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("Holding = %v, want %v", err, tt.want)
			}
			if want := map[bool]int32{false: 5, true: 7}[tt.edit]; live().Spec.MaxReplicas != want {
				t.Errorf("afterwards the maximum is %d, want %d", live().Spec.MaxReplicas, want)
			}
			noLease(t, b)
		})
	}
}
