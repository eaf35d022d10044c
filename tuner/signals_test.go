package tuner

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/fit/fittest"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
)

// watched adds the metrics that a run's servers export: for each pod every 5 s the requests in
// service and waiting, memory that only grows, and a metric of the pool that is unrelated to
// the load.
func watched(run *results.Run, slots int) {
	add := func(at float64, name, pod string, v float64) {
		source := "prometheus"
		if name == "memory_bytes" {
			source = "metrics.k8s.io"
		}
		run.Samples = append(run.Samples, results.Sample{At: fittest.Dur(at), Source: source, Name: name, Pod: pod, Value: v,
			SampledAt: fittest.Dur(at)})
	}
	run.Samples = slices.DeleteFunc(run.Samples, func(s results.Sample) bool { return s.Name == "memory_bytes" })
	for at := 5.0; at < run.Meta.DurationS; at += 5 {
		inside := make([]int, len(run.Meta.Backends))
		for i := range run.Requests {
			if q := &run.Requests[i]; q.Backend >= 0 && q.Sent.Seconds() <= at && q.Done.Seconds() > at {
				inside[q.Backend]++
			}
		}
		for k, b := range run.Meta.Backends {
			ready := slices.ContainsFunc(run.Pods, func(p results.Pod) bool {
				return p.Name == b.Name && p.Phase == results.PodReady && p.At.Seconds() < at
			})
			gone := slices.ContainsFunc(run.Pods, func(p results.Pod) bool {
				return p.Name == b.Name && p.Phase == results.PodDeleted && p.At.Seconds() < at
			})
			if !ready || gone {
				continue
			}
			add(at, "engine_running", b.Name, float64(min(inside[k], slots)))
			add(at, "engine_waiting", b.Name, float64(max(0, inside[k]-slots)))
			add(at, "memory_bytes", b.Name, 1e9+1e6*at)
			done := 0
			for i := range run.Requests {
				if q := &run.Requests[i]; int(q.Backend) == k && q.Done.Seconds() <= at {
					done++
				}
			}
			add(at, "engine_requests_total", b.Name, float64(done))
		}
		add(at, "weather", "", 50+40*math.Sin(at*at))
	}
}

func TestWhichSignal(t *testing.T) {
	const slots = 4
	truth := fittest.Truth{Rate: func(at float64) float64 { return 0.6 + 1.8*max(0, min(1, (at-150)/60, (600-at)/30)) }, Seconds: 900,
		Config: fittest.CPUConfig(40), Replicas: 2, Slots: slots, Streams: true, Seed: 5}
	truth.Config.ScaleDown.Window, truth.Config.ScaleDown.WindowSet, truth.Config.Behavior = time.Minute, true, true
	run := truth.Run()
	run.Meta.Target.Streams, run.Meta.Client.CPUMeasured, run.Meta.Stages[0].Arrivals = true, true, len(run.Requests)
	watched(run, slots)
	objectives, err := results.ParseObjectives([]string{"ttft.p95 < 4s"})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Current: truth.Config, Objectives: objectives, Price: DefaultPrice(), Replicates: 8, Seed: 1, Space: Space{MaxLimit: 5}}
	o.Fit.Signals = true
	r, _, err := Recommend(t.Context(), []*results.Run{run}, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range r.Signals {
		t.Logf("%s (%s), follows %s, noise %v, ceiling %v, target %v, lead %v, %s $%.2f %q", g.Name, g.Source, g.Follows, show(g.Noise),
			show(g.Ceiling), show(g.Target), show(g.LeadS), g.Verdict, value(g.USDMonth), g.Dropped)
	}
	if r.Recommended == nil {
		t.Fatalf("no recommendation: %+v", r.Refusal)
	}
	row := func(name string) SignalRow {
		i := slices.IndexFunc(r.Signals, func(g SignalRow) bool { return g.Name == name })
		if i < 0 {
			t.Fatalf("no row of %s", name)
		}
		return r.Signals[i]
	}
	running, waiting := row("engine_running"), row("engine_waiting")
	if running.Source != "Pods" || running.Follows != "requests in service" || running.Ceiling == nil || math.Abs(*running.Ceiling-slots) > 0.2 {
		t.Errorf("what runs: %+v; want a ceiling of its %d slots", running, slots)
	}
	if running.Verdict != Met || running.Config == nil || running.Config.Metrics[0].Name != "engine_running" || running.USDMonth == nil ||
		running.Reaches == nil || !*running.Reaches || running.LeadS == nil {
		t.Errorf("an HPA on what runs: %+v", running)
	}
	if waiting.Ceiling != nil || waiting.Follows != "requests waiting" || waiting.Verdict == "" {
		t.Errorf("what waits has no ceiling, and is searched: %+v", waiting)
	}
	if both := row("engine_running+engine_waiting"); both.Source != "External" || both.Follows != "requests in flight" ||
		both.Ceiling != nil || both.Verdict != Met || both.Config.Metrics[0].Target.Type != hpa.AverageValue {
		t.Errorf("what runs and what waits as one number: %+v", both)
	}
	if running.LeadS != nil && waiting.LeadS != nil && *running.LeadS < *waiting.LeadS {
		t.Errorf("what runs asks %v s before the objectives break, what waits %v s: a queue comes later", *running.LeadS, *waiting.LeadS)
	}
	each := row("sum(engine_waiting) / sum(engine_running)")
	if each.Follows != "requests waiting per request in service" || each.Ceiling != nil || each.Verdict == NotSearched ||
		each.Config != nil && each.Config.Metrics[0].Target.Type != hpa.Value {
		t.Errorf("what waits for each that runs: %+v", each)
	}
	used := row("sum(engine_running) / count(engine_running) / 4")
	if used.Follows != "slots in use" || used.Ceiling == nil || math.Abs(*used.Ceiling-1) > 0.05 || used.Verdict != Met ||
		used.Config.Metrics[0].Target.Type != hpa.Value || *used.Target < 0.2 || *used.Target > 1 {
		t.Errorf("the slots in use: %+v", used)
	}
	if rate := row("sum(rate(engine_requests_total[60s]))"); rate.Follows != "completions per second" || rate.Source != "External" ||
		rate.Ceiling == nil || rate.Noise == nil {
		t.Errorf("the rate of a counter: %+v", rate)
	}
	if m := row("memory"); !strings.Contains(m.Dropped, "does not fall with the load") || m.Slope == nil || m.Verdict != "" {
		t.Errorf("memory that only grows: %+v", m)
	}
	if w := row("weather"); w.Dropped == "" || w.Source != "External" || w.USDMonth != nil {
		t.Errorf("a number that follows nothing: %+v", w)
	}
	if i := slices.IndexFunc(r.Signals, func(g SignalRow) bool { return strings.HasPrefix(g.Name, "max of") }); i < 0 ||
		len(r.Signals[i].Config.Metrics) != 2 {
		t.Error("the two together are not among the candidates")
	}
	if last := r.Signals[len(r.Signals)-1]; last.Dropped == "" {
		t.Errorf("the last is %s, want one that was dropped", last.Name)
	}
	for _, g := range r.Signals {
		if g.Advised && (g.USDMonth == nil || g.USDMonth.Hi == nil || *g.USDMonth.Hi >= 0) {
			t.Errorf("%s is advised, and saves nothing beyond noise: %+v", g.Name, g)
		}
	}
}

func show(x *float64) float64 {
	if x == nil {
		return math.NaN()
	}
	return *x
}

func TestScaledOn(t *testing.T) {
	b := slowStart(t, 20*time.Second)
	b.price = DefaultPrice()
	for _, c := range []struct {
		name string
		g    fitSignal
		want hpa.Target
	}{
		{"a count of what is in service, at what a replica carries", fitSignal{hpa.Pods, "running", 1, 0, 0}, hpa.Target{Type: hpa.AverageValue, AverageMilli: 4000}},
		{"what waits: one each", fitSignal{hpa.Pods, "waiting", 0, 1, 0}, hpa.Target{Type: hpa.AverageValue, AverageMilli: 1000}},
		{"CPU in percent of its request", fitSignal{hpa.Resource, "cpu", 0.1, 0, 0}, hpa.Target{Utilization: 40}},
		{"below a ceiling that is lower", fitSignal{hpa.Pods, "running", 1, 0, 2.31}, hpa.Target{Type: hpa.AverageValue, AverageMilli: 2000}},
	} {
		g := c.g.signal()
		if got := b.scaledOn(&g).Target; got != c.want {
			t.Errorf("%s: target %+v, want %+v", c.name, got, c.want)
		}
	}
}

// A time's target is what a user would write: half of the limit, in the metric's unit.
func TestTimeTarget(t *testing.T) {
	law := plant.SlotsLaw(2, []plant.ServiceTime{{First: 0.25, Total: 1}, {First: 0.75, Total: 3}})
	for _, tt := range []struct {
		sentence string
		times    plant.Times
		limits   plant.Limits
		want     float64
	}{
		{"of the first token", plant.Times{Of: plant.ToFirst}, plant.Limits{TTFT: 4 * time.Second, E2E: 20 * time.Second}, 2},
		{"of the whole answer, in milliseconds", plant.Times{Of: plant.ToEnd, Unit: 1000},
			plant.Limits{TTFT: 4 * time.Second, E2E: 20 * time.Second}, 10000},
		{"of the queue before the first token", plant.Times{Of: plant.InQueue}, plant.Limits{TTFT: 4 * time.Second,
			E2E: 20 * time.Second}, 1},
		{"of the queue before the answer", plant.Times{Of: plant.InQueue}, plant.Limits{E2E: 20 * time.Second}, 5},
		{"of the first token without a limit", plant.Times{Of: plant.ToFirst}, plant.Limits{E2E: 20 * time.Second}, 1},
		{"of the whole answer without a limit", plant.Times{Of: plant.ToEnd}, plant.Limits{TTFT: 4 * time.Second}, 4},
	} {
		if got := timeTarget(&tt.times, tt.limits, &law); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", tt.sentence, got, tt.want)
		}
	}
	b := slowStart(t, 20*time.Second)
	w := *b.world
	w.Limits.TTFT = 3 * time.Second
	b.world = &w
	g := fit.Signal{Metric: hpa.Metric{Source: hpa.External, Name: "ttft"}, Pipe: plant.Pipe{Over: plant.Max,
		Times: &plant.Times{Of: plant.ToFirst}}}
	if got, want := b.scaledOn(&g).Target, (hpa.Target{Type: hpa.Value, ValueMilli: 1500}); got != want {
		t.Errorf("target %+v, want %+v", got, want)
	}
	if row := signalRow(&g, &law); row.Ceiling != nil {
		t.Errorf("a time has no ceiling, it rises with the queue: %+v", row)
	}
}

// A signal's triggers replace those of the ScaledObject, also in KEDA's own loop: what is read
// off the pods cannot scale up from zero.
func TestSignalsBesideZero(t *testing.T) {
	b := slowStart(t, 20*time.Second)
	zero := int32(0)
	loop := &keda.Loop{Polling: 30 * time.Second, Min: 0, Idle: &zero, Formula: &keda.Formula{Text: "queue"},
		Triggers: []keda.Trigger{{Metric: "queue"}, {Metric: "s1-prometheus", OfPods: true}}}
	for _, tt := range []struct {
		sentence string
		loop     *keda.Loop
		outside  []string
		metrics  []hpa.Metric
		min      int32
		zero     bool
		triggers string
	}{
		{"a metric of the pods", loop, []string{"queue"}, []hpa.Metric{{Source: hpa.External, Name: "running"}}, 1, false,
			"running of pods"},
		{"CPU", loop, []string{"queue"}, []hpa.Metric{{Source: hpa.Resource, Name: "cpu"}}, 1, false, "cpu of pods resource"},
		{"a metric outside of them", loop, []string{"queue"}, []hpa.Metric{{Source: hpa.External, Name: "queue"}}, 0, true,
			"queue"},
		{"both", loop, []string{"queue"}, []hpa.Metric{{Source: hpa.External, Name: "running"}, {Source: hpa.External,
			Name: "queue"}}, 0, true,
			"running of pods, queue"},
		{"no KEDA", nil, []string{"queue"}, []hpa.Metric{{Source: hpa.Pods, Name: "running"}}, 1, false, ""},
		{"no KEDA, a metric outside", nil, []string{"queue"}, []hpa.Metric{{Source: hpa.Object, Name: "queue"}}, 0, true, ""},
	} {
		d := *b
		d.space.Zero = true
		w := *b.world.Under(tt.loop)
		w.Outside = tt.outside
		d.world = &w
		c := hpa.Config{Metrics: tt.metrics}
		got := d.wokenBy(&w, &c)
		var triggers []string
		if l := got.world.Loop; l != nil {
			for _, x := range l.Triggers {
				text := x.Metric
				if x.OfPods {
					text += " of pods"
				}
				if x.Resource {
					text += " resource"
				}
				triggers = append(triggers, text)
			}
			if l.Formula != nil || l.Min != tt.min || (l.Idle != nil) != tt.zero {
				t.Errorf("%s: loop %+v, want a minimum of %d, and no formula", tt.sentence, l, tt.min)
			}
		}
		if c.MinReplicas != tt.min || got.space.Zero != tt.zero || strings.Join(triggers, ", ") != tt.triggers {
			t.Errorf("%s: minimum %d, zero %v, triggers %q; want %d, %v, %q", tt.sentence, c.MinReplicas, got.space.Zero,
				triggers,
				tt.min, tt.zero, tt.triggers)
		}
	}
	if loop.Min != 0 || loop.Idle == nil || len(loop.Triggers) != 2 || loop.Formula == nil {
		t.Errorf("the ScaledObject's own loop changed: %+v", loop)
	}
}

// fitSignal is a short form of a signal.
type fitSignal struct {
	source                       hpa.Source
	name                         string
	perRunning, perWaiting, most float64
}

func (f fitSignal) signal() fit.Signal {
	return fit.Signal{Metric: hpa.Metric{Source: f.source, Name: f.name},
		Pipe: plant.Pipe{Name: f.name, PerRunning: f.perRunning, PerWaiting: f.perWaiting, Ceiling: f.most}}
}

func TestWhichSignalIsAdvised(t *testing.T) {
	on := func(name string, source hpa.Source, value, hi float64) SignalRow {
		c := hpa.DefaultConfig(9)
		c.Metrics = []hpa.Metric{{Source: source, Name: name}}
		return SignalRow{Name: name, Config: &c, more: &Interval{Value: value, Hi: &hi}}
	}
	for _, tt := range []struct {
		sentence string
		rows     []SignalRow
		want     int
	}{
		{"no signal", nil, -1},
		{"one that was not searched", []SignalRow{{Name: "dropped"}}, -1},
		{"one that costs more", []SignalRow{on("queue", hpa.Pods, 0.2, 0.3)}, -1},
		{"one that saves", []SignalRow{on("queue", hpa.Pods, -0.2, -0.1)}, 0},
		{"one whose saving may be none", []SignalRow{on("queue", hpa.Pods, -0.2, 0)}, -1},
		{"one that saves too little to change anything", []SignalRow{on("queue", hpa.Pods, -unparted/2, -unparted/3)}, -1},
		{"one that saves just enough", []SignalRow{on("queue", hpa.Pods, -unparted, -unparted/2)}, 0},
		{"the one that saves the most", []SignalRow{on("a", hpa.Pods, -0.2, -0.1), on("b", hpa.Pods, -0.3, -0.1),
			on("c", hpa.Pods, -0.3, -0.1)}, 1},
		{"memory is not advised", []SignalRow{on("memory", hpa.Resource, -0.5, -0.4)}, -1},
		{"nor that of a container", []SignalRow{on("memory", hpa.ContainerResource, -0.5, -0.4),
			on("b", hpa.Pods, -0.3, -0.1)}, 1},
		{"a metric of pods that is called memory is another", []SignalRow{on("memory", hpa.Pods, -0.5, -0.4)}, 0},
		{"CPU is advised", []SignalRow{on("cpu", hpa.Resource, -0.5, -0.4)}, 0},
	} {
		if got := advisable(tt.rows); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.sentence, got, tt.want)
		}
	}
}
