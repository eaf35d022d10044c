package fit

import (
	"math"
	"slices"
)

// How much of a long log is played. Tests show that twelve windows at different loads, from
// any servers, give the same coefficients as the whole log. Each is played from some time
// before it, when few requests were in the server if possible. Limits are searched for in
// every other window.
const (
	wholeCalls  = 900 // a log of up to this many calls is played whole
	windows     = 12
	windowCalls = 200
	warmCalls   = 600
	mostPlayed  = 6000 // in all windows: with more, every other one is left out
)

// serverLog is what one server worked on, in order of arrival.
type serverLog struct {
	about  []*answer
	inside []int // requests in the server when each came
}

// cut returns the parts of a log that are played: all of it if it has at most whole requests,
// otherwise windows spread evenly over the loads.
func cut(logs []serverLog, whole int) []stretchOf {
	type window struct {
		of, from, to int
		load         float64 // mean requests in the server
	}
	var all []window
	n := 0
	for k, l := range logs {
		n += len(l.about)
		for i := 0; i == 0 || i+windowCalls <= len(l.about); i += windowCalls {
			w := window{of: k, from: i, to: min(i+windowCalls, len(l.about))}
			for _, v := range l.inside[w.from:w.to] {
				w.load += float64(v) / float64(w.to-w.from)
			}
			all = append(all, w)
		}
	}
	var out []stretchOf
	if n <= whole {
		for _, l := range logs {
			out = append(out, stretchFrom(l.about, l.inside, 0, len(l.about), 0, len(l.about)))
		}
		return out
	}
	// Partial windows show little, so drop them if there are enough full ones.
	if full := slices.DeleteFunc(
		slices.Clone(all),
		func(w window) bool { return w.to-w.from < windowCalls },
	); len(
		full,
	) >= windows {
		all = full
	}
	slices.SortStableFunc(all, func(a, b window) int { return sign(a.load - b.load) })
	k, played := max(1, min(windows, len(all))), 0
	for j := range k {
		w := all[(len(all)-1)*j/max(1, k-1)]
		out = append(out, logs[w.of].window(w.from, w.to))
		played += len(out[j].calls)
	}
	if played > mostPlayed {
		return everyOther(out)
	}
	return out
}

// everyOther returns the first stretch, the third, and so on: half of them, for a quick
// search.
func everyOther(s []stretchOf) (out []stretchOf) {
	for i := 0; i < len(s); i += 2 {
		out = append(out, s[i])
	}
	return out
}

// fewer returns the fit with every other stretch of a long log, for searches that try many
// laws.
func (f *engineFit) fewer() *engineFit {
	if len(f.stretches) < windows || f.n <= wholeCalls {
		return f
	}
	return &engineFit{stretches: everyOther(f.stretches), n: f.n, most: f.most}
}

// window returns the requests from index from to to. It is played from some time before them
// until the last of them has ended.
func (l *serverLog) window(from, to int) stretchOf {
	about, inside := l.about, l.inside
	warm := from
	for warm > 0 && from-warm < warmCalls && (warm > from-inside[from] || about[warm-1].measured() &&
		about[warm-1].last > about[from].At || inside[warm] > inside[from]/4) {
		warm--
	}
	end, last := to, 0.0
	for j := from; j < to; j++ {
		if about[j].measured() {
			last = max(last, about[j].last)
		}
	}
	for end < len(about) && about[end].At < last && end-to < warmCalls {
		end++
	}
	return stretchFrom(about, inside, warm, end, from, to)
}

// stretchFrom returns the requests from index from to to; those from lo to hi are compared
// with their times. Requests that were in the server when the first one came start at that
// time, with the rest of their answers if these had already begun.
func stretchFrom(about []*answer, inside []int, from, to, lo, hi int) stretchOf {
	var s stretchOf
	add := func(a answer, n int, weight float64) {
		s.about, s.calls = append(s.about, a), append(s.calls, a.Call)
		s.inside, s.weight = append(s.inside, n), append(s.weight, weight)
	}
	for i := range from {
		a := *about[i]
		t := about[from].At
		if !a.measured() || a.last <= t {
			continue
		}
		if a.first <= t {
			left := (a.last - t) / (a.last - a.first)
			// Note: processing its context as a prompt again would delay a full server by more
			// than the context costs.
			a.Prompt, a.Output = 1, max(1, int(math.Ceil(float64(a.Output)*left)))
		}
		a.At = t
		add(a, 0, 0)
	}
	for i := from; i < to; i++ {
		weight := 0.0
		if i >= lo && i < hi && about[i].measured() {
			weight = 1
		}
		add(*about[i], inside[i], weight)
	}
	return s
}
