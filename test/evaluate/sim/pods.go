package sim

import (
	"fmt"
	"math"
	"slices"
)

// pod is one pod's life; instants that are not planned yet are +Inf.
type pod struct {
	index                                      int
	name, address                              string
	created, scheduled, pulled, started, ready float64
	listed                                     float64 // when the endpoints have it
	deleted, gone                              float64

	server   server
	version  uint32 // of its next event
	inFlight int
	waiting  float64
	prefixes recent
	backend  int32 // index into the run's backends; −1 = has not answered
	answered bool
	left     bool // it is gone

	gauge           gauge
	promPhase       float64
	pointAt, point  float64 // last CPU point of the kubelet
	points          int
	value, hasValue metric
}

// gauge is what Prometheus knows about a pod.
type gauge struct {
	ok               bool
	running, waiting int
}

// metric is a pod's CPU as metrics-server reports it.
type metric struct {
	ok     bool
	cores  float64
	at     float64
	window float64
}

// endpointDelay is the time until the balancers learn about a change of readiness.
const endpointDelay = 0.4

// drainLeast is the least time that a deleted pod takes to terminate, and grace the most.
const (
	drainLeast = 1.5
	grace      = 30.0
)

// add creates a pod; old ones have been ready for ten minutes when the day begins.
func (d *day) add(now float64, old bool) *pod {
	inf := math.Inf(1)
	r, s := d.starts, &d.w.Startup
	i := len(d.pods)
	p := &pod{index: i, name: fmt.Sprintf("server-7c9f6d5b4-%05d", i),
		address: fmt.Sprintf("10.0.%d.%d:8080", i/200, i%200+10), created: now, deleted: inf, gone: inf, backend: -1,
		server: d.w.Service.Server(d.service), promPhase: d.luck.Float64() * d.w.Metric.GaugeEvery}
	phase := func(median float64) float64 { return median * math.Exp(s.Spread*r.NormFloat64()) }
	p.scheduled = now + phase(s.Schedule)
	p.pulled = p.scheduled + phase(s.Pull)
	p.started = p.pulled + phase(s.Start)
	load := phase(s.Load)
	if r.Float64() < s.Tail {
		load *= s.TailTimes
	}
	p.ready = p.started + load
	if old {
		p.created, p.scheduled, p.pulled, p.started, p.ready = -640, -639, -630, -629, -600
	}
	p.listed = p.ready + endpointDelay
	d.pods = append(d.pods, p)
	d.alive = append(d.alive, p)
	p.server.advance(max(now, 0))
	if old {
		d.ready = append(d.ready, p)
		p.gauge.ok = true
		p.value = metric{true, d.w.Pod.IdleCores, -d.w.Metric.CPUEvery / 2, d.w.Metric.CPUEvery}
	} else {
		d.push(p.listed, evListed, i, 0)
	}
	d.push(max(now, p.started)+p.promPhase, evGauge, i, 0)
	return p
}

// remove deletes a pod: it gets no new requests once the endpoints are updated, and it terminates
// when it has finished its requests, or at the end of its grace period.
func (d *day) remove(now float64, p *pod) {
	p.deleted = now
	d.push(now+endpointDelay, evUnlisted, p.index, 0)
	d.push(now+drainLeast, evGone, p.index, 0)
	d.push(now+grace, evGone, p.index, 1)
}

// scale brings the number of pods that are not deleted to n, as a ReplicaSet does. It creates new
// ones at once. It deletes those that are least far in their start-up first, then the youngest.
func (d *day) scale(now float64, n int) {
	var active []*pod
	for _, p := range d.alive {
		if math.IsInf(p.deleted, 1) {
			active = append(active, p)
		}
	}
	for range n - len(active) {
		d.add(now, false)
	}
	if n >= len(active) {
		return
	}
	rank := func(p *pod) int {
		switch {
		case p.scheduled > now:
			return 0
		case p.started > now:
			return 1
		case p.ready > now:
			return 2
		}
		return 3
	}
	slices.SortStableFunc(active, func(a, b *pod) int {
		if k := rank(a) - rank(b); k != 0 {
			return k
		}
		if a.ready != b.ready && rank(a) == 3 {
			return sign(b.ready - a.ready)
		}
		return sign(b.created - a.created)
	})
	for _, p := range active[:len(active)-n] {
		d.remove(now, p)
	}
}

func sign(x float64) int {
	switch {
	case x < 0:
		return -1
	case x > 0:
		return 1
	}
	return 0
}

// leave terminates a pod that has no requests left, or whose grace period is over.
func (d *day) leave(now float64, p *pod, forced bool) {
	if p.left || p.inFlight > 0 && !forced {
		return // it went before, or its last answer ends it
	}
	p.left, p.gone = true, now
	d.alive = slices.DeleteFunc(d.alive, func(x *pod) bool { return x == p })
	d.ready = slices.DeleteFunc(d.ready, func(x *pod) bool { return x == p })
}

// burnt is the number of core-seconds that the pod's containers have used.
func (d *day) burnt(now float64, p *pod) float64 {
	p.server.advance(now)
	return p.server.cpu() + d.w.Pod.IdleCores*max(0, now-p.started) + d.w.Startup.BurnCores*max(0,
		min(now, p.ready)-p.started)
}
