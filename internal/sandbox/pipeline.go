package sandbox

import (
	"context"
	"sync"
	"time"

	"github.com/hpatune/hpatune/results"
)

// Pipeline is how the metrics API gets its numbers: metrics-server scrapes each kubelet
// every Every, starting at Phase; the kubelet's own point is then Age old. CPU is the
// difference of a pod's last two points divided by the time between them, so a pod has none
// before its second scrape.
type Pipeline struct {
	Every, Age, Phase time.Duration
}

// point is a kubelet's reading of one pod.
type point struct {
	at               time.Duration
	cpuSeconds       float64 // burnt since the pod started, run time
	memoryBytes      int64
	running, waiting int
}

// value is what the metrics API says of one pod.
type value struct {
	cpuMilli         int64
	memoryBytes      int64
	running, waiting int64
	at               time.Duration // whole seconds, as a Kubernetes timestamp
	window           time.Duration
}

// pipeline holds the newest values, by pod name.
type pipeline struct {
	Pipeline
	workload *workload

	mu     sync.Mutex
	values map[string]value
}

// begin fills in what two scrapes before the run would have seen: idle pods.
func (p *pipeline) begin() {
	w := p.workload
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, pod := range w.pods {
		pod.old = p.read(pod, p.Phase-2*p.Every-p.Age)
		pod.new = p.read(pod, p.Phase-p.Every-p.Age)
		pod.points = 2
	}
	p.publish(w.pods, p.Phase-p.Every)
}

// run scrapes until ctx is done.
func (p *pipeline) run(ctx context.Context) {
	w := p.workload
	for due := p.Phase; ; due += p.Every {
		if !w.wait(ctx, due-p.Age) {
			return
		}
		w.mu.Lock()
		now := w.now()
		for _, pod := range w.pods {
			if pod.running {
				pod.old, pod.new = pod.new, p.read(pod, now)
				pod.points++
			}
		}
		w.mu.Unlock()
		if !w.wait(ctx, due) {
			return
		}
		w.mu.Lock()
		p.publish(w.pods, w.now())
		w.mu.Unlock()
	}
}

// read takes a pod's point. Idle burn counts since the pod's start, so it is
// there for instants before the run as well.
func (p *pipeline) read(pod *pod, at time.Duration) point {
	u := pod.replica.usage()
	s := p.workload.service
	return point{
		at: at,
		cpuSeconds: float64(
			s.CPUIdleMilli,
		)/1000*(at-pod.startTime).Seconds() + float64(
			s.CPUPerSlotMilli,
		)/1000*u.slotSeconds,
		memoryBytes: u.memoryBytes,
		running:     u.running,
		waiting:     u.waiting,
	}
}

// publish makes the pods' last points the API's answer, and records samples.
func (p *pipeline) publish(pods []*pod, now time.Duration) {
	values := map[string]value{}
	for _, pod := range pods {
		// One point in, or stopped: no metric. Pods that drain are still listed.
		if pod.points < 2 || !pod.running {
			continue
		}
		v := value{
			cpuMilli:    milliUp(pod.new.cpuSeconds-pod.old.cpuSeconds, pod.new.at-pod.old.at),
			memoryBytes: pod.new.memoryBytes,
			running:     int64(pod.new.running),
			waiting:     int64(pod.new.waiting),
			at:          pod.new.at.Truncate(time.Second),
			window:      pod.new.at - pod.old.at,
		}
		values[pod.name] = v
		sample := func(source, name string, x float64, window time.Duration) {
			p.workload.emit(
				results.Sample{
					At:        now,
					Source:    source,
					Name:      name,
					Pod:       pod.name,
					Container: container,
					Value:     x,
					Window:    window,
					SampledAt: pod.new.at,
				},
			)
		}
		sample("metrics.k8s.io", results.SampleCPU, float64(v.cpuMilli), v.window)
		sample("metrics.k8s.io", results.SampleMemory, float64(v.memoryBytes), 0)
		sample("prometheus", "vllm:num_requests_running", float64(v.running), 0)
		sample("prometheus", "vllm:num_requests_waiting", float64(v.waiting), 0)
	}
	p.mu.Lock()
	p.values = values
	p.mu.Unlock()
}

// milliUp turns CPU seconds over a window into millicores, rounded up from
// nanocores as the API's quantities are.
func milliUp(cpuSeconds float64, window time.Duration) int64 {
	if window <= 0 || cpuSeconds <= 0 {
		return 0
	}
	nano := int64(cpuSeconds / window.Seconds() * 1e9)
	return (nano + 1e6 - 1) / 1e6
}

func (p *pipeline) latest() map[string]value {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.values
}
