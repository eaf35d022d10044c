//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	cluster "github.com/hpatune/hpatune/test/cluster"
)

// workerImage is the product's own image, as make image packs it.
const workerImage = "hpacluster.test/hpatune:e2e"

// importWorker builds the image from scratch and imports it on the node.
func (s *suite) importWorker(t *testing.T) {
	t.Helper()
	bin, err := hpatuneOnce()
	if err != nil {
		t.Fatal(err)
	}
	module, err := cluster.ModuleDir()
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "hpatune-image.tar")
	cmd := exec.CommandContext(t.Context(), "go", append(append([]string{"run"}, cluster.BuildFlags...),
		"./internal/fleet/mkimage", "-program", bin, "-ref", workerImage, "-out", archive)...)
	cmd.Dir = filepath.Join(module, "..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mkimage: %v\n%s", err, out)
	}
	if err := s.c.Import(t.Context(), archive); err != nil {
		t.Fatal(err)
	}
}

// fleetProfile is 200 small requests in 20 s, smallCPU each.
const fleetProfile = `name: fleet
target: {protocol: openai-completions, path: /v1/completions, model: tinyllm}
classes: [{name: small, prompt_tokens: %d, output_tokens: %d}]
stages: [{name: hold, rate: 10/s, duration: 20s}]
`

// fleetTarget is a namespace that enforces the restricted standard, with a payload and its HPA, and
// a folder with the profile to run it from. The HPA cannot scale: one pod answers everything, so
// its counter covers all requests.
func (s *suite) fleetTarget(t *testing.T) (w workload, dir string) {
	t.Helper()
	s.importWorker(t)
	ns := s.namespace(t)
	label := `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`
	if _, err := s.kube.CoreV1().Namespaces().Patch(t.Context(), ns, types.MergePatchType, []byte(label), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w = s.deploy(t, ns, tinyllm("chat"))
	s.cpuHPA(t, w, 1, 1, 90)
	dir = t.TempDir()
	text := fmt.Sprintf(fleetProfile, promptSize, answerOf(t, smallCPU))
	if err := os.WriteFile(filepath.Join(dir, "profile.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return w, dir
}

// fleetRun is the command line of a fleet's run, without --url: the workers use the ClusterIP.
func fleetRun(w workload, workers int, more ...string) []string {
	return append([]string{"run", "--hpa", w.namespace + "/" + w.name, "-p", "profile.yaml", "--yes", "-o", "json",
		"--workers", strconv.Itoa(workers), "--image", workerImage, "--worker-cpu", "200m", "--worker-memory", "128Mi"}, more...)
}

// started is a run of the product that has not ended yet.
type started struct {
	cmd  *exec.Cmd
	wait func() result // its end; may be called more than once
}

func (s *suite) start(t *testing.T, dir string, args ...string) started {
	t.Helper()
	cmd, out, errs := s.hpatuneCmd(t, dir, args...)
	if err := s.c.Start(cmd); err != nil {
		t.Fatal(err)
	}
	return started{cmd, sync.OnceValue(func() result {
		_ = cmd.Wait() // the exit code says it
		say(t, "hpatune %s: exit code %d", strings.Join(args, " "), cmd.ProcessState.ExitCode())
		return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
	})}
}

// fleet waits until ns has a fleet's Job and all its pods are ready.
func (s *suite) fleet(t *testing.T, ns string, workers int) (job batchv1.Job, pods []corev1.Pod) {
	t.Helper()
	eventually(t, time.Minute, "the fleet's pods are ready", func(ctx context.Context) error {
		jobs, err := s.kube.BatchV1().Jobs(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(jobs.Items) != 1 {
			return fmt.Errorf("%d Jobs", len(jobs.Items))
		}
		job = jobs.Items[0]
		list, err := s.kube.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "hpatune.dev/fleet=" + job.Name})
		if err != nil {
			return err
		}
		pods = list.Items
		ready := 0
		for _, p := range pods {
			for _, c := range p.Status.Conditions {
				if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
					ready++
				}
			}
		}
		if ready != workers {
			return fmt.Errorf("%d pods, %d ready", len(pods), ready)
		}
		return nil
	})
	return job, pods
}

// nothingLeft waits until ns has no Job, Secret or pod of a fleet and no lease.
func (s *suite) nothingLeft(t *testing.T, ns string) {
	t.Helper()
	eventually(t, 45*time.Second, "nothing of the fleet is left", func(ctx context.Context) error {
		jobs, err1 := s.kube.BatchV1().Jobs(ns).List(ctx, metav1.ListOptions{})
		secrets, err2 := s.kube.CoreV1().Secrets(ns).List(ctx, metav1.ListOptions{})
		pods, err3 := s.kube.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "hpatune.dev/fleet"})
		leases, err4 := s.kube.CoordinationV1().Leases(ns).List(ctx, metav1.ListOptions{})
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return err
		}
		if n := len(jobs.Items) + len(secrets.Items) + len(pods.Items) + len(leases.Items); n > 0 {
			return fmt.Errorf("%d Jobs, %d Secrets, %d pods, %d leases", len(jobs.Items), len(secrets.Items), len(pods.Items), len(leases.Items))
		}
		return nil
	})
}

// said is the part of report -o json that these tests read.
type said struct {
	Partial bool
	Why     string
	Trust   struct {
		Verdict string
		Reasons []struct{ ID, Verdict, Text string }
	}
	Load struct {
		Scheduled, Sent, Shed, OK int
		Delivered                 float64 `json:"delivered_ratio"`
	}
	Warnings []struct{ ID, Text string }
}

func (r result) said(t *testing.T) (v said) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.stdout), &v); err != nil {
		t.Fatalf("the run says %q, which is not one verdict: %v\n%s", r.stdout, err, r.stderr)
	}
	return v
}

// onlyRun returns the one run folder below dir.
func onlyRun(t *testing.T, dir string) string {
	t.Helper()
	runs, err := filepath.Glob(filepath.Join(dir, "results", "*"))
	if err != nil || len(runs) != 1 {
		t.Fatalf("run folders %v, %v; want one", runs, err)
	}
	return runs[0]
}

// scheduled is the schedule as the product prints it: the indices of the arrivals in order.
func (s *suite) scheduled(t *testing.T, dir string) []int {
	t.Helper()
	r := s.hpatune(t, dir, "profile", "arrivals", "profile.yaml")
	if r.code != 0 {
		t.Fatal(r.stderr)
	}
	var out []int
	for line := range strings.Lines(r.stdout) {
		var a struct {
			Index *int `json:"i"`
		}
		if err := json.Unmarshal([]byte(line), &a); err != nil || a.Index == nil {
			t.Fatalf("profile arrivals: %q: %v", line, err)
		}
		out = append(out, *a.Index)
	}
	return out
}

// counter sums the series of a counter on a page of metrics.
func (s *suite) counter(url, name string) (sum float64, err error) {
	res, err := s.client().Get(url)
	if err != nil {
		return 0, err
	}
	text, err := readAll(res.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+"{"); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndex(rest, "}")+1:]), 64)
			if err != nil {
				return 0, err
			}
			sum += v
		}
	}
	return sum, nil
}

// gate is a proxy in front of w that pods can reach. It records which arrivals came through,
// sorted, and their Authorization headers.
func (s *suite) gate(t *testing.T, w workload) (addr string, seen func() ([]int, map[string]bool)) {
	t.Helper()
	var mu sync.Mutex
	var arrivals []int
	headers := map[string]bool{}
	target, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{DialContext: s.c.Dial}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if text := r.Header.Get("X-Arrival"); text != "" {
			index, err := strconv.Atoi(text)
			if err != nil {
				t.Errorf("X-Arrival: %q", text)
			}
			mu.Lock()
			arrivals = append(arrivals, index)
			headers[r.Header.Get("Authorization")] = true
			mu.Unlock()
		}
		proxy.ServeHTTP(rw, r)
	}))
	var ln net.Listener
	if err := s.c.In(func() (err error) {
		ln, err = net.Listen("tcp", cluster.NodeIP+":0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	srv.Listener.Close()
	srv.Listener = ln
	srv.Config.ErrorLog = nil
	srv.Start()
	t.Cleanup(srv.Close)
	return "http://" + ln.Addr().String(), func() ([]int, map[string]bool) {
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(arrivals)
		return arrivals, headers
	}
}
