package hpa

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"
)

var errAPI = errors.New("api is away")

// Each row is one metric's proposal, as "replicas", and what else the row tests.
func TestOneMetricsProposal(t *testing.T) {
	cpu := func(target int32) Metric { return Metric{Name: "cpu", Target: Target{Utilization: target}} }
	rps := Metric{Source: Pods, Name: "rps", Target: Target{Type: AverageValue, AverageMilli: 100}}
	queue := func(t Target) Metric { return Metric{Source: External, Name: "queue", Target: t} }
	hits := func(t Target) Metric { return Metric{Source: Object, Name: "hits", Target: t} }
	value, average := Target{Type: Value, ValueMilli: 100}, Target{Type: AverageValue, AverageMilli: 100}
	// load makes pods of the given loads in percent of their request of 100; < 0 has no sample.
	load := func(milli ...int64) Observation {
		pods, r := podsAt(len(milli), 0)
		for i, m := range milli {
			r.Samples[i].Milli, r.Samples[i].OK = m, m >= 0
		}
		n := int32(len(milli))
		return Observation{SpecReplicas: n, StatusReplicas: n, Pods: pods, Metrics: []Reading{r}}
	}
	series := func(n int32, vs ...int64) Observation {
		o := load(make([]int64, n)...)
		o.Metrics = []Reading{{Series: vs}}
		return o
	}
	with := func(o Observation, f func(*Observation)) Observation { f(&o); return o }
	unready := func(o Observation, is ...int) Observation {
		for _, i := range is {
			o.Pods[i].Ready, o.Pods[i].ReadySince = ReadyFalse, o.Pods[i].StartTime
		}
		return o
	}
	for _, c := range []struct {
		name string
		m    Metric
		o    Observation
		want string // replicas, or the fault; ready unready missing ignored of metered
	}{
		{"double load doubles", cpu(100), load(200, 200), "4; 2 0 0 0 of 2"},
		{"on target keeps", cpu(100), load(100, 100), "2 tolerated; 2 0 0 0 of 2"},
		{"a list that is there but empty of samples", cpu(100), with(load(-1, -1), func(o *Observation) { o.Metrics[0].Listed = true }), "did not receive metrics for targeted pods (pods might be unready); 0 0 2 0 of 0"},
		{"a list that is not there", cpu(100), load(-1, -1), "failed; 0 0 2 0 of 0"},
		{"ghosts make it listed", rps, with(load(), func(o *Observation) { o.Metrics[0].Ghosts = []int64{5} }), "no pods returned by selector while calculating replica count; 0 0 0 0 of 0"},
		{"a ghost counts in a plain average, not in a size", rps, with(load(300), func(o *Observation) { o.Metrics[0].Ghosts = []int64{100} }), "2; 1 0 0 0 of 2"},
		{"the API's own error", cpu(100), with(load(200), func(o *Observation) { o.Metrics[0].Err = errAPI }), "failed; 0 0 0 0 of 0"},
		{"no target", Metric{Name: "cpu"}, load(200), "failed; 0 0 0 0 of 0"},
		{"no such source", Metric{Source: 9, Name: "cpu", Target: average}, load(200), "failed; 0 0 0 0 of 0"},
		{"a failed and a terminating pod are ignored", cpu(100), with(load(200, 200, 200), func(o *Observation) { o.Pods[1].Phase, o.Pods[2].Deleted = Failed, true }), "2; 1 0 0 2 of 1"},
		{"upward a missing pod counts as 0", cpu(100), load(300, 300, -1), "6; 2 0 1 0 of 3"},
		{"downward a missing pod counts as its request", cpu(100), load(10, 10, -1), "2; 2 0 1 0 of 3"},
		{"or as the target, where that is above 100 %", cpu(200), load(20, 20, -1), "2; 2 0 1 0 of 3"},
		{"downward a missing pod counts as a plain target", rps, load(10, 10, -1), "2; 2 0 1 0 of 3"},
		{"on target exactly, a missing pod changes nothing", cpu(100), load(100, -1), "2 tolerated; 1 0 1 0 of 1"},
		{"on target exactly, an unready pod changes nothing", cpu(100), unready(load(100, 100), 1), "2 tolerated; 1 1 0 0 of 1"},
		{"upward an unready pod counts as 0", cpu(100), unready(load(400, 0), 1), "4; 1 1 0 0 of 2"},
		{"downward an unready pod is left out", cpu(100), unready(load(50, 0), 1), "1; 1 1 0 0 of 1"},
		{"unready and missing pods turn the direction: kept", cpu(100), unready(load(120, 0, -1), 1), "3 kept; 1 1 1 0 of 3"},
		{"missing pods downward would lift: kept", cpu(50), load(45, -1, -1), "3 kept; 1 0 2 0 of 3"},
		{"a missing pod counts as all of its request, not less", cpu(50), load(12, -1), "2 kept; 1 0 1 0 of 2"},
		{"exactly the size though below is no turn", cpu(100), load(60, 60, -1), "3; 2 0 1 0 of 3"},
		{"exactly the size though above is no turn", cpu(100), with(load(200, 200, -1), func(o *Observation) { o.SpecReplicas = 4 }), "4; 2 0 1 0 of 3"},
		{"within tolerance with the missing", cpu(100), load(200, 120, -1), "3 tolerated; 2 0 1 0 of 3"},
		{"more than the size though below: kept", cpu(100), with(load(80, -1, 10, 10), func(o *Observation) { o.SpecReplicas = 1 }), "1 kept; 3 0 1 0 of 4"},
		{"less than the size though above: kept", cpu(100), with(load(300, -1), func(o *Observation) { o.SpecReplicas = 9 }), "9 kept; 1 0 1 0 of 2"},
		{"requests of zero match nothing", cpu(100), with(load(100), func(o *Observation) { o.Pods[0].Containers = []Container{{Name: "app", HasCPU: true}} }), "no metrics returned matched known pods; 1 0 0 0 of 0"},
		{"requests of one are enough", cpu(100), with(load(1), func(o *Observation) { o.Pods[0].Containers = []Container{{Name: "app", CPU: 1, HasCPU: true}} }), "1 tolerated; 1 0 0 0 of 1"},
		{"requests that cancel out with the missing pod's", cpu(100), with(load(300, -1), func(o *Observation) { o.Pods[1].Containers = []Container{{Name: "app", CPU: -100, HasCPU: true}} }), "no metrics returned matched known pods; 1 0 1 0 of 1"},
		{"requests that sum to one with the missing pod's", cpu(100), with(load(300, -1), func(o *Observation) { o.Pods[1].Containers = []Container{{Name: "app", CPU: -99, HasCPU: true}} }), "600; 1 0 1 0 of 2"},
		{"of pods at fault the first by name is told", cpu(100), with(load(1, 1, 1), func(o *Observation) {
			o.Pods[0].Name, o.Pods[1].Name, o.Pods[2].Name = "c", "a", "b"
			for i := range o.Pods {
				o.Pods[i].Containers = []Container{{Name: "app"}}
			}
		}), "missing request for cpu in container app of Pod a; 3 0 0 0 of 0"},
		{"of one name the first is told", cpu(100), with(load(1, 1), func(o *Observation) {
			o.Pods[1].Name = o.Pods[0].Name
			o.Pods[0].Containers, o.Pods[1].Containers = []Container{{Name: "first"}}, []Container{{Name: "second"}}
		}), "missing request for cpu in container first of Pod web-0; 2 0 0 0 of 0"},
		{"samples may be fewer than pods", cpu(100), with(load(200, 200), func(o *Observation) { o.Metrics[0].Samples = o.Metrics[0].Samples[:1] }), "2 tolerated; 1 0 1 0 of 2"},
		{"memory takes every running pod", Metric{Name: "memory", Target: Target{AverageMilli: 100}}, unready(load(200, 200), 0, 1), "4; 2 0 0 0 of 2"},
		{"a custom metric called cpu too", Metric{Source: Pods, Name: "cpu", Target: average}, unready(load(200, 200), 0, 1), "4; 2 0 0 0 of 2"},

		{"a value counts over the ready pods", queue(value), series(3, 200), "6; 3 0 0 0 of 3"},
		{"series are summed", queue(value), series(3, 100, 50, 50), "6; 3 0 0 0 of 3"},
		{"pods that run but are not ready do not count", queue(value), unready(series(3, 200), 0), "4; 2 0 0 0 of 2"},
		{"nor do pending ones", queue(value), with(series(3, 200), func(o *Observation) { o.Pods[0].Phase = Pending }), "4; 2 0 0 0 of 2"},
		{"a count is that many pods", queue(value), with(series(1, 200), func(o *Observation) { o.Pods[0].Count = 3 }), "6; 3 0 0 0 of 3"},
		{"from zero a value is the size", queue(value), with(series(3, 250), func(o *Observation) { o.SpecReplicas = 0 }), "3; 0 0 0 0 of 0"},
		{"a value within tolerance", queue(value), series(3, 105), "3 tolerated; 0 0 0 0 of 0"},
		{"a value without pods", queue(value), with(series(0, 200), func(o *Observation) { o.SpecReplicas = 2 }), "unable to calculate ready pods: no pods returned by selector while calculating replica count; 0 0 0 0 of 0"},
		{"an average is shared among the status's replicas", queue(average), series(4, 600), "6; 0 0 0 0 of 0"},
		{"an average within tolerance", queue(average), series(4, 410), "4 tolerated; 0 0 0 0 of 0"},
		{"an average takes status, not spec", queue(average), with(series(4, 600), func(o *Observation) { o.StatusReplicas = 6 }), "6 tolerated; 0 0 0 0 of 0"},
		{"an external target of both kinds is an average", queue(Target{AverageMilli: 100, ValueMilli: 1}), series(4, 600), "6; 0 0 0 0 of 0"},
		{"an external target of none", queue(Target{}), series(4, 600), "failed; 0 0 0 0 of 0"},
		{"an external metric without series", queue(value), series(4), "failed; 0 0 0 0 of 0"},
		{"an external metric that fails", queue(value), with(series(4, 1), func(o *Observation) { o.Metrics[0].Err = errAPI }), "failed; 0 0 0 0 of 0"},
		{"an object's value", hits(value), series(3, 200), "6; 3 0 0 0 of 3"},
		{"an object's average", hits(average), series(4, 600), "6; 0 0 0 0 of 0"},
		{"an object's first series only", hits(value), series(3, 200, 999), "6; 3 0 0 0 of 3"},
		{"an object without a value", hits(value), series(3), "failed; 0 0 0 0 of 0"},
		{"an object that fails", hits(value), with(series(3, 1), func(o *Observation) { o.Metrics[0].Err = errAPI }), "failed; 0 0 0 0 of 0"},
		{"an object's target of the type that is not set", hits(Target{Type: Value, AverageMilli: 100}), series(3, 1), "failed; 0 0 0 0 of 0"},
		{"and the other way round", hits(Target{Type: AverageValue, ValueMilli: 100}), series(3, 1), "failed; 0 0 0 0 of 0"},
		{"a selector that is none", Metric{Source: Pods, SelectorErr: "bad", Target: average}, load(1), "failed; 0 0 0 0 of 0"},
	} {
		k := New(DefaultParams())
		spec := Config{MinReplicas: 1, MaxReplicas: 1000, Metrics: []Metric{c.m}}
		k.spec = &spec
		var p Proposal
		k.propose(&c.o, &c.m, &c.o.Metrics[0], k.tolerances(), &p)
		what := fmt.Sprint(p.Replicas)
		switch {
		case p.Fault.Code != OK:
			if what = p.Fault.core(&c.m); what == "" {
				what = "failed"
			}
			if p.Replicas != 0 {
				t.Errorf("%s: failed with a proposal of %d", c.name, p.Replicas)
			}
		case p.Kept:
			what += " kept"
		case p.Tolerated:
			what += " tolerated"
		}
		if got := fmt.Sprintf("%s; %d %d %d %d of %d", what, p.Ready, p.Unready, p.Missing, p.Ignored, p.Metered); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// The error code of a metric without a proposal, and that its value reads as 0.
func TestFaultsByMetric(t *testing.T) {
	ext := func(t Target, sel string) Metric {
		return Metric{Source: External, Name: "q", Target: t, SelectorErr: sel}
	}
	for _, c := range []struct {
		name string
		m    Metric
		r    Reading
		want FaultCode
	}{
		{"an external selector fails with an average", ext(Target{AverageMilli: 1}, "bad"), Reading{}, FaultSelector},
		{"and with a value", ext(Target{ValueMilli: 1}, "bad"), Reading{}, FaultSelector},
		{"without a target the target fails first", ext(Target{}, "bad"), Reading{}, FaultNoTarget},
		{"another metric's selector fails in any case", Metric{Source: Object, SelectorErr: "bad"}, Reading{}, FaultSelector},
		{"nothing listed", ext(Target{ValueMilli: 1}, ""), Reading{}, FaultNothingListed},
		{"the API", ext(Target{ValueMilli: 1}, ""), Reading{Err: errAPI}, FaultAPI},
		{"an average, the API", ext(Target{AverageMilli: 1}, ""), Reading{Err: errAPI}, FaultAPI},
		{"an object, the API", Metric{Source: Object, Target: Target{Type: Value, ValueMilli: 1}}, Reading{Err: errAPI}, FaultAPI},
		{"an object, nothing", Metric{Source: Object, Target: Target{Type: AverageValue, AverageMilli: 1}}, Reading{}, FaultNothingListed},
		{"pods, nothing", Metric{Source: Pods, Target: Target{AverageMilli: 1}}, Reading{}, FaultNothingListed},
		{"no pods", Metric{Source: Pods, Target: Target{AverageMilli: 1}}, Reading{Listed: true}, FaultNoPods},
		{"no such source", Metric{Source: 7, Target: Target{AverageMilli: 1}}, Reading{Listed: true}, FaultUnknownSource},
	} {
		k := New(DefaultParams())
		k.spec = &Config{Metrics: []Metric{c.m}}
		var p Proposal
		k.propose(&Observation{SpecReplicas: 1}, &c.m, &c.r, k.tolerances(), &p)
		if p.Fault.Code != c.want {
			t.Errorf("%s: fault %d, want %d", c.name, p.Fault.Code, c.want)
		}
	}
	k := New(DefaultParams())
	for _, r := range []Reading{{}, {Err: errAPI, Series: []int64{4}}} {
		var p Proposal
		if v, ok := objectUsage(&r, &p); v != 0 || ok {
			t.Errorf("objectUsage(%+v) = %d %v, want 0 false", r, v, ok)
		}
		if v, ok := k.externalUsage(&r, true, &p); v != 0 || ok {
			t.Errorf("externalUsage(%+v) = %d %v, want 0 false", r, v, ok)
		}
	}
}

func TestSumsAndSizesThatDoNotFit(t *testing.T) {
	for _, c := range []struct {
		name    string
		average bool
		series  []int64
		want    int64
	}{
		{"the largest sum fits", false, []int64{math.MaxInt64 - 1, 1}, math.MaxInt64},
		{"one more is capped", false, []int64{math.MaxInt64 - 1, 2}, math.MaxInt64},
		{"and what follows is not read", false, []int64{math.MaxInt64, 1, -5}, math.MaxInt64},
		{"at the largest, a zero does not end it", false, []int64{math.MaxInt64, 0, -5}, math.MaxInt64 - 5},
		{"just fitting does not end it", false, []int64{math.MaxInt64 - 1, 1, -5}, math.MaxInt64 - 5},
		{"one series of 1 ends where it must", false, []int64{math.MaxInt64, 1, -7}, math.MaxInt64},
		{"a value may be negative", false, []int64{-5, 2}, -3},
		{"a negative value wraps", false, []int64{math.MinInt64, -1}, math.MaxInt64},
		{"an average of zero is zero", true, []int64{5, -5}, 0},
		{"a negative average asks for everything", true, []int64{5, -6, 9}, math.MaxInt64},
		{"an overflow too", true, []int64{math.MaxInt64, 1}, math.MaxInt64},
	} {
		k := New(DefaultParams())
		var p Proposal
		if got, ok := k.externalUsage(&Reading{Series: c.series}, c.average, &p); got != c.want || !ok {
			t.Errorf("%s: externalUsage(%v) = %d %v, want %d", c.name, c.series, got, ok, c.want)
		}
	}
	for _, c := range []struct {
		name     string
		usage    int64
		target   int64
		capped   bool
		replicas int32
		milli    int64
	}{
		{"the largest size fits", math.MaxInt32, 1, true, math.MaxInt32, math.MaxInt32},
		{"one more is capped", math.MaxInt32 + 1, 1, true, math.MaxInt32, math.MaxInt32 + 1},
		{"uncapped it wraps", math.MaxInt32 + 1, 1, false, math.MinInt32, math.MaxInt32 + 1},
		{"an endless usage is told as such", math.MaxInt64, 1, true, math.MaxInt32, math.MaxInt64},
		{"uncapped it wraps too", math.MaxInt64, 1, false, math.MinInt32, math.MinInt64},
		{"a large one that is less", 1 << 62, 1, true, math.MaxInt32, 1 << 62},
	} {
		k := New(DefaultParams())
		var p Proposal
		k.byAverage(&Observation{StatusReplicas: 1}, c.usage, c.target, c.capped, tolerances{down: 0.1, up: 0.1}, &p)
		if p.Replicas != c.replicas || p.UsageMilli != c.milli {
			t.Errorf("%s: byAverage(%d) = %d at %d, want %d at %d", c.name, c.usage, p.Replicas, p.UsageMilli, c.replicas, c.milli)
		}
	}
	for _, c := range []struct {
		name  string
		usage int64
		want  int32
	}{
		{"the largest size fits", math.MaxInt32, math.MaxInt32},
		{"one more is capped", math.MaxInt32 + 1, math.MaxInt32},
	} {
		k := New(DefaultParams())
		var p Proposal
		k.byValue(&Observation{SpecReplicas: 1, Pods: make([]Pod, 1)}, c.usage, 1, tolerances{down: 0.1, up: 0.1}, &p)
		if p.Replicas != c.want {
			t.Errorf("%s: byValue(%d) = %d, want %d", c.name, c.usage, p.Replicas, c.want)
		}
	}
}

func TestReadinessToTheInstant(t *testing.T) {
	minute := time.Minute
	for _, c := range []struct {
		name string
		now  time.Duration
		p    Pod
		s    Sample
		want bool
	}{
		{"no Ready condition", 60 * minute, Pod{Ready: ReadyAbsent}, Sample{}, true},
		{"not started", 60 * minute, Pod{NotStarted: true}, Sample{}, true},
		{"old and ready", 60 * minute, Pod{ReadySince: minute}, Sample{}, false},
		{"young and ready, its window began after", 4 * minute, Pod{ReadySince: minute}, Sample{At: 2 * minute, Window: minute}, false},
		{"young and ready, its window began before", 4 * minute, Pod{ReadySince: minute}, Sample{At: 2*minute - 1, Window: minute}, true},
		{"young and unready", 4 * minute, Pod{Ready: ReadyFalse, ReadySince: minute}, Sample{At: 4 * minute, Window: minute}, true},
		{"young with readiness unknown counts", 4 * minute, Pod{Ready: ReadyUnknown, ReadySince: minute}, Sample{At: 4 * minute, Window: minute}, false},
		{"the initialization period ends at 5 minutes sharp", 5 * minute, Pod{ReadySince: 4 * minute}, Sample{At: 4 * minute, Window: minute}, false},
		{"just before, it has not", 5*minute - 1, Pod{ReadySince: 4 * minute}, Sample{At: 4 * minute, Window: minute}, true},
		{"counted from the start", 7*minute - 1, Pod{StartTime: 2 * minute, ReadySince: 4 * minute}, Sample{At: 4 * minute, Window: minute}, true},
		{"old, unready, never ready", 60 * minute, Pod{Ready: ReadyFalse, ReadySince: 29 * time.Second}, Sample{}, true},
		{"old, unready, changed 30 s after the start: it was ready", 60 * minute, Pod{Ready: ReadyFalse, ReadySince: 30 * time.Second}, Sample{}, false},
		{"counted from the start too", 60 * minute, Pod{Ready: ReadyFalse, StartTime: minute, ReadySince: minute + 29*time.Second}, Sample{}, true},
	} {
		if got := New(DefaultParams()).unready(c.now, &c.p, &c.s); got != c.want {
			t.Errorf("%s: unready = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestRequestsOfAPod(t *testing.T) {
	app, sidecar := Container{Name: "app", CPU: 100, HasCPU: true, Memory: 7, HasMemory: true}, Container{Name: "proxy", CPU: 10, HasCPU: true, Init: true, Sidecar: true}
	once := Container{Name: "once", CPU: 500, HasCPU: true, Init: true}
	bare := Container{Name: "bare"}
	cpu := requester{cpu: true, podLevel: true}
	of := func(name string, lenient bool) requester {
		return requester{cpu: true, podLevel: true, container: name, lenient: lenient}
	}
	pod := func(cs ...Container) Pod { return Pod{Containers: cs} }
	level := func(l PodLevel, cs ...Container) Pod { return Pod{Level: &l, Containers: cs} }
	for _, c := range []struct {
		name string
		q    requester
		p    Pod
		want string
	}{
		{"containers and sidecars, no init container", cpu, pod(app, once, sidecar), "110 0 "},
		{"memory", requester{memory: true}, pod(app), "7 0 "},
		{"another resource has no request", requester{}, pod(app), "0 5 app"},
		{"no containers, no requests", cpu, pod(), "0 0 "},
		{"no containers, but one is asked for", of("app", false), pod(), "0 6 app"},
		{"before 1.35 that was no error", of("app", true), pod(), "0 0 "},
		{"one container", of("app", false), pod(app, sidecar), "100 0 "},
		{"one sidecar", of("proxy", false), pod(app, sidecar), "10 0 "},
		{"one that is not there", of("db", false), pod(app), "0 6 db"},
		{"before 1.35 that was no error either", of("db", true), pod(app), "0 0 "},
		{"one of two lacks its request", cpu, pod(app, bare), "0 5 bare"},
		{"containers are asked before sidecars", cpu, pod(Container{Name: "proxy", Init: true, Sidecar: true}, bare), "0 5 bare"},
		{"pod-level", cpu, level(PodLevel{CPU: 70, HasCPU: true, OverheadCPU: 5}, app), "75 0 "},
		{"pod-level memory", requester{memory: true, podLevel: true}, level(PodLevel{Memory: 70, HasMemory: true, OverheadMemory: 6}, app), "76 0 "},
		{"pod-level, but one container is asked for", of("app", false), level(PodLevel{CPU: 70, HasCPU: true}, app), "100 0 "},
		{"pod-level without requests is none", cpu, level(PodLevel{OverheadCPU: 5}, app), "100 0 "},
		{"pod-level for memory: containers and overhead for cpu", cpu, level(PodLevel{HasMemory: true, OverheadCPU: 5}, app, sidecar), "115 0 "},
		{"the same the other way round", requester{memory: true, podLevel: true}, level(PodLevel{HasCPU: true, OverheadMemory: 6}, app), "13 0 "},
		{"an init container that needs more than all", cpu, level(PodLevel{HasMemory: true}, app, once), "500 0 "},
		{"beside the sidecars before it", cpu, level(PodLevel{HasMemory: true}, sidecar, once, app), "510 0 "},
		{"not those after it", cpu, level(PodLevel{HasMemory: true}, once, sidecar, app), "500 0 "},
		{"sidecars alone", cpu, level(PodLevel{HasMemory: true}, sidecar, sidecar), "20 0 "},
		{"nothing but a sidecar of negative request is the initial 0", cpu, level(PodLevel{HasMemory: true}, Container{CPU: -10, HasCPU: true, Sidecar: true}), "0 0 "},
		{"a pod-level request that is missing", cpu, level(PodLevel{HasMemory: true}, bare), "0 7 "},
		{"an overhead alone will do", cpu, level(PodLevel{HasMemory: true, OverheadCPU: 1}, bare), "1 0 "},
		{"a request of 0 will do", cpu, level(PodLevel{HasMemory: true}, Container{HasCPU: true}), "0 0 "},
	} {
		for range 2 { // the second time from the cache
			n, code := c.q.of(&c.p)
			at := c.q.at
			if code == OK {
				at = ""
			}
			if got := fmt.Sprint(n, " ", uint8(code), " ", at); got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
	}
	if n, ok := (&requester{}).request(&app); n != 0 || ok {
		t.Errorf("a request for no resource is %d %v", n, ok)
	}
	// Pods that share their containers are computed once; a pod with only the first container
	// is computed separately.
	q, cs := cpu, []Container{app, sidecar}
	for _, c := range []struct {
		cs   []Container
		want int64
	}{{cs, 110}, {cs[:1], 100}, {cs, 110}, {cs[1:], 10}} {
		if got, _ := q.of(&Pod{Containers: c.cs}); got != c.want {
			t.Errorf("%v request %d, want %d", c.cs, got, c.want)
		}
	}
}
