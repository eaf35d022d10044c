package plant

import (
	"math"
	"slices"
)

// UnboundPlaces is the number of places of a server whose limit of requests at once was never
// reached.
const UnboundPlaces = 256

// LanguageLaw returns the law of a replica that serves by iterations, for requests like those
// of the sample. It uses Class, Prompt and Tokens of each ServiceTime. It plays the law to
// find Rate, the throughput with a constant number of requests in the server, and Times, the
// sample's requests served one at a time.
func LanguageLaw(l Iterations, sample []ServiceTime) Law {
	places := l.Seqs
	if places <= 0 {
		places = UnboundPlaces
	}
	law := Law{Iterations: &l, Rate: make([]float64, places+1), Times: make([]ServiceTime, len(sample))}
	for i, t := range sample {
		played, _ := l.Play([]Call{{Prompt: int(t.Prompt), Output: int(t.Tokens)}})
		t.First, t.Total = played[0].First, played[0].Last
		law.Times[i] = t
	}
	if len(sample) == 0 {
		return law
	}
	// Some numbers of requests are played, the others interpolated. Throughput never falls when
	// there are more requests, because the additional ones can wait.
	before, rate := 0, 0.0
	for n := 1; ; n = min(places, max(n+1, n*5/4)) {
		next := max(rate, l.closed(sample, n))
		for i := before + 1; i <= n; i++ {
			law.Rate[i] = rate + (next-rate)*float64(i-before)/float64(n-before)
		}
		before, rate = n, next
		if n == places {
			return law
		}
	}
}

// closed returns the completions per second of a server that always has n requests: whenever
// one ends, the next of the sample arrives.
func (l *Iterations) closed(sample []ServiceTime, n int) float64 {
	var e engine
	next, ended, done := 0, 0, 0
	e.onEnd = func(finished, *engine) { ended++ }
	e.reset(l, 0)
	push := func() {
		t := &sample[next%len(sample)]
		e.push(e.at, next, int(t.Prompt), int(t.Tokens))
		next++
	}
	for range n {
		push()
	}
	warm, whole := 2*n, 2*n+max(200, 3*n)
	from := 0.0
	for done < whole {
		e.step(math.Inf(1))
		for ; ended > 0; ended-- {
			if done++; done == warm {
				from = e.at
			}
			push()
		}
	}
	return float64(done-warm) / (e.at - from)
}

// measured reports whether the fluid plant's rows are found by playing the exact one.
func (l *Law) measured() bool { return l.limited() || l.Iterations != nil }

// metPoints is how many requests represent the outcome at one load, each with the same weight.
// They are single requests, not means, so the time, tokens and gaps of one request stay
// together.
const metPoints = 256

// someOf picks n requests, evenly spaced by total time.
func someOf(met []ServiceTime, n int) []ServiceTime {
	slices.SortFunc(met, func(a, b ServiceTime) int { return cmpFloat(a.Total, b.Total) })
	if len(met) <= n {
		return met
	}
	out := make([]ServiceTime, n)
	for i := range out {
		out[i] = met[(2*i+1)*len(met)/(2*n)]
	}
	return out
}

// perToken returns the mean time between the tokens of an answer, in seconds; false if it has
// fewer than two.
func (t *ServiceTime) perToken() (float64, bool) {
	if t.Tokens < 2 || t.First >= t.Total {
		return 0, false
	}
	return (t.Total - t.First) / (t.Tokens - 1), true
}

// steady reports whether the times between a request's tokens, stretched by a factor, are
// within the limits. Waiting does not change them.
func (l *Limits) steady(t *ServiceTime, stretch float64) bool {
	if each, ok := t.perToken(); ok && l.TPOT > 0 && each*stretch > l.TPOT.Seconds() {
		return false
	}
	return l.ITL == 0 || t.Gap*stretch <= l.ITL.Seconds()
}

func meanFirst(times []ServiceTime) float64 {
	sum := 0.0
	for i := range times {
		sum += times[i].First
	}
	return sum / float64(max(1, len(times)))
}
