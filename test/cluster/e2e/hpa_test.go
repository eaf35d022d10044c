//go:build linux

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cluster "github.com/hpatune/hpatune/test/cluster"
)

// completion is a request of requestCPU.
func completion(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf(`{"prompt":"scale me up","max_tokens":%d}`, answerOf(t, requestCPU))
}

// TestTheRealHPAScalesThePayloadUpUnderLoadAndBack tests the cluster without the product;
// run_test.go tests what the product sees of it.
func TestTheRealHPAScalesThePayloadUpUnderLoadAndBack(t *testing.T) {
	s := need(t)
	if !*full {
		t.Skip("minutes of real time: only with -full")
	}
	manifest, err := os.ReadFile(filepath.Join("..", "manifests", "demo.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.deleteNamespace(t, "demo") })
	text := string(manifest)
	if s.c.External() { // its service range is its own
		text = strings.Replace(text, "  clusterIP: 10.96.1.1\n", "", 1)
	}
	s.apply(t, "", text)
	svc, err := s.kube.CoreV1().Services("demo").Get(t.Context(), "tinyllm", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w := workload{namespace: "demo", name: "tinyllm", url: "http://" + svc.Spec.ClusterIP}
	s.waitAvailable(t, w, time.Minute)
	if _, err := ask(s.client(), w.url+"/health", ""); err != nil && s.c.External() {
		t.Skipf("no way from here to a ClusterIP of the external cluster: %v", err)
	}
	s.waitCurrentMetrics(t, "demo", "tinyllm")
	history := s.watchHPA(t, "demo", "tinyllm")

	const rate, wanted = 30, 3
	body := completion(t)
	say(t, "load on: %d/s", rate)
	began := time.Now()
	ctx, off := context.WithTimeout(t.Context(), s.patience(2*time.Minute))
	defer off()
	var got served
	var wg sync.WaitGroup
	wg.Go(func() { got = s.load(ctx, t, w.url+"/v1/completions", body, rate) })
	ready := func(n int32, exactly bool) func(context.Context) error {
		return func(ctx context.Context) error {
			d, err := s.kube.AppsV1().Deployments("demo").Get(ctx, "tinyllm", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if r := d.Status.ReadyReplicas; r < n || exactly && (r != n || d.Status.Replicas != n) {
				return fmt.Errorf("%d of %d replicas ready", r, d.Status.Replicas)
			}
			return nil
		}
	}
	eventually(t, s.patience(100*time.Second), fmt.Sprintf("%d replicas ready", wanted), ready(wanted, false))
	say(t, "%d replicas ready %.0f s after the load's start", wanted, time.Since(began).Seconds())
	select { // let the new ones serve
	case <-time.After(10 * time.Second):
	case <-ctx.Done():
	}
	off()
	wg.Wait()
	loadEnd := time.Now()
	say(t, "load off: %d good, %d failed, %d shed, by pod %v %s", got.ok, got.failed, got.shed, got.by, got.lastError)
	if len(got.by) < wanted {
		t.Errorf("%d pods gave answers, want at least %d: the new replicas get no traffic through the ClusterIP", len(got.by), wanted)
	}
	if got.ok == 0 || got.failed > got.ok/20 {
		t.Errorf("%d good answers and %d failures (%s), want at most one in twenty", got.ok, got.failed, got.lastError)
	}

	eventually(t, s.patience(3*time.Minute), "back to 1 replica", ready(1, true))
	say(t, "back to 1 replica %.0f s after the load's end", time.Since(loadEnd).Seconds())
	var peak int32
	for _, h := range history() {
		peak = max(peak, h.desired)
	}
	if peak < wanted || peak > 5 {
		t.Errorf("the HPA's largest desired count was %d, want %d to its maximum of 5", peak, wanted)
	}
	events, err := s.kube.CoreV1().Events("demo").List(t.Context(), metav1.ListOptions{FieldSelector: "reason=SuccessfulRescale"})
	if err != nil {
		t.Fatal(err)
	}
	if len(events.Items) < 2 {
		t.Errorf("%d SuccessfulRescale events, want one up and one down at least", len(events.Items))
	}
}

// TestDryRunAcceptsGoodHPAsOnly shows that the check refuses bad HPAs, and applies it to every file
// of $HPATUNE_HPA_FILES (globs, separated by spaces).
func TestDryRunAcceptsGoodHPAsOnly(t *testing.T) {
	s := need(t)
	ns := s.namespace(t)
	const good = `# a comment before the document
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: x}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: x}
  minReplicas: 1
  maxReplicas: 5
  behavior: {scaleDown: {stabilizationWindowSeconds: 60, tolerance: "0.05", policies: [{type: Percent, value: 50, periodSeconds: 30}]}}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
`
	if err := s.dryRun(t.Context(), ns, good); err != nil {
		t.Errorf("a good HPA is refused: %v", err)
	}
	list, err := s.kube.AutoscalingV2().HorizontalPodAutoscalers(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 0 {
		t.Errorf("a dry run stored %d HPAs", len(list.Items))
	}
	for _, tt := range []struct{ name, from, to, says string }{
		{"a maximum below the minimum", "maxReplicas: 5", "maxReplicas: 0", "maxReplicas"},
		{"a field that does not exist", "minReplicas: 1", "minReplica: 1", "minReplica"},
		{"a window beyond an hour", "stabilizationWindowSeconds: 60", "stabilizationWindowSeconds: 3601", "stabilizationWindowSeconds"},
		{"a policy period beyond half an hour", "periodSeconds: 30", "periodSeconds: 1801", "periodSeconds"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := strings.Replace(good, tt.from, tt.to, 1)
			if bad == good {
				t.Fatalf("%q is not in the manifest", tt.from)
			}
			if err := s.dryRun(t.Context(), ns, bad); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("dry run says %v, want a refusal that names %s", err, tt.says)
			}
		})
	}
	// Every HPA that the product writes: the one that init writes, and recommendations with and
	// without a behavior, from the runs in the repository.
	dir := t.TempDir()
	module, err := cluster.ModuleDir()
	if err != nil {
		t.Fatal(err)
	}
	recorded := filepath.Join(module, "..", "..", "results", "testdata")
	for _, args := range [][]string{{"init", "start"}, {"tune", filepath.Join(recorded, "before"), "--out", "one"}, {"tune", filepath.Join(recorded, "after"), "--out", "two", "--min-floor", "1"}} {
		if r := s.hpatune(t, dir, args...); r.code != 0 {
			t.Fatalf("hpatune %s: exit code %d: %s", args[0], r.code, r.stderr)
		}
	}
	written, err := filepath.Glob(filepath.Join(dir, "*", "hpa.yaml"))
	if err != nil || len(written) != 3 {
		t.Fatalf("the product wrote %q, want three HPAs (%v)", written, err)
	}
	for _, f := range written {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		// The recorded namespace does not exist in this cluster.
		if err := s.dryRun(t.Context(), ns, strings.Replace(string(text), "namespace: ml-serving", "namespace: "+ns, 1)); err != nil {
			t.Errorf("the API server refuses %s of the product: %v", f, err)
		}
	}
	for _, glob := range strings.Fields(os.Getenv("HPATUNE_HPA_FILES")) {
		files, err := filepath.Glob(glob)
		if err != nil || len(files) == 0 {
			t.Errorf("HPATUNE_HPA_FILES: %s: no such file (%v)", glob, err)
		}
		for _, f := range files {
			if err := s.dryRunFile(t.Context(), ns, f); err != nil {
				t.Error(err)
			}
		}
	}
}
