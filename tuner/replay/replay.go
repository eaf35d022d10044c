package replay

import (
	"errors"
	"math"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
)

// Scratch is one worker's memory, reused from replay to replay, and what the caller wants
// to receive in addition to ticks. The zero Scratch is ready to use.
type Scratch struct {
	// Latency, if set, collects the latencies of answered requests. It is for the few
	// replays that are shown, since it costs some microseconds per tick.
	Latency *plant.Latency
	// Warmup marks the ticks that no objective covers: the exact plant marks them, and
	// leaves their requests out of Latency. nil = none.
	Warmup func(tick int) bool
	// OnDecision, if set, is called at every reconcile with what was seen and decided. Both
	// are valid during the call.
	OnDecision func(*hpa.Observation, *hpa.Decision)
	// Undefined is, after a replay, when a formula had no value.
	Undefined Undefined

	fluid    plant.Fluid
	exact    plant.Exact
	requests []plant.Request
	ticks    []results.Tick
	auto     autoscaler
	tick     results.Tick
}

// Simulate runs one candidate over the fluid plant and passes each tick to visit; it keeps
// nothing. w comes from New; s belongs to the worker. The tick is valid during the call.
// The same arguments give the same ticks, bit for bit.
func Simulate(w *World, cfg hpa.Config, s *Scratch, visit func(*results.Tick)) {
	f, a := &s.fluid, &s.auto
	f.Reset(w.model, int(w.Replicas), s.Latency)
	a.reset(w, cfg)
	a.begin(f)
	dt := w.Demand.Step.Seconds()
	t := &s.tick
	*t = results.Tick{}
	losses := w.Losses
	for i, arrivals := range w.Demand.Bins {
		losses = lose(losses, float64(i)*dt, dt, f)
		a.due(float64(i)*dt+dt/2, f, s.OnDecision) // what falls due happens at the nearest step
		t.Spec, t.Desired = float64(a.replicas), float64(a.desired)
		f.Step(arrivals, t)
		a.note(arrivals, t, f)
		visit(t)
	}
	s.Undefined = a.formula
}

// Timeline runs one candidate and keeps everything, for the few that are shown.
func Timeline(w *World, cfg hpa.Config, s *Scratch) results.Timeline {
	var l plant.Latency
	before := s.Latency
	s.Latency = &l
	defer func() { s.Latency = before }()
	tl := results.Timeline{Step: w.Demand.Step, Ticks: make([]results.Tick, 0, len(w.Demand.Bins))}
	Simulate(w, cfg, s, func(t *results.Tick) { tl.Ticks = append(tl.Ticks, *t) })
	l.Into(&tl)
	return tl
}

// autoscaler is the controller in virtual time: it turns the plant's state into
// observations.
type autoscaler struct {
	w        *World
	cfg      hpa.Config
	c        *hpa.Controller
	obs      hpa.Observation
	dec      hpa.Decision
	views    []plant.PodView
	values   []float64 // of one metric, by view
	counts   []int     // of pods, beside values
	pipes    []int
	replicas int32   // spec.replicas
	desired  int32   // status.desiredReplicas
	next     float64 // seconds
	last     float64
	period   float64
	syncs    []time.Duration
	keda     operator
	outside  outside
	seen     []keda.Observed // of a formula's triggers, at the last reconcile
	formula  Undefined
}

// errNoPipe is the answer for a metric that the world does not have.
var errNoPipe = errors.New("the replay has no such metric")

func (a *autoscaler) reset(w *World, cfg hpa.Config) {
	a.w, a.cfg = w, cfg
	if a.c == nil {
		a.c = hpa.New(w.Params)
	}
	a.c.Reset(w.Params)
	_ = a.c.Remember(w.Memory) // New has tried it
	a.replicas, a.desired = w.Replicas, w.Replicas
	a.next = w.Sync.Phase.Seconds()
	a.period = (w.Params.SyncPeriod + w.Sync.Slip).Seconds()
	a.syncs = w.syncs
	if len(a.syncs) > 0 {
		a.next = a.syncs[0].Seconds()
	}
	a.keda.reset(w, &a.cfg)
	a.formula = Undefined{}
	o := &a.outside
	o.on, o.step, o.arrivals, o.held = len(w.Outside) > 0, w.Demand.Step.Seconds(), o.arrivals[:0], o.held[:0]
	a.pipes = a.pipes[:0]
	for i := range cfg.Metrics {
		a.pipes = append(a.pipes, w.pipe(&cfg.Metrics[i]))
	}
	for len(a.obs.Metrics) < len(cfg.Metrics) {
		a.obs.Metrics = append(a.obs.Metrics, hpa.Reading{})
	}
	a.obs.Metrics = a.obs.Metrics[:len(cfg.Metrics)]
	a.obs.Spec = &a.cfg
	a.obs.Selector = "app=replay"
}

// sync is one reconcile over a.views. It returns spec.replicas after it.
func (a *autoscaler) sync(status int, show func(*hpa.Observation, *hpa.Decision)) int32 {
	o := &a.obs
	o.At = seconds(a.next)
	a.last = a.next
	a.next += a.period
	if len(a.syncs) > 1 {
		a.syncs = a.syncs[1:]
		a.next = a.syncs[0].Seconds()
	}
	o.SpecReplicas, o.StatusReplicas = a.replicas, int32(status)
	o.Pods = o.Pods[:0]
	for i := range a.views {
		o.Pods = append(o.Pods, a.pod(&a.views[i]))
	}
	for i := range o.Metrics {
		a.read(&o.Metrics[i], i)
	}
	a.c.Step(o, &a.dec)
	if show != nil {
		show(o, &a.dec)
	}
	o.Spec = nil // unchanged from here on
	a.replicas, a.desired = a.dec.Replicas, a.dec.Desired
	return a.replicas
}

func (a *autoscaler) pod(v *plant.PodView) hpa.Pod {
	p := hpa.Pod{Containers: a.w.Containers, Count: int32(v.Count), Deleted: v.Stage == plant.Draining}
	p.StartTime = wholeSeconds(v.Scheduled)
	p.ReadySince = p.StartTime
	switch {
	case v.Stage == plant.Pending:
		p.Phase, p.Ready = hpa.Pending, hpa.ReadyFalse
		p.NotStarted = v.Scheduled > a.last
	case v.Stage == plant.Starting:
		p.Ready = hpa.ReadyFalse
	default:
		p.ReadySince = wholeSeconds(v.ReadyAt)
	}
	return p
}

// read fills in what the metrics API answers for the i-th metric.
func (a *autoscaler) read(r *hpa.Reading, i int) {
	m, pipe := &a.cfg.Metrics[i], a.pipes[i]
	r.Err, r.Samples, r.Series = nil, r.Samples[:0], r.Series[:0]
	if pipe < 0 && a.w.given(m) {
		a.external(r, i, pipe)
		return
	}
	if pipe < 0 {
		r.Err = errNoPipe
		return
	}
	if m.Source == hpa.External && a.keda.loop != nil {
		a.external(r, i, pipe)
		return
	}
	if m.Source == hpa.Object || m.Source == hpa.External {
		v, _ := a.value(pipe, a.last)
		r.Series = append(r.Series, milli(v))
		return
	}
	for i := range a.views {
		v := &a.views[i].Values[pipe]
		r.Samples = append(
			r.Samples,
			hpa.Sample{Milli: milli(v.Value), At: wholeSeconds(v.At), Window: seconds(v.Window), OK: v.OK},
		)
	}
}

// milli is a quantity's MilliValue, which rounds up.
func milli(v float64) int64 { return int64(math.Ceil(v*1000 - 1e-6)) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// wholeSeconds is a time as API objects contain it.
func wholeSeconds(s float64) time.Duration { return time.Duration(math.Floor(s)) * time.Second }
