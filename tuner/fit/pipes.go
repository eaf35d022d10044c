package fit

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/cost"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// pipesOf fits one pipe for each metric that the configurations read. A metric that was not
// sampled, and about which nothing can be assumed, has no pipe. unread says why a sampled
// metric has none.
func pipesOf(
	s *service,
	metrics []hpa.Metric,
	replica cost.Replica,
) (out []plant.Pipe, unread map[string]string, n notes) {
	tried := map[string]bool{}
	for i := range metrics {
		m := &metrics[i]
		if tried[m.Name] {
			continue
		}
		tried[m.Name] = true
		p, ok, said := pipeOf(s, m, replica)
		n.add(said)
		if ok {
			if out = append(out, p); p.Under != "" {
				out = append(out, underOf(&p))
			}
			continue
		}
		if len(said.warnings) > 0 && s.sampled(m) {
			if unread == nil {
				unread = map[string]string{}
			}
			unread[m.Name] = said.warnings[len(said.warnings)-1]
		}
	}
	return out, unread, n
}

// sampled reports whether the run has samples of a metric.
func (s *service) sampled(m *hpa.Metric) bool {
	name, _ := sampled(m)
	return slices.ContainsFunc(s.run.Samples, func(x results.Sample) bool { return sameName(x.Name, name) })
}

// sameName reports whether a sample has a metric's name: adapters write _ for the : in a
// server's metrics.
func sameName(sample, metric string) bool {
	return sample == metric || strings.ReplaceAll(sample, ":", "_") == metric
}

// sampled returns the name of a metric's samples and the factor to base units.
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

// pipeOf fits how a metric follows a pod's load: the best line over work done, requests in
// service or requests queued. It uses medians of slopes, which a bad sample does not bend.
func pipeOf(s *service, m *hpa.Metric, replica cost.Replica) (plant.Pipe, bool, notes) {
	var n notes
	if m.Source == hpa.Pods || m.Source == hpa.Object || m.Source == hpa.External {
		return gaugeOf(s, m)
	}
	name, unit := sampled(m)
	p := plant.Pipe{Name: m.Name}
	samples := samplesOf(s.log, name, m)
	if len(samples) == 0 {
		return assumedPipe(m, s.law.Slots(), replica, n)
	}
	timePipe(&p, samples, m, s.run.Syncs)
	ready, ended := s.watched()
	servers := map[string]int{}
	var rs []reading
	var starting []float64
	for _, sample := range samples {
		to := sample.At.Seconds()
		if sample.SampledAt != results.NotYet {
			to = sample.SampledAt.Seconds()
		}
		from := to - sample.Window.Seconds()
		if e, ok := ended[sample.Pod]; ok && to > e {
			continue
		}
		r, known := ready[sample.Pod]
		switch {
		case known && to <= r:
			starting = append(starting, sample.Value*unit)
			continue
		case known && from < r:
			continue // ready for a part of the window
		}
		k, ok := servers[sample.Pod]
		if !ok {
			k = s.serverOf(sample.Pod)
			servers[sample.Pod] = k
		}
		if k < 0 {
			continue // never answered, or not visible
		}
		x := s.did(k, from, to)
		x.value = sample.Value * unit
		rs = append(rs, x)
	}
	if len(starting) > 0 {
		p.Starting = median(starting)
	}
	if len(rs) < 5 {
		if !s.visible && len(samples) >= 5 {
			rs = s.pooled(samples, unit)
		}
		if len(rs) < 5 {
			n.warn("metric %s: %d samples of serving pods are too few to fit", m.Name, len(rs))
			return assumedPipe(m, s.law.Slots(), replica, n)
		}
	}
	best, name := math.Inf(1), ""
	for _, way := range []struct {
		name string
		x    func(reading) float64
		set  func(*plant.Pipe, float64)
	}{
		{"requests in service", func(r reading) float64 { return r.running },
			func(p *plant.Pipe, b float64) { p.PerRunning = b }},
		{"work that it did itself", func(r reading) float64 { return r.work },
			func(p *plant.Pipe, b float64) { p.PerWork = b }},
		{"completions", func(r reading) float64 { return r.done }, func(p *plant.Pipe, b float64) { p.PerDone = b }},
		{"requests queued", func(r reading) float64 { return r.waiting },
			func(p *plant.Pipe, b float64) { p.PerWaiting = b }},
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
			p.Base, p.PerDone, p.PerWork, p.PerRunning, p.PerWaiting = max(0, a), 0, 0, 0, 0
			way.set(&p, b)
		}
	}
	ys := make([]float64, len(rs))
	for i, r := range rs {
		ys[i] = r.value
	}
	n.quality(
		m.Name,
		best/max(1e-12, meanOf(ys)),
		len(rs),
		"mean deviation from a line over %s, as a ratio of the mean",
		name,
	)
	if m.Name == "cpu" {
		if l := s.run.Meta.Workload.CPULimitMilli; l > 0 {
			p.Ceiling = float64(l) / 1000
		}
		if best > 0.25*meanOf(ys) {
			n.warn(
				"CPU follows the load poorly (mean deviation %s of the mean), so the predicted CPU is uncertain",
				figure.Percent(best/meanOf(ys)),
			)
		}
	}
	return p, true, n
}

// samplesOf returns the samples of a metric in the run: those of single pods, from the metrics
// APIs and Prometheus. If two sources sample it, the first one is used.
func samplesOf(l *log, name string, m *hpa.Metric) []results.Sample {
	source := ""
	var out []results.Sample
	for _, s := range l.run.Samples {
		if s.Name != name || s.Pod == "" ||
			m.Source == hpa.ContainerResource && s.Container != "" && s.Container != m.Container {
			continue
		}
		if source == "" {
			source = s.Source
		}
		if s.Source != source {
			continue
		}
		if to := seconds(taken(&s)); l.hidden.meet(to-s.Window, to) {
			continue // its pod was not seen meanwhile
		}
		// Containers of one pod at one time are one value, as in the controller.
		if k := len(
			out,
		) - 1; k >= 0 && out[k].Pod == s.Pod && out[k].At == s.At && out[k].Container != s.Container &&
			m.Source != hpa.ContainerResource {
			out[k].Value += s.Value
			continue
		}
		// A reading that has not changed since the last one is the same sample.
		if s.SampledAt != results.NotYet &&
			slices.ContainsFunc(
				out[max(0, len(out)-200):],
				func(o results.Sample) bool { return o.Pod == s.Pod && o.SampledAt == s.SampledAt },
			) {
			continue
		}
		out = append(out, s)
	}
	return out
}

// timePipe sets interval, phase, window and delay from a pipe's samples.
func timePipe(p *plant.Pipe, samples []results.Sample, m *hpa.Metric, syncs []results.Sync) {
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
	p.Delay = max(0, delayOf(samples, m, syncs)-cut)
	p.Phase = (max(0, first) + cut) % p.Every
	if m.Name == "cpu" {
		p.Fresh = freshOf(samples, p.Every)
	}
}

// wholeSeconds returns what the samples' timestamps lose on average by truncation: half a
// second if all are whole seconds, as those of the metrics APIs are.
func wholeSeconds(samples []results.Sample) time.Duration {
	for _, s := range samples {
		if s.SampledAt == results.NotYet || (s.SampledAt-samples[0].SampledAt)%time.Second != 0 {
			return 0
		}
	}
	return 499 * time.Millisecond // slightly less: with steps of whole seconds, half a second would always round up
}

// delayOf returns how long after it was taken a sample can be read. A reading from the API
// shows only that the sample was there by then, and hpatune's readings are seconds apart. The
// controller's own reconciles show when it had a sample, and when it did not yet. The delay is
// the tenth percentile over the samples, or a longer one that fewer reconciles contradict. A
// reconcile contradicts a delay if it read a younger sample, or if an older one was not there
// yet.
//
// Note: it was the tenth percentile of the ages of samples that were not there yet. When a
// source stalled once, four readings of 160 gave a delay of 21 s.
func delayOf(samples []results.Sample, m *hpa.Metric, syncs []results.Sync) time.Duration {
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
	var not, ages []float64
	for i := range syncs {
		y := &syncs[i]
		for _, r := range y.Metrics {
			if r.Metric != m.Name {
				continue
			}
			for _, v := range r.Pods {
				k := key{v.Pod, wholeSecond(v.At)} // a reconcile's timestamp may be truncated when the sample's is not
				if d, ok := had[k]; ok {
					age := max(0, (y.At - v.At).Seconds())
					had[k] = min(d, age)
					ages = append(ages, age)
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
	slices.Sort(ages)
	slices.Sort(not)
	out := by[len(by)/10]
	// against returns how many readings contradict a delay.
	against := func(delay float64) int {
		younger, _ := slices.BinarySearch(ages, delay)
		notYet, _ := slices.BinarySearch(not, delay)
		return younger + len(not) - notYet
	}
	least := against(out)
	for _, d := range not {
		if d += 1e-6; d > out && against(d) < least {
			out, least = d, against(d)
		}
	}
	return seconds(out)
}

// wholeSecond truncates a time to its second, as API objects do. A time up to a millisecond
// below a whole second counts as that second.
func wholeSecond(t time.Duration) time.Duration {
	return time.Duration(math.Floor((t + time.Millisecond).Seconds())) * time.Second
}

// freshOf returns 10 s if a pod's first sample averages less than a scrape interval, as
// metrics-server's samples do, and 0 if none does.
func freshOf(samples []results.Sample, every time.Duration) time.Duration {
	seen := map[string]bool{}
	for _, s := range samples {
		if !seen[s.Pod] && s.Window > 0 && s.Window < every*8/10 {
			return 10 * time.Second
		}
		seen[s.Pod] = true
	}
	return 0
}

// pooled compares the sum over pods with the one server that stands for all of them, per pod.
func (s *service) pooled(samples []results.Sample, unit float64) []reading {
	var out []reading
	for i := 0; i < len(samples); {
		j, sum := i, 0.0
		for ; j < len(samples) && samples[j].At == samples[i].At; j++ {
			sum += samples[j].Value * unit
		}
		to := taken(&samples[i])
		r := s.did(0, to-samples[i].Window.Seconds(), to)
		n := float64(j - i)
		r.at = to
		r.value, r.done, r.work, r.running, r.waiting = sum/n, r.done/n, r.work/n, r.running/n, r.waiting/n
		out = append(out, r)
		i = j
	}
	return out
}

// assumedPipe is used if a metric was not sampled: CPU reaches the request when all slots are
// busy, memory stays at half of its request, and gauges count what their name says. The
// assumption is noted.
func assumedPipe(m *hpa.Metric, slots int, replica cost.Replica, n notes) (plant.Pipe, bool, notes) {
	p := plant.Pipe{Name: m.Name, Every: 15 * time.Second, Delay: 5 * time.Second}
	switch {
	case m.Name == "cpu" && replica.CPUCores > 0:
		p.Window, p.Fresh = 15*time.Second, 10*time.Second
		p.PerRunning = replica.CPUCores / float64(slots)
		p.Ceiling = replica.CPUCores
		n.assume("a replica with all %d slots busy uses its whole CPU request, and CPU follows the busy slots", slots)
	case m.Name == "memory" && replica.MemoryGB > 0:
		p.Base = replica.MemoryGB * (1 << 30) / 2
		n.assume("memory stays at half the request")
	default:
		n.warn("metric %s %s was not sampled and cannot be replayed", m.Source, m.Name)
		return p, false, n
	}
	return p, true, n
}
