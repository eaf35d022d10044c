package kube

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"
)

// edited writes the HPA as somebody else would.
func edited(t *testing.T, c *Cluster, edit func(*autoscalingv2.HorizontalPodAutoscalerSpec)) {
	t.Helper()
	h := get(t, c)
	edit(&h.Spec)
	if _, err := c.Clients.AutoscalingV2().HorizontalPodAutoscalers("ml").Update(t.Context(), h, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func percent(name corev1.ResourceName, p int32) autoscalingv2.MetricSpec {
	return autoscalingv2.MetricSpec{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
		Name: name, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &p},
	}}
}

// The original is 1 to 5 replicas at 70 % CPU; the run applied 1 to 9 at 50 %.
func TestRestoreIsThreeWay(t *testing.T) {
	two := int32(2)
	for _, tt := range []struct {
		sentence string
		edit     func(*autoscalingv2.HorizontalPodAutoscalerSpec)
		min, max int32
		metrics  string
		put      bool
		says     []string
	}{
		{"nobody edited: all is back", func(*autoscalingv2.HorizontalPodAutoscalerSpec) {},
			1, 5, "cpu 70", true, []string{"restored the original spec"}},
		{"somebody set what the run had left alone: theirs stays, ours goes back", func(s *autoscalingv2.HorizontalPodAutoscalerSpec) { s.MinReplicas = &two },
			2, 5, "cpu 70", true, []string{"restored: spec.maxReplicas, spec.metrics", "changed by somebody else since and kept: spec.minReplicas 1→2"}},
		{"somebody set what the run had set: theirs stays, the rest goes back", func(s *autoscalingv2.HorizontalPodAutoscalerSpec) { s.MaxReplicas = 7 },
			1, 7, "cpu 70", false, []string{"spec.maxReplicas (was 5, the run set 9, now 7)", "kubectl annotate hpa -n ml x hpatune.dev/original-"}},
		{"somebody set it back already", func(s *autoscalingv2.HorizontalPodAutoscalerSpec) { s.MaxReplicas = 5 },
			1, 5, "cpu 70", true, []string{"restored the original spec"}},
		{"somebody added a metric: it stays beside ours, which goes back", func(s *autoscalingv2.HorizontalPodAutoscalerSpec) {
			s.Metrics = append(s.Metrics, percent("memory", 80))
		}, 1, 5, "cpu 70, memory 80", true, []string{"spec.metrics[memory] none→"}},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			before, applied := someHPA(5), someHPA(9).Spec
			before.Labels = map[string]string{"app": "x"}
			before.Spec.Metrics = []autoscalingv2.MetricSpec{percent("cpu", 70)}
			applied.Metrics = []autoscalingv2.MetricSpec{percent("cpu", 50)}
			c, s := fakeCluster(before), subjectOf(before)
			if _, err := c.ApplyHPA(t.Context(), s, applied, "laptop/run"); err != nil {
				t.Fatal(err)
			}
			edited(t, c, tt.edit)
			done, err := c.RestoreAll(t.Context(), "ml", false)
			if err != nil || len(done) != 1 || done[0].Put != tt.put || done[0].Left() == tt.put {
				t.Fatalf("RestoreAll = %+v, %v; want one object, put back: %v", done, err, tt.put)
			}
			for _, w := range tt.says {
				if !strings.Contains(done[0].Text, w) {
					t.Errorf("it says %q, not %q", done[0].Text, w)
				}
			}
			h := get(t, c)
			var metrics []string
			for _, m := range h.Spec.Metrics {
				metrics = append(metrics, strings.TrimSpace(string(m.Resource.Name)+" "+string(mustJSON(m.Resource.Target.AverageUtilization))))
			}
			if *h.Spec.MinReplicas != tt.min || h.Spec.MaxReplicas != tt.max || strings.Join(metrics, ", ") != tt.metrics {
				t.Errorf("%d to %d replicas, %s; want %d to %d, %s", *h.Spec.MinReplicas, h.Spec.MaxReplicas, metrics, tt.min, tt.max, tt.metrics)
			}
			if _, still := h.Annotations[Original]; still == tt.put {
				t.Errorf("the annotation is there: %v; it stays until all is back, which is %v", still, tt.put)
			}
			if tt.put {
				return
			}
			// The original as a file, which puts all back.
			var file autoscalingv2.HorizontalPodAutoscaler
			if err := yaml.UnmarshalStrict(done[0].Original, &file); err != nil || file.Kind != "HorizontalPodAutoscaler" || file.Spec.MaxReplicas != 5 || file.Labels["app"] != "x" || file.Annotations[Original] != "" {
				t.Fatalf("the original as a file (%v):\n%s", err, done[0].Original)
			}
			edited(t, c, func(spec *autoscalingv2.HorizontalPodAutoscalerSpec) { *spec = file.Spec })
			if done, err := c.RestoreAll(t.Context(), "ml", false); err != nil || !done[0].Put || get(t, c).Annotations[Original] != "" {
				t.Errorf("RestoreAll once the original is back = %+v, %v; want it to be done", done, err)
			}
		})
	}
}

func refuse(c *Cluster, verb, resource string) {
	c.Clients.(*fake.Clientset).PrependReactor(verb, resource, func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("etcd is away")
	})
}

// writes are the verbs that changed something since an earlier count of actions.
func writes(c *Cluster, since int) (out []string) {
	for _, a := range c.Clients.(*fake.Clientset).Actions()[since:] {
		if v := a.GetVerb(); v != "get" && v != "list" {
			out = append(out, v+" "+a.GetResource().Resource)
		}
	}
	return out
}

func TestRestoreNeverTouchesALiveRun(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		before   func(*testing.T, *Cluster, *Subject) // what is the case when restore is called
		fails    string                               // "" = it says why it left the HPA
	}{
		{"the run itself is on", func(t *testing.T, c *Cluster, s *Subject) {
			if _, err := c.Take(t.Context(), s, "laptop/dead"); err != nil {
				t.Fatal(err)
			}
		}, ""},
		{"another run is on, on the same target", func(t *testing.T, c *Cluster, s *Subject) {
			if _, err := c.Take(t.Context(), s, "ci/other"); err != nil {
				t.Fatal(err)
			}
		}, ""},
		{"the leases cannot be listed, so that nobody knows", func(_ *testing.T, c *Cluster, _ *Subject) { refuse(c, "list", "leases") },
			"leases of ml: etcd is away; active runs are unknown, so nothing was changed"},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			before := someHPA(5)
			c, s := fakeCluster(before), subjectOf(before)
			if _, err := c.ApplyHPA(t.Context(), s, someHPA(9).Spec, "laptop/dead"); err != nil {
				t.Fatal(err)
			}
			tt.before(t, c, s)
			since := len(c.Clients.(*fake.Clientset).Actions())
			done, err := c.RestoreAll(t.Context(), "ml", false)
			if w := writes(c, since); len(w) > 0 {
				t.Errorf("restore did %v", w)
			}
			if tt.fails != "" {
				if err == nil || err.Error() != tt.fails || len(done) > 0 {
					t.Errorf("RestoreAll = %+v, %v; want the error %q", done, err, tt.fails)
				}
				return
			}
			if err != nil || len(done) != 1 || !done[0].Left() || !strings.Contains(done[0].Text, "is still active (lease held)") {
				t.Errorf("RestoreAll = %+v, %v; want the HPA left, and why", done, err)
			}
			if done, err := c.RestoreAll(t.Context(), "ml", true); err != nil || !done[0].Put || get(t, c).Spec.MaxReplicas != 5 {
				t.Errorf("RestoreAll with force = %+v, %v; want it put back", done, err)
			}
		})
	}
}

// An HPA that was deleted took its annotation along; the Lease still has it.
func TestRestoreSaysThatAnHPAIsGone(t *testing.T) {
	before := someHPA(5)
	c, s := fakeCluster(before), subjectOf(before)
	if _, err := c.Take(t.Context(), s, "laptop/runs/x"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ApplyHPA(t.Context(), s, someHPA(9).Spec, "laptop/runs/x"); err != nil {
		t.Fatal(err)
	}
	hpas, leases := c.Clients.AutoscalingV2().HorizontalPodAutoscalers("ml"), c.Clients.CoordinationV1().Leases("ml")
	if err := hpas.Delete(t.Context(), "x", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	done, err := c.Restore(t.Context(), s, "laptop/runs/x") // at the run's own end
	if i := slices.IndexFunc(done, func(d Restored) bool { return d.Gone }); err != nil || i < 0 || !done[i].Left() || !strings.Contains(done[i].Text, "kubectl create -f runs/x/cluster/hpa-original.yaml") {
		t.Errorf("Restore = %+v, %v; want that it is gone, and the run's own copy", done, err)
	}
	l, err := leases.Get(t.Context(), leaseName(s), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	long := metav1.NewMicroTime(time.Now().Add(-2 * leaseFor)) // the run has died
	l.Spec.RenewTime = &long
	if _, err := leases.Update(t.Context(), l, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	done, err = c.RestoreAll(t.Context(), "ml", false)
	if err != nil || len(done) != 1 || !done[0].Gone || !done[0].Left() || !strings.Contains(string(done[0].Original), "maxReplicas: 5") {
		t.Fatalf("RestoreAll = %+v, %v; want that the HPA is gone, and its original", done, err)
	}
	var file autoscalingv2.HorizontalPodAutoscaler
	if err := yaml.UnmarshalStrict(done[0].Original, &file); err != nil {
		t.Fatal(err)
	}
	if _, err := hpas.Create(t.Context(), &file, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if done, err := c.RestoreAll(t.Context(), "ml", false); err != nil || len(done) > 0 {
		t.Errorf("RestoreAll once it is created again = %+v, %v; want nothing left to do", done, err)
	}
	if _, err := leases.Get(t.Context(), leaseName(s), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the dead run's lease is still there: %v", err)
	}
}
