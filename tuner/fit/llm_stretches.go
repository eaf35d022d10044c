package fit

import (
	"math"
	"slices"
)

// How much of a long log is played. Twelve windows at different loads, of whichever
// servers, each begun before it at a time with few inside, if there is one, give the
// coefficients as all of it does: tested. Limits are searched for in every other one.
const (
	wholeCalls  = 900 // a log up to here is played whole
	windows     = 12
	windowCalls = 200
	warmCalls   = 600
	mostPlayed  = 6000 // of all windows: beyond it every other one is left out
)

// serverLog is what one server worked on, in order of arrival.
type serverLog struct {
	about  []answer
	inside []int // when each came
}

// cut takes the stretches of a log that are played: all of it up to whole requests,
// else windows evenly over the loads that there were.
func cut(logs []serverLog, whole int) []stretchOf {
	type window struct {
		of, from, to int
		load         float64 // mean number inside
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
	// Windows that are not full say little, and there are others.
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

// everyOther is the first stretch, the third, and so on: half of them, for a first look.
func everyOther(s []stretchOf) (out []stretchOf) {
	for i := 0; i < len(s); i += 2 {
		out = append(out, s[i])
	}
	return out
}

// fewer is the fit with every other stretch of a long log, for searches in which many
// laws are tried.
func (f *engineFit) fewer() *engineFit {
	if len(f.stretches) < windows || f.n <= wholeCalls {
		return f
	}
	return &engineFit{stretches: everyOther(f.stretches), n: f.n, most: f.most}
}

// window is the requests from index from to to, played from a time before them on
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

// stretchFrom is the requests from index from to to, of which those from lo to hi
// are held against their times. Those that were inside when the first of them came
// are there from then on: with what was left of their answers, where these had
// begun.
func stretchFrom(about []answer, inside []int, from, to, lo, hi int) stretchOf {
	var s stretchOf
	add := func(a answer, n int, weight float64) {
		s.about, s.calls = append(s.about, a), append(s.calls, a.Call)
		s.inside, s.weight = append(s.inside, n), append(s.weight, weight)
	}
	for i := range from {
		a := about[i]
		t := about[from].At
		if !a.measured() || a.last <= t {
			continue
		}
		if a.first <= t {
			left := (a.last - t) / (a.last - a.first)
			// Note: giving it its context to work on anew delays a full server by more than
			// what the context is worth.
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
		add(about[i], inside[i], weight)
	}
	return s
}
