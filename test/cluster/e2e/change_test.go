//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// changedHPA writes w's HPA with another target, in percent, to a file.
func (s *suite) changedHPA(t *testing.T, w workload, percent int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hpa.yaml")
	text := fmt.Sprintf(`apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: %[1]s, namespace: %[2]s}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %[1]s}
  minReplicas: 1
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: %[3]d}}}]
`, w.name, w.namespace, percent)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// isBack checks that nothing of a change is left: the spec is as before, no
// annotation, no lease.
func (s *suite) isBack(t *testing.T, w workload, before *autoscalingv2.HorizontalPodAutoscaler) {
	t.Helper()
	h := s.hpa(t, w)
	if !equality.Semantic.DeepEqual(h.Spec, before.Spec) {
		t.Errorf("the HPA's spec is not back:\n%+v\nbefore it was\n%+v", h.Spec, before.Spec)
	}
	if text, ok := h.Annotations["hpatune.dev/original"]; ok {
		t.Errorf("the annotation is still there: %s", text)
	}
	s.noLease(t, w)
}

func (s *suite) noLease(t *testing.T, w workload) {
	t.Helper()
	if l, err := s.lease(t.Context(), w); !apierrors.IsNotFound(err) {
		t.Errorf("the lease is still there: %+v (%v)", l.Spec, err)
	}
}

func TestApplyShowsTheDiffHoldsTheTargetAndPutsAllBack(t *testing.T) {
	s := needFull(t)
	w := s.deploy(t, s.namespace(t), tinyllm("chat"))
	s.cpuHPA(t, w, 1, 3, 70)
	before, file := s.hpa(t, w), s.changedHPA(t, w, 50)
	apply := []string{"--apply", "-f", file}

	t.Run("to its end", func(t *testing.T) {
		u := s.recordHPA(t, w, "[{name: short, rate: 4/s, duration: 12s}]", apply...)
		u.until(time.Second)
		h := s.hpa(t, w)
		if got := *h.Spec.Metrics[0].Resource.Target.AverageUtilization; got != 50 {
			t.Errorf("in mid-run the target is %d %%, want the applied 50", got)
		}
		if err := says(h.Annotations["hpatune.dev/original"], `"averageUtilization":70`, u.dir); err != nil {
			t.Errorf("the annotation in mid-run: %v", err)
		}
		l, err := s.lease(t.Context(), w)
		if err != nil || l.Spec.HolderIdentity == nil || !strings.HasSuffix(*l.Spec.HolderIdentity, u.dir) {
			t.Errorf("the lease in mid-run does not name the run %s: %+v (%v)", u.dir, l, err)
		}
		second := s.hpatune(t, t.TempDir(), "run", "--hpa", w.namespace+"/"+w.name, "--url", w.url, "-p", profileOf(t, "[{name: short, rate: 1/s, duration: 5s}]"), "--yes")
		if err := says(second.stderr, "is in use by run", u.dir); second.code != 1 || err != nil {
			t.Errorf("a second run on the same target: exit code %d, want 1; %v", second.code, err)
		}
		r := u.end()
		if r.code != 0 && r.code != 4 { // 4: so short a run may have its doubts
			t.Errorf("exit code %d\n%s", r.code, r.stderr)
		}
		if err := says(r.stderr, "averageUtilization", "70", "50", "restored the original spec"); err != nil {
			t.Errorf("the diff and the way back: %v", err)
		}
		s.isBack(t, w, before)
	})
	t.Run("to Ctrl-C", func(t *testing.T) {
		u := s.recordHPA(t, w, "[{name: long, rate: 4/s, duration: 10m}]", apply...)
		u.until(3 * time.Second)
		if err := u.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		r := u.end()
		if r.code != 130 {
			t.Errorf("exit code %d, want 130\n%s", r.code, r.stderr)
		}
		if sum := s.summaryOf(t, u.dir); !sum.Partial || sum.Why != "interrupted" || sum.Load.Sent == 0 {
			t.Errorf("the run that was kept: partial %v (%s), %d sent", sum.Partial, sum.Why, sum.Load.Sent)
		}
		s.isBack(t, w, before)
	})
	t.Run("to somebody else's change, which stays", func(t *testing.T) {
		u := s.recordHPA(t, w, "[{name: long, rate: 4/s, duration: 10m}]", apply...)
		u.until(3 * time.Second)
		s.patchHPA(t, w, "argocd-controller", `{"spec":{"maxReplicas":2}}`)
		r := u.end()
		if err := says(r.stderr, "somebody else reverted", "their values are kept"); r.code != 1 || err != nil {
			t.Errorf("exit code %d, want 1; %v", r.code, err)
		}
		sum := s.summaryOf(t, u.dir)
		if err := says(sum.warned("change-undone"), "argocd-controller"); err != nil || !sum.Partial {
			t.Errorf("the record of it: partial %v, %v", sum.Partial, err)
		}
		h := s.hpa(t, w)
		if h.Spec.MaxReplicas != 2 || *h.Spec.Metrics[0].Resource.Target.AverageUtilization != 70 {
			t.Errorf("theirs does not stay, or ours is not back: %+v", h.Spec)
		}
		if _, ok := h.Annotations["hpatune.dev/original"]; ok {
			t.Error("the annotation is still there")
		}
		s.noLease(t, w)
	})
}

func TestAnHPAOfAnotherOwnerIsNeverPatched(t *testing.T) {
	t.Parallel() // measures nothing
	s := need(t)
	ns := s.namespace(t)
	w := s.deploy(t, ns, tinyllm("chat"))
	s.cpuHPA(t, w, 1, 3, 70)
	file := s.changedHPA(t, w, 50)
	for _, tt := range []struct {
		name    string
		meta    string // a merge patch of the HPA's metadata
		says    []string
		refused bool
	}{
		{"KEDA, by ownerReferences", `{"ownerReferences":[{"apiVersion":"keda.sh/v1alpha1","kind":"ScaledObject","name":"chat-scaler","uid":"7f3c0a52-0000-4000-8000-000000000001","controller":true}]}`,
			[]string{"owned by KEDA chat-scaler", "never patched", "change the ScaledObject chat-scaler"}, true},
		{"KEDA, by its label", `{"labels":{"scaledobject.keda.sh/name":"chat-scaler","app.kubernetes.io/managed-by":"keda-operator"}}`,
			[]string{"owned by KEDA chat-scaler", "change the ScaledObject chat-scaler"}, true},
		{"KServe", `{"ownerReferences":[{"apiVersion":"serving.kserve.io/v1beta1","kind":"InferenceService","name":"sentiment","uid":"7f3c0a52-0000-4000-8000-000000000002","controller":true}]}`,
			[]string{"owned by KServe sentiment", "never patched", "change the InferenceService sentiment"}, true},
		{"Argo CD", `{"annotations":{"argocd.argoproj.io/tracking-id":"chat-app:autoscaling/HorizontalPodAutoscaler:x/chat"}}`,
			[]string{"owned by Argo CD chat-app", "in the repository of the Argo CD application chat-app"}, true},
		{"Flux", `{"labels":{"kustomize.toolkit.fluxcd.io/name":"models","kustomize.toolkit.fluxcd.io/namespace":"flux-system"}}`,
			[]string{"owned by Flux Kustomization models", "change the manifest in the repository of Kustomization models"}, true},
		{"Helm, whose next upgrade is a person's", `{"labels":{"app.kubernetes.io/managed-by":"Helm"},"annotations":{"meta.helm.sh/release-name":"chat-release"}}`,
			[]string{"owner Helm chat-release", "Applying to HPA"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.patchHPA(t, w, manager, `{"metadata":{"ownerReferences":null,"labels":null,"annotations":null}}`)
			s.patchHPA(t, w, manager, `{"metadata":`+tt.meta+`}`)
			before := s.hpa(t, w)
			dir := filepath.Join(t.TempDir(), "run")
			r := s.hpatune(t, t.TempDir(), "run", "--hpa", ns+"/"+w.name, "--url", w.url, "-p", profileOf(t, "[{name: short, rate: 2/s, duration: 3s}]"),
				"--controller", fastController, "--yes", "--apply", "-f", file, "--out", dir)
			if err := says(r.stderr, tt.says...); err != nil {
				t.Error(err)
			}
			after := s.hpa(t, w)
			if !tt.refused {
				if !exists(dir) || after.Generation == before.Generation {
					t.Errorf("it was not applied: exit code %d\n%s", r.code, r.stderr)
				}
				s.isBack(t, w, before)
				return
			}
			if r.code != 1 || exists(dir) {
				t.Errorf("exit code %d, want 1; a run was recorded: %v\n%s", r.code, exists(dir), r.stderr)
			}
			if after.Generation != before.Generation {
				t.Errorf("the HPA was written: generation %d after %d", after.Generation, before.Generation)
			}
			s.isBack(t, w, before)
		})
	}
}

func TestAWorkloadWithoutAnHPAGetsItsFirst(t *testing.T) {
	s := needFull(t)
	ns := s.namespace(t)
	w := s.deploy(t, ns, tinyllm("chat"))
	base := filepath.Join(t.TempDir(), "run")
	profile := profileOf(t, "[{name: rise, ramp: {from: 2/s, to: 8/s}, duration: 20s}, {name: peak, rate: 8/s, duration: 20s}]")
	r := s.hpatune(t, t.TempDir(), "run", "--target", "deployment/"+w.name, "-n", ns, "--url", w.url, "-p", profile, "--fix-replicas", "1,2", "--yes", "--out", base)
	if r.code != 0 && r.code != 4 {
		t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	if err := says(r.stderr, "Scaling Deployment/chat", "at 1 replica:", "at 2 replicas:",
		"restored to 1 replica"); err != nil {
		t.Error(err)
	}
	d, err := s.kube.AppsV1().Deployments(ns).Get(t.Context(), w.name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := d.Annotations["hpatune.dev/original"]; ok || *d.Spec.Replicas != 1 {
		t.Errorf("after the runs: %d replicas, annotations %v", *d.Spec.Replicas, d.Annotations)
	}
	s.noLease(t, w)
	for _, size := range []string{"-r1", "-r2"} {
		sum := s.summaryOf(t, base+size)
		nothingLost(t, base+size, sum)
	}
	a, tr, out := s.adviceOn(t, base+"-r1", base+"-r2", "--objective", "e2e.p95 < 2s")
	if a.Verdict != "change" || tr.code != 0 {
		t.Fatalf("tune: %s, exit code %d: %+v\n%s", a.Verdict, tr.code, a.Refusal, tr.stderr)
	}
	if err := says(strings.Join(a.Assumed, "\n"), "no HPA"); err != nil {
		t.Errorf("what is assumed: %v", err)
	}
	file := filepath.Join(out, "hpa.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := says(string(text), "kind: Deployment", "name: chat", "namespace: "+ns); err != nil {
		t.Errorf("hpa.yaml: %v", err)
	}
	if err := s.dryRunFile(t.Context(), ns, file); err != nil {
		t.Errorf("the API server does not accept it: %v\n%s", err, text)
	}
	t.Logf("hpa.yaml:\n%s", text)
}
