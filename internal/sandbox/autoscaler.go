package sandbox

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// container is the name of each pod's only one.
const container = "server"

// autoscaler reconciles as kube-controller-manager does: at a fixed delay after the last
// reconcile, with the metrics API's values at that time. The scaling core makes the
// decision.
type autoscaler struct {
	workload   *workload
	pipeline   *pipeline
	signals    *signals
	controller *hpa.Controller
	params     hpa.Params
	config     hpa.Config
	first      time.Duration // of the first reconcile

	spec     int32 // spec.replicas of the scale
	told     bool  // the controller has seen the config
	decision hpa.Decision
}

// run reconciles until ctx is done.
func (a *autoscaler) run(ctx context.Context) {
	for due := a.first; a.workload.wait(ctx, due); due = a.workload.now() + a.params.SyncPeriod {
		a.reconcile(ctx)
	}
}

// reconcile observes and decides once, and emits both.
func (a *autoscaler) reconcile(ctx context.Context) {
	w := a.workload
	answers := a.signals.fetch(ctx) // before the instant of the decision: it takes a while
	w.mu.Lock()
	now := w.now()
	states, pods := a.see()
	status := int32(len(w.active()))
	w.mu.Unlock()
	selector := "app=" + w.service.Name
	observation := hpa.Observation{At: now, SpecReplicas: a.spec, StatusReplicas: status, Selector: selector, Pods: pods}
	if !a.told {
		observation.Spec, a.told = &a.config, true
	}
	sync := results.Sync{At: now, Spec: a.spec, Status: status, Selector: selector, Pods: states}
	values := a.pipeline.latest()
	for _, m := range a.config.Metrics {
		var reading hpa.Reading
		var record results.Reading
		if m.Source == hpa.Resource || m.Source == hpa.ContainerResource {
			reading, record = a.read(m, states, values)
		} else {
			reading, record = answers[m.Source.String()+m.Name].reading(&m, states, now)
		}
		observation.Metrics = append(observation.Metrics, reading)
		sync.Metrics = append(sync.Metrics, record)
	}
	d := &a.decision
	a.controller.Step(&observation, d)
	a.spec = d.Replicas
	if d.Scaled {
		w.scale(ctx, int(d.Replicas))
		sync.Reason = d.RescaleReason()
	}
	sync.Desired, sync.Replicas = d.Desired, d.Replicas
	for _, c := range d.Conditions {
		if c.Type != hpa.None {
			sync.Conditions = append(
				sync.Conditions,
				results.Condition{Type: c.Type.String(), Status: c.Status.String(), Reason: c.ReasonText(), Message: c.Message()},
			)
		}
	}
	if d.Err != nil {
		sync.Err = d.Err.Error()
	}
	w.emit(sync)
	for _, e := range d.Events {
		w.emit(
			results.Event{
				At:      now,
				Source:  "horizontal-pod-autoscaler",
				Object:  "HorizontalPodAutoscaler/" + w.service.Name,
				Type:    e.Type(),
				Reason:  e.Reason.String(),
				Message: e.Message(),
			},
		)
	}
}

// see returns the pods as the API server would describe them, twice: for the record and for
// the core. The workload's mutex is held.
func (a *autoscaler) see() ([]results.PodState, []hpa.Pod) {
	s := a.workload.service
	requests := []hpa.Container{
		{Name: container, CPU: s.CPURequestMilli, HasCPU: true, Memory: s.MemoryRequestBytes * 1000, HasMemory: true},
	}
	recorded := []results.ContainerState{{Name: container, CPUMilli: s.CPURequestMilli, MemoryBytes: s.MemoryRequestBytes}}
	var states []results.PodState
	var pods []hpa.Pod
	for _, p := range a.workload.pods {
		state := results.PodState{
			Name: p.name, Phase: "Pending", Ready: "", Deleted: p.deleted,
			Started: results.NotYet, Containers: recorded, PodCPUMilli: -1, PodMemoryBytes: -1,
		}
		seen := hpa.Pod{
			Name:       p.name,
			Containers: requests,
			Phase:      hpa.Pending,
			Ready:      hpa.ReadyAbsent,
			NotStarted: true,
			Deleted:    p.deleted,
		}
		if p.scheduled { // times in API objects have whole seconds
			start, since := p.startTime.Truncate(time.Second), p.readySince.Truncate(time.Second)
			state.Started, state.ReadySince, state.Ready = start, since, "False"
			seen.StartTime, seen.ReadySince, seen.Ready, seen.NotStarted = start, since, hpa.ReadyFalse, false
		}
		if p.running {
			state.Phase, seen.Phase = "Running", hpa.Running
		}
		if p.ready {
			state.Ready, seen.Ready = "True", hpa.ReadyTrue
		}
		states, pods = append(states, state), append(pods, seen)
	}
	return states, pods
}

// read returns what metrics.k8s.io answers for m, for the core and for the record.
func (a *autoscaler) read(
	m hpa.Metric,
	pods []results.PodState,
	values map[string]value,
) (hpa.Reading, results.Reading) {
	record := results.Reading{Metric: m.Name}
	pick, err := picker(m)
	if err != nil {
		record.Err = err.Error()
		return hpa.Reading{Err: err}, record
	}
	reading := hpa.Reading{Samples: make([]hpa.Sample, len(pods)), Listed: len(values) > 0}
	listed := map[string]bool{}
	for i, p := range pods {
		v, ok := values[p.Name]
		if !ok {
			continue
		}
		listed[p.Name] = true
		milli := pick(v)
		reading.Samples[i] = hpa.Sample{Milli: milli, At: v.at, Window: v.window, OK: true}
		record.Pods = append(
			record.Pods,
			results.PodValue{Pod: p.Name, Container: m.Container, Milli: milli, At: v.at, Window: v.window},
		)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) { // pods that went since the scrape
		if v := values[name]; !listed[name] {
			reading.Ghosts = append(reading.Ghosts, pick(v))
			record.Pods = append(
				record.Pods,
				results.PodValue{Pod: name, Container: m.Container, Milli: pick(v), At: v.at, Window: v.window},
			)
		}
	}
	return reading, record
}

// picker returns how to get a metric's thousandths out of a pod's values.
func picker(m hpa.Metric) (func(value) int64, error) {
	switch {
	case m.Source == hpa.ContainerResource && m.Container != container:
		// Upstream reports the pods as missing here; the sandbox knows its container, so say it.
		return nil, fmt.Errorf("container %q: the sandbox's pods have %q", m.Container, container)
	case (m.Source == hpa.Resource || m.Source == hpa.ContainerResource) && m.Name == "cpu":
		return func(v value) int64 { return v.cpuMilli }, nil
	case (m.Source == hpa.Resource || m.Source == hpa.ContainerResource) && m.Name == "memory":
		return func(v value) int64 { return v.memoryBytes * 1000 }, nil
	}
	return nil, fmt.Errorf("metrics.k8s.io has cpu and memory, not %s", m.Name)
}
