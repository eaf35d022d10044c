package plant

import (
	"math"
	"slices"
)

// UnboundPlaces stands for the places of a server whose limit of requests at once
// was not seen to bind.
const UnboundPlaces = 256

// LanguageLaw is a replica that serves by iterations, with requests like those of
// the sample: of a ServiceTime it takes Class, Prompt and Tokens. Rate is what it
// completes with so many inside at all times, and Times are of the sample's
// requests when they are alone; both are played.
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
	// Played at some numbers inside, the others are in between; what a replica
	// completes never falls with more inside, since they can wait.
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

// closed is the completions a second of a server that has n requests inside at
// all times: whenever one ends the next of the sample comes.
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

// measured reports whether the fluid plant's rows are measured by playing.
func (l *Law) measured() bool { return l.limited() || l.Iterations != nil }

// metPoints are the requests that stand for what is met at one load, each of the
// same weight: single ones and no means, so that times, tokens and gaps of one
// request stay together.
const metPoints = 256

// someOf takes n requests evenly by their whole time.
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

// perToken is the mean time between the tokens of an answer, seconds; false where
// it has fewer than two.
func (t *ServiceTime) perToken() (float64, bool) {
	if t.Tokens < 2 || t.First >= t.Total {
		return 0, false
	}
	return (t.Total - t.First) / (t.Tokens - 1), true
}

// steady reports whether the times between a request's tokens, which no wait
// changes, are within the limits, when it is stretched by a factor.
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
