package sandbox

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// quick is a cluster whose clocks are short enough for a test in wall seconds:
// pods start within 2 to 4 s of run time, metrics and syncs come every 3 s.
func quick(minReplicas, maxReplicas int32, replicas int) Options {
	s := DefaultService()
	s.Schedule, s.Pull, s.Start, s.Load = Span{Min: 400 * time.Millisecond}, Span{Min: 400 * time.Millisecond}, Span{Min: 400 * time.Millisecond}, Span{800 * time.Millisecond, 2 * time.Second}
	p := hpa.DefaultParams()
	p.SyncPeriod, p.CPUInitializationPeriod, p.InitialReadinessDelay = 3*time.Second, 5*time.Second, time.Second
	return Options{
		Clock: results.Clock{Start: time.Now(), Speed: 20},
		HPA: hpa.Config{MinReplicas: minReplicas, MaxReplicas: maxReplicas, Behavior: true, Metrics: []hpa.Metric{
			{Source: hpa.Resource, Name: "cpu", Target: hpa.Target{Type: hpa.Utilization, Utilization: 50}},
			{Source: hpa.Resource, Name: "memory", Target: hpa.Target{Type: hpa.Utilization, Utilization: 80}},
		},
			ScaleUp:   hpa.DefaultScaleUp(),
			ScaleDown: hpa.Rules{WindowSet: true, Window: 6 * time.Second, Policies: hpa.DefaultScaleDown().Policies},
		},
		Params: p, Replicas: replicas, Service: s, Seed: 1,
		Pipeline: Pipeline{Every: 3 * time.Second, Age: time.Second, Phase: time.Second},
	}
}

// observed runs a sandbox while load is called, then returns its records.
func observed(t *testing.T, o Options, load func(ctx context.Context, s *Sandbox)) []results.Record {
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var records []results.Record
	var observing sync.WaitGroup
	observing.Go(func() {
		if err := s.Observe(ctx, func(r results.Record) {
			mu.Lock()
			defer mu.Unlock()
			records = append(records, r)
		}); err != nil {
			t.Errorf("Observe() = %v", err)
		}
	})
	load(ctx, s)
	cancel()
	observing.Wait()
	return records
}

func only[R results.Record](records []results.Record) []R {
	var out []R
	for _, r := range records {
		if v, ok := r.(R); ok {
			out = append(out, v)
		}
	}
	return out
}

// post sends a completion through the balancer; answer is all of its body.
func post(s *Sandbox, body string) (backend, answer string, code int, err error) {
	resp, err := http.Post(s.URL()+"/v1/completions", "application/json", strings.NewReader(body))
	if err != nil {
		return "", "", 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.Header.Get("X-Backend"), string(b), resp.StatusCode, err
}

func TestRoundRobinNamesItsBackends(t *testing.T) {
	s, err := New(quick(3, 3, 3))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got := map[string]int{}
	for range 12 {
		name, _, code, err := post(s, `{"max_tokens":1}`)
		if err != nil || code != 200 {
			t.Fatalf("status %d, %v", code, err)
		}
		got[name]++
	}
	want := map[string]int{"inference-endpoint-1": 4, "inference-endpoint-2": 4, "inference-endpoint-3": 4}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("answers by backend: %v, want %v", got, want)
	}
	if s.Requests() != 12 || s.FloorS() <= 0 {
		t.Errorf("Requests() = %d, FloorS() = %v; want 12 and a floor above 0", s.Requests(), s.FloorS())
	}
}

func TestNewPodsStartInOrderAndGetTraffic(t *testing.T) {
	t.Parallel()
	backends := map[string]int{}
	records := observed(t, quick(3, 5, 1), func(ctx context.Context, s *Sandbox) { // below min: raised at once
		for len(backends) < 3 && ctx.Err() == nil {
			name, _, _, _ := post(s, `{"max_tokens":1}`)
			backends[name]++
		}
	})
	var phases []results.PodPhase
	var at []time.Duration
	for _, p := range only[results.Pod](records) {
		if p.Name == "inference-endpoint-3" {
			phases, at = append(phases, p.Phase), append(at, p.At)
		}
	}
	want := []results.PodPhase{results.PodCreated, results.PodScheduled, results.PodPulled, results.PodStarted, results.PodReady}
	if !slices.Equal(phases, want) || !slices.IsSorted(at) {
		t.Errorf("phases of a new pod: %v at %v, want %v", phases, at, want)
	}
	if took := at[len(at)-1] - at[0]; took < 2*time.Second {
		t.Errorf("ready after %v, want 2 s at least", took)
	}
	endpoints := only[results.Endpoints](records)
	if n := len(endpoints[len(endpoints)-1].Ready); n != 3 {
		t.Errorf("the last endpoints are %d, want 3", n)
	}
	syncs := only[results.Sync](records)
	if s := syncs[0]; s.Spec != 1 || s.Replicas != 3 || s.Reason != "Current number of replicas below Spec.MinReplicas" {
		t.Errorf("first sync %d → %d %q, want 1 → 3 since it is below min", s.Spec, s.Replicas, s.Reason)
	}
}

func TestScaleDownDrains(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		grace time.Duration
		whole int // answers that end with their mark
	}{
		{"what is inside a deleted pod ends within the grace period", 30 * time.Second, 8},
		{"beyond it, it is cut", time.Second, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := quick(1, 2, 4) // above max: cut at once
			o.Service.Grace = c.grace
			var mu sync.Mutex
			whole := 0
			records := observed(t, o, func(ctx context.Context, s *Sandbox) {
				var all sync.WaitGroup
				for range 8 { // two on each
					all.Go(func() {
						_, answer, _, err := post(s, `{"stream":true,"max_tokens":200}`) // 20.4 s
						mu.Lock()
						defer mu.Unlock()
						if err == nil && strings.HasSuffix(answer, "data: [DONE]\n\n") {
							whole++
						}
					})
				}
				all.Wait()
			})
			if whole != c.whole {
				t.Errorf("%d whole answers, want %d", whole, c.whole)
			}
			deleted := 0
			for _, p := range only[results.Pod](records) {
				if p.Phase == results.PodDeleted {
					deleted++
				}
			}
			if deleted != 2 {
				t.Errorf("%d pods deleted, want 2", deleted)
			}
			endpoints := only[results.Endpoints](records)
			if n := len(endpoints[len(endpoints)-1].Ready); n != 2 {
				t.Errorf("the last endpoints are %d, want 2", n)
			}
		})
	}
}

// The records are scenario observations: another controller that sees them
// decides the same.
func TestSyncsReplayToTheSameDecisions(t *testing.T) {
	t.Parallel()
	o := quick(1, 4, 1)
	o.Service.MemoryBaseBytes = 500 << 20 // at 44 % of the request, memory alone would keep two: ⌈2 · 45/80⌉
	records := observed(t, o, func(ctx context.Context, s *Sandbox) {
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() { _, _, _, _ = post(s, `{"max_tokens":60}`) }) // 8 are served in 6.4 s, 4 wait
			time.Sleep(25 * time.Millisecond)
		}
		all.Wait()
		time.Sleep(1600 * time.Millisecond) // 32 s of run time: two metrics windows, the window of 6 s, and down again
	})
	syncs := only[results.Sync](records)
	up, down := 0, 0
	controller, decision := hpa.New(o.Params), hpa.Decision{}
	for i, s := range syncs {
		observation := again(s)
		if i == 0 {
			observation.Spec = &o.HPA
		}
		controller.Step(&observation, &decision)
		if decision.Replicas != s.Replicas || decision.Desired != s.Desired {
			t.Errorf("sync at %v: %d (desired %d) recorded, %d (desired %d) again", s.At, s.Replicas, s.Desired, decision.Replicas, decision.Desired)
		}
		if s.Replicas > s.Spec {
			up++
		} else if s.Replicas < s.Spec {
			down++
		}
	}
	if up == 0 || down == 0 {
		t.Errorf("%d rescales up, %d down in %d syncs; want both, or this shows nothing", up, down, len(syncs))
	}
}

// again makes the core's observation of a recorded sync.
func again(s results.Sync) hpa.Observation {
	o := hpa.Observation{At: s.At, SpecReplicas: s.Spec, StatusReplicas: s.Status, Selector: s.Selector}
	index := map[string]int{}
	for i, p := range s.Pods {
		index[p.Name] = i
		phase, _ := hpa.ParsePhase(p.Phase)
		ready, _ := hpa.ParseReady(p.Ready)
		pod := hpa.Pod{Name: p.Name, Phase: phase, Ready: ready, ReadySince: p.ReadySince, StartTime: p.Started, NotStarted: !results.Happened(p.Started), Deleted: p.Deleted}
		for _, c := range p.Containers {
			pod.Containers = append(pod.Containers, hpa.Container{Name: c.Name, CPU: c.CPUMilli, HasCPU: true, Memory: c.MemoryBytes * 1000, HasMemory: true})
		}
		o.Pods = append(o.Pods, pod)
	}
	for _, m := range s.Metrics {
		reading := hpa.Reading{Samples: make([]hpa.Sample, len(s.Pods)), Listed: len(m.Pods) > 0}
		for _, v := range m.Pods {
			if i, ok := index[v.Pod]; ok {
				reading.Samples[i] = hpa.Sample{Milli: v.Milli, At: v.At, Window: v.Window, OK: true}
			} else {
				reading.Ghosts = append(reading.Ghosts, v.Milli)
			}
		}
		o.Metrics = append(o.Metrics, reading)
	}
	return o
}

func TestNewNamesAllThatIsWrong(t *testing.T) {
	o := quick(1, 2, 1)
	o.Clock.Speed = 21
	o.HPA.Metrics = nil
	o.Service.Slots = 0
	o.Service.Prefill = time.Millisecond
	_, err := New(o)
	if err == nil {
		t.Fatal("New took it")
	}
	for _, want := range []string{"speed 21", "hpa: no metrics", "slots 0", "prefill of 1ms is too short"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
}

func TestNoReplicaIsReady(t *testing.T) {
	s, err := New(quick(1, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.balancer.set(nil)
	if name, answer, code, err := post(s, "{}"); code != 503 || name != "" || !strings.Contains(answer, "no replica is ready") {
		t.Errorf("status %d from %q: %s (%v); want 503 that says why", code, name, answer, err)
	}
}

func TestDeletedFirst(t *testing.T) {
	ready := func(name string, since time.Duration) *pod {
		return &pod{name: name, scheduled: true, running: true, ready: true, readySince: since, replica: &replica{}}
	}
	w := &workload{service: DefaultService(), clock: results.Clock{Start: time.Now()}, balancer: newBalancer(), emit: func(results.Record) {}}
	loading := &pod{name: "loading", scheduled: true, running: true, replica: &replica{}}
	w.pods = []*pod{ready("old", 0), ready("young", time.Minute), loading, {name: "pulling", scheduled: true}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, want := range []string{"pulling", "loading", "young"} {
		w.scale(ctx, len(w.active())-1)
		var got []string
		for _, p := range w.pods {
			if p.deleted {
				got = append(got, p.name)
			}
		}
		if !slices.Contains(got, want) || len(got) != 4-len(w.active()) {
			t.Errorf("deleted %v, want %s among them now", got, want)
		}
	}
	w.pending.Wait()
}

func TestMilliUp(t *testing.T) {
	for _, c := range []struct {
		name   string
		cpu    float64
		window time.Duration
		want   int64
	}{
		{"whole millicores stay", 7.5, 15 * time.Second, 500},
		{"a nanocore more is a millicore more", 7.500000015, 15 * time.Second, 501},
		{"nothing burnt", 0, 15 * time.Second, 0},
		{"no window, no figure", 1, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := milliUp(c.cpu, c.window); got != c.want {
				t.Errorf("milliUp(%v, %v) = %d, want %d", c.cpu, c.window, got, c.want)
			}
		})
	}
}

func TestMetricsThatTheSandboxServes(t *testing.T) {
	v := value{cpuMilli: 700, memoryBytes: 3, running: 8, waiting: 2}
	for _, c := range []struct {
		name   string
		metric hpa.Metric
		want   int64 // -1 = refused
	}{
		{"cpu in millicores", hpa.Metric{Source: hpa.Resource, Name: "cpu"}, 700},
		{"memory in thousandths of a byte", hpa.Metric{Source: hpa.Resource, Name: "memory"}, 3000},
		{"its one container", hpa.Metric{Source: hpa.ContainerResource, Name: "cpu", Container: "server"}, 700},
		{"another container", hpa.Metric{Source: hpa.ContainerResource, Name: "cpu", Container: "proxy"}, -1},
		{"a disk", hpa.Metric{Source: hpa.Resource, Name: "storage"}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			pick, err := picker(c.metric)
			if err != nil {
				if c.want != -1 {
					t.Errorf("picker(%+v): %v", c.metric, err)
				}
				return
			}
			if got := pick(v); got != c.want {
				t.Errorf("%+v gives %d, want %d", c.metric, got, c.want)
			}
		})
	}
}
