package sim

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// Options are the parameters of a day in addition to its world.
type Options struct {
	Seed   uint64
	Config hpa.Config
	Load   float64 // multiple of the world's load; 0 = 1
	Fixed  int     // so many pods all day and no autoscaler; 0 = the autoscaler
	Record bool    // write a recording
}

// Day is what happened on one simulated day.
type Day struct {
	Attainment     float64 // share of the arrivals within every limit
	Met            bool    // every objective holds
	Hours          float64 // of pods, from creation until they are gone
	TTFTP95        float64 // of answered requests, seconds
	E2EP95         float64
	Errors         float64 // share of the arrivals that failed
	Peak           float64 // largest size asked for
	TimeToCapacity float64 // longest stretch with fewer ready pods than the HPA wanted
	Requests       int

	Run *results.Run // the recording, where one was asked for
}

type kind uint8

const (
	evArrive kind = iota
	evServer
	evListed
	evUnlisted
	evGone
	evScrape
	evPublish
	evGauge
	evSync
	evPoll
)

type event struct {
	at   float64
	seq  uint64
	kind kind
	pod  int
	arg  uint32
}

// day is a day that is being simulated.
type day struct {
	w   *World
	o   Options
	end float64
	seq uint64
	ev  events

	luck, starts, service *rand.Rand
	balancer              balancer
	requests              []request
	nextArrival           int
	open                  int // requests that have not ended

	pods         []*pod
	alive, ready []*pod

	control controller
	steps   []step // of ready and wanted pods over time
	wanted  int    // by the HPA
	peak    float64
	rec     *recorder
}

// step is how many pods are ready, and how many the HPA wants, from an instant on.
type step struct {
	at            float64
	ready, wanted int
}

// Run simulates one day of the world.
func (w *World) Run(o Options) Day {
	var d *day
	return w.run(o, &d)
}

// run also stores the day's internal state in inside.
func (w *World) run(o Options, inside **day) Day {
	if o.Load == 0 {
		o.Load = 1
	}
	d := &day{w: w, o: o, end: w.Load.Seconds()}
	*inside = d
	source := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(o.Seed, n)) }
	arrivals := source(1)
	d.luck, d.starts, d.service = source(2), source(3), source(4)
	d.balancer = balancer{kind: w.Balancer, r: source(5), places: float64(w.Service.Places())}
	at, stage := w.Load.arrivals(arrivals, o.Load)
	texts := source(6)
	d.requests = make([]request, len(at))
	for i := range d.requests {
		q := &d.requests[i]
		*q = request{index: i, at: at[i], sent: at[i] + 0.0002*texts.ExpFloat64(), first: math.Inf(1),
			done: math.Inf(1), stage: stage[i], pod: -1, connection: -1}
		q.prompt, q.output, q.prefix = w.Text.draw(texts)
		q.shared = w.Text.Shared
	}
	if o.Record {
		d.rec = newRecorder(d)
	}
	n := max(w.Initial, int(o.Config.MinReplicas))
	if o.Fixed > 0 {
		n = o.Fixed
	}
	for range n {
		d.add(0, true)
	}
	d.wanted = n
	d.mark(0)
	d.peak = float64(n)
	if o.Fixed == 0 {
		d.control.begin(d, n)
		d.push(d.luck.Float64()*w.Metric.CPUEvery, evScrape, 0, 0)
	}
	if d.rec != nil {
		d.rec.begin()
	}
	d.loop()
	return d.outcome()
}

func (d *day) push(at float64, k kind, pod int, arg uint32) {
	d.seq++
	d.ev.push(event{at, d.seq, k, pod, arg})
}

func (d *day) loop() {
	if len(d.requests) > 0 {
		d.push(d.requests[0].sent, evArrive, 0, 0)
	}
	for len(d.ev) > 0 {
		e := d.ev.pop()
		if e.at > d.end && d.open == 0 && d.nextArrival >= len(d.requests) {
			return
		}
		if e.at > d.end+3600 {
			return // what is not answered by then counts as failed
		}
		d.handle(e)
	}
}

func (d *day) handle(e event) {
	now := e.at
	switch e.kind {
	case evArrive:
		d.arrive(now)
	case evServer:
		if p := d.pods[e.pod]; p.version == e.arg {
			d.serve(now, p)
		}
	case evListed:
		if p := d.pods[e.pod]; math.IsInf(p.deleted, 1) {
			d.ready = append(d.ready, p)
			d.mark(now)
		}
	case evUnlisted:
		d.ready = slices.DeleteFunc(d.ready, func(p *pod) bool { return p.index == e.pod })
		d.mark(now)
	case evGone:
		d.leave(now, d.pods[e.pod], e.arg == 1)
	case evScrape:
		d.scrape(now)
	case evPublish:
		d.publish()
	case evGauge:
		d.scrapeGauge(now, d.pods[e.pod])
	case evSync:
		d.control.sync(d, now)
	case evPoll:
		d.rec.poll(now)
	}
}

func (d *day) mark(now float64) { d.steps = append(d.steps, step{now, len(d.ready), d.wanted}) }

func (d *day) arrive(now float64) {
	q := &d.requests[d.nextArrival]
	d.nextArrival++
	if d.nextArrival < len(d.requests) {
		d.push(max(now, d.requests[d.nextArrival].sent), evArrive, 0, 0)
	}
	p := d.balancer.pick(now, d.ready, q)
	if p == nil {
		q.failed, q.done = true, now
		return
	}
	q.pod = int32(p.index)
	p.inFlight++
	d.open++
	p.server.advance(now)
	p.server.take(now, q)
	d.serve(now, p)
}

// serve advances a pod to the current time, collects the requests that ended, and plans its next
// event.
func (d *day) serve(now float64, p *pod) {
	p.server.advance(now)
	for _, q := range p.server.ended() {
		p.inFlight--
		d.open--
		if p.gone < now { // killed before
			q.failed, q.first, q.done = true, math.Inf(1), p.gone
		}
		d.balancer.end(q)
		if d.rec != nil {
			d.rec.answered(q, p)
		}
	}
	p.version++
	if at := p.server.next(); !math.IsInf(at, 1) {
		d.push(max(at, now), evServer, p.index, p.version)
	}
	if p.deleted < now-drainLeast {
		d.leave(now, p, false)
	}
}

// outcome computes the day's figures.
func (d *day) outcome() Day {
	out := Day{Requests: len(d.requests), Peak: d.peak, TimeToCapacity: d.short()}
	var ttft, e2e []float64
	good := 0
	within := make([]int, len(d.w.Objectives))
	for i := range d.requests {
		q := &d.requests[i]
		if q.failed || math.IsInf(q.done, 1) {
			out.Errors++
			continue
		}
		t, e := q.first-q.at, q.done-q.at
		ttft, e2e = append(ttft, t), append(e2e, e)
		all := true
		for j, ob := range d.w.Objectives {
			v := e
			switch ob.Metric {
			case "ttft":
				v = t
			case "tpot":
				v = (q.done - q.first) / float64(max(1, q.output-1))
			}
			if v <= ob.Limit {
				within[j]++
			} else {
				all = false
			}
		}
		if all {
			good++
		}
	}
	n := float64(len(d.requests))
	out.Attainment, out.Errors = float64(good)/n, out.Errors/n
	out.Met = true
	for j, ob := range d.w.Objectives {
		if float64(within[j]) < math.Ceil(ob.Quantile*n) {
			out.Met = false
		}
	}
	out.TTFTP95, out.E2EP95 = quantile(ttft, 0.95), quantile(e2e, 0.95)
	for _, p := range d.pods {
		out.Hours += max(0, min(p.gone, d.end)-max(0, p.created)) / 3600
	}
	if d.rec != nil {
		out.Run = d.rec.finish()
	}
	return out
}

// short is the longest stretch in which fewer pods were ready than the HPA wanted, in seconds.
func (d *day) short() float64 {
	longest, since := 0.0, math.NaN() // NaN: enough are ready
	for _, s := range append(slices.Clone(d.steps), step{at: d.end}) {
		at := min(s.at, d.end)
		if !math.IsNaN(since) {
			longest = max(longest, at-since)
		}
		switch {
		case s.ready >= s.wanted:
			since = math.NaN()
		case math.IsNaN(since):
			since = at
		}
	}
	return longest
}

// quantile interpolates between ranks; NaN if there are no values.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	x := q * float64(len(v)-1)
	i := int(x)
	if i+1 >= len(v) {
		return v[len(v)-1]
	}
	return v[i] + (x-float64(i))*(v[i+1]-v[i])
}
