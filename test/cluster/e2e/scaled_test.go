//go:build linux

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	cluster "github.com/hpatune/hpatune/test/cluster"
)

// kedaCRD is KEDA's definition of ScaledObjects, from config/crd/bases of its module. The API
// server needs it to accept and refuse them; it needs no operator.
const kedaCRD = "testdata/keda-scaledobjects.yaml"

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// scaledObjectsServed makes the API server serve ScaledObjects until the test's end.
func (s *suite) scaledObjectsServed(t *testing.T) {
	t.Helper()
	served := func(ctx context.Context) error {
		_, err := s.dyn.Resource(scaledObjects).List(ctx, metav1.ListOptions{})
		return err
	}
	if served(t.Context()) == nil {
		return // with KEDA
	}
	text, err := os.ReadFile(kedaCRD)
	if err != nil {
		t.Fatal(err)
	}
	s.apply(t, "", string(text))
	t.Cleanup(func() {
		const name = "scaledobjects.keda.sh"
		if err := s.dyn.Resource(definitions).Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
		for range 60 { // the next who makes it must not find it
			if _, err := s.dyn.Resource(definitions).Get(context.Background(), name, metav1.GetOptions{}); apierrors.IsNotFound(err) {
				break
			}
			time.Sleep(500 * time.Millisecond)
		}
		s.mapper.Reset()
	})
	eventually(t, 30*time.Second, "ScaledObjects are served", served)
	s.mapper.Reset()
}

// TestKEDAsDefinitionIsThatOfTheModule compares the copy with KEDA's own.
func TestKEDAsDefinitionIsThatOfTheModule(t *testing.T) {
	needFull(t)
	programs, err := cluster.BuildKEDA(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(kedaCRD)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(programs, "manifest-*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	if !slices.ContainsFunc(files, func(f string) bool {
		text, err := os.ReadFile(f)
		return err == nil && bytes.Equal(text, want)
	}) {
		t.Errorf("%s is none of the manifests in %s", kedaCRD, programs)
	}
}

// scaledOnCPU is a template of a ScaledObject for a Deployment of the same name. Fill in the rest
// of its metadata, its maximum, and its target in percent.
const scaledOnCPU = `apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: chat, namespace: "%s"%s}
spec:
  scaleTargetRef: {name: chat}
  minReplicaCount: 1
  maxReplicaCount: %d
  cooldownPeriod: 45
  advanced:
    horizontalPodAutoscalerConfig:
      behavior: {scaleDown: {stabilizationWindowSeconds: 30}}
  triggers:
  - type: cpu
    metricType: Utilization
    metadata: {value: "%d"}
`

// TestTheAdviceForKEDAIsAcceptedByTheAPIServer lets tune recommend ScaledObjects, and checks that
// an API server with KEDA's definition accepts them and refuses unknown fields.
func TestTheAdviceForKEDAIsAcceptedByTheAPIServer(t *testing.T) {
	s := need(t)
	s.scaledObjectsServed(t)
	ns := s.namespace(t)
	recorded, err := filepath.Abs("../../../results/testdata/before")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s.write(t, dir, "so.yaml", strings.Replace(fmt.Sprintf(scaledOnCPU, ns, "", 6, 50), "Ref: {name: chat}", "Ref: {name: inference-endpoint}", 1))
	r := s.hpatune(t, dir, "tune", recorded, "-f", "so.yaml", "--what-if=false", "--out", "advice")
	if r.code != 0 {
		t.Fatalf("tune: exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	text, err := os.ReadFile(filepath.Join(dir, "advice", "scaledobject.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := says(string(text), "kind: ScaledObject", "# Recommended by hpatune", "cooldownPeriod: 45"); err != nil {
		t.Error(err)
	}
	if err := s.dryRun(t.Context(), ns, string(text)); err != nil {
		t.Errorf("the API server does not accept it: %v\n%s", err, text)
	}
	// And it really validates: it refuses a field that does not exist.
	if err := s.dryRun(t.Context(), ns, strings.Replace(string(text), "cooldownPeriod", "coolDownPeriod", 1)); err == nil {
		t.Error("the API server takes coolDownPeriod: it does not check fields")
	}
	t.Logf("scaledobject.yaml:\n%s", text)
}

// kedasHPA is the HPA that KEDA makes from scaledOnCPU, with the name that KEDA gives it.
const kedasHPA = `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: keda-hpa-chat
  labels: {scaledobject.keda.sh/name: chat, app.kubernetes.io/managed-by: keda-operator}
  ownerReferences: [{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, name: chat, uid: "%s", controller: true, blockOwnerDeletion: true}]
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: chat}
  minReplicas: 1
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
`

// TestAScaledObjectOfAnotherOwnerIsNeverPatched needs no operator, since the refusal comes before
// anything is written.
func TestAScaledObjectOfAnotherOwnerIsNeverPatched(t *testing.T) {
	s := need(t)
	s.scaledObjectsServed(t)
	ns := s.namespace(t)
	s.apply(t, ns, fmt.Sprintf(idleTargets, "chat"))
	dir := t.TempDir()
	s.write(t, dir, "so.yaml", fmt.Sprintf(scaledOnCPU, ns, "", 5, 50))
	s.write(t, dir, "hpa.yaml", fmt.Sprintf(hpaOfChat, 80))
	for _, tt := range []struct {
		name, meta, file string
		says             []string
	}{
		{"Argo CD", `, annotations: {argocd.argoproj.io/tracking-id: "shop:keda.sh/ScaledObject:x/chat"}`, "so.yaml", []string{"ScaledObject " + ns + "/chat is owned by Argo CD shop", "never patched", "in the repository of the Argo CD application shop"}},
		{"Flux", `, labels: {kustomize.toolkit.fluxcd.io/name: models}`, "so.yaml", []string{"Flux Kustomization models", "never patched"}},
		{"KServe", `, ownerReferences: [{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, name: bert, uid: 7f3c0a52-0000-4000-8000-000000000002, controller: true}]`, "so.yaml", []string{"change the InferenceService bert"}},
		{"nobody, but the file is an HPA", "", "hpa.yaml", []string{"owned by KEDA chat", "Try: --apply -f scaledobject.yaml"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.apply(t, ns, fmt.Sprintf(scaledOnCPU, ns, tt.meta, 3, 70))
			before := s.scaledObject(t, ns)
			s.apply(t, ns, fmt.Sprintf(kedasHPA, before.GetUID()))
			r := s.hpatune(t, dir, "run", "--hpa", ns+"/keda-hpa-chat", "--url", "http://127.0.0.1:1", "-p", "steady", "--yes", "--apply", "-f", tt.file)
			if err := says(r.stderr, tt.says...); r.code != 1 || err != nil {
				t.Errorf("exit code %d, want 1; %v\n%s", r.code, err, r.stderr)
			}
			if after := s.scaledObject(t, ns); after.GetGeneration() != before.GetGeneration() || after.GetAnnotations()["hpatune.dev/original"] != "" {
				t.Errorf("the ScaledObject was written: %v", after.Object)
			}
			if err := s.dyn.Resource(scaledObjects).Namespace(ns).Delete(t.Context(), "chat", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func (s *suite) scaledObject(t *testing.T, ns string) *unstructured.Unstructured {
	t.Helper()
	u, err := s.dyn.Resource(scaledObjects).Namespace(ns).Get(t.Context(), "chat", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestApplyChangesTheScaledObject tests run --apply with KEDA's real operator, once to its end and
// once with a crash.
func TestApplyChangesTheScaledObject(t *testing.T) {
	s := needKEDA(t)
	ns := s.namespace(t)
	w := s.deploy(t, ns, tinyllm("chat"))
	s.apply(t, ns, fmt.Sprintf(scaledOnCPU, ns, "", 3, 70))
	made := workload{name: "keda-hpa-chat", namespace: ns}
	eventually(t, time.Minute, "KEDA makes the HPA", func(ctx context.Context) error {
		_, err := s.kube.AutoscalingV2().HorizontalPodAutoscalers(ns).Get(ctx, made.name, metav1.GetOptions{})
		return err
	})
	s.waitCurrentMetrics(t, ns, made.name)
	before, hpa := s.scaledObject(t, ns), s.hpa(t, made)
	dir := t.TempDir()
	s.write(t, dir, "so.yaml", fmt.Sprintf(scaledOnCPU, ns, "", 5, 50))
	args := []string{"--hpa", ns + "/" + made.name, "--url", w.url, "--controller", s.controller(), "--yes", "--apply", "-f", filepath.Join(dir, "so.yaml")}
	applied := func(t *testing.T) {
		t.Helper()
		h, so := s.hpa(t, made), s.scaledObject(t, ns)
		if h.Spec.MaxReplicas != 5 || *h.Spec.Metrics[0].Resource.Target.AverageUtilization != 50 {
			t.Errorf("in mid-run KEDA's HPA is %+v", h.Spec)
		}
		if err := says(so.GetAnnotations()["hpatune.dev/original"], `"maxReplicaCount":3`); err != nil {
			t.Errorf("the annotation in mid-run: %v", err)
		}
	}
	isBack := func(t *testing.T) {
		t.Helper()
		so := s.scaledObject(t, ns)
		if got, want := fmt.Sprint(so.Object["spec"]), fmt.Sprint(before.Object["spec"]); got != want || so.GetAnnotations()["hpatune.dev/original"] != "" {
			t.Errorf("the ScaledObject is %s with %v; before it was %s", got, so.GetAnnotations(), want)
		}
		eventually(t, 30*time.Second, "KEDA's HPA is as before", func(ctx context.Context) error {
			h := s.hpa(t, made)
			if h.Spec.MaxReplicas != hpa.Spec.MaxReplicas {
				return fmt.Errorf("it goes up to %d", h.Spec.MaxReplicas)
			}
			return nil
		})
		s.noLease(t, w)
	}
	t.Run("to its end", func(t *testing.T) {
		u := s.record(t, filepath.Join(t.TempDir(), "run"), append([]string{"-p", profileOf(t, "[{name: short, rate: 4/s, duration: 12s}]")}, args...)...)
		u.until(time.Second)
		applied(t)
		r := u.end()
		if r.code != 0 && r.code != 4 { // 4: so short a run may have its doubts
			t.Errorf("exit code %d\n%s", r.code, r.stderr)
		}
		if err := says(r.stderr, "Applying to ScaledObject "+ns+"/chat", "spec.maxReplicaCount: 3 → 5", `spec.triggers[0].metadata.value: "70" → "50"`, "ScaledObject/chat: restored the original spec"); err != nil {
			t.Errorf("the diff and the way back: %v", err)
		}
		for file, want := range map[string]string{"scaledobject.yaml": "maxReplicaCount: 5", "scaledobject-original.yaml": "maxReplicaCount: 3", "hpa.yaml": "maxReplicas: 5"} {
			text, err := os.ReadFile(filepath.Join(u.dir, "cluster", file))
			if err != nil || !strings.Contains(string(text), want) {
				t.Errorf("%s lacks %q (%v):\n%s", file, want, err, text)
			}
		}
		if sum := s.summaryOf(t, u.dir); sum.Partial || sum.warned("change-undone") != "" {
			t.Errorf("the run is partial: %v; warned %q", sum.Partial, sum.warned("change-undone"))
		}
		isBack(t)
	})
	t.Run("to a crash", func(t *testing.T) {
		u := s.record(t, filepath.Join(t.TempDir(), "run"), append([]string{"-p", profileOf(t, "[{name: long, rate: 4/s, duration: 10m}]")}, args...)...)
		u.until(3 * time.Second)
		if err := u.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		u.end()
		applied(t)
		r := s.hpatune(t, t.TempDir(), "restore", "-n", ns)
		if err := says(r.stdout, "is still active (lease held)"); r.code != 1 || err != nil {
			t.Errorf("right after the kill: exit code %d, want 1; %v", r.code, err)
		}
		r = s.hpatune(t, t.TempDir(), "restore", "-n", ns, "--force")
		if err := says(r.stdout, "ScaledObject/chat: restored the original spec"); r.code != 0 || err != nil {
			t.Errorf("restore: exit code %d, want 0; %v\n%s", r.code, err, r.stderr)
		}
		isBack(t)
	})
}
