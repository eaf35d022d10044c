//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	cluster "github.com/hpatune/hpatune/test/cluster"
	"github.com/hpatune/hpatune/test/cluster/countproxy"
	kept "github.com/hpatune/hpatune/test/cluster/pairs"
)

// pair is a prediction to compare with the real cluster: a recording under a predicts what happens
// under b. Both are the HPA's spec after its target, in YAML's flow style; with keda, they are a
// ScaledObject's.
type pair struct {
	name, text string
	payload    payload
	load       string // the profile
	a, b       string
	ownClocks  bool // for a cluster with Kubernetes' own clocks, not the fast ones
	inFlight   bool // scaled on in_flight, a metric of pods, through an adapter
	zero       bool // it may go to zero, behind a proxy that counts; ${PROXY} in a and b is its URL
	keda       bool // scaled by a ScaledObject; ${PROMETHEUS} in a and b is the URL of one that scrapes every second
}

const (
	cpuMetric  = "metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: %d}}}]"
	objectives = `objectives: ["ttft.p95 < 400ms", "error_rate < 1%"]
`
)

// The loads are at most 30 requests/s of requestCPU each, measured on the pod
// before the first run: the machine runs the cluster and the load generator as well.
var pairs = []pair{
	{
		name: "step", text: "two steps up and down; one more replica from the start and a lower target",
		payload: tinyllm("chat"),
		load: `
stages:
  - {name: warm-up, rate: 4/s, duration: 30s, warmup: true}
  - {name: high, rate: 24/s, duration: 110s}
  - {name: low, rate: 4/s, duration: 110s}
  - {name: high again, rate: 24/s, duration: 110s}
  - {name: low again, rate: 4/s, duration: 120s}
`,
		a: "minReplicas: 1, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 70),
		b: "minReplicas: 2, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 50),
	},
	{
		name: "climb", text: "ramps, plateaus and falls; a lower target, slower up, a longer window down",
		payload: tinyllm("chat"),
		load: `
stages:
  - {name: warm-up, rate: 4/s, duration: 30s, warmup: true}
  - {name: climb, ramp: {from: 4/s, to: 30/s}, duration: 120s}
  - {name: hold, rate: 30/s, duration: 50s}
  - {name: fall, rate: 4/s, duration: 90s}
  - {name: climb again, ramp: {from: 4/s, to: 26/s}, duration: 100s}
  - {name: fall again, rate: 4/s, duration: 90s}
`,
		a: "minReplicas: 1, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 70),
		b: "minReplicas: 1, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 50) + ", behavior: {scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 15}]}, scaleDown: {stabilizationWindowSeconds: 60, policies: [{type: Percent, value: 100, periodSeconds: 15}]}}",
	},
	{
		name: "waves", text: "a sine of 80 s; more replicas at a higher target, a short window down",
		payload: tinyllm("chat"),
		load: `
stages:
  - {name: warm-up, rate: 14/s, duration: 30s, warmup: true}
  - {name: waves, sine: {mean: 14/s, amplitude: 10/s, period: 80s}, duration: 450s}
`,
		a: "minReplicas: 1, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 60),
		b: "minReplicas: 2, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 85) + ", behavior: {scaleDown: {stabilizationWindowSeconds: 10, policies: [{type: Pods, value: 1, periodSeconds: 15}]}}",
	},
	{
		name: "cold", text: "steps at a server that takes a quarter of a minute to load; two replicas and a lower target",
		payload: tinyllm("chat", "-load-delay=8s", "-load-cpu=1s"),
		load: `
stages:
  - {name: warm-up, rate: 4/s, duration: 30s, warmup: true}
  - {name: high, rate: 20/s, duration: 110s}
  - {name: low, rate: 4/s, duration: 110s}
  - {name: high again, rate: 20/s, duration: 110s}
  - {name: low again, rate: 4/s, duration: 120s}
`,
		a: "minReplicas: 1, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 70),
		b: "minReplicas: 2, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 50),
	},
	{
		name: "spikes", text: "spikes of three sizes over a low base; a lower target, and no scale-down for a minute",
		payload: tinyllm("chat"),
		load: `
stages:
  - {name: warm-up, rate: 8/s, duration: 30s, warmup: true}
  - {name: base 1, rate: 8/s, duration: 60s}
  - {name: spike 1, rate: 20/s, duration: 45s}
  - {name: base 2, rate: 8/s, duration: 90s}
  - {name: spike 2, rate: 28/s, duration: 45s}
  - {name: base 3, rate: 8/s, duration: 90s}
  - {name: spike 3, rate: 24/s, duration: 45s}
  - {name: base 4, rate: 8/s, duration: 90s}
`,
		a: "minReplicas: 2, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 70),
		b: "minReplicas: 2, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 55) + ", behavior: {scaleDown: {stabilizationWindowSeconds: 60}}",
	},
	{
		name: "stairs", text: "stairs up and down; one replica less at a higher target, a window before scaling up",
		payload: tinyllm("chat"),
		load: `
stages:
  - {name: warm-up, rate: 6/s, duration: 30s, warmup: true}
  - {name: stair 1, rate: 6/s, duration: 55s}
  - {name: stair 2, rate: 12/s, duration: 65s}
  - {name: stair 3, rate: 18/s, duration: 65s}
  - {name: stair 4, rate: 24/s, duration: 65s}
  - {name: stair 5, rate: 18/s, duration: 65s}
  - {name: stair 6, rate: 12/s, duration: 65s}
  - {name: stair 7, rate: 6/s, duration: 75s}
`,
		a: "minReplicas: 2, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 50),
		b: "minReplicas: 1, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 70) + ", behavior: {scaleUp: {stabilizationWindowSeconds: 10}}",
	},
	{
		name: "own-clocks", text: "a day in 14 minutes on Kubernetes' own clocks; a lower target and a window down of two minutes",
		payload: tinyllm("chat"),
		load: `
stages:
  - {name: warm-up, rate: 6/s, duration: 60s, warmup: true}
  - {name: morning, ramp: {from: 6/s, to: 24/s}, duration: 180s}
  - {name: noon, rate: 24/s, duration: 150s}
  - {name: afternoon, rate: 12/s, duration: 200s}
  - {name: evening, rate: 6/s, duration: 250s}
`,
		a:         "minReplicas: 1, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 70),
		b:         "minReplicas: 2, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 50) + ", behavior: {scaleDown: {stabilizationWindowSeconds: 120}}",
		ownClocks: true,
	},
	{
		name: "keda-waiting", text: "KEDA on the sum of waiting requests; a lower threshold (with two replicas nothing waits, and nothing moves)",
		payload: tinyllm("chat", "-slots=2"),
		load: `
stages:
  - {name: warm-up, rate: 6/s, duration: 30s, warmup: true}
  - {name: high, rate: 24/s, duration: 110s}
  - {name: low, rate: 6/s, duration: 110s}
  - {name: high again, rate: 24/s, duration: 110s}
  - {name: low again, rate: 6/s, duration: 120s}
`,
		a:    "minReplicaCount: 1, maxReplicaCount: 6, " + fmt.Sprintf(waitingTrigger, 2),
		b:    "minReplicaCount: 1, maxReplicaCount: 6, " + fmt.Sprintf(waitingTrigger, 1),
		keda: true,
	},
	{
		name: "keda-ratio", text: "KEDA on the share of all slots that requests in flight fill, a ratio; a lower threshold",
		payload: tinyllm("chat"),
		load: `
stages:
  - {name: warm-up, rate: 6/s, duration: 20s, warmup: true}
  - {name: high, rate: 24/s, duration: 70s}
  - {name: low, rate: 6/s, duration: 70s}
  - {name: high again, rate: 24/s, duration: 60s}
  - {name: low again, rate: 6/s, duration: 60s}
`,
		a:    "minReplicaCount: 1, maxReplicaCount: 6, " + fmt.Sprintf(ratioTrigger, "0.15"),
		b:    "minReplicaCount: 1, maxReplicaCount: 6, " + fmt.Sprintf(ratioTrigger, "0.09"),
		keda: true,
	},
	{
		name: "keda-zero", text: "KEDA from zero, on what a proxy has pending, averaged over 15 s; a lower target and a longer cooldown",
		payload: tinyllm("chat"),
		load: `
at_zero: hold 60s
stages:
  - {name: warm-up, rate: 6/s, duration: 20s, warmup: true}
  - {name: high, rate: 20/s, duration: 60s}
  - {name: silence, rate: 0/s, duration: 70s}
  - {name: high again, rate: 20/s, duration: 60s}
  - {name: silence again, rate: 0/s, duration: 70s}
`,
		a:    "pollingInterval: 5, cooldownPeriod: 20, minReplicaCount: 0, maxReplicaCount: 6, " + fmt.Sprintf(pendingTrigger, "1"),
		b:    "pollingInterval: 5, cooldownPeriod: 40, minReplicaCount: 0, maxReplicaCount: 6, " + fmt.Sprintf(pendingTrigger, "0.5"),
		keda: true, zero: true,
	},
	{
		name: "in-flight", text: "an HPA on requests in flight in a pod, through a custom metrics adapter; a lower target (with two replicas nothing moves)",
		payload: tinyllm("chat"),
		load: `
stages:
  - {name: warm-up, rate: 6/s, duration: 30s, warmup: true}
  - {name: high, rate: 24/s, duration: 110s}
  - {name: low, rate: 6/s, duration: 110s}
  - {name: high again, rate: 24/s, duration: 110s}
  - {name: low again, rate: 6/s, duration: 120s}
`,
		a:        "minReplicas: 1, maxReplicas: 6, " + fmt.Sprintf(inFlightMetric, "600m"),
		b:        "minReplicas: 1, maxReplicas: 6, " + fmt.Sprintf(inFlightMetric, "350m"),
		inFlight: true,
	},
}

const (
	inFlightMetric = "metrics: [{type: Pods, pods: {metric: {name: in_flight}, target: {type: AverageValue, averageValue: %s}}}]"
	// Averaged over 15 s, because a single instant shows little of requests of 20 to 100 ms.
	inFlightRule = "in_flight=avg_over_time(vllm:num_requests_running[15s]) + ignoring(__name__) avg_over_time(vllm:num_requests_waiting[15s])"
)

// waitingTrigger scales on the requests waiting in all pods, averaged over 15 s.
const waitingTrigger = `triggers: [{type: prometheus, metadata: {serverAddress: "${PROMETHEUS}", query: "sum(avg_over_time(vllm:num_requests_waiting[15s]))", threshold: "%d"}}]`

// ratioTrigger scales on requests in flight over the slots of all pods, four in each:
// metricType Value, as for every ratio.
const ratioTrigger = `triggers: [{type: prometheus, metricType: Value, metadata: {serverAddress: "${PROMETHEUS}", query: "(sum(avg_over_time(vllm:num_requests_running[15s])) + sum(avg_over_time(vllm:num_requests_waiting[15s]))) / (4 * count(vllm:num_requests_running))", threshold: "%s"}}]`

// pendingTrigger scales on the requests that a proxy in front of the pods has not answered yet,
// averaged over 15 s: at an instant it has none, now and then, under any load of short requests,
// and whether enough polls in a row meet such instants is pure luck.
const pendingTrigger = `triggers: [{type: metrics-api, metadata: {url: "${PROXY}/-/counts", valueLocation: average, targetValue: "%s"}}]`

// proxy starts the proxy that counts and holds requests in front of w, and returns its URL.
func (s *suite) proxy(t *testing.T, w workload) string {
	t.Helper()
	return s.deploy(t, w.namespace, payload{name: "proxy", image: "hpacluster.test/countproxy:1", port: 8000,
		ready: countproxy.CountsPath, cpuRequest: "50m", cpuLimit: "500m", args: []string{"-to=" + w.url, "-hold=60s"}}).url
}

// TestPredictedAgainstActual records A twice, predicts B before it runs B, and prints for each pair
// the predicted and the actual figures, and the difference between the two runs of A. It does not
// judge the figures: the table shows the error of the model. It does judge the shadow: over all
// profiles and runs, every rescale of the real controller is reproduced, or its difference is
// listed.
//
// $HPATUNE_PAIRS names a file for the table, $HPATUNE_PAIRS_KEEP a folder for the
// recordings (cmd/pairtable judges them again with another build), and with
// -run …/NAME one pair runs.
func TestPredictedAgainstActual(t *testing.T) {
	s := needFull(t)
	var results []*kept.Result
	t.Cleanup(func() {
		table := kept.Table(results)
		if to := os.Getenv("HPATUNE_PAIRS"); to != "" && len(results) > 0 {
			if err := os.WriteFile(to, []byte(table), 0o644); err != nil {
				t.Error(err)
			}
		}
		t.Logf("\n%s", table)
	})
	for _, p := range pairs {
		t.Run(p.name, func(t *testing.T) {
			if own := s.c.Clocks().HPASync == cluster.DefaultClocks().HPASync; own != p.ownClocks {
				t.Skip("for a cluster of other clocks (HPA_SYNC and its fellows)")
			}
			if p.keda {
				needKEDA(t)
			}
			results = append(results, s.runPair(t, p))
		})
	}
}

// stand is the workload of a pair with what its autoscaler needs.
type stand struct {
	w        workload
	hpa      string                   // its name
	address  string                   // the URL that requests go to
	manifest func(spec string) string // of the autoscaler, from its spec after the target
}

// stand deploys the workload of p, and the Prometheus, adapter or proxy that its metric needs.
func (s *suite) stand(t *testing.T, ns string, p pair) stand {
	t.Helper()
	w := s.deploy(t, ns, p.payload)
	st := stand{w: w, hpa: w.name, address: w.url, manifest: func(spec string) string {
		return fmt.Sprintf("apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: %[1]s}\n"+
			"spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %[1]s}, %[2]s}\n", w.name, spec)
	}}
	var url string
	// Not beside a proxy: a scrape of it is held at zero as well, and wakes the pods.
	if p.keda && !p.zero || p.inFlight {
		url = s.prometheus(t, ns).url
	}
	if p.inFlight {
		s.customMetrics(t, ns, url, inFlightRule)
	}
	if p.zero {
		st.address = s.proxy(t, w)
	}
	if p.keda {
		known := strings.NewReplacer("${PROMETHEUS}", url, "${PROXY}", st.address)
		st.manifest = func(spec string) string {
			return fmt.Sprintf("apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: %[1]s, namespace: %[3]s}\n"+
				"spec: {scaleTargetRef: {name: %[1]s}, %[2]s}\n", w.name, known.Replace(spec), ns)
		}
		st.hpa = "keda-hpa-" + w.name
	}
	return st
}

func (s *suite) runPair(t *testing.T, p pair) *kept.Result {
	ns, dir := s.namespace(t), filepath.Join(t.TempDir(), p.name)
	if to := os.Getenv("HPATUNE_PAIRS_KEEP"); to != "" {
		dir = filepath.Join(to, p.name)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer keep(t, dir)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	st := s.stand(t, ns, p)
	w, hpa, address := st.w, st.hpa, st.address
	write(kept.HPAa, st.manifest(p.a))
	b := write(kept.HPAb, st.manifest(p.b))
	tokens, cost := s.servedAnswer(t, w, requestCPU)
	write("cost", fmt.Sprintf("%d tokens, %v of CPU a request\n", tokens, cost))
	load := profileWith(t, dir, p.name, tokens, p.load+objectives)
	s.apply(t, ns, st.manifest(p.a))
	if !p.zero { // at zero it has none
		s.waitCurrentMetrics(t, ns, hpa)
	}

	record := func(out string, more ...string) {
		t.Helper()
		if p.zero {
			s.sleeps(t, w)
		} else {
			s.settled(t, ns, hpa)
		}
		r := s.hpatune(t, dir, append([]string{"run", "--hpa", ns + "/" + hpa, "--url", address, "-p", load, "--controller", s.controller(), "--throttling", "--out", out, "--yes"}, more...)...)
		t.Logf("%s: exit code %d\n%s", out, r.code, r.stdout)
		if r.code != 0 {
			t.Fatalf("hpatune run %s: exit code %d\n%s", out, r.code, r.stderr)
		}
	}
	record(kept.Once)
	record(kept.Again)
	// Predicted before B has run.
	if r := s.hpatune(t, dir, "replay", kept.Once, "-f", b); r.code != 0 && r.code != 4 { // 4: not valid, and printed as such
		t.Errorf("hpatune replay: exit code %d\n%s", r.code, r.stderr)
	} else {
		write("predicted.txt", r.stdout)
	}
	busiest := s.watchBusiest(t, w)
	record(kept.Other, "--apply", "-f", b)
	write(kept.Busy, fmt.Sprintf("%.3f\n", busiest()))

	program, err := hpatuneOnce()
	if err != nil {
		t.Fatal(err)
	}
	result, err := kept.Judge(t.Context(), kept.Program(program), dir, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range result.Runs {
		say(t, "%s, refusals %v", run, run.Refusals)
		sh := run.Shadow
		if sh == nil {
			t.Errorf("%s: no shadow", run.Name)
			continue
		}
		if sh.Rescales.Differ > 0 || sh.Rescales.Agree == 0 || 10*sh.Unknown > sh.Agree+sh.Differ+sh.Unknown {
			t.Errorf("%s: shadow %+v, want every rescale reproduced and at most a tenth unknown: %v", run.Name, *sh, run.Warnings)
		}
	}
	return result
}

// sleeps waits until w has scaled to zero and no pod is left.
func (s *suite) sleeps(t *testing.T, w workload) {
	t.Helper()
	eventually(t, s.patience(4*time.Minute), w.name+" is at zero", func(ctx context.Context) error {
		d, err := s.kube.AppsV1().Deployments(w.namespace).Get(ctx, w.name, metav1.GetOptions{})
		if err == nil && (*d.Spec.Replicas != 0 || d.Status.Replicas != 0) {
			err = fmt.Errorf("%d replicas, wants %d", d.Status.Replicas, *d.Spec.Replicas)
		}
		return err
	})
}

// watchBusiest follows the CPU of w's pods until the returned function is called. That function
// returns the largest share of its limit that a pod used in a window of the metrics API; only pods
// that were ready for the whole window count.
func (s *suite) watchBusiest(t *testing.T, w workload) (stop func() float64) {
	t.Helper()
	const limit = 200 // millicores, of payload
	ctx, cancel := context.WithCancel(t.Context())
	var most float64
	var wg sync.WaitGroup
	wg.Go(func() {
		for tick := time.NewTicker(5 * time.Second); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
			}
			pods, err := s.kube.CoreV1().Pods(w.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + w.name})
			if err != nil {
				continue // the next one will do
			}
			used, err := s.podCPU(ctx, w.namespace)
			if err != nil {
				continue
			}
			for _, p := range pods.Items {
				u, ok := used[p.Name]
				for _, c := range p.Status.Conditions {
					if ok && c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && u.from.After(c.LastTransitionTime.Time) {
						most = max(most, float64(u.millicores)/limit)
					}
				}
			}
		}
	})
	return func() float64 {
		cancel()
		wg.Wait()
		return most
	}
}

// podUse is a pod's CPU over a window of the metrics API that began at from.
type podUse struct {
	millicores int64
	from       time.Time
}

func (s *suite) podCPU(ctx context.Context, ns string) (map[string]podUse, error) {
	list, err := s.dyn.Resource(schema.GroupVersionResource{Group: "metrics.k8s.io", Version: "v1beta1", Resource: "pods"}).Namespace(ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	out := map[string]podUse{}
	for _, item := range list.Items {
		var m struct {
			Timestamp  time.Time
			Window     metav1.Duration
			Containers []struct{ Usage map[string]resource.Quantity }
		}
		text, err := item.MarshalJSON()
		if err == nil {
			err = json.Unmarshal(text, &m)
		}
		if err != nil {
			return nil, err
		}
		var used int64
		for _, c := range m.Containers {
			cpu := c.Usage["cpu"]
			used += cpu.MilliValue()
		}
		out[item.GetName()] = podUse{used, m.Timestamp.Add(-m.Window.Duration)}
	}
	return out, nil
}

// settled waits until an HPA is at its minimum and its windows are empty, so that all runs begin
// alike.
func (s *suite) settled(t *testing.T, ns, name string) {
	t.Helper()
	clocks := s.c.Clocks()
	var since time.Time
	eventually(t, s.patience(4*time.Minute), "HPA "+name+" is at its minimum", func(ctx context.Context) error {
		h, err := s.kube.AutoscalingV2().HorizontalPodAutoscalers(ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if h.Status.CurrentReplicas != *h.Spec.MinReplicas || h.Status.DesiredReplicas != *h.Spec.MinReplicas {
			since = time.Time{}
			return fmt.Errorf("%d replicas, wants %d, the minimum is %d", h.Status.CurrentReplicas, h.Status.DesiredReplicas, *h.Spec.MinReplicas)
		}
		if since.IsZero() {
			since = time.Now()
		}
		if wait := clocks.HPADownStable + clocks.MetricResolution - time.Since(since); wait > 0 {
			return fmt.Errorf("for %v more", wait.Round(time.Second))
		}
		return nil
	})
}
