package fit

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// A gauge is a metric that no kubelet measures: a number that the server itself
// tells, read by Prometheus or an adapter, and held until it is read again. What
// it counts is not said anywhere, and its stamp is that of the query: so both are
// found by holding the recorded values against what the log says was inside.

// counts are what a pod's value may count, simplest first: where two explain the
// samples as well, the first wins, unless the metric's name says otherwise.
var counts = []struct {
	name  string
	words []string // in the names of metrics that count it
	of    func(reading) float64
	set   func(p *plant.Pipe, per float64)
}{
	{"requests waiting", []string{"wait", "queue", "pending", "backlog"},
		func(r reading) float64 { return r.waiting }, func(p *plant.Pipe, per float64) { p.PerWaiting = per }},
	{"requests in service", []string{"running", "active", "busy", "cache", "slot", "generation_tok", "gen_throughput"},
		func(r reading) float64 { return r.running }, func(p *plant.Pipe, per float64) { p.PerRunning = per }},
	{
		"requests in flight",
		[]string{"flight", "progress", "concurren", "inside", "total"},
		func(r reading) float64 { return r.running + r.waiting },
		func(p *plant.Pipe, per float64) { p.PerRunning, p.PerWaiting = per, per },
	},
	{"completions per second", []string{"rps", "qps", "rate", "per_second", "throughput", "prompt_tok"},
		func(r reading) float64 { return r.done }, func(p *plant.Pipe, per float64) { p.PerDone = per }},
}

// scrapeEvery are the usual intervals between scrapes, seconds.
var scrapeEvery = []float64{1, 2, 5, 10, 15, 30, 60}

const (
	// gaugeLeast is how few samples say nothing.
	gaugeLeast = 8
	// explained is the largest mean deviation, as a share of how much the samples
	// themselves vary, at which a metric counts as explained.
	explained = 0.6
	// counted is the deviation up to which a count, with one a request and nothing
	// without, is not doubted.
	counted = 0.15
	// clearly is by how much a later hypothesis must deviate less to be taken.
	clearly = 0.93
)

// point is one value of a gauge as it was seen at an instant.
type point struct{ at, value float64 }

// track is the values of one series in order of time, and what made them.
type track struct {
	points []point
	// did is what the pods behind it did between two instants, summed over them,
	// and how many pods there were.
	did func(from, to float64) (reading, int)
}

// gaugeOf fits a Pods, Object or External metric: what it counts, over which
// window, how the pods' values are made one, and how late it is seen. ok is false
// where nothing explains the samples.
func gaugeOf(s *service, m *hpa.Metric) (plant.Pipe, bool, notes) {
	n := lapsed(s.run, m)
	pooled := m.Source != hpa.Pods
	tracks := s.podTracks(m)
	if pooled || !s.visible {
		tracks = s.poolTrack(m, pooled)
	}
	total := 0
	for _, t := range tracks {
		total += len(t.points)
	}
	if total < gaugeLeast {
		n.warn(
			"metric %s was sampled %d times while the pods were observed; to replay it takes at least %d samples",
			m.Name,
			total,
			gaugeLeast,
		)
		return plant.Pipe{}, false, n
	}
	spread := variation(tracks)
	best := candidate{deviation: math.Inf(1)}
	for _, c := range s.gaugeCandidates(m, tracks, pooled, false) {
		if c.better(&best, spread) {
			best = c
		}
	}
	if best.deviation > counted*spread { // no count: what follows one
		for _, c := range s.gaugeCandidates(m, tracks, pooled, true) {
			if c.better(&best, spread) {
				best = c
			}
		}
	}
	if spread > 0 && best.deviation > explained*spread {
		n.warn(
			"metric %s follows nothing in the log: its samples vary by %.3g, and the closest quantity (%s) is off by %.3g; it cannot be replayed",
			m.Name,
			spread,
			best.what,
			best.deviation,
		)
		return plant.Pipe{}, false, n
	}
	p := best.pipe
	p.Name = m.Name
	n.quality(
		m.Name,
		best.deviation/max(1e-9, meanLevel(tracks)),
		total,
		"mean deviation from %s, read every %v with a delay of %v, as a ratio of the mean",
		best.what,
		p.Every,
		p.Delay.Round(100*time.Millisecond),
	)
	return p, true, n
}

// candidate is one hypothesis of a gauge, and how far the samples are from it.
type candidate struct {
	pipe      plant.Pipe
	what      string
	deviation float64 // mean absolute, in the metric's unit
	hinted    bool    // the metric's name speaks of it
	free      bool    // a slope was fitted to it
}

// better says whether c is to be taken in place of b: where neither explains
// clearly more, the one that the name speaks of, then the one without a fitted
// slope, then the one that came first.
func (c *candidate) better(b *candidate, spread float64) bool {
	noise := 0.02 * spread
	switch {
	case math.IsInf(b.deviation, 1):
		return true
	case c.hinted != b.hinted && math.Max(c.deviation, b.deviation) <= math.Min(c.deviation, b.deviation)*1.25+noise:
		return c.hinted
	case c.free && !b.free:
		return c.deviation < b.deviation*0.8-noise
	case !c.free && b.free:
		return c.deviation <= b.deviation/0.8+noise
	}
	return c.deviation < b.deviation*clearly-noise
}

// gaugeCandidates are the hypotheses that are tried: counts as they are, or with a
// line fitted to them (free).
func (s *service) gaugeCandidates(m *hpa.Metric, tracks []track, pooled, free bool) []candidate {
	var out []candidate
	pools := []plant.Pool{plant.Sum}
	if pooled {
		pools = []plant.Pool{plant.Sum, plant.Mean, plant.Max}
	}
	name := strings.ToLower(m.Name)
	for _, count := range counts {
		hinted := slices.ContainsFunc(count.words, func(w string) bool { return strings.Contains(name, w) })
		for _, pool := range pools {
			if pool == plant.Max && len(s.servers) < 2 {
				continue
			}
			value := s.valueOf(pool, count.of)
			what := count.name
			if pooled {
				what += " (" + pool.String() + " of all pods)"
			}
			if free { // when it is seen shows at the right scale only
				k, raw := scaleOf(tracks, value), value
				value = func(t *track, from, to float64) float64 { return k * raw(t, from, to) }
			}
			for _, seen := range timings(tracks, value, pooled, count.name == "completions per second") {
				c := candidate{what: what, hinted: hinted, deviation: seen.deviation}
				c.pipe = seen.pipe(pool)
				if free {
					out = append(out, sloped(c, tracks, s.valueOf(pool, count.of), seen, count.set)...)
					continue
				}
				count.set(&c.pipe, 1)
				out = append(out, c)
			}
		}
	}
	return out
}

// valueOf is what a count makes of what the pods behind a track did.
func (s *service) valueOf(pool plant.Pool, of func(reading) float64) func(*track, float64, float64) float64 {
	if pool == plant.Max {
		return func(_ *track, from, to float64) float64 { return s.largest(from, to, of) }
	}
	return func(t *track, from, to float64) float64 {
		r, pods := t.did(from, to)
		v := of(r)
		if pool == plant.Mean && pods > 0 {
			v /= float64(pods)
		}
		return v
	}
}

// scaleOf is the samples' mean over the count's, at the instants of the samples; 1
// where the count is nothing.
func scaleOf(tracks []track, value func(*track, float64, float64) float64) float64 {
	samples, counted := 0.0, 0.0
	for i := range tracks {
		for _, p := range tracks[i].points {
			samples, counted = samples+p.value, counted+value(&tracks[i], p.at, p.at)
		}
	}
	if counted <= 0 || samples <= 0 {
		return 1
	}
	return samples / counted
}

// sloped is the same hypothesis with a line fitted to it: KV cache in use follows
// what is in service, and is no count of it.
func sloped(
	c candidate,
	tracks []track,
	value func(*track, float64, float64) float64,
	seen timing,
	set func(*plant.Pipe, float64),
) []candidate {
	var xs, ys []float64
	for i := range tracks {
		for _, p := range tracks[i].points {
			from, to := seen.content(p.at, i)
			xs, ys = append(xs, value(&tracks[i], from, to)), append(ys, p.value)
		}
	}
	a, b := theilSen(xs, ys)
	if !(b > 0) || a < 0 && a < -0.1*b {
		return nil
	}
	dev := 0.0
	for i := range xs {
		dev += math.Abs(ys[i] - a - b*xs[i])
	}
	c.free, c.deviation = true, dev/float64(len(xs))
	c.pipe.PerDone, c.pipe.PerRunning, c.pipe.PerWaiting = 0, 0, 0
	c.pipe.Base = max(0, a)
	set(&c.pipe, b)
	return []candidate{c}
}

// timing is when a value is seen: it is that of the last scrape, or of a window
// that ended delay ago.
type timing struct {
	every, delay, window float64   // seconds
	phase                []float64 // of the scrapes of each track, as they become visible; nil = read all along
	apart                bool
	deviation            float64
}

// content is the stretch of time that a value seen at an instant stands for.
func (t *timing) content(at float64, track int) (from, to float64) {
	if t.phase == nil {
		at -= t.delay
		return at - t.window, at
	}
	at = t.phase[track] + math.Floor((at-t.phase[track])/t.every)*t.every - t.delay
	return at, at
}

// pipe is the plant's form of it. A window reaches back over twelve scrapes at
// most, so long ones are scraped less often.
func (t *timing) pipe(over plant.Pool) plant.Pipe {
	p := plant.Pipe{Delay: seconds(t.delay), Over: over, Apart: t.apart}
	switch {
	case t.phase != nil:
		p.Every = seconds(t.every)
		if !t.apart {
			p.Phase = seconds(t.phase[0])
		}
	case t.apart:
		p.Every = seconds(max(1, t.window))
	default:
		p.Every, p.Window = seconds(max(1, math.Ceil((t.window+t.delay)/12))), seconds(t.window)
	}
	return p
}

// timings returns the best ways in which the tracks may have been seen: held
// between scrapes, smoothed over the phases of many pods, averaged over a window.
func timings(tracks []track, value func(*track, float64, float64) float64, pooled, rate bool) []timing {
	var out []timing
	deviation := func(t *timing) float64 {
		sum, n := 0.0, 0
		for i := range tracks {
			for _, p := range tracks[i].points {
				from, to := t.content(p.at, i)
				sum += math.Abs(p.value - value(&tracks[i], from, to))
				n++
			}
		}
		return sum / float64(n)
	}
	if !rate {
		out = append(out, held(tracks, value))
	}
	windows := []float64{30, 60, 120, 300}
	if pooled && !rate {
		windows = append(slices.Clone(scrapeEvery), 120, 300)
	}
	for _, w := range windows {
		best := timing{deviation: math.Inf(1)}
		for _, delay := range []float64{0, 2, 5, 10, 15, 30} {
			t := timing{delay: delay, window: w}
			if t.deviation = deviation(&t); t.deviation < best.deviation*0.98 {
				best = t
			}
		}
		// The sum of many pods, each read once in w seconds at a phase of its own,
		// is the mean over w.
		best.apart = pooled && !rate && w <= 60
		out = append(out, best)
	}
	return out
}

// held finds the interval and each track's phase at which a value that is held
// between scrapes is met best. Values change at scrapes only, so a phase is a fact
// of each pod.
func held(tracks []track, value func(*track, float64, float64) float64) timing {
	best := timing{deviation: math.Inf(1)}
	for _, every := range scrapeEvery {
		t := timing{every: every, phase: make([]float64, len(tracks)), apart: len(tracks) > 1}
		sum, n := 0.0, 0
		for i := range tracks {
			phase, dev := phaseOf(&tracks[i], value, every, 0)
			t.phase[i] = phase
			sum += dev
			n += len(tracks[i].points)
		}
		if t.deviation = sum / float64(n); t.deviation < best.deviation*0.95-1e-9 {
			best = t
		}
	}
	// How old a value is when it becomes visible: an adapter's cache, a poll.
	for _, delay := range []float64{1, 2, 5, 10} {
		t := timing{every: best.every, delay: delay, phase: make([]float64, len(tracks)), apart: best.apart}
		sum, n := 0.0, 0
		for i := range tracks {
			phase, dev := phaseOf(&tracks[i], value, best.every, delay)
			t.phase[i] = phase
			sum += dev
			n += len(tracks[i].points)
		}
		if t.deviation = sum / float64(n); t.deviation < best.deviation*0.9-1e-9 {
			best = t
		}
	}
	return best
}

// phaseOf returns the phase at which one track is met best, and the sum of its
// deviations there.
func phaseOf(t *track, value func(*track, float64, float64) float64, every, delay float64) (phase, deviation float64) {
	deviation = math.Inf(1)
	step := math.Max(0.5, every/30)
	for p := 0.0; p < every; p += step {
		sum := 0.0
		last, v := math.NaN(), 0.0
		for _, q := range t.points {
			at := p + math.Floor((q.at-p)/every)*every - delay
			if at != last {
				last, v = at, value(t, at, at)
			}
			if sum += math.Abs(q.value - v); sum >= deviation {
				break
			}
		}
		if sum < deviation {
			phase, deviation = p, sum
		}
	}
	return phase, deviation
}
