package sim

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// recorder writes what the product's load generator and observer would have recorded on that day:
// requests as the client saw them, the pods' phases, samples as the metrics APIs returned them, and
// the reconciles that changed the HPA's status.
type recorder struct {
	d       *day
	r       *rand.Rand
	run     *results.Run
	last    map[string]time.Duration // stamp of the last CPU sample, by pod
	series  map[string]int64         // last value of an External metric
	status  []int64                  // the HPA's status when it was last written
	maximum int
}

// pollEvery is how often the recorder reads the metrics APIs, independently of the controller.
const pollEvery = 5.0

func newRecorder(d *day) *recorder {
	return &recorder{d: d, r: rand.New(rand.NewPCG(d.o.Seed, 7)), run: &results.Run{},
		last: map[string]time.Duration{}, series: map[string]int64{}}
}

func (x *recorder) begin() {
	x.d.push(x.r.Float64()*pollEvery, evPoll, 0, 0)
}

// answered names the pod of a backend when it is seen for the first time.
func (x *recorder) answered(q *request, p *pod) {
	if x.d.w.Record.Hidden || q.failed {
		return
	}
	if p.backend < 0 {
		p.backend = int32(len(x.run.Meta.Backends))
		b := results.Backend{Name: p.name, Address: p.address}
		if p.ready > 0 {
			at := p.ready
			b.ReadyAtS = &at
		}
		x.run.Meta.Backends = append(x.run.Meta.Backends, b)
	}
	if !p.answered {
		p.answered = true
		x.pod(p, results.PodFirstAnswer, q.done)
	}
}

func (x *recorder) pod(p *pod, phase results.PodPhase, at float64) {
	x.run.Pods = append(x.run.Pods, results.Pod{At: dur(at), Name: p.name, Phase: phase, Node: "node-1",
		Backend: p.address})
}

// poll reads the metrics APIs.
func (x *recorder) poll(now float64) {
	d := x.d
	d.push(now+pollEvery*(0.98+0.04*x.r.Float64()), evPoll, 0, 0)
	if now > d.end {
		return
	}
	for _, p := range d.alive {
		v := &p.value
		if !v.ok || x.last[p.name] == whole(v.at) {
			continue
		}
		x.last[p.name] = whole(v.at)
		s := results.Sample{At: dur(now), Source: "metrics.k8s.io", Pod: p.name, Container: "server",
			Window: dur(v.window), SampledAt: whole(v.at)}
		s.Name, s.Value = "cpu_milli", float64(milli(v.cores))
		x.run.Samples = append(x.run.Samples, s)
		s.Name, s.Value = "memory_bytes", 0.6*float64(d.w.Pod.MemoryBytes)
		x.run.Samples = append(x.run.Samples, s)
	}
	for i := range d.o.Config.Metrics {
		m := &d.o.Config.Metrics[i]
		switch m.Source {
		case hpa.Pods:
			for _, p := range d.alive {
				if p.gauge.ok { // the adapter stamps with the time of the query, and says no window
					x.run.Samples = append(x.run.Samples, results.Sample{At: dur(now),
						Source: "custom.metrics.k8s.io", Name: m.Name, Pod: p.name,
						Value: float64(milli(p.gauged(m.Name))) / 1000, SampledAt: whole(now)})
				}
			}
		case hpa.External:
			v := d.read(m, nil, now).Series[0]
			if old, ok := x.series[m.Name]; ok && old == v {
				continue
			}
			x.series[m.Name] = v
			x.run.Samples = append(x.run.Samples, results.Sample{At: dur(now), Source: "external.metrics.k8s.io",
				Name: m.Name, Value: float64(v) / 1000, SampledAt: results.NotYet})
		}
	}
}

// sync records a reconcile, if the controller wrote its status.
func (x *recorder) sync(now float64, before int32, o *hpa.Observation, seen []sighting, d *hpa.Decision) {
	status := []int64{int64(d.Desired), int64(o.StatusReplicas)}
	for _, p := range d.Per {
		status = append(status, p.UsageMilli, int64(p.Utilization))
	}
	for _, c := range d.Conditions {
		status = append(status, int64(c.Type), int64(c.Status))
	}
	if slices.Equal(status, x.status) && d.Replicas == before {
		return
	}
	x.status = status
	s := results.Sync{At: dur(now + 0.004 + 0.01*x.r.Float64()), Spec: before, Status: o.StatusReplicas,
		Desired: d.Desired, Replicas: d.Replicas, Selector: o.Selector}
	if d.Scaled {
		s.Reason = d.RescaleReason()
	}
	for _, c := range d.Conditions {
		if c.Type != hpa.None {
			s.Conditions = append(s.Conditions, results.Condition{Type: c.Type.String(), Status: c.Status.String(),
				Reason: c.ReasonText(), Message: c.Message()})
		}
	}
	if d.Err != nil {
		s.Err = d.Err.Error()
	}
	for _, v := range seen {
		p := v.pod
		q := results.PodState{Name: p.Name, Phase: p.Phase.String(), Ready: p.Ready.String(),
			ReadySince: p.ReadySince, Started: p.StartTime, Deleted: p.Deleted, PodCPUMilli: -1, PodMemoryBytes: -1}
		if p.NotStarted {
			q.Started = results.NotYet
		}
		for _, c := range p.Containers {
			k := results.ContainerState{Name: c.Name, CPUMilli: -1, MemoryBytes: -1}
			if c.HasCPU {
				k.CPUMilli = c.CPU
			}
			if c.HasMemory {
				k.MemoryBytes = c.Memory / 1000
			}
			q.Containers = append(q.Containers, k)
		}
		s.Pods = append(s.Pods, q)
	}
	for i := range o.Metrics {
		r := results.Reading{Metric: x.d.o.Config.Metrics[i].Name, Values: o.Metrics[i].Series}
		for j, v := range o.Metrics[i].Samples {
			if v.OK {
				r.Pods = append(r.Pods, results.PodValue{Pod: seen[j].p.name, Milli: v.Milli, At: v.At,
					Window: v.Window})
			}
		}
		s.Metrics = append(s.Metrics, r)
	}
	x.run.Syncs = append(x.run.Syncs, s)
}

// finish assembles the run.
func (x *recorder) finish() *results.Run {
	d, run := x.d, x.run
	for _, p := range d.pods {
		for _, e := range []struct {
			phase results.PodPhase
			at    float64
		}{{results.PodCreated, p.created}, {results.PodScheduled, p.scheduled}, {results.PodPulled,
			p.pulled}, {results.PodStarted, p.started},
			{results.PodReady, p.ready}, {results.PodDeleted, p.deleted}, {results.PodGone, p.gone}} {
			if e.at > d.end || e.at >= min(p.deleted,
				p.gone) && e.phase != results.PodDeleted && e.phase != results.PodGone {
				continue
			}
			x.pod(p, e.phase, e.at)
		}
	}
	slices.SortStableFunc(run.Pods, func(a, b results.Pod) int { return int(a.At - b.At) })
	x.endpoints()
	inFlight := 0
	type change struct {
		at float64
		n  int
	}
	var changes []change
	for i := range d.requests {
		q := &d.requests[i]
		r := results.Request{Arrival: i, Stage: q.stage, Scheduled: dur(q.at), Sent: dur(q.sent),
			First: results.NotYet, Last: results.NotYet, Done: dur(min(q.done, d.end+3600)),
			Prompt: q.prompt, Tokens: q.output, TokensFrom: results.TokensUsage,
			Code: 200, Err: -1, Backend: -1, NewConn: q.newConn}
		switch {
		case q.failed || math.IsInf(q.done, 1):
			r.Outcome, r.Code, r.Tokens, r.TokensFrom = results.Reset, 0, 0, results.TokensNone
		default:
			r.First, r.Last, r.GapMax = dur(q.first), dur(q.done), dur(q.gapMax)
			if q.pod >= 0 {
				r.Backend = d.pods[q.pod].backend
			}
		}
		if d.w.Record.Hidden {
			r.Backend = -1
		}
		run.Requests = append(run.Requests, r)
		changes = append(changes, change{q.sent, 1}, change{min(q.done, d.end+3600), -1})
	}
	slices.SortFunc(changes, func(a, b change) int { return sign(a.at - b.at) })
	for _, c := range changes {
		inFlight += c.n
		x.maximum = max(x.maximum, inFlight)
	}
	x.meta()
	return run
}

// endpoints records which pods got traffic, and since when.
func (x *recorder) endpoints() {
	d := x.d
	var at []float64
	for _, p := range d.pods {
		at = append(at, max(0, p.listed))
		if p.deleted <= d.end {
			at = append(at, p.deleted+endpointDelay)
		}
	}
	slices.Sort(at)
	for _, t := range slices.Compact(at) {
		if t > d.end {
			break
		}
		e := results.Endpoints{At: dur(t)}
		for _, p := range d.pods {
			if p.listed <= t && p.deleted+endpointDelay > t {
				e.Ready = append(e.Ready, p.address)
			}
		}
		slices.Sort(e.Ready)
		x.run.Endpoints = append(x.run.Endpoints, e)
	}
}

func (x *recorder) meta() {
	d, w := x.d, x.d.w
	m := &x.run.Meta
	m.Schema, m.Run, m.Version = results.Schema, w.Name, "evaluate"
	m.Speed, m.Seed, m.DurationS = 1, int64(d.o.Seed), d.end
	m.Start = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	m.Profile = w.Name
	for _, ob := range w.Objectives {
		m.Objectives = append(m.Objectives, ob.Text)
	}
	m.Target = results.Target{Kind: "hpa", Protocol: "openai", Streams: true, Connections: "fresh"}
	if w.Balancer == Aged {
		m.Target.Connections = "realistic"
	}
	m.Workload = results.Workload{Name: "Deployment/server", Namespace: "default",
		CPUMilli: int64(math.Round(1000 * w.Pod.CPURequest)), CPULimitMilli: int64(math.Round(1000 * w.Pod.CPULimit)),
		MemoryBytes: w.Pod.MemoryBytes}
	p := hpa.DefaultParams()
	m.HPA = results.HPAContext{Name: "server", Controller: "kube-controller-manager", Kubernetes: "v1.37.2",
		SyncPeriodS: syncEvery, Tolerance: p.Tolerance, DownscaleStabilizationS: p.DownscaleStabilization.Seconds(),
		CPUInitializationPeriodS: p.CPUInitializationPeriod.Seconds(),
		InitialReadinessDelayS:   p.InitialReadinessDelay.Seconds(), Assumed: true}
	m.Client = results.Client{CPURatio: 0.05, CPUMeasured: true, Pacer: "nanosleep",
		Connections: max(d.balancer.opens, x.maximum), InFlightCap: 100000, MaxInFlight: x.maximum}
	m.Classes = []string{"chat"}
	from := 0.0
	for i, s := range w.Load.Stages {
		n := 0
		for j := range d.requests {
			if int(d.requests[j].stage) == i {
				n++
			}
		}
		m.Stages = append(m.Stages, results.StageInfo{Name: s.Name, Shape: s.Shape, FromS: from,
			ToS: from + s.Seconds, Arrivals: n})
		from += s.Seconds
	}
}
