package kube

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"

	"github.com/hpatune/hpatune/tuner/manifest"
)

const scaledText = `apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: so, namespace: ml, labels: {scaledobject.keda.sh/name: so}}
spec:
  scaleTargetRef: {name: x}
  minReplicaCount: 1
  maxReplicaCount: 5
  cooldownPeriod: 60
  tomorrow: {kept: true}
  triggers:
  - type: prometheus
    metadata: {serverAddress: "http://p:9090", query: sum(waiting), threshold: "5", customHeaders: X-Key=s3cret}
`

func scaledObject(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	data, err := yaml.YAMLToJSON([]byte(text))
	if err == nil {
		err = u.UnmarshalJSON(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// kedaCluster is a cluster with a ScaledObject, and the HPA that KEDA made of it; it
// makes the HPA again of every ScaledObject that is stored, unless broken.
func kedaCluster(t *testing.T, text string, broken bool) (*Cluster, *Subject) {
	t.Helper()
	u := scaledObject(t, text)
	h := someHPA(5)
	h.Name, h.Spec = "keda-hpa-so", *madeOf(u)
	c := fakeCluster(h)
	c.Clients.(*fake.Clientset).Resources = []*metav1.APIResourceList{{GroupVersion: "keda.sh/v1alpha1"}}
	dyn := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		known["Deployment"]: "DeploymentList", known["StatefulSet"]: "StatefulSetList", known["ReplicaSet"]: "ReplicaSetList",
		scaledObjects: "ScaledObjectList",
	}, u.DeepCopy())
	dyn.PrependReactor("update", "scaledobjects", func(a clienttesting.Action) (bool, runtime.Object, error) {
		update := a.(clienttesting.UpdateActionImpl)
		if len(update.UpdateOptions.DryRun) > 0 {
			return true, update.GetObject().DeepCopyObject(), nil
		}
		if broken {
			return false, nil, nil
		}
		h := h.DeepCopy()
		so := update.GetObject().(*unstructured.Unstructured)
		h.Spec, h.Annotations = *madeOf(so), so.GetAnnotations() // as the operator does
		h.OwnerReferences = []metav1.OwnerReference{{APIVersion: "keda.sh/v1alpha1", Kind: "ScaledObject", Name: "so"}}
		return false, nil, c.Clients.(*fake.Clientset).Tracker().Update(schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}, h, "ml")
	})
	c.Dynamic = dyn
	s := subjectOf(h)
	s.Scaled, s.HPAOwner = u, manifest.Owner{Kind: manifest.OwnerKEDA, Name: "so"}
	return c, s
}

func liveScaled(t *testing.T, c *Cluster) *unstructured.Unstructured {
	t.Helper()
	u, err := c.Dynamic.Resource(scaledObjects).Namespace("ml").Get(t.Context(), "so", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// changed is the ScaledObject's spec with another maximum and threshold.
func changedSpec(t *testing.T) map[string]any {
	t.Helper()
	return specOf(scaledObject(t, strings.NewReplacer("maxReplicaCount: 5", "maxReplicaCount: 9", `threshold: "5"`, `threshold: "3"`).Replace(scaledText)))
}

func at(t *testing.T, u *unstructured.Unstructured, fields ...string) any {
	t.Helper()
	v, _, err := unstructured.NestedFieldCopy(u.Object, fields...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAScaledObjectIsAppliedAndPutBack(t *testing.T) {
	c, s := kedaCluster(t, scaledText, false)
	if _, err := c.Take(t.Context(), s, "laptop/run1"); err != nil {
		t.Fatal(err)
	}
	spec, err := c.ApplyScaled(t.Context(), s, changedSpec(t), "laptop/run1")
	if err != nil || spec.MaxReplicas != 9 || spec.Metrics[0].External.Target.AverageValue.Value() != 3 {
		t.Fatalf("ApplyScaled = %+v, %v; want the HPA that KEDA makes of it: up to 9, threshold 3", spec, err)
	}
	live := liveScaled(t, c)
	if note := live.GetAnnotations()[Original]; !strings.Contains(note, `"maxReplicaCount":5`) || strings.Contains(note, "s3cret") {
		t.Errorf("the annotation is %q; want what was there before, without secrets", note)
	}
	for _, a := range c.Clients.(*fake.Clientset).Actions() {
		if a.GetResource().Resource == "horizontalpodautoscalers" && a.GetVerb() != "get" && a.GetVerb() != "list" {
			t.Errorf("the HPA was sent %s", a.GetVerb())
		}
	}
	l, err := c.Clients.CoordinationV1().Leases("ml").Get(t.Context(), leaseName(s), metav1.GetOptions{})
	if err != nil || l.Annotations[changedScaled] != "so" || strings.Contains(l.Annotations[Original], "s3cret") || !strings.Contains(l.Annotations[Original], `"maxReplicaCount":5`) {
		t.Errorf("the Lease has %v, %v; want the journal, without what triggers are told of keys", l.Annotations, err)
	}
	if _, err := c.ApplyScaled(t.Context(), s, changedSpec(t), "laptop/run2"); !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), "hpatune restore -n ml") {
		t.Errorf("a second ApplyScaled = %v; want a refusal that names restore", err)
	}
	if err := s.Left(); !errors.Is(err, ErrChanged) || !strings.HasPrefix(err.Error(), "ScaledObject ml/so") {
		t.Errorf("Left = %v; want that a run has changed it", err)
	}
	d, err := c.Describe(t.Context(), s)
	if text := string(d.Files["scaledobject.yaml"]); err != nil || strings.Contains(text, Original) || !strings.Contains(text, "maxReplicaCount: 9") {
		t.Errorf("the run keeps, %v:\n%s", err, text)
	}
	if done, err := c.RestoreAll(t.Context(), "ml", false); err != nil || len(done) != 1 || done[0].Put {
		t.Errorf("RestoreAll of a live run = %+v, %v; want it left alone", done, err)
	}
	done, err := c.RestoreAll(t.Context(), "ml", true) // by the annotation alone
	if err != nil || len(done) != 1 || !done[0].Put || done[0].Object != "ScaledObject/so" || done[0].Run != "laptop/run1" {
		t.Fatalf("RestoreAll = %+v, %v; want the one ScaledObject put back", done, err)
	}
	live = liveScaled(t, c)
	if at(t, live, "spec", "maxReplicaCount") != int64(5) || at(t, live, "spec", "tomorrow", "kept") != true || len(live.GetAnnotations()) > 0 {
		t.Errorf("the ScaledObject is %+v after restore; want it as it was", live.Object)
	}
	if text := string(mustJSON(live.Object)); !strings.Contains(text, "X-Key=s3cret") {
		t.Errorf("the trigger lost its secret: %s", text)
	}
	h, err := c.Clients.AutoscalingV2().HorizontalPodAutoscalers("ml").Get(t.Context(), "keda-hpa-so", metav1.GetOptions{})
	if err != nil || h.Spec.MaxReplicas != 5 {
		t.Errorf("the HPA goes up to %d, %v; want 5, as KEDA makes it", h.Spec.MaxReplicas, err)
	}
}

func TestRestoreOfAScaledObjectIsThreeWay(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		fields   []string // what somebody else sets, at the trigger's metadata or in the spec
		value    any
		put      bool
		says     string
		max      any
	}{
		{"what the run had left alone stays theirs", []string{"cooldownPeriod"}, int64(90), true, "changed by somebody else since and kept: spec.cooldownPeriod 60→90", int64(5)},
		{"what the run had set stays theirs, and the rest goes back", []string{"maxReplicaCount"}, int64(7), false, "kubectl annotate scaledobject -n ml so hpatune.dev/original-", int64(7)},
		{"another field of a trigger stays theirs", []string{"metadata", "query"}, "max(waiting)", true, "spec.triggers[0].metadata.query", int64(5)},
		{"a threshold that both set stays theirs", []string{"metadata", "threshold"}, "4", false, `spec.triggers[0].metadata.threshold (was "5", the run set "3", now "4")`, int64(5)},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			c, s := kedaCluster(t, scaledText, false)
			if _, err := c.ApplyScaled(t.Context(), s, changedSpec(t), "laptop/run1"); err != nil {
				t.Fatal(err)
			}
			live := liveScaled(t, c)
			spec := specOf(live)
			if tt.fields[0] == "metadata" {
				spec = spec["triggers"].([]any)[0].(map[string]any)
			}
			if err := unstructured.SetNestedField(spec, tt.value, tt.fields...); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Dynamic.Resource(scaledObjects).Namespace("ml").Update(t.Context(), live, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			done, err := c.Restore(t.Context(), s, "laptop/run1")
			if err != nil || len(done) != 1 || done[0].Put != tt.put || !strings.Contains(done[0].Text, tt.says) {
				t.Fatalf("Restore = %+v, %v; want put back %v, and %q said", done, err, tt.put, tt.says)
			}
			live = liveScaled(t, c)
			if got := at(t, live, "spec", "maxReplicaCount"); got != tt.max {
				t.Errorf("the maximum is %v, want %v", got, tt.max)
			}
			if _, still := live.GetAnnotations()[Original]; still == tt.put {
				t.Errorf("the annotation is there: %v; it stays until all is back, which is %v", still, tt.put)
			}
			if !tt.put && (!strings.Contains(string(done[0].Original), "maxReplicaCount: 5") || strings.Contains(string(done[0].Original), "s3cret")) {
				t.Errorf("the original as a file, without secrets:\n%s", done[0].Original)
			}
		})
	}
}

// A secret that the change replaces could not be put back, so it is not replaced.
func TestApplyScaledReplacesNoSecret(t *testing.T) {
	c, s := kedaCluster(t, scaledText, false)
	spec := specOf(scaledObject(t, strings.Replace(scaledText, "s3cret", "another", 1)))
	if _, err := c.ApplyScaled(t.Context(), s, spec, "run"); err == nil || !strings.Contains(err.Error(), "change it by hand") {
		t.Errorf("ApplyScaled = %v; want a refusal", err)
	}
	if text := string(mustJSON(liveScaled(t, c).Object)); !strings.Contains(text, "s3cret") || strings.Contains(text, Original) {
		t.Errorf("the ScaledObject was written: %s", text)
	}
}

// A ScaledObject that was deleted took its annotation along; the Lease still has it.
func TestRestoreSaysThatAScaledObjectIsGone(t *testing.T) {
	c, s := kedaCluster(t, scaledText, false)
	if _, err := c.Take(t.Context(), s, "laptop/runs/x"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ApplyScaled(t.Context(), s, changedSpec(t), "laptop/runs/x"); err != nil {
		t.Fatal(err)
	}
	if err := c.Dynamic.Resource(scaledObjects).Namespace("ml").Delete(t.Context(), "so", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	done, err := c.Restore(t.Context(), s, "laptop/runs/x")
	if i := slices.IndexFunc(done, func(d Restored) bool { return d.Gone }); err != nil || i < 0 || !strings.Contains(done[i].Text, "kubectl create -f runs/x/cluster/scaledobject-original.yaml") {
		t.Errorf("Restore = %+v, %v; want that it is gone, and the run's own copy", done, err)
	}
	l, err := c.Clients.CoordinationV1().Leases("ml").Get(t.Context(), leaseName(s), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	long := metav1.NewMicroTime(time.Now().Add(-2 * leaseFor)) // the run has died
	l.Spec.RenewTime = &long
	if _, err := c.Clients.CoordinationV1().Leases("ml").Update(t.Context(), l, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	done, err = c.RestoreAll(t.Context(), "ml", false)
	if err != nil || len(done) != 1 || !done[0].Gone || done[0].Object != "ScaledObject/so" || !strings.Contains(string(done[0].Original), "maxReplicaCount: 5") {
		t.Errorf("RestoreAll = %+v, %v; want that it is gone, and its original", done, err)
	}
}

func TestAnOwnedScaledObjectIsNeverPatched(t *testing.T) {
	for _, tt := range []struct{ sentence, meta, says string }{
		{"Argo CD", "annotations: {argocd.argoproj.io/tracking-id: 'shop:keda.sh/ScaledObject:ml/so'}", "ScaledObject ml/so is owned by Argo CD shop"},
		{"Flux", "labels: {kustomize.toolkit.fluxcd.io/name: models}", "Flux Kustomization models"},
		{"KServe", "ownerReferences: [{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, name: bert, uid: u}]", "change the InferenceService bert"},
		{"another controller", "ownerReferences: [{apiVersion: apps.kubeai.org/v1, kind: Model, name: m, uid: u, controller: true}]", "change Model/m"},
	} {
		c, s := kedaCluster(t, strings.Replace(scaledText, "labels: {scaledobject.keda.sh/name: so}", tt.meta, 1), false)
		_, err := c.ApplyScaled(t.Context(), s, changedSpec(t), "run")
		if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "never patched") {
			t.Errorf("%s: ApplyScaled = %v; want a refusal that says %q", tt.sentence, err, tt.says)
		}
		for _, a := range c.Dynamic.(*dynamicfake.FakeDynamicClient).Actions() {
			if v := a.GetVerb(); v != "get" && v != "list" {
				t.Errorf("%s: %s was sent", tt.sentence, v)
			}
		}
	}
	c, s := kedaCluster(t, scaledText, false)
	s.Scaled, s.ScaledWhy = nil, errors.New("needs verb get")
	if _, err := c.ApplyScaled(t.Context(), s, changedSpec(t), "run"); err == nil || !strings.Contains(err.Error(), "ml/so cannot be read: needs verb get") {
		t.Errorf("one that cannot be read: ApplyScaled = %v", err)
	}
}

// Where KEDA does not write the HPA again, the run has nothing to measure.
func TestApplyScaledWaitsForKEDA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := kedaCluster(t, scaledText, true)
		if _, err := c.ApplyScaled(t.Context(), s, changedSpec(t), "run"); err == nil || !strings.Contains(err.Error(), "is its operator running?") {
			t.Errorf("ApplyScaled = %v; want that KEDA did nothing", err)
		}
		if done, err := c.Restore(t.Context(), s, "run"); err != nil || len(done) != 1 || !done[0].Put {
			t.Errorf("Restore = %+v, %v; want it put back", done, err)
		}
		spec := specOf(scaledObject(t, strings.Replace(scaledText, "cooldownPeriod: 60", "cooldownPeriod: 90", 1)))
		if got, err := c.ApplyScaled(t.Context(), s, spec, "run"); err != nil || got.MaxReplicas != 5 {
			t.Errorf("another cooldown = %+v, %v; want the HPA that stays", got, err)
		}
	})
}

func TestScaledSpec(t *testing.T) {
	live := scaledObject(t, scaledText)
	for _, tt := range []struct{ sentence, from, to, differ, says string }{
		{"the same", "", "", "", ""},
		{"another maximum", "maxReplicaCount: 5", "maxReplicaCount: 9", "spec.maxReplicaCount: 5 → 9", ""},
		{"a field that goes", "  cooldownPeriod: 60\n", "", "spec.cooldownPeriod: 60 → none", ""},
		{"a threshold", `threshold: "5"`, `threshold: "3"`, `spec.triggers[0].metadata.threshold: "5" → "3"`, ""},
		{"a secret that the product struck out", "X-Key=s3cret", "REDACTED", "", ""},
		{"one that stands where there is none", "sum(waiting)", "REDACTED", "", "spec.triggers[0].metadata.query"},
		{"an annotation that pauses", "labels: {", "annotations: {autoscaling.keda.sh/paused: 'true'}, labels: {", "", "--apply changes only the spec"},
	} {
		text := scaledText
		if tt.from != "" {
			text = strings.Replace(text, tt.from, tt.to, 1)
		}
		data, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		spec, differ, err := ScaledSpec(live, data)
		if tt.says != "" {
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: ScaledSpec = %v, want an error that says %q", tt.sentence, err, tt.says)
			}
			continue
		}
		if err != nil || strings.Join(differ, "\n") != tt.differ || !strings.Contains(string(mustJSON(spec)), "X-Key=s3cret") {
			t.Errorf("%s: ScaledSpec = %s, %q, %v; want the difference %q", tt.sentence, mustJSON(spec), differ, err, tt.differ)
		}
	}
}
