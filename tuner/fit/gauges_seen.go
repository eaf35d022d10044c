package fit

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hpatune/hpatune/tuner/plant"
)

// hypothesis is a quantity that a metric may count, and how the pool's number may be
// made of it. When it is seen is sought: timings.
type hypothesis struct {
	s      *service
	course *course
	under  *course // divides it, for a ratio; nil = none
	pool   plant.Pool
	tracks []track
	pooled bool    // the metric is of the pool
	rate   bool    // there is no value at an instant
	scale  float64 // of the quantity
	// whole says that the samples are whole numbers, as a count is at an instant and its
	// mean over a window is not; known that this says something here.
	whole, known bool
}

// timing is when a value is seen: it is that of the last scrape, or of a window
// that ended delay ago.
type timing struct {
	every, delay, window float64   // seconds; every 0 = read all along
	phase                []float64 // of the scrapes of each track, or each server, as they become visible
	apart                bool      // each pod is read at a phase of its own
	deviation            float64
}

// Usual times, in seconds.
var (
	scrapeEvery = []float64{60, 30, 15, 10, 5, 2, 1} // a value that changes more seldom is read more seldom
	apartEvery  = []float64{60, 30, 15, 10, 5}       // a phase of one's own is not seen below
	meanOver    = []float64{2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600}
	ratesOver   = []float64{15, 30, 60, 120, 300, 600} // two scrapes are within
	delays      = []float64{0, 1, 2, 3, 5, 7, 10, 15, 20, 30}
)

// value is what a track shows at an instant, by a way of seeing it.
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

// lastScrape is when the value was taken that is seen at an instant.
func lastScrape(at, phase, every float64) float64 {
	return phase + math.Floor((at-phase)/every)*every
}

// of is what a server, or the pool, tells of a stretch of time, or an instant.
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

// made is the pool's number of a sum over its pods.
func (h *hypothesis) made(v, at float64) float64 {
	if h.under != nil {
		return v
	}
	if h.pool == plant.Mean {
		v /= h.course.pods[h.course.index(at)]
	}
	return h.scale * v
}

// fittedScale is the samples' mean over the quantity's, at the instants of the
// samples; 1 where the quantity is nothing.
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

// deviationOf is how far the samples are from a way of seeing them, on the mean.
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

// timings returns the best ways in which the tracks may have been seen, simplest
// first: held between scrapes, each pod's at a phase of its own, averaged over a
// window.
func (h *hypothesis) timings() []timing {
	var out []timing
	if !h.rate && !(h.known && !h.whole) {
		out = append(out, h.heldBetween())
		if h.pooled && h.s.visible && h.pool != plant.Max && h.under == nil && len(h.s.servers) > 1 {
			out = append(out, h.heldApart())
		}
	}
	tried := meanOver
	switch {
	case h.rate:
		tried = ratesOver
	case !h.known || !h.whole:
	case h.pooled && !h.s.visible:
		// The sum of many pods, each read once in w seconds at a phase of its own, is
		// the mean over w.
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

// heldBetween finds the interval and each track's phase at which a value that is held
// between scrapes is met best. Values change at scrapes only, so a phase is a fact
// of each pod.
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
	// How old a value is when it becomes visible: an adapter's cache, a poll.
	for _, delay := range []float64{1, 2, 5, 10} {
		try(best.every, delay, 0.9)
	}
	return best
}

// phaseOf returns the phase at which one track is met best, and the sum of its
// deviations there.
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

// phaseStep is by how much phases within an interval are varied, in seconds as the
// interval is: a thirtieth of it, and half a second at least.
func phaseStep(every float64) float64 { return math.Max(0.5, every/30) }

// heldApart finds the interval, and each server's phase, at which the sum over pods
// that are read at different times is met best: one server after another is moved,
// with the others where they are. At first each counts with its mean over an interval.
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

// phasesOf moves the servers' phases to where the points are met best. The first time
// it starts with each server's mean, then with phases that are far from each other.
func (h *hypothesis) phasesOf(points []point, t *timing, start int) {
	c := h.course
	each := make([][]float64, len(c.at)) // what each server adds to each point
	rest := make([]float64, len(points)) // the points' values less what all add
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
			if most-least < h.unit() { // it was hardly ever busy: nothing shows when it is read
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

// unknownPhase is that of a server of which nothing shows it.
const unknownPhase = -1

// seenOf is what is seen of a server at an instant; where its phase is not known, the
// mean over all.
func (h *hypothesis) seenOf(server int, at, phase float64, t *timing) float64 {
	if phase == unknownPhase {
		return h.course.mean(server, at-t.delay-t.every, at-t.delay)
	}
	return h.course.instant(server, lastScrape(at, phase, t.every)-t.delay)
}

// unit is one request in the metric's unit, at the first sample.
func (h *hypothesis) unit() float64 { return h.made(1, h.tracks[0].points[0].at) }

// pipe is the plant's form of it. A window reaches back over twelve scrapes at
// most, so long ones are scraped less often.
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

// words say when a value is seen.
func (t *timing) words() string {
	delay := seconds(t.delay)
	switch {
	case t.every > 0 && t.apart:
		return fmt.Sprintf("of each pod every %v, with a delay of %v", seconds(t.every), delay)
	case t.every > 0:
		return fmt.Sprintf("read every %v with a delay of %v", seconds(t.every), delay)
	case t.apart:
		return fmt.Sprintf("of each pod every %v, with a delay of %v", seconds(t.window), delay)
	}
	return fmt.Sprintf("averaged over %v with a delay of %v", seconds(t.window), delay)
}

// placed puts a server's phase at its pod's place in the order of creation, as the
// plant counts them: first those that were there from the beginning. A place that
// nobody has is negative.
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

// created are the servers of the pods in order of creation; -1 where a pod never
// answered. Where no pod was seen, it is the order in which they first answered.
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
