package replay

import (
	"errors"
	"math"
	"slices"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
)

// pollSlip is the delay that KEDA's loop accumulates per poll: its timer is set before it
// polls.
const pollSlip = 1e-3

// errTrigger is the answer for a metric whose trigger fails.
var errTrigger = errors.New("the trigger failed, and no fallback is at work")

// pods is a plant as its autoscaler sees it.
type pods interface {
	Pods(now float64, out []plant.PodView) []plant.PodView
	Status() int
	Scale(n int, at float64)
	Held() float64
}

// operator is KEDA in virtual time, next to the controller.
type operator struct {
	loop    *keda.Loop // this configuration's; nil = none
	own     keda.Loop
	state   keda.State
	next    float64 // seconds; +Inf = it never looks
	signals []int   // the pipe of each trigger; -1 = none
	metrics []int   // the trigger of each metric of the HPA; -1 = none
	formula int     // the pipe of the formula's metric; -1 = none
	seen    []keda.Observed
	cached  []keda.Reading // what the loop read last, by trigger
	read    bool           // it has
}

// outside is what arrived while no pod was ready, by tick: metrics that are measured in
// front of the pods count it.
type outside struct {
	on       bool
	step     float64 // seconds a tick
	arrivals []float64
	held     []float64
}

// reset applies what a configuration says about KEDA's loop: its own minimum, and for the
// HPA 1 if that is 0.
func (k *operator) reset(w *World, cfg *hpa.Config) {
	k.loop, k.next, k.formula, k.read = nil, math.Inf(1), -1, false
	k.signals, k.metrics = k.signals[:0], k.metrics[:0]
	if w.Loop == nil {
		return
	}
	k.own = *w.Loop
	k.loop = &k.own
	k.own.Min = min(k.own.Min, cfg.MinReplicas)
	if cfg.MinReplicas > 1 {
		k.own.Min = cfg.MinReplicas
	}
	cfg.MinReplicas = max(cfg.MinReplicas, 1)
	k.state.Reset(len(k.own.Triggers))
	if w.Replicas > 0 { // something kept it there
		k.state.WasActive = true
	}
	pipe := func(name string) int {
		return slices.IndexFunc(w.Pipes, func(p plant.Pipe) bool { return p.Name == name })
	}
	for i := range k.own.Triggers {
		k.signals = append(k.signals, pipe(k.own.Triggers[i].Metric))
	}
	if k.own.Formula != nil {
		k.formula = pipe(keda.Composite)
	}
	for i := range cfg.Metrics {
		m := &cfg.Metrics[i]
		k.metrics = append(k.metrics, slices.IndexFunc(k.own.Triggers, func(t keda.Trigger) bool {
			return m.Source == hpa.External && !t.Resource && t.Metric == m.Name
		}))
	}
	if k.own.Matters() && !k.own.Paused {
		k.next = w.Sync.Poll.Seconds()
	}
}

// begin pins the size of a paused object.
func (a *autoscaler) begin(p pods) {
	if l := a.keda.loop; l != nil && l.Paused {
		a.next = math.Inf(1) // KEDA has deleted the HPA
		if l.PausedAt >= 0 && l.PausedAt != a.replicas {
			a.replicas, a.desired = l.PausedAt, l.PausedAt
			p.Scale(int(a.replicas), 0)
		}
	}
}

// due runs what is due at a time: a reconcile of the HPA, a poll of KEDA's loop.
func (a *autoscaler) due(until float64, p pods, show func(*hpa.Observation, *hpa.Decision)) {
	early := a.keda.next < a.next
	if early && a.keda.next <= until {
		a.poll(p)
	}
	if a.next <= until {
		a.views = p.Pods(a.next, a.views[:0])
		n := a.sync(p.Status(), show)
		p.Scale(int(n), a.last)
	}
	if !early && a.keda.next <= until {
		a.poll(p)
	}
}

// note records what arrived in a step in which no pod was ready.
func (a *autoscaler) note(arrivals float64, t *results.Tick, p pods) {
	if !a.outside.on {
		return
	}
	if t.Ready > 0 {
		arrivals = 0
	}
	a.outside.arrivals = append(a.outside.arrivals, arrivals)
	a.outside.held = append(a.outside.held, p.Held())
}

// poll is one round of KEDA's loop.
func (a *autoscaler) poll(p pods) {
	k, now := &a.keda, a.keda.next
	k.next += k.loop.Polling.Seconds() + pollSlip
	a.views = p.Pods(now, a.views[:0])
	pool := keda.Pool{Replicas: a.replicas, Ready: a.ready()}
	k.seen, k.cached, k.read = k.seen[:0], k.cached[:0], true
	for i := range k.loop.Triggers {
		r, o := keda.Reading{}, keda.Observed{}
		if t := &k.loop.Triggers[i]; !t.Resource {
			r = a.trigger(i, now)
			o = k.loop.Observe(&k.state, i, r, pool)
		}
		k.seen, k.cached = append(k.seen, o), append(k.cached, r)
	}
	composite := 0.0
	switch {
	case k.loop.Formula != nil && k.loop.Formula.Computed:
		composite, _ = a.composite(k.seen) // one without a value is not active, and no failure
	case k.formula >= 0:
		composite, _ = a.value(k.formula, now)
		composite = visible(composite)
	}
	active, failed := k.loop.Activity(k.seen, composite)
	n, _ := k.loop.Step(&k.state, keda.Poll{At: seconds(now), Replicas: a.replicas, Active: active, Failed: failed})
	if n != a.replicas {
		a.replicas = n
		p.Scale(int(n), now)
	}
}

// ready is the number of ready pods in view.
func (a *autoscaler) ready() int32 {
	n := 0
	for i := range a.views {
		if a.views[i].Stage == plant.Ready {
			n += a.views[i].Count
		}
	}
	return int32(n)
}

// trigger is the answer of the i-th trigger's source. A trigger of a formula has no pipe of
// its own: only the formula's value is known, and whether there is anything to read.
func (a *autoscaler) trigger(i int, now float64) keda.Reading {
	t := &a.keda.loop.Triggers[i]
	if t.Cron != nil {
		return a.w.onTime(i, now)
	}
	if r := a.w.recorded(t.Metric); t.Foreign && r != nil {
		return keda.Reading{Value: r.of(seconds(now))}
	}
	if t.From != nil {
		return a.derived(i, now)
	}
	if pipe := a.keda.signals[i]; pipe >= 0 {
		v, some := a.value(pipe, now)
		return keda.Reading{Value: visible(v), Empty: !some}
	}
	if a.keda.loop.Formula == nil {
		return keda.Reading{Failed: true}
	}
	return keda.Reading{Empty: t.OfPods && len(a.views) == 0}
}

// spansOf is when each cron trigger of a loop is active; nil for other triggers, and for a
// schedule that KEDA cannot read.
func (w *World) spansOf(l *keda.Loop) [][]keda.Span {
	if l == nil {
		return nil
	}
	var out [][]keda.Span
	for i := range l.Triggers {
		var spans []keda.Span
		if c := l.Triggers[i].Cron; c != nil {
			spans, _ = c.Spans(w.Wall, w.Demand.Duration()+time.Hour) // nil on an error
		}
		out = append(out, spans)
	}
	return out
}

// onTime is the answer of the i-th trigger, a cron trigger.
func (w *World) onTime(i int, now float64) keda.Reading {
	if w.spans[i] == nil {
		return keda.Reading{Failed: true}
	}
	at := seconds(now)
	if slices.ContainsFunc(w.spans[i], func(s keda.Span) bool { return s.From <= at && at < s.To }) {
		return keda.Reading{Value: w.Loop.Triggers[i].Cron.Desired}
	}
	return keda.Reading{}
}

// Recorded is a metric's values as a run recorded them, in order of their time.
type Recorded struct {
	Metric string
	At     []time.Duration
	Value  []float64
}

// of is the value at a time: the last one recorded by then, or the first.
func (r *Recorded) of(at time.Duration) float64 {
	i, _ := slices.BinarySearchFunc(r.At, at, func(a, b time.Duration) int {
		if a <= b {
			return -1
		}
		return 1
	})
	return r.Value[max(0, i-1)]
}

// recorded is the metric that is played as recorded; nil = it is none.
func (w *World) recorded(metric string) *Recorded {
	i := slices.IndexFunc(w.Recorded, func(r Recorded) bool { return r.Metric == metric })
	if i < 0 {
		return nil
	}
	return &w.Recorded[i]
}

// given says whether a metric needs no pipe: a cron trigger's, and one that is played
// as recorded.
func (w *World) given(m *hpa.Metric) bool {
	if w.Loop == nil || m.Source != hpa.External {
		return false
	}
	if f := w.Loop.Formula; f != nil && f.Computed && m.Name == keda.Composite {
		return !slices.ContainsFunc(w.Loop.Triggers, func(t keda.Trigger) bool { return !t.Resource && !w.reads(&t) })
	}
	return slices.ContainsFunc(w.Loop.Triggers, func(t keda.Trigger) bool {
		return t.Metric == m.Name && (t.Cron != nil || t.From != nil || t.Foreign) && w.reads(&t)
	})
}

// reads reports whether the world has the value of a trigger.
func (w *World) reads(t *keda.Trigger) bool {
	has := func(name string) bool {
		return slices.ContainsFunc(w.Pipes, func(p plant.Pipe) bool { return p.Name == name })
	}
	switch {
	case t.Cron != nil:
		return true
	case t.From != nil:
		return !slices.ContainsFunc(t.From.Parts, func(p keda.Part) bool { return !has(p.Name) })
	case t.Foreign && w.recorded(t.Metric) != nil:
		return true
	}
	return has(t.Metric)
}

// value is a pipe's number at a time: over the pods in view, plus what waits or arrives in
// front of them if it is measured there. some is false if there is no series.
func (a *autoscaler) value(pipe int, now float64) (v float64, some bool) {
	p := &a.w.Pipes[pipe]
	front := a.outside.on && p.Times == nil && slices.Contains(a.w.Outside, p.Name)
	a.values, a.counts = a.values[:0], a.counts[:0]
	for i := range a.views {
		x := &a.views[i].Values[pipe]
		if !x.OK {
			continue
		}
		share := 1.0
		if front && p.Window > 0 { // in front of the pods, the window began before a young pod did
			share = min(1, x.Window/p.Window.Seconds())
		}
		a.values, a.counts = append(a.values, x.Value*share), append(a.counts, a.views[i].Count)
	}
	v = p.Over.Of(a.values, a.counts)
	if p.Under != "" {
		return a.ratio(v, p.Under, now)
	}
	if front {
		return v + a.outside.of(p, now), true
	}
	return v, len(a.values) > 0
}

// ratio is v over the number of the pipe that divides it. Where that is nothing there is
// no number, as for PromQL.
func (a *autoscaler) ratio(v float64, under string, now float64) (float64, bool) {
	k := slices.IndexFunc(a.w.Pipes, func(p plant.Pipe) bool { return p.Name == under })
	if k < 0 {
		return 0, false
	}
	if d, _ := a.value(k, now); d > 0 {
		return v / d, true
	}
	return 0, false
}

// visible rounds a value to the thousandth: in the fluid plant, which moves fractions of
// requests, nothing ever ends completely.
func visible(v float64) float64 { return math.Round(v*1000) / 1000 }

// of is the part of a pipe's number that belongs to no pod: arrivals per second over the
// pipe's window that found no pod, and requests that are held, in the mean over its window.
func (o *outside) of(p *plant.Pipe, now float64) float64 {
	every := p.Every
	if every == 0 {
		every = plant.DefaultEvery
	}
	last := min(int((now-p.Delay.Seconds()-every.Seconds()/2)/o.step), len(o.arrivals)-1)
	if last < 0 {
		return 0
	}
	ticks := max(1, int(max(p.Window, every).Seconds()/o.step))
	came, held := 0.0, 0.0
	for i := max(0, last-ticks+1); i <= last; i++ {
		came, held = came+o.arrivals[i], held+o.held[i]
	}
	if held /= float64(ticks); p.Window == 0 {
		held = o.held[last]
	}
	return max(p.PerDone, p.PerArrival)*came/(float64(ticks)*o.step) + max(p.PerRunning, p.PerWaiting)*held
}

// external fills in what KEDA's metrics server answers for a metric of the HPA.
func (a *autoscaler) external(r *hpa.Reading, metric, pipe int) {
	k, now := &a.keda, a.last
	pool := keda.Pool{Replicas: a.replicas, Ready: a.ready()}
	if i := k.metrics[metric]; i >= 0 {
		a.answer(r, a.observe(i, now, pool))
		return
	}
	sum := keda.Observed{}
	if pipe >= 0 {
		sum.Value, _ = a.value(pipe, now)
	}
	if k.loop.Formula == nil || a.cfg.Metrics[metric].Name != keda.Composite { // no trigger's
		a.answer(r, sum)
		return
	}
	a.seen = a.seen[:0]
	for i := range k.loop.Triggers {
		if k.loop.Triggers[i].Resource {
			a.seen = append(a.seen, keda.Observed{})
			continue
		}
		o := a.observe(i, now, pool)
		a.seen = append(a.seen, o)
		switch {
		case o.Fallback:
			sum = o
		case o.Nothing && !sum.Fallback: // the formula is taken to give nil
			sum.Value = float64(k.loop.Fallback.Replicas) * k.loop.Formula.Target
		case o.Failed && !sum.Fallback:
			sum.Failed = true
		}
	}
	if k.loop.Formula.Computed && !sum.Failed && !sum.Fallback {
		v, err := a.composite(a.seen)
		a.formula.note(a.last, err)
		sum.Value, sum.Failed = v, err != nil
	}
	a.answer(r, sum)
}

// observe reads a trigger for the HPA, through KEDA's cache if that is on.
func (a *autoscaler) observe(i int, now float64, pool keda.Pool) keda.Observed {
	r := a.trigger(i, now)
	if a.keda.loop.Triggers[i].Cached && a.keda.read {
		r = a.keda.cached[i]
	}
	return a.keda.loop.Observe(&a.keda.state, i, r, pool)
}

func (a *autoscaler) answer(r *hpa.Reading, o keda.Observed) {
	if o.Failed {
		r.Err = errTrigger
		return
	}
	r.Series = append(r.Series, milli(o.Value))
}
