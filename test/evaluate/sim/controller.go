package sim

import (
	"math"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// controller is the loop around the scaling core. It decides what the core sees of the API, and
// when.
type controller struct {
	core     *hpa.Controller
	cfg      hpa.Config
	decision hpa.Decision
	told     bool
	size     int32
}

const syncEvery = 15.0

func (c *controller) begin(d *day, n int) {
	c.core, c.cfg, c.size = hpa.New(hpa.DefaultParams()), d.o.Config, int32(n)
	d.push(d.luck.Float64()*syncEvery, evSync, 0, 0)
}

// sync is one reconcile. The next one is due a period plus its own duration later.
func (c *controller) sync(d *day, now float64) {
	d.push(now+syncEvery+0.01+0.03*d.luck.Float64(), evSync, 0, 0)
	if now > d.end {
		return
	}
	o := hpa.Observation{At: dur(now), SpecReplicas: c.size, Selector: "app=server"}
	if !c.told {
		o.Spec, c.told = &c.cfg, true
	}
	seen := d.see(now)
	for _, s := range seen {
		o.Pods = append(o.Pods, s.pod)
		if !s.pod.Deleted {
			o.StatusReplicas++
		}
	}
	for i := range c.cfg.Metrics {
		o.Metrics = append(o.Metrics, d.read(&c.cfg.Metrics[i], seen, now))
	}
	c.core.Step(&o, &c.decision)
	before := c.size
	c.size = c.decision.Replicas
	d.peak = max(d.peak, float64(c.size))
	if c.size != before {
		d.wanted = int(c.size)
		d.mark(now)
	}
	if d.rec != nil {
		d.rec.sync(now, before, &o, seen, &c.decision)
	}
	if c.size != before {
		d.scale(now, int(c.size))
	}
}

// sighting is a pod as the API server shows it.
type sighting struct {
	p   *pod
	pod hpa.Pod
}

func (d *day) see(now float64) []sighting {
	requests := []hpa.Container{{Name: "server", CPU: int64(math.Round(d.w.Pod.CPURequest * 1000)),
		HasCPU: d.w.Pod.CPURequest > 0,
		Memory: d.w.Pod.MemoryBytes * 1000, HasMemory: d.w.Pod.MemoryBytes > 0}}
	out := make([]sighting, 0, len(d.alive))
	for _, p := range d.alive {
		s := hpa.Pod{Name: p.name, Containers: requests, Deleted: p.deleted <= now, Phase: hpa.Pending,
			Ready: hpa.ReadyAbsent, NotStarted: true}
		if p.scheduled <= now {
			s.NotStarted, s.Ready = false, hpa.ReadyFalse
			s.StartTime, s.ReadySince = whole(p.scheduled), whole(p.scheduled)
		}
		if p.started <= now {
			s.Phase = hpa.Running
		}
		if p.ready <= now {
			s.Ready, s.ReadySince = hpa.ReadyTrue, whole(p.ready)
		}
		out = append(out, sighting{p, s})
	}
	return out
}

// read is what the metrics API answers for one metric.
func (d *day) read(m *hpa.Metric, seen []sighting, now float64) hpa.Reading {
	var r hpa.Reading
	switch m.Source {
	case hpa.External, hpa.Object:
		sum := 0.0
		for _, p := range d.alive {
			if p.gauge.ok {
				sum += p.gauged(m.Name)
			}
		}
		r.Series, r.Listed = []int64{milli(sum)}, true
	case hpa.Pods:
		r.Samples = make([]hpa.Sample, len(seen))
		for i, s := range seen {
			if s.p.gauge.ok {
				r.Samples[i] = hpa.Sample{Milli: milli(s.p.gauged(m.Name)), At: whole(now), Window: time.Minute,
					OK: true}
				r.Listed = true
			}
		}
	default:
		r.Samples = make([]hpa.Sample, len(seen))
		for i, s := range seen {
			if v := &s.p.value; v.ok {
				r.Samples[i] = hpa.Sample{Milli: milli(v.cores), At: whole(v.at), Window: dur(v.window), OK: true}
				r.Listed = true
			}
		}
	}
	return r
}

func (p *pod) gauged(name string) float64 {
	switch name {
	case InFlight, Total:
		return float64(p.gauge.running + p.gauge.waiting)
	case Running:
		return float64(p.gauge.running)
	}
	return float64(p.gauge.waiting)
}

// milli is a quantity's value in thousandths, rounded up.
func milli(v float64) int64 { return int64(math.Ceil(v*1000 - 1e-6)) }

// scrape reads every kubelet, as metrics-server does, at slightly different times.
func (d *day) scrape(now float64) {
	d.push(now+d.w.Metric.CPUEvery, evScrape, 0, 0)
	d.push(now+d.w.Metric.CPUDelay, evPublish, 0, 0)
	for _, p := range d.alive {
		if p.started > now {
			continue
		}
		b := d.burnt(now, p)
		switch {
		case p.points == 0 && p.started < -60:
			// The pod was there before the day began, and was idle then.
			p.pointAt, p.points = now-d.w.Metric.CPUEvery, 1
			p.point = d.w.Pod.IdleCores*(p.pointAt-p.started) + d.w.Startup.BurnCores*(p.ready-p.started)
		case p.points == 0 && now-p.started < d.w.Metric.CPUEvery && now-p.started >= 10:
			p.pointAt, p.point, p.points = p.started, 0, 1 // a fresh container counts from its start
		case p.points == 0:
			p.pointAt, p.point, p.points = now, b, 1
			continue
		}
		p.hasValue = metric{true, (b - p.point) / (now - p.pointAt), now, now - p.pointAt}
		p.pointAt, p.point = now, b
		p.points++
	}
}

// publish makes the latest points visible in the API.
func (d *day) publish() {
	for _, p := range d.alive {
		p.value = p.hasValue
	}
}

// scrapeGauge reads one pod, as Prometheus does.
func (d *day) scrapeGauge(now float64, p *pod) {
	if p.gone <= now {
		return
	}
	d.push(now+d.w.Metric.GaugeEvery, evGauge, p.index, 0)
	p.server.advance(now)
	running, waiting := p.server.counts()
	p.gauge = gauge{true, running, waiting}
}
