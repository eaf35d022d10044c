package fit

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// A gauge is a metric that no kubelet measures: a number that the server itself reports, that
// Prometheus or an adapter reads, and that stays the same until the next reading. Nothing says
// what it counts, and its timestamp is that of the query. So both are found by comparing the
// recorded values with what the log says about the requests in the server.

// count is a quantity that a pod's value may count.
type count struct {
	name  string
	words []string // found in the names of metrics that count it
	// of is what each request adds: while it waits, while it is served, and per second of its
	// service, in completions.
	of  weights
	set func(s *service, p *plant.Pipe, per float64)
}

// counts are the quantities that a pod's value may count, simplest first. If two explain the
// samples equally well, the first one is taken, unless the metric's name suggests the other.
var counts = []count{
	{"requests waiting", []string{"wait", "queue", "pending", "backlog"}, weights{waiting: 1},
		func(_ *service, p *plant.Pipe, per float64) { p.PerWaiting = per }},
	{"requests in service", []string{"running", "active", "busy", "cache", "slot", "generation_tok", "gen_throughput"},
		weights{running: 1}, func(_ *service, p *plant.Pipe, per float64) { p.PerRunning = per }},
	{"requests in flight", []string{"flight", "progress", "concurren", "inside", "total"}, weights{waiting: 1, running: 1},
		func(_ *service, p *plant.Pipe, per float64) { p.PerRunning, p.PerWaiting = per, per }},
	{"completions per second", []string{"rps", "qps", "rate", "per_second", "throughput", "prompt_tok"}, weights{done: 1},
		func(_ *service, p *plant.Pipe, per float64) { p.PerDone = per }},
	{"arrivals per second", []string{"arriv", "incoming", "received"}, weights{arrived: 1},
		func(_ *service, p *plant.Pipe, per float64) { p.PerArrival = per }},
	{
		"generated tokens per second",
		[]string{"generation_tok", "gen_throughput", "output_tok", "completion_tok"},
		weights{tokens: 1},
		func(s *service, p *plant.Pipe, per float64) {
			p.PerDone = per * s.meanOfCalls(func(c *call) float64 { return c.tokens })
		},
	},
	{"prompt tokens per second", []string{"prompt_tok", "input_tok"}, weights{prompt: 1},
		func(s *service, p *plant.Pipe, per float64) { p.PerDone = per * s.meanOfCalls((*call).prompt) }},
	{
		"tokens held by the requests in service",
		[]string{"cache", "token_usage", "tokens_held", "context"},
		weights{held: 1},
		func(s *service, p *plant.Pipe, per float64) { p.PerRunning = per * s.meanHeld() },
	},
	{"seconds that the longest waiting request waits", []string{"oldest", "_age", "head_of_line"}, weights{oldest: true},
		func(_ *service, p *plant.Pipe, per float64) { p.PerOldest = per }},
}

// meanOfCalls returns a mean over the calls that have the value.
func (s *service) meanOfCalls(of func(*call) float64) float64 {
	sum, n := 0.0, 0
	for i := range s.calls {
		if v := of(&s.calls[i]); v > 0 {
			sum, n = sum+v, n+1
		}
	}
	return sum / float64(max(1, n))
}

// meanHeld returns how many tokens a request in service holds on average over its service: its
// prompt, and half of its answer.
func (s *service) meanHeld() float64 {
	sum, time := 0.0, 0.0
	for i := range s.calls {
		c := &s.calls[i]
		if took := c.done - s.start[i]; took > 0 {
			sum, time = sum+took*(c.prompt()+c.tokens/2), time+took
		}
	}
	return sum / math.Max(1e-9, time)
}

const (
	// gaugeLeast is the number of samples below which nothing can be said.
	gaugeLeast = 8
	// explained is the largest mean deviation, relative to the variation of the samples
	// themselves, at which a metric counts as explained.
	explained = 0.6
	// exactly is the deviation up to which nothing better is looked for.
	exactly = 0.05
	// counted is the deviation up to which a count of one per request, and zero without
	// requests, is not doubted.
	counted = 0.15
	// named is the same for the count that the metric's name suggests. A server does not count
	// quite what its clients do: a throttled server does not see yet what waits at its socket.
	named = 0.4
	// briefMost is the largest share of a request's time in which it may go uncounted.
	briefMost = 0.7
	// latencyExplained is explained for a count if the metric's name suggests a latency, or
	// errors, which no count is.
	latencyExplained = 0.3
	// clearly is how much smaller a later hypothesis's deviation must be for it to be taken.
	clearly = 0.93
)

// point is one value of a gauge, as seen at an instant.
type point struct{ at, value float64 }

// track is the values of one series in order of time, and the server behind them.
type track struct {
	points []point
	server int // all for the whole pool
}

// all stands for every server.
const all = -1

// gaugeOf fits a Pods, Object or External metric: what it counts, over which window, how the
// pods' values are aggregated, and how late it is seen. ok is false if nothing explains the
// samples.
func gaugeOf(s *service, m *hpa.Metric) (plant.Pipe, bool, notes) {
	n := lapsed(s.run, m)
	pooled := m.Source != hpa.Pods
	tracks := s.podTracks(m)
	switch {
	case pooled && len(tracks) > 0 && s.visible && len(s.poolTrack(m, true)[0].points) == 0:
		n.warn("metric %s was recorded pod by pod; an HPA that reads one number of it is taken to read their sum", m.Name)
		pooled = false
	case pooled || !s.visible:
		tracks = s.poolTrack(m, pooled)
	}
	total := 0
	for _, t := range tracks {
		total += len(t.points)
	}
	if v, same := constant(tracks); total > 0 && same && total < gaugeLeast {
		n.warn("metric %s was %g in every sample of the run, so it shows nothing of the load", m.Name, v)
		return plant.Pipe{}, false, n
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
	enough := counted
	if best.hinted {
		enough = named
	}
	if pooled && best.deviation > enough*spread {
		for _, c := range s.ratioCandidates(tracks) {
			if c.deviation < 0.5*best.deviation {
				best = c
			}
		}
	}
	timed := latencyNamed(m.Name) || s.asked(m.Name) != nil
	if timed || best.deviation > exactly*spread {
		for _, c := range s.timesCandidates(m, tracks, best.deviation) {
			if s.asked(m.Name) != nil && best.pipe.Times == nil || c.better(&best, spread) {
				best = c
			}
		}
	}
	if best.deviation > enough*spread && s.asked(m.Name) == nil { // no count explains it: look for one that it follows
		for _, c := range s.gaugeCandidates(m, tracks, pooled, true) {
			if c.better(&best, spread) {
				best = c
			}
		}
	}
	least := explained // of a time; a count is none
	if best.pipe.Times == nil {
		least = latencyExplained
	}
	if timed && spread > 0 && best.deviation > least*spread {
		n.warn(
			"metric %s is a latency, and neither a time of the recorded requests (to the first token, in all, or in the queue) "+
				"nor a line over a count explains it; the closest (%s) is off by %.3g, where its samples vary by %.3g; "+
				"it cannot be replayed",
			m.Name,
			best.what,
			best.deviation,
			spread,
		)
		return plant.Pipe{}, false, n
	}
	if errorNamed(m.Name) && spread > 0 && best.deviation > latencyExplained*spread {
		n.warn(
			"metric %s counts errors: simulated pods report none to the HPA, and no other quantity explains it (the closest, %s, "+
				"is off by %.3g, where its samples vary by %.3g); it cannot be replayed. Scale on what rises before requests "+
				"fail (requests waiting, time in the queue), and limit errors with an objective (\"errors < 1%%\")",
			m.Name,
			best.what,
			best.deviation,
			spread,
		)
		return plant.Pipe{}, false, n
	}
	if spread > 0 && best.deviation > explained*spread {
		n.warn(
			"metric %s follows nothing in the log: its samples vary by %.3g, and the closest quantity (%s) is off by %.3g; "+
				"it cannot be replayed",
			m.Name,
			spread,
			best.what,
			best.deviation,
		)
		return plant.Pipe{}, false, n
	}
	p := best.pipe
	p.Name = m.Name
	s.setPhases(&p, m)
	n.quality(
		m.Name,
		best.deviation/max(1e-9, meanLevel(tracks)),
		total,
		"mean deviation from %s, %s, as a ratio of the mean",
		best.what,
		best.seen.words(),
	)
	return p, true, n
}

// latencyNamed reports whether a name suggests a latency, or a quantile of one.
func latencyNamed(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(
		[]string{"latency", "ttft", "time_to_first", "duration", "itl", "inter_token", "tpot", "quantile",
			"p50", "p90", "p95", "p99"},
		func(w string) bool { return strings.Contains(name, w) },
	)
}

// errorNamed reports whether a name suggests a count or a share of errors.
func errorNamed(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(
		[]string{"error", "fail", "5xx", "4xx", "429", "refused", "rejected", "abort", "shed", "success_rat"},
		func(w string) bool { return strings.Contains(name, w) },
	)
}

// candidate is one hypothesis about a gauge, and how far the samples are from it.
type candidate struct {
	pipe      plant.Pipe
	seen      timing
	what      string
	deviation float64 // mean absolute deviation, in the metric's unit
	hinted    bool    // the metric's name suggests it
	free      bool    // a slope was fitted to it
}

// better reports whether to take c instead of b. If neither explains clearly more, the one
// that the name suggests wins, then the one without a fitted slope, then the one that came
// first.
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

// gaugeCandidates returns the hypotheses to compare: counts as they are, or with a line fitted
// to them (free).
func (s *service) gaugeCandidates(m *hpa.Metric, tracks []track, pooled, free bool) []candidate {
	var out []candidate
	pools := []plant.Pool{plant.Sum}
	if pooled {
		pools = []plant.Pool{plant.Sum, plant.Mean, plant.Max}
	}
	name := strings.ToLower(m.Name)
	whole := wholeNumbers(tracks)
	courseOf, front := s.courseOf, s.front(m)
	if front {
		courseOf, pools = s.frontCourseOf, pools[:1]
	}
	done := courseOf(weights{done: 1})
	for i := range counts {
		c := &counts[i]
		course := courseOf(c.of)
		hinted := slices.ContainsFunc(c.words, func(w string) bool { return strings.Contains(name, w) })
		for _, pool := range pools {
			if pool == plant.Max && (len(s.servers) < 2 || c.of.rate()) || pool == plant.Mean && c.of.oldest ||
				pooled && pool == plant.Sum && c.of.oldest {
				continue
			}
			if c.of.tokens+c.of.prompt+c.of.held > 0 && course.allSum[len(course.allSum)-1] == 0 {
				continue // this was not recorded
			}
			h := hypothesis{s: s, course: course, pool: pool, tracks: tracks, pooled: pooled, front: front,
				rate: c.of.rate(), scale: 1}
			if !free && pool != plant.Mean && !c.of.oldest {
				h.whole, h.known = whole, true
			}
			what := c.name
			if pooled {
				what += " (" + pool.String() + " of all pods)"
			}
			if free { // the timing shows only at the right scale
				h.scale = h.fittedScale()
			}
			best := candidate{deviation: math.Inf(1)}
			take := func(c candidate, gain float64) {
				if c.deviation < best.deviation*gain {
					best = c
				}
			}
			for _, seen := range h.timings() {
				x := candidate{what: what, hinted: hinted, deviation: seen.deviation, seen: seen}
				x.pipe = seen.pipe(&h)
				if free {
					for _, x := range h.sloped(x, c.set) {
						take(x, clearly)
					}
					continue
				}
				c.set(s, &x.pipe, 1)
				take(x, clearly)
				for _, x := range h.brief(x, done) {
					take(x, 0.8)
				}
			}
			if !math.IsInf(best.deviation, 1) {
				out = append(out, best)
			}
		}
	}
	return out
}

// ratioCandidates returns ratios of two numbers of the pool: waiting over running, or either
// of them over all in flight.
func (s *service) ratioCandidates(tracks []track) (out []candidate) {
	for _, of := range [][2]int{{0, 1}, {0, 2}, {1, 2}} {
		up, down := &counts[of[0]], &counts[of[1]]
		h := hypothesis{s: s, course: s.courseOf(up.of), under: s.courseOf(down.of), pool: plant.Sum, tracks: tracks,
			pooled: true, scale: 1}
		for _, seen := range h.timings() {
			c := candidate{what: up.name + " per " + down.name, deviation: seen.deviation, seen: seen}
			c.pipe = seen.pipe(&h)
			up.set(s, &c.pipe, 1)
			c.pipe.Under = down.name
			out = append(out, c)
		}
	}
	return out
}

// underOf returns the pipe that divides another one.
func underOf(p *plant.Pipe) plant.Pipe {
	under := *p
	under.Name, under.Under = p.Under, ""
	under.PerWaiting, under.PerRunning, under.PerDone = 0, 0, 0
	for i := range counts {
		if counts[i].name == p.Under {
			counts[i].set(nil, &under, 1)
		}
	}
	return under
}

// brief returns the same hypothesis for a server that does not see the first or last moments
// of a request as its client does: the network, and the time until a busy process accepts it.
// The samples are too low by the same time for each completion.
func (h *hypothesis) brief(c candidate, done *course) []candidate {
	if h.rate || h.course.oldest || c.seen.window == 0 || c.seen.apart || h.pool != plant.Sum {
		return nil
	}
	rate := *h
	rate.course = done
	var xs, ds, ys []float64
	sumX, sumD, sumY := 0.0, 0.0, 0.0
	for i := range h.tracks {
		for _, p := range h.tracks[i].points {
			x, d := h.value(&c.seen, i, p.at), rate.value(&c.seen, i, p.at)
			xs, ds, ys = append(xs, x), append(ds, d), append(ys, p.value)
			sumX, sumD, sumY = sumX+x, sumD+d, sumY+p.value
		}
	}
	short := (sumX - sumY) / math.Max(1e-9, sumD)
	if !(short > 0) || short > briefMost*sumX/sumD {
		return nil
	}
	c.free, c.deviation = true, 0
	for i := range xs {
		c.deviation += math.Abs(ys[i]-math.Max(0, xs[i]-short*ds[i])) / float64(len(xs))
	}
	c.what += fmt.Sprintf(" but for %v of each", seconds(short).Round(time.Millisecond))
	c.pipe.PerDone = -short
	return []candidate{c}
}

// sloped returns the same hypothesis with a line fitted to it: KV cache in use follows the
// requests in service, but does not count them.
func (h *hypothesis) sloped(c candidate, set func(*service, *plant.Pipe, float64)) []candidate {
	var xs, ys []float64
	h.scale = 1
	for i := range h.tracks {
		for _, p := range h.tracks[i].points {
			xs, ys = append(xs, h.value(&c.seen, i, p.at)), append(ys, p.value)
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
	c.pipe.Base = max(0, a)
	set(h.s, &c.pipe, b)
	return []candidate{c}
}
