package fit

import (
	"math"
	"slices"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// reading is one pod's sample of a metric with what the pod did meanwhile.
type reading struct {
	value                  float64
	done, running, waiting float64 // completions' worth a second, in service, queued: means over the window
}

// pipes fits one pipe for each metric that the configuration reads.
func (f *fitting) pipes() {
	for i := range f.cfg.Metrics {
		m := &f.cfg.Metrics[i]
		if slices.ContainsFunc(f.w.Pipes, func(p plant.Pipe) bool { return p.Name == m.Name }) {
			continue
		}
		if p, ok := f.pipe(m); ok {
			f.w.Pipes = append(f.w.Pipes, p)
		}
	}
}

// sampled gives the samples' name and the factor to base units for a metric.
func sampled(m *hpa.Metric) (name string, unit float64) {
	if m.Source == hpa.Resource || m.Source == hpa.ContainerResource {
		switch m.Name {
		case "cpu":
			return "cpu_milli", 1e-3
		case "memory":
			return "memory_bytes", 1
		}
	}
	return m.Name, 1
}

// pipe fits how a metric follows a pod's load: the best line over work done, in
// service or queued, by medians of slopes, which a bad sample does not bend.
func (f *fitting) pipe(m *hpa.Metric) (plant.Pipe, bool) {
	name, unit := sampled(m)
	p := plant.Pipe{Name: m.Name}
	samples := f.samples(name, m)
	if len(samples) == 0 {
		return f.assumedPipe(m)
	}
	f.timing(&p, samples, m)
	ready, ended := map[string]float64{}, map[string]float64{}
	for _, l := range f.lives() {
		if results.Happened(l.ready) {
			ready[l.name] = l.ready.Seconds()
		}
		if results.Happened(l.ended) {
			ended[l.name] = l.ended.Seconds()
		}
	}
	servers := map[string]int{}
	var rs []reading
	var starting []float64
	for _, s := range samples {
		to := s.At.Seconds()
		if s.SampledAt != results.NotYet {
			to = s.SampledAt.Seconds()
		}
		from := to - s.Window.Seconds()
		if e, ok := ended[s.Pod]; ok && to > e {
			continue
		}
		r, known := ready[s.Pod]
		switch {
		case known && to <= r:
			starting = append(starting, s.Value*unit)
			continue
		case known && from < r:
			continue // half and half
		}
		k, ok := servers[s.Pod]
		if !ok {
			k = f.serverOf(s.Pod)
			servers[s.Pod] = k
		}
		if k < 0 {
			continue // never answered, or not visible
		}
		x := f.did(k, from, to)
		x.value = s.Value * unit
		rs = append(rs, x)
	}
	if len(starting) > 0 {
		p.Starting = median(starting)
	}
	if len(rs) < 5 {
		if !f.visible && len(samples) >= 5 {
			rs = f.pooled(samples, unit)
		}
		if len(rs) < 5 {
			f.warn("metric %s: %d samples of pods that served, too few to fit", m.Name, len(rs))
			return f.assumedPipe(m)
		}
	}
	best, name := math.Inf(1), ""
	for _, way := range []struct {
		name string
		x    func(reading) float64
		set  func(*plant.Pipe, float64)
	}{
		{"requests in service", func(r reading) float64 { return r.running }, func(p *plant.Pipe, b float64) { p.PerRunning = b }},
		{"completions", func(r reading) float64 { return r.done }, func(p *plant.Pipe, b float64) { p.PerDone = b }},
		{"requests queued", func(r reading) float64 { return r.waiting }, func(p *plant.Pipe, b float64) { p.PerWaiting = b }},
	} {
		xs, ys := make([]float64, len(rs)), make([]float64, len(rs))
		for i, r := range rs {
			xs[i], ys[i] = way.x(r), r.value
		}
		a, b := theilSen(xs, ys)
		if b < 0 {
			a, b = median(slices.Clone(ys)), 0
		}
		dev := make([]float64, len(xs))
		for i := range xs {
			dev[i] = math.Abs(ys[i] - a - b*xs[i])
		}
		if d := meanOf(dev); d < best*0.98 {
			best, name = d, way.name
			p.Base, p.PerDone, p.PerRunning, p.PerWaiting = max(0, a), 0, 0, 0
			way.set(&p, b)
		}
	}
	ys := make([]float64, len(rs))
	for i, r := range rs {
		ys[i] = r.value
	}
	f.quality(m.Name, best/max(1e-12, meanOf(ys)), len(rs), "mean deviation from a line over %s, as a ratio of the mean", name)
	if m.Name == "cpu" {
		if l := f.run.Meta.Workload.CPULimitMilli; l > 0 {
			p.Ceiling = float64(l) / 1000
		}
		if best > 0.25*meanOf(ys) {
			f.warn("CPU follows the load poorly (mean deviation %.0f %% of its mean): what the autoscaler will see is uncertain", 100*best/meanOf(ys))
		}
	}
	return p, true
}

func meanOf(v []float64) float64 {
	s := 0.0
	for _, x := range v {
		s += x
	}
	return s / float64(max(1, len(v)))
}

// samples are a metric's in the run: those of the metrics APIs and Prometheus,
// of single pods; where a source samples it twice, the first source met.
func (f *fitting) samples(name string, m *hpa.Metric) []results.Sample {
	source := ""
	var out []results.Sample
	for _, s := range f.run.Samples {
		if s.Name != name || s.Pod == "" || m.Source == hpa.ContainerResource && s.Container != "" && s.Container != m.Container {
			continue
		}
		if source == "" {
			source = s.Source
		}
		if s.Source != source {
			continue
		}
		if to := seconds(taken(&s)); f.hidden.meet(to-s.Window, to) {
			continue // nobody saw what its pod did meanwhile
		}
		// Containers of one pod at one time are one value, as for the controller.
		if k := len(out) - 1; k >= 0 && out[k].Pod == s.Pod && out[k].At == s.At && out[k].Container != s.Container && m.Source != hpa.ContainerResource {
			out[k].Value += s.Value
			continue
		}
		// A reading that has not changed since the last look is the same sample.
		if s.SampledAt != results.NotYet && slices.ContainsFunc(out[max(0, len(out)-200):], func(o results.Sample) bool { return o.Pod == s.Pod && o.SampledAt == s.SampledAt }) {
			continue
		}
		out = append(out, s)
	}
	return out
}

// timing reads interval, phase, window and delay off a pipe's samples.
func (f *fitting) timing(p *plant.Pipe, samples []results.Sample, m *hpa.Metric) {
	last := map[string]time.Duration{}
	var every, window []float64
	var first time.Duration = -1
	for _, s := range samples {
		at := s.SampledAt
		if at == results.NotYet {
			at = s.At
		}
		if before, ok := last[s.Pod]; ok && at > before {
			every = append(every, (at - before).Seconds())
		}
		last[s.Pod] = at
		if first < 0 && at >= 0 {
			first = at
		}
		window = append(window, s.Window.Seconds())
	}
	p.Every, p.Window = 15*time.Second, 0
	if len(every) > 0 {
		p.Every = seconds(math.Round(median(every)))
	}
	p.Every = max(time.Second, p.Every)
	if w := median(window); w > 0 {
		p.Window = seconds(w)
	}
	cut := wholeSeconds(samples)
	p.Delay = max(0, f.delay(samples, m)-cut)
	p.Phase = (max(0, first) + cut) % p.Every
	if m.Name == "cpu" {
		p.Fresh = f.fresh(samples, p.Every)
	}
}

// wholeSeconds is what the samples' stamps lost on the average: half a second
// where all are cut to whole ones, as the metrics APIs' are.
func wholeSeconds(samples []results.Sample) time.Duration {
	for _, s := range samples {
		if s.SampledAt == results.NotYet || (s.SampledAt-samples[0].SampledAt)%time.Second != 0 {
			return 0
		}
	}
	return 499 * time.Millisecond // a hair less: where steps are whole seconds, half would always round up
}

// delay is how long after it was taken a sample can be read. A look at the API
// says no more than that it was there by then, and ours are seconds apart; the
// controller's own reconciles say when it had it, and when not yet. So: what nine
// in ten samples took at most, or what a tenth had not by then, whichever is
// the longer.
func (f *fitting) delay(samples []results.Sample, m *hpa.Metric) time.Duration {
	type key struct {
		pod   string
		taken time.Duration
	}
	had, stamps := map[key]float64{}, map[string][]time.Duration{}
	for _, s := range samples {
		if s.SampledAt == results.NotYet {
			continue
		}
		had[key{s.Pod, wholeSecond(s.SampledAt)}] = (s.At - s.SampledAt).Seconds()
		stamps[s.Pod] = append(stamps[s.Pod], wholeSecond(s.SampledAt))
	}
	var not []float64
	for i := range f.run.Syncs {
		y := &f.run.Syncs[i]
		for _, r := range y.Metrics {
			if r.Metric != m.Name {
				continue
			}
			for _, v := range r.Pods {
				k := key{v.Pod, wholeSecond(v.At)} // what a reconcile had may be cut where the sample is not
				if d, ok := had[k]; ok {
					had[k] = min(d, max(0, (y.At-v.At).Seconds()))
				}
				for _, t := range stamps[v.Pod] {
					if t > k.taken && t < y.At {
						not = append(not, (y.At - t).Seconds())
						break
					}
				}
			}
		}
	}
	var by []float64
	for _, d := range had {
		by = append(by, max(0, d))
	}
	if len(by) == 0 {
		return 0
	}
	slices.Sort(by)
	out := by[len(by)/10]
	if n := len(not); n > 0 {
		slices.Sort(not)
		out = max(out, not[n*9/10])
	}
	return seconds(out)
}

func wholeSecond(t time.Duration) time.Duration {
	return time.Duration(math.Floor((t + time.Millisecond).Seconds())) * time.Second
}

// fresh is 10 s where a pod's first sample averages less than a scrape
// interval, as metrics-server's do, and 0 where none does.
func (f *fitting) fresh(samples []results.Sample, every time.Duration) time.Duration {
	seen := map[string]bool{}
	for _, s := range samples {
		if !seen[s.Pod] && s.Window > 0 && s.Window < every*8/10 {
			return 10 * time.Second
		}
		seen[s.Pod] = true
	}
	return 0
}

// did is what a server did between two instants, by the fitted starts.
func (f *fitting) did(k int, from, to float64) reading {
	var r reading
	calls := f.servers[k].calls
	instant := to <= from
	for _, i := range calls {
		c := &f.served[i]
		if c.sent > to {
			break
		}
		if c.done <= from {
			continue
		}
		if instant {
			if c.start <= to && c.done > to {
				r.running++
				r.done += 1 / max(1e-3, c.done-c.start)
			} else if c.sent <= to && c.start > to {
				r.waiting++
			}
			continue
		}
		if d := min(c.done, to) - max(c.start, from); d > 0 {
			r.running += d
			r.done += d / max(1e-3, c.done-c.start)
		}
		if d := min(c.start, to) - max(c.sent, from); d > 0 {
			r.waiting += d
		}
	}
	if !instant {
		w := to - from
		r.running, r.done, r.waiting = r.running/w, r.done/w, r.waiting/w
	}
	return r
}

// pooled compares the sum over pods with the one server that stands for all,
// per pod.
func (f *fitting) pooled(samples []results.Sample, unit float64) []reading {
	var out []reading
	for i := 0; i < len(samples); {
		j, sum := i, 0.0
		for ; j < len(samples) && samples[j].At == samples[i].At; j++ {
			sum += samples[j].Value * unit
		}
		s := samples[i]
		to := s.At.Seconds()
		if s.SampledAt != results.NotYet {
			to = s.SampledAt.Seconds()
		}
		r := f.did(0, to-s.Window.Seconds(), to)
		n := float64(j - i)
		r.value, r.done, r.running, r.waiting = sum/n, r.done/n, r.running/n, r.waiting/n
		out = append(out, r)
		i = j
	}
	return out
}

// assumedPipe stands in where a metric was not sampled: CPU reaches the request
// when all slots are busy, memory stays at half of it, gauges are what they are
// called. It says so.
func (f *fitting) assumedPipe(m *hpa.Metric) (plant.Pipe, bool) {
	p := plant.Pipe{Name: m.Name, Every: 15 * time.Second, Delay: 5 * time.Second}
	slots := float64(f.w.Service.Slots())
	switch {
	case m.Name == "cpu" && f.out.Replica.CPUCores > 0:
		p.Window, p.Fresh = 15*time.Second, 10*time.Second
		p.PerRunning = f.out.Replica.CPUCores / slots
		p.Ceiling = f.out.Replica.CPUCores
		f.assume("a replica with all %d slots busy burns its CPU request, and CPU follows the busy slots", f.w.Service.Slots())
	case m.Name == "memory" && f.out.Replica.MemoryGB > 0:
		p.Base = f.out.Replica.MemoryGB * (1 << 30) / 2
		f.assume("memory stays at half the request")
	default:
		f.warn("metric %s %s was not sampled and cannot be replayed", m.Source, m.Name)
		return p, false
	}
	return p, true
}

// theilSen is the median of the slopes between pairs, and the median of what is
// left: a line that up to 29 % of bad samples do not bend. Pairs are taken over
// fixed strides where there are many.
func theilSen(xs, ys []float64) (a, b float64) {
	n := len(xs)
	var slopes []float64
	stride := max(1, n*n/200000)
	for k := 1; k < n; k += stride {
		for i := 0; i+k < n; i++ {
			if d := xs[i+k] - xs[i]; math.Abs(d) > 1e-9 {
				slopes = append(slopes, (ys[i+k]-ys[i])/d)
			}
		}
	}
	if len(slopes) == 0 {
		return median(slices.Clone(ys)), 0
	}
	b = median(slopes)
	rest := make([]float64, n)
	for i := range xs {
		rest[i] = ys[i] - b*xs[i]
	}
	return median(rest), b
}
