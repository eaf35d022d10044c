package observer

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/results"
)

// sink keeps what was emitted.
type sink struct {
	mu   sync.Mutex
	list []results.Record
	more chan struct{}
}

func newSink() *sink { return &sink{more: make(chan struct{}, 1)} }

func (s *sink) emit(r results.Record) {
	s.mu.Lock()
	s.list = append(s.list, r)
	s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
}

func (s *sink) all() []results.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

// await returns the first record that ok accepts, waiting for it.
func await[R results.Record](t *testing.T, s *sink, what string, ok func(R) bool) R {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		for _, r := range s.all() {
			if r, is := r.(R); is && ok(r) {
				return r
			}
		}
		select {
		case <-s.more:
		case <-limit:
			t.Fatalf("no record after 20 s: %s; got %+v", what, s.all())
		}
	}
}

// world is a cluster of recorded objects.
type world struct {
	clients *fake.Clientset
	cluster *kube.Cluster
	subject *kube.Subject
	hpa     *autoscalingv2.HorizontalPodAutoscaler
	start   time.Time
	mu      sync.Mutex
	metrics string // the answer of metrics.k8s.io; "" = 503
	series  string // the items of external.metrics.k8s.io
}

func load[T any](t *testing.T, name string) *T {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	o := new(T)
	if err := yaml.UnmarshalStrict(data, o); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return o
}

func newWorld(t *testing.T) *world {
	h, d, p := load[autoscalingv2.HorizontalPodAutoscaler](t, "hpa.yaml"), load[appsv1.Deployment](t, "deployment.yaml"), load[corev1.Pod](t, "pod.yaml")
	e := load[discoveryv1.EndpointSlice](t, "endpointslice.yaml")
	w := &world{hpa: h, start: time.Date(2026, 11, 23, 13, 13, 33, 0, time.UTC)}
	w.clients = fake.NewClientset(h, p, e)
	api := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if strings.HasPrefix(r.URL.Path, "/apis/external.metrics.k8s.io/") {
			fmt.Fprintf(rw, `{"items":[%s]}`, w.series)
			return
		}
		if w.metrics == "" || !strings.HasPrefix(r.URL.Path, "/apis/metrics.k8s.io/v1beta1/namespaces/demo/pods") {
			http.Error(rw, "no metrics", http.StatusServiceUnavailable)
			return
		}
		if got := r.URL.Query().Get("labelSelector"); got != "app=tinyllm" {
			t.Errorf("metrics were asked for selector %q, want the scale's", got)
		}
		fmt.Fprint(rw, w.metrics)
	}))
	t.Cleanup(api.Close)
	c, err := kube.New(&rest.Config{Host: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	c.Clients = w.clients
	scheme := runtime.NewScheme()
	if err := appsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c.Dynamic = dynamicfake.NewSimpleDynamicClient(scheme, d)
	w.cluster = c
	w.subject = &kube.Subject{
		Namespace: "demo", HPA: h, Selector: "app=tinyllm", Replicas: 1,
		Target:   kube.Ref{Kind: "Deployment", Name: "tinyllm", Resource: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}},
		Services: []corev1.Service{{ObjectMeta: metav1.ObjectMeta{Name: "tinyllm", Namespace: "demo"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("http")}}}}},
	}
	w.usage(t, "pod-metrics.json")
	return w
}

// usage sets what metrics.k8s.io answers.
func (w *world) usage(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.metrics = string(data)
	w.mu.Unlock()
}

// observe watches in the background until the test's end.
func (w *world) observe(t *testing.T, o Options) (*Kube, *sink) {
	t.Helper()
	s := newSink()
	k := NewKube(w.cluster, w.subject, results.Clock{Start: w.start, Speed: 1}, o)
	k.every = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := k.Observe(ctx, s.emit); err != nil {
			t.Errorf("Observe: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	await(t, s, "the pod's readiness", func(p results.Pod) bool { return p.Phase == results.PodReady })
	await(t, s, "a sample", func(results.Sample) bool { return true })
	// A fake's watch starts with nothing: wait until all are open.
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		n := 0
		for _, a := range w.clients.Actions() {
			if a.GetVerb() == "watch" {
				n++
			}
		}
		if n >= 5 {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("only %d watches were opened", n)
		}
	}
	return k, s
}

func TestARecordedPodAndItsEndpointBecomeRecords(t *testing.T) {
	w := newWorld(t)
	_, s := w.observe(t, Options{})
	phases := map[results.PodPhase]time.Duration{}
	for _, r := range s.all() {
		if p, ok := r.(results.Pod); ok {
			phases[p.Phase] = p.At
			if p.Backend != "10.244.0.2:8000" {
				t.Errorf("phase %s: backend %q, want the address with the port that the Service's targetPort names", p.Phase, p.Backend)
			}
		}
	}
	// testdata/pod.yaml: created 13:05:42, started 13:05:53, ready 13:06:00.
	for phase, want := range map[results.PodPhase]time.Duration{
		results.PodCreated: -(7*time.Minute + 51*time.Second), results.PodScheduled: -(7*time.Minute + 50*time.Second),
		results.PodStarted: -(7*time.Minute + 40*time.Second), results.PodReady: -(7*time.Minute + 33*time.Second),
	} {
		if got, ok := phases[phase]; !ok || got != want {
			t.Errorf("phase %s at %v (seen %v), want %v", phase, got, ok, want)
		}
	}
	e := await(t, s, "endpoints", func(results.Endpoints) bool { return true })
	if !slices.Equal(e.Ready, []string{"10.244.0.2:8000"}) {
		t.Errorf("endpoints %v, want the ready pod's address with its port", e.Ready)
	}
	cpu := await(t, s, "CPU", func(x results.Sample) bool { return x.Name == "cpu_milli" })
	if cpu.Value != 150 || cpu.Window != 10024*time.Millisecond || cpu.Container != "tinyllm" {
		t.Errorf("sample %+v, want 150 millicores over 10.024 s (149832001n, rounded up as the controller does)", cpu)
	}
}

// rescaled is the HPA after the rescale that was recorded.
func rescaled(t *testing.T, w *world) *autoscalingv2.HorizontalPodAutoscaler {
	h := w.hpa.DeepCopy()
	h.Status = load[autoscalingv2.HorizontalPodAutoscaler](t, "hpa-rescaled.yaml").Status
	h.ResourceVersion = "501"
	return h
}

func TestARescaleIsASyncWithItsInput(t *testing.T) {
	w := newWorld(t)
	_, s := w.observe(t, Options{})
	ctx := t.Context()
	if _, err := w.clients.CoreV1().Events("demo").Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "x", Namespace: "demo"}, LastTimestamp: metav1.Now(), Reason: "SuccessfulRescale", Type: "Normal",
		InvolvedObject: corev1.ObjectReference{Kind: "HorizontalPodAutoscaler", Name: "tinyllm"}, Message: "New size: 3; reason: cpu resource utilization (percentage of request) above target",
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, s, "the event", func(e results.Event) bool { return e.Reason == "SuccessfulRescale" })
	if _, err := w.clients.AutoscalingV2().HorizontalPodAutoscalers("demo").Update(ctx, rescaled(t, w), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	got := await(t, s, "the sync", func(results.Sync) bool { return true })
	if got.Spec != 1 || got.Desired != 3 || got.Replicas != 3 || !strings.Contains(got.Reason, "above target") {
		t.Errorf("sync %d → %d (desired %d), reason %q; want 1 → 3 and the event's reason", got.Spec, got.Replicas, got.Desired, got.Reason)
	}
	if len(got.Pods) != 1 || got.Pods[0].Ready != "True" || got.Pods[0].Containers[0].CPUMilli != 100 {
		t.Errorf("pods %+v, want the one that was there, ready, requesting 100 millicores", got.Pods)
	}
	if len(got.Metrics) != 1 || len(got.Metrics[0].Pods) != 1 || got.Metrics[0].Pods[0].Milli != 150 {
		t.Errorf("input %+v, want the 150 millicores from which the status's average was made", got.Metrics)
	}
}

func TestASyncWhoseInputWasNotSeenHasNone(t *testing.T) {
	w := newWorld(t)
	_, s := w.observe(t, Options{})
	h := rescaled(t, w)
	h.Status.CurrentMetrics[0].Resource.Current.AverageValue.SetMilli(151)
	if _, err := w.clients.AutoscalingV2().HorizontalPodAutoscalers("demo").Update(t.Context(), h, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	got := await(t, s, "the sync", func(results.Sync) bool { return true })
	if got.Metrics != nil {
		t.Errorf("input %+v, want none: no look at the metrics gives an average of 151", got.Metrics)
	}
}

func TestAnEditInMidRunIsSaid(t *testing.T) {
	w := newWorld(t)
	files := make(chan string, 1)
	_, s := w.observe(t, Options{KeepSpec: w.hpa.Spec.DeepCopy(), File: func(name string, _ []byte) { files <- name }})
	h := w.hpa.DeepCopy()
	h.Spec.MaxReplicas = 9
	if _, err := w.clients.AutoscalingV2().HorizontalPodAutoscalers("demo").Update(t.Context(), h, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, s, "that the run's change was undone", func(x results.Warning) bool { return x.ID == "change-undone" })
	await(t, s, "that the HPA was edited", func(x results.Warning) bool { return x.ID == "hpa-edited" })
	if name := <-files; name != "hpa-edit-1.yaml" {
		t.Errorf("the edited HPA is kept as %s", name)
	}
}

func TestMetricsThatFailAreAGap(t *testing.T) {
	w := newWorld(t)
	_, s := w.observe(t, Options{})
	w.mu.Lock()
	w.metrics = ""
	w.mu.Unlock()
	await(t, s, "blindness", func(x results.Warning) bool {
		return x.ID == "observer-blind" && strings.HasPrefix(x.Text, "metrics.k8s.io")
	})
	w.usage(t, "pod-metrics.json")
	g := await(t, s, "the gap", func(g results.Gap) bool { return g.Source == "metrics.k8s.io" })
	if g.To <= g.From {
		t.Errorf("gap %+v has no length", g)
	}
}

func TestAMetricThatLosesItsSeriesIsAGap(t *testing.T) {
	w := newWorld(t)
	w.series = `{"metricName":"s0-prometheus","value":"7","timestamp":"2026-11-23T13:13:40Z"}`
	w.subject.HPA.Spec.Metrics = append(w.subject.HPA.Spec.Metrics, autoscalingv2.MetricSpec{
		Type:     autoscalingv2.ExternalMetricSourceType,
		External: &autoscalingv2.ExternalMetricSource{Metric: autoscalingv2.MetricIdentifier{Name: "s0-prometheus"}},
	})
	_, s := w.observe(t, Options{})
	await(t, s, "its value", func(x results.Sample) bool { return x.Name == "s0-prometheus" && x.Value == 7 })
	set := func(series string) {
		w.mu.Lock()
		w.series = series
		w.mu.Unlock()
	}
	set("")
	await(t, s, "a warning", func(x results.Warning) bool {
		return x.ID == "observer-blind" && x.Text == "External metric s0-prometheus: the answer has no series; retrying"
	})
	set(`{"metricName":"s0-prometheus","value":"3"}`)
	g := await(t, s, "the gap", func(g results.Gap) bool { return strings.Contains(string(g.Source), "s0-prometheus") })
	if g.To <= g.From || g.Why != "the answer has no series" || !g.HidesDecisions() {
		t.Errorf("gap %+v: want a length, the reason, and that it hides decisions", g)
	}
}

// TestAFeedListsAgain drives a feed through everything that a watch can meet.
func TestAFeedListsAgain(t *testing.T) {
	type call struct{ verb, version string }
	var calls []call
	s := newSink()
	refuse := 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	opened := make(chan *watch.FakeWatcher, 8)
	pod := func(name, version string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: version}}
	}
	saw := make(chan string, 16)
	f := feed{
		name: "kube/pods", clock: results.Clock{Start: time.Now()}, emit: s.emit,
		list: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			calls = append(calls, call{"list", ""})
			return &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "10"}, Items: []corev1.Pod{*pod("a", "9")}}, nil
		},
		watch: func(_ context.Context, o metav1.ListOptions) (watch.Interface, error) {
			calls = append(calls, call{"watch", o.ResourceVersion})
			if refuse > 0 {
				refuse--
				return nil, apierrors.NewServiceUnavailable("etcd is away")
			}
			w := watch.NewFakeWithChanSize(8, false)
			opened <- w
			return w, nil
		},
		saw:  func(o runtime.Object, listed bool) { saw <- fmt.Sprint(o.(*corev1.Pod).Name, " ", listed) },
		lost: func(o runtime.Object) { saw <- "lost " + o.(*corev1.Pod).Name },
	}
	done := make(chan error, 1)
	go func() { done <- f.run(ctx) }()
	next := func(want string) {
		t.Helper()
		if got := <-saw; got != want {
			t.Errorf("saw %q, want %q", got, want)
		}
	}
	w := <-opened
	next("a true")
	w.Add(pod("b", "11"))
	next("b false")
	refuse = 3 // 250 + 500 + 1000 ms: long enough to be a gap
	w.Stop()
	w = <-opened
	g := await(t, s, "a gap", func(g results.Gap) bool { return g.Source == "kube/pods" })
	if !strings.Contains(g.Why, "etcd is away") || !strings.Contains(g.Why, "was resumed") {
		t.Errorf("gap %q, want why, and that nothing was lost", g.Why)
	}
	w.Delete(pod("b", "12"))
	next("lost b")
	refuse = 1
	w.Stop()
	w = <-opened // opened, but the version is too old: one gap, not two, and no word of nothing being lost
	w.Error(&metav1.Status{Status: "Failure", Reason: metav1.StatusReasonExpired, Code: http.StatusGone})
	<-opened
	next("a true")
	g = await(t, s, "the second gap", func(g results.Gap) bool { return strings.Contains(g.Why, "listed again") })
	for _, r := range s.all() {
		if r, ok := r.(results.Gap); ok && r != g && strings.Contains(r.Why, "too old") {
			t.Errorf("gap %q: the watch that was opened again showed nothing", r.Why)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run = %v at the end of its context", err)
	}
	want := []call{{"list", ""}, {"watch", "10"}, {"watch", "11"}, {"watch", "11"}, {"watch", "11"}, {"watch", "11"}, {"watch", "12"}, {"watch", "12"}, {"list", ""}, {"watch", "10"}}
	if !slices.Equal(calls, want) {
		t.Errorf("calls %v, want %v", calls, want)
	}
}

func TestAMissingVerbIsNamed(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", fmt.Errorf(`User "u" cannot list resource "pods" in API group "" in the namespace "demo"`))
	for _, tt := range []struct {
		name     string
		optional bool
		want     string
	}{
		{"a needed feed ends the source", false, "kube/pods: needs verb list on pods in demo: hpatune rbac run prints the Role"},
		{"an optional one goes without", true, "<nil>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSink()
			f := feed{name: "kube/pods", optional: tt.optional, emit: s.emit, list: func(context.Context, metav1.ListOptions) (runtime.Object, error) { return nil, forbidden }}
			if got := fmt.Sprint(f.run(t.Context())); got != tt.want {
				t.Errorf("run = %s, want %s", got, tt.want)
			}
			if tt.optional {
				await(t, s, "what is lacking", func(w results.Warning) bool { return w.ID == "observer-lacks" })
			}
		})
	}
}
