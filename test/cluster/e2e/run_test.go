//go:build linux

package e2e

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cluster "github.com/hpatune/hpatune/test/cluster"
)

// llm is the load's target: streamed answers, requestCPU each.
const llm = `target: {protocol: openai-completions, path: /v1/completions, model: tiny, stream: true}
classes: [{name: answer, prompt_tokens: %d, output_tokens: %d}]
connections: {backend_header: X-Served-By}
`

// profile writes a profile of llm and returns its path.
func profile(t *testing.T, dir, name, text string) string {
	t.Helper()
	return profileWith(t, dir, name, answerOf(t, requestCPU), text)
}

// profileWith is profile with answers of the given number of tokens.
func profileWith(t *testing.T, dir, name string, tokens int, text string) string {
	t.Helper()
	text = fmt.Sprintf(llm, promptSize, tokens) + text
	path := filepath.Join(dir, name+".yaml")
	if err := os.WriteFile(path, []byte("name: "+name+"\n"+strings.TrimLeft(text, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// controller is the value of --controller for a cluster's clocks, because its flags cannot be read
// from outside.
func (s *suite) controller() string {
	c := s.c.Clocks()
	if s.c.External() {
		c = cluster.DefaultClocks()
	}
	return fmt.Sprintf("syncPeriod=%v,downscaleStabilization=%v,cpuInitializationPeriod=%v,initialReadinessDelay=%v", c.HPASync, c.HPADownStable, c.HPACPUInit, c.HPAReadyDelay)
}

// keep copies the files of a test to a folder below $HPATUNE_E2E_KEEP for later inspection. Without
// that variable it does nothing.
func keep(t *testing.T, dir string) {
	t.Helper()
	if to := os.Getenv("HPATUNE_E2E_KEEP"); to != "" {
		if err := os.CopyFS(filepath.Join(to, t.Name()+time.Now().Format("-150405")), os.DirFS(dir)); err != nil {
			t.Error(err)
		}
	}
}

// TestARunRecordsWhatTheHPADidAndBecomesAdvice does the whole job once on a real cluster. It sends
// load to a live HPA, compares the recording with a watch like kubectl get hpa -w, compares the
// core with the real controller, and checks that the API server accepts the recommendation.
func TestARunRecordsWhatTheHPADidAndBecomesAdvice(t *testing.T) {
	s := needOurs(t)
	ns, dir := s.namespace(t), t.TempDir()
	defer keep(t, dir)
	w := s.deploy(t, ns, tinyllm("chat"))
	s.cpuHPA(t, w, 1, 4, 70)
	load := profile(t, dir, "step", `
stages:
  - {name: low, rate: 4/s, duration: 25s}
  - {name: high, rate: 22/s, duration: 60s}
  - {name: low again, rate: 4/s, duration: 75s}
objectives: ["ttft.p95 < 400ms", "error_rate < 1%"]
`)
	prom := s.prometheus(t, ns)
	eventually(t, 30*time.Second, "Prometheus has scraped the pod", func(context.Context) error {
		_, err := prom.query("count(vllm:num_requests_running)")
		return err
	})
	history := s.watchHPA(t, ns, w.name)
	run := filepath.Join(dir, "run")
	began := time.Now()
	r := s.hpatune(t, dir, "run", "--hpa", ns+"/"+w.name, "--url", w.url, "-p", load, "--controller", s.controller(), "--throttling",
		"--prometheus", prom.svc, "--promql", "asked=sum(vllm:request_success_total)", "--out", run, "--yes")
	ended := time.Now()
	if r.code != 0 {
		t.Errorf("hpatune run: exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	t.Logf("\n%s", r.stdout)
	for _, want := range []string{"HPA: " + ns, "The HPA may scale up to 4 replicas", "has series of vLLM"} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("the run does not say %q before it begins:\n%s", want, r.stderr)
		}
	}

	// What kubectl get hpa -w showed.
	var watched, recorded []int32
	for _, h := range history() {
		if h.at.After(began) && h.at.Before(ended) {
			watched = append(watched, h.desired)
		}
	}
	for _, x := range entries(t, run, "sync") {
		recorded = append(recorded, int32(x.Replicas))
	}
	watched, recorded = slices.Compact(watched), slices.Compact(recorded)
	if !slices.Equal(watched, recorded) || len(recorded) < 3 {
		t.Errorf("the run has sizes %v, the watch saw %v; want the same, and both ways", recorded, watched)
	}

	got := s.summaryOf(t, run)
	if got.Partial || math.Abs(float64(got.Load.Scheduled-(25*4+60*22+75*4))) > 150 {
		t.Errorf("report: partial %v, %d arrivals; want a whole run of about 1720", got.Partial, got.Load.Scheduled)
	}
	for _, x := range got.Trust.Reasons {
		if x.Verdict == "invalid" {
			t.Errorf("the run is no evidence: %s", x.Text)
		}
	}
	if len(got.Reactions) == 0 {
		t.Error("no reaction was taken apart, though the HPA scaled up")
	}

	if r := s.hpatune(t, dir, "report", run, "--html", "report.html"); r.code != 0 {
		t.Errorf("hpatune report: %s", r.stderr)
	}

	a, tuned, out := s.adviceOn(t, run)
	if sh := a.Shadow; sh == nil || sh.Differ > 0 || sh.Rescales.Agree == 0 || 10*sh.Unknown > sh.Agree+sh.Unknown {
		t.Errorf("shadow %+v (%v), want every reconcile after the first window reproduced, at most a tenth unknown", sh, a.Warnings)
	} else {
		say(t, "shadow: rescales %+v, quiet %+v, %d reconciles left no trace", sh.Rescales, sh.Quiet, sh.Unseen)
	}
	// In such a short run, one replica more or less because of rounding exceeds the 10 % of
	// replica-hours that the identity test allows. Then there is no recommendation, for that reason
	// and no other.
	if e := a.SelfReplay.ReplicaHoursError; tuned.code == 4 && len(a.Refusal) == 1 && a.Refusal[0].ID == "self-replay" && e != nil && math.Abs(*e) < 0.5 {
		say(t, "no advice: %s", a.Refusal[0].Text)
		return
	}
	if tuned.code != 0 {
		t.Fatalf("hpatune tune: exit code %d: %+v\n%s", tuned.code, a.Refusal, tuned.stderr)
	}
	if r := s.hpatune(t, dir, "test", filepath.Join(out, "hpa.hpa")); r.code != 0 {
		t.Errorf("the advice fails its own unit tests: %s%s", r.stdout, r.stderr)
	}
	if err := s.dryRunFile(t.Context(), ns, filepath.Join(out, "hpa.yaml")); err != nil {
		t.Errorf("the API server refuses the advice: %v", err)
	}
}

// TestAPortForwardIsNoWayIn: it reaches one pod only.
func TestAPortForwardIsNoWayIn(t *testing.T) {
	t.Parallel() // measures nothing
	s := needOurs(t)
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("no kubectl")
	}
	ns, dir := s.namespace(t), t.TempDir()
	w := s.deploy(t, ns, tinyllm("chat"))
	s.cpuHPA(t, w, 1, 2, 70)
	forward := exec.CommandContext(t.Context(), kubectl, "port-forward", "-n", ns, "service/chat", "18080:80")
	forward.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.c.Start(forward); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = forward.Process.Kill(); _ = forward.Wait() }()
	load := profile(t, dir, "tiny", "stages: [{name: one, rate: 1/s, duration: 5s}]\n")
	r := s.hpatune(t, dir, "run", "--hpa", ns+"/chat", "--url", "http://localhost:18080", "-p", load, "--yes")
	if r.code != 1 || !strings.Contains(r.stderr, "is a kubectl port-forward") || !strings.Contains(r.stderr, "only one pod") {
		t.Errorf("run over a port-forward: exit code %d, want 1 and the reason:\n%s", r.code, r.stderr)
	}
	// Without --url and without a route from outside, the reason names it, too.
	r = s.hpatune(t, dir, "run", "--hpa", ns+"/chat", "-p", load, "--yes")
	if r.code != 1 || !strings.Contains(r.stderr, "--workers 1") {
		t.Errorf("run without a way in: exit code %d, want 1 and what to try:\n%s", r.code, r.stderr)
	}
}

// TestTheWayInIsFound: an Ingress is preferred to a load balancer, and a load balancer to nothing.
func TestTheWayInIsFound(t *testing.T) {
	t.Parallel() // measures nothing
	s := needOurs(t)
	ns, dir := s.namespace(t), t.TempDir()
	w := s.deploy(t, ns, tinyllm("chat"))
	s.cpuHPA(t, w, 1, 2, 70)
	load := profile(t, dir, "tiny", "stages: [{name: one, rate: 1/s, duration: 2s}]\n")
	asked := func() string {
		// Without confirmation nothing is sent, and the command prints what it would send.
		r := s.hpatune(t, dir, "run", "--hpa", ns+"/chat", "-p", load)
		for l := range strings.Lines(r.stderr) {
			if rest, ok := strings.CutPrefix(l, "way in: "); ok {
				return strings.TrimSpace(rest)
			}
		}
		return "none: " + r.stderr
	}
	s.apply(t, ns, `
apiVersion: v1
kind: Service
metadata: {name: chat-lb}
spec: {type: LoadBalancer, selector: {app: chat}, ports: [{name: http, port: 8080, targetPort: http}]}
`)
	svc, err := s.kube.CoreV1().Services(ns).Get(t.Context(), "chat-lb", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	svc.Status.LoadBalancer.Ingress = append(svc.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: "192.0.2.7"})
	if _, err := s.kube.CoreV1().Services(ns).UpdateStatus(t.Context(), svc, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := asked(); got != "http://192.0.2.7:8080 (LoadBalancer/chat-lb)" {
		t.Errorf("way in %q, want the load balancer", got)
	}
	s.apply(t, ns, `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: front}
spec:
  tls: [{hosts: [chat.example.test]}]
  rules: [{host: chat.example.test, http: {paths: [{path: /llm, pathType: Prefix, backend: {service: {name: chat, port: {name: http}}}}]}}]
`)
	if got := asked(); got != "https://chat.example.test/llm (Ingress/front)" {
		t.Errorf("way in %q, want the Ingress", got)
	}
}
