package fit

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hpatune/hpatune/tuner/plant"
)

// hypothesis is a quantity that a metric may count, and how the pool's number may be
// aggregated from it. timings finds when it is seen.
type hypothesis struct {
	s      *service
	course *course
	under  *course // divides it, for a ratio; nil = none
	pool   plant.Pool
	tracks []track
	pooled bool    // the metric is the pool's
	front  bool    // it is measured in front of the pods
	rate   bool    // it has no value at an instant
	scale  float64 // of the quantity
	// whole means that the samples are whole numbers: a count at an instant is, but its mean
	// over a window is not. known means that this tells something here.
	whole, known bool
}

// timing is when a value is seen: it is that of the last scrape, or of a window that ended
// delay ago.
type timing struct {
	every, delay, window float64   // seconds; every 0 = read continuously
	phase                []float64 // of the scrapes of each track or server, as they become visible
	apart                bool      // each pod is read at its own phase
	times                bool      // it is of the requests that were measured in the window
	deviation            float64
}

// Usual times, in seconds.
var (
	scrapeEvery = []float64{60, 30, 15, 10, 5, 2, 1} // a value that changes less often is read less often
	apartEvery  = []float64{60, 30, 15, 10, 5}       // below this, separate phases do not show
	meanOver    = []float64{2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600}
	ratesOver   = []float64{15, 30, 60, 120, 300, 600} // each contains at least two scrapes
	delays      = []float64{0, 1, 2, 3, 5, 7, 10, 15, 20, 30}
)

// value returns what a track shows at an instant, for a given timing.
func (h *hypothesis) value(t *timing, track int, at float64) float64 {
	server := h.tracks[track].server
	switch {
	case t.every > 0 && t.apart && server == all && len(t.phase) > 0:
		v := 0.0
		for k, p := range t.phase {
			v += h.seenOf(k, at, p, t)
		}
		return h.made(v, at-t.delay)
	case t.every > 0 && len(t.phase) > 0:
		at = lastScrape(at, t.phase[track], t.every) - t.delay
		return h.of(server, at, at)
	}
	return h.of(server, at-t.delay-t.window, at-t.delay)
}

// lastScrape returns when the value was scraped that is visible at an instant.
func lastScrape(at, phase, every float64) float64 {
	return phase + math.Floor((at-phase)/every)*every
}

// of returns what a server, or the pool, reports for a span of time or an instant.
func (h *hypothesis) of(server int, from, to float64) float64 {
	one := func(k int) float64 {
		if to <= from {
			return h.course.instant(k, to)
		}
		return h.course.mean(k, from, to)
	}
	if h.pool == plant.Max && server == all {
		most := 0.0
		for k := range h.course.at {
			most = math.Max(most, one(k))
		}
		return h.scale * most
	}
	if h.under != nil {
		over := *h
		over.course, over.under = h.under, nil
		if d := over.of(server, from, to); d > 0 {
			return h.scale * one(server) / d
		}
		return 0
	}
	return h.made(one(server), to)
}

// made converts a sum over the pool's pods to the metric's value.
func (h *hypothesis) made(v, at float64) float64 {
	if h.under != nil {
		return v
	}
	if h.pool == plant.Mean {
		v /= h.course.pods[h.course.index(at)]
	}
	return h.scale * v
}

// fittedScale returns the mean of the samples over the mean of the quantity at the same
// instants; 1 if either is zero.
func (h *hypothesis) fittedScale() float64 {
	samples, counted := 0.0, 0.0
	for i := range h.tracks {
		for _, p := range h.tracks[i].points {
			samples, counted = samples+p.value, counted+h.of(h.tracks[i].server, p.at, p.at)
		}
	}
	if counted <= 0 || samples <= 0 {
		return 1
	}
	return samples / counted
}

// deviationOf returns the mean distance of the samples from what a timing would show.
func (h *hypothesis) deviationOf(t *timing) float64 {
	sum, n := 0.0, 0
	for i := range h.tracks {
		for _, p := range h.tracks[i].points {
			sum += math.Abs(p.value - h.value(t, i, p.at))
			n++
		}
	}
	return sum / float64(n)
}

// timings returns the best ways in which the tracks may have been seen, simplest first: read
// when asked for (in front of the pods), held between scrapes, with each pod at its own phase,
// averaged over a window.
func (h *hypothesis) timings() []timing {
	var out []timing
	if !h.rate && !(h.known && !h.whole) {
		if h.front {
			var asked timing
			asked.deviation = h.deviationOf(&asked)
			out = append(out, asked)
		}
		out = append(out, h.heldBetween())
		if h.pooled && !h.front && h.s.visible && h.pool != plant.Max && h.under == nil && len(h.s.servers) > 1 {
			out = append(out, h.heldApart())
		}
	}
	tried := meanOver
	switch {
	case h.rate:
		tried = ratesOver
	case !h.known || !h.whole:
	case h.pooled && !h.front && !h.s.visible:
		// The sum of many pods, each read once in w seconds at its own phase, equals the mean
		// over w.
		tried = apartEvery
	default:
		return out
	}
	best := timing{deviation: math.Inf(1)}
	for _, w := range tried {
		for _, delay := range delays {
			t := timing{delay: delay, window: w}
			if t.deviation = h.deviationOf(&t); t.deviation < best.deviation*0.98 {
				best = t
			}
		}
	}
	best.apart = h.known && h.whole && !h.rate
	return append(out, best)
}

// heldBetween finds the interval, and the phase of each track, that best explain a value held
// between scrapes. Values change only at scrapes, so each pod has a definite phase.
func (h *hypothesis) heldBetween() timing {
	best := timing{deviation: math.Inf(1)}
	try := func(every, delay, gain float64) {
		t := timing{every: every, delay: delay, phase: make([]float64, len(h.tracks)), apart: len(h.tracks) > 1}
		sum, n := 0.0, 0
		for i := range h.tracks {
			phase, dev := h.phaseOf(i, every, delay)
			t.phase[i] = phase
			sum += dev
			n += len(h.tracks[i].points)
		}
		if t.deviation = sum / float64(n); t.deviation < best.deviation*gain-1e-9 {
			best = t
		}
	}
	for _, every := range scrapeEvery {
		try(every, 0, 0.95)
	}
	// The age of a value when it becomes visible: an adapter's cache, a polling interval.
	for _, delay := range []float64{1, 2, 5, 10} {
		try(best.every, delay, 0.9)
	}
	return best
}

// phaseOf returns the phase that best explains one track, and the sum of its deviations there.
func (h *hypothesis) phaseOf(track int, every, delay float64) (phase, deviation float64) {
	deviation = math.Inf(1)
	t := &h.tracks[track]
	for p := 0.0; p < every; p += phaseStep(every) {
		sum := 0.0
		last, v := math.NaN(), 0.0
		for _, q := range t.points {
			at := lastScrape(q.at, p, every) - delay
			if at != last {
				last, v = at, h.of(t.server, at, at)
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

// phaseStep returns the step, in seconds, in which phases within an interval are tried: a
// thirtieth of the interval, but at least half a second.
func phaseStep(every float64) float64 { return math.Max(0.5, every/30) }

// heldApart finds the interval, and the phase of each server, that best explain a sum over
// pods that are read at different times. It moves one server after another and leaves the
// others where they are. At first each server counts with its mean over an interval.
func (h *hypothesis) heldApart() timing {
	points := h.tracks[0].points
	if step := 1 + len(points)/mostApart; step > 1 {
		var fewer []point
		for i := 0; i < len(points); i += step {
			fewer = append(fewer, points[i])
		}
		points = fewer
	}
	best := timing{deviation: math.Inf(1)}
	try := func(every, delay, gain float64) {
		from := best.deviation * gain
		for start := range apartStarts {
			t := timing{every: every, delay: delay, phase: make([]float64, len(h.course.at)), apart: true}
			h.phasesOf(points, &t, start)
			if t.deviation = h.deviationOf(&t); t.deviation < min(from, best.deviation)-1e-9 {
				best = t
			}
		}
	}
	for _, every := range apartEvery {
		try(every, 0, 0.95)
	}
	for _, delay := range []float64{1, 2, 5} {
		try(best.every, delay, 0.9)
	}
	return best
}

// phasesOf moves the servers' phases to where they explain the points best. With start 0 it
// begins with each server's mean, otherwise with phases that are far from each other.
func (h *hypothesis) phasesOf(points []point, t *timing, start int) {
	c := h.course
	each := make([][]float64, len(c.at)) // what each server adds to each point
	rest := make([]float64, len(points)) // the points' values minus what all servers add
	weight := make([]float64, len(points))
	for i, p := range points {
		rest[i], weight[i] = p.value, h.made(1, p.at-t.delay)
	}
	for k := range each {
		each[k] = make([]float64, len(points))
		for i, p := range points {
			phase := float64(unknownPhase)
			if start > 0 {
				phase = math.Mod(float64(k*start)*golden, 1) * t.every
			}
			each[k][i] = weight[i] * h.seenOf(k, p.at, phase, t)
			rest[i] -= each[k][i]
		}
	}
	now := make([]float64, len(points))
	for range apartSweeps {
		for k := range each {
			least, most, at := math.Inf(1), 0.0, 0.0
			for phase := 0.0; phase < t.every; phase += phaseStep(t.every) {
				dev := 0.0
				for i, p := range points {
					dev += math.Abs(rest[i] + each[k][i] - weight[i]*h.seenOf(k, p.at, phase, t))
				}
				if most = math.Max(most, dev); dev < least {
					least, at = dev, phase
				}
			}
			if most-least < h.unit() { // it was hardly ever busy, so nothing shows its phase
				at = unknownPhase
			}
			t.phase[k] = at
			for i, p := range points {
				now[i] = weight[i] * h.seenOf(k, p.at, at, t)
				rest[i] += each[k][i] - now[i]
				each[k][i] = now[i]
			}
		}
	}
}

// unknownPhase is the phase of a server whose samples do not show it.
const unknownPhase = -1

// seenOf returns what is seen of a server at an instant: the mean over an interval if its
// phase is not known.
func (h *hypothesis) seenOf(server int, at, phase float64, t *timing) float64 {
	if phase == unknownPhase {
		return h.course.mean(server, at-t.delay-t.every, at-t.delay)
	}
	return h.course.instant(server, lastScrape(at, phase, t.every)-t.delay)
}

// unit returns one request in the metric's unit, at the first sample.
func (h *hypothesis) unit() float64 { return h.made(1, h.tracks[0].points[0].at) }

// pipe returns the plant's form of the timing. A window reaches back over at most twelve
// scrapes, so long windows are scraped less often.
func (t *timing) pipe(h *hypothesis) plant.Pipe {
	p := plant.Pipe{Delay: seconds(t.delay), Over: h.pool, Apart: t.apart}
	switch {
	case t.every > 0:
		p.Every = seconds(t.every)
		taken := func(visible float64) time.Duration {
			if visible == unknownPhase {
				return -1
			}
			return seconds(math.Mod(visible-t.delay+t.every, t.every))
		}
		if !t.apart {
			p.Phase = taken(t.phase[0])
			break
		}
		for i, at := range t.phase {
			server := i
			if h.tracks[0].server != all {
				server = h.tracks[i].server
			}
			p.Phases = h.s.placed(p.Phases, server, taken(at))
		}
	case t.apart:
		p.Every = seconds(max(1, t.window))
	default:
		p.Every, p.Window = seconds(max(1, math.Ceil((t.window+t.delay)/12))), seconds(t.window)
	}
	return p
}

// words says in words when a value is seen.
func (t *timing) words() string {
	delay := seconds(t.delay)
	switch {
	case t.times:
		return fmt.Sprintf("of the requests of %v with a delay of %v", seconds(t.window), delay)
	case t.every > 0 && t.apart:
		return fmt.Sprintf("of each pod every %v, with a delay of %v", seconds(t.every), delay)
	case t.every > 0:
		return fmt.Sprintf("read every %v with a delay of %v", seconds(t.every), delay)
	case t.apart:
		return fmt.Sprintf("of each pod every %v, with a delay of %v", seconds(t.window), delay)
	case t.window == 0:
		return "read when it is asked for"
	}
	return fmt.Sprintf("averaged over %v with a delay of %v", seconds(t.window), delay)
}

// placed puts a server's phase at its pod's place in the order of creation, as the plant
// counts pods: first those that existed from the start. A place without a known phase is
// negative.
func (s *service) placed(phases []time.Duration, server int, phase time.Duration) []time.Duration {
	i := slices.Index(s.created(), server)
	if i < 0 {
		return phases
	}
	for len(phases) <= i {
		phases = append(phases, -1)
	}
	phases[i] = phase
	return phases
}

// created returns the servers of the pods in order of creation; -1 for a pod that never
// answered. If no pod was seen, it is the order in which servers first answered.
func (l *log) created() []int {
	var old, new []int
	for i := range l.lives {
		p := &l.lives[i]
		switch k := l.serverOf(p.name); {
		case p.created > 0:
			new = append(new, k)
		default:
			old = append(old, k)
		}
	}
	if len(l.lives) == 0 {
		for k := range l.servers {
			old = append(old, k)
		}
	}
	return append(old, new...)
}
