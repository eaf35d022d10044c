package fit

import (
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// loadingOf returns what a pod uses while its containers run but it is not ready yet, in base
// units of a resource metric: the median of what the metrics APIs reported for such pods, as
// sampled, or as the controller read it at its reconciles. ok is false if neither saw such a
// pod.
func loadingOf(l *log, m *hpa.Metric) (value float64, n int, ok bool) {
	name, unit := sampled(m)
	lives := map[string]*life{}
	for i := range l.lives {
		lives[l.lives[i].name] = &l.lives[i]
	}
	// A window that began after the containers started, and ended before the pod was ready.
	loading := func(pod string, to, window time.Duration) bool {
		p := lives[pod]
		return p != nil && results.Happened(p.started) && results.Happened(p.ready) && to <= p.ready &&
			to-window >= p.started-time.Second
	}
	var values []float64
	for _, s := range samplesOf(l, name, m) {
		if to := seconds(taken(&s)); loading(s.Pod, to, s.Window) {
			values = append(values, s.Value*unit)
		}
	}
	if len(values) == 0 {
		for i := range l.run.Syncs {
			for _, r := range l.run.Syncs[i].Metrics {
				for _, v := range r.Pods {
					if r.Metric == m.Name && loading(v.Pod, v.At, v.Window) {
						values = append(values, float64(v.Milli)/1000)
					}
				}
			}
		}
	}
	if len(values) == 0 {
		return 0, 0, false
	}
	return median(values), len(values), true
}

// loadingPipes sets what pods use while they load, for resource pipes. If no reading saw a
// loading pod, and pods load for longer than a metrics interval, the value is unknown: the
// pipe uses a pod's value at rest, and the effect is noted.
func loadingPipes(s *service, metrics []hpa.Metric, pipes []plant.Pipe, starts []plant.PhaseSample) notes {
	var n notes
	for i := range metrics {
		m := &metrics[i]
		if m.Source != hpa.Resource && m.Source != hpa.ContainerResource {
			continue
		}
		for k := range pipes {
			p := &pipes[k]
			if p.Name != m.Name || p.Starting > 0 {
				continue
			}
			v, count, ok := loadingOf(s.log, m)
			if !ok {
				v, count, ok = s.loadingBefore(m, p)
			}
			if ok {
				p.Starting = v
				n.quality("loading", v, count, "%s of a pod while it loads, in base units", m.Name)
				continue
			}
			var longest time.Duration
			for _, x := range starts {
				longest = max(longest, x.Ready)
			}
			if p.Starting = p.Base; longest > p.Every && m.Name == "cpu" {
				n.warn("the CPU of a pod while it loads (up to %v) was not sampled; the CPU of an idle pod is assumed "+
					"(%.3g cores). Where it burns more, an HPA that counts it scales further up than the "+
					"replay", longest.Round(time.Second), p.Base)
			}
		}
	}
	return n
}

// fewestHalves is how many windows that contain a part of the loading are enough to find its
// usage.
const fewestHalves = 3

// loadingBefore does what loadingOf does if no window lies within a pod's loading. It takes
// windows in which a pod became ready, subtracts what the pod used once it was ready, and
// spreads the rest over the part before. That is the usage towards the end of loading, which
// is the part that an autoscaler sees.
func (s *service) loadingBefore(m *hpa.Metric, p *plant.Pipe) (value float64, n int, ok bool) {
	if !s.visible {
		return 0, 0, false
	}
	name, unit := sampled(m)
	lives := map[string]*life{}
	for i := range s.lives {
		lives[s.lives[i].name] = &s.lives[i]
	}
	var values []float64
	for _, x := range samplesOf(s.log, name, m) {
		l := lives[x.Pod]
		if l == nil || !results.Happened(l.started) || !results.Happened(l.ready) || x.Window <= 0 {
			continue
		}
		to := taken(&x)
		from, ready := max(to-x.Window.Seconds(), l.started.Seconds()), l.ready.Seconds()
		if ready-from < 0.2*x.Window.Seconds() || ready >= to {
			continue
		}
		served := 0.0
		if k := s.serverOf(x.Pod); k >= 0 {
			r := s.did(k, ready, to)
			served = (p.Base + p.PerDone*r.done + p.PerWork*r.work + p.PerRunning*r.running +
				p.PerWaiting*r.waiting) * (to - ready)
		}
		values = append(values, max(0, x.Value*unit*x.Window.Seconds()-served)/(ready-from))
	}
	if len(values) < fewestHalves {
		return 0, 0, false
	}
	value = max(p.Base, median(values))
	if p.Ceiling > 0 {
		value = min(value, p.Ceiling)
	}
	return value, len(values), true
}
