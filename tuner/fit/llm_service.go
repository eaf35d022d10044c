package fit

import (
	"cmp"
	"math"
	"math/big"
	"slices"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/plant"
)

// A replay uses a law of iterations if it explains the run's times this well, and this much
// better than constant slots. No law of tokens explains what a service of slots draws at
// random, and it need not.
const (
	iterationsOff  = 0.25 // at most this mean |ln(predicted/measured)|
	iterationsGain = 1.5  // the mean of slots must be this many times as large
	// If tokens come at one pace at all loads, answers are served in slots. This is the largest
	// ratio of the 90th to the 10th percentile of the time per token at which they do.
	onePace = 1.15
)

// PredictsGaps reports whether the law that fits a run describes single tokens, so that a
// replay predicts ITL.
func PredictsGaps(run *results.Run) bool {
	l := readLog(run)
	s, _, err := serviceOf(l, 0)
	return err == nil && s.law.Iterations != nil
}

// languageOf returns the law of iterations of a run whose requests have token counts, and the
// answers that it was compared with. ok is false if there is no such law, or if constant slots
// explain the run as well, or slots that slow down as they fill (not for pods under a CPU limit,
// whose times slots alone do not explain).
func languageOf(l *log, slots *service) (law LLM, all []answer, ok bool) {
	if hiddenServers(l) > 1 {
		return law, nil, false // the log does not show which server answered
	}
	all, left := answers(l.run)
	known := all[:0]
	for _, a := range all {
		if !l.visible {
			a.server = -1
		} else if a.server < 0 {
			left++
			continue
		}
		known = append(known, a)
	}
	if left*20 > len(known) || !l.streams() || !paced(known) {
		return law, nil, false
	}
	f := newEngineFit(known)
	if slots.law.Quota.Cores == 0 {
		f.slots = f.slotsLoss(slots)
	}
	law, err := f.law(LawOptions{})
	if err != nil || law.Name == "slots" || law.Error > iterationsOff {
		return law, nil, false
	}
	for _, r := range law.Rivals {
		if r.Name == "slots" && r.Error < iterationsGain*law.Error {
			return law, nil, false
		}
	}
	return law, known, f.slots == 0 || f.slots > slowingGain*law.Error
}

// paced reports whether the time per token differs from answer to answer, as it does when
// answers share iterations.
func paced(all []answer) bool {
	var each []float64
	for i := range all {
		if a := &all[i]; a.measured() && !math.IsNaN(a.first) && a.Output > 1 {
			each = append(each, (a.last-a.first)/float64(a.Output-1))
		}
	}
	lo, hi := results.Percentile(each, 0.1), results.Percentile(each, 0.9)
	return hi > onePace*lo // false for NaN
}

// onePaced reports whether answers come at one time per token. Without answers of two tokens or
// more it is not known, which is no.
func onePaced(all []answer) bool {
	return !paced(all) && slices.ContainsFunc(all, func(a answer) bool {
		return a.measured() && !math.IsNaN(a.first) && a.Output > 1
	})
}

// languageService does what serviceOf does, with a law of iterations.
func languageService(l *log, law *LLM, all []answer) (service, notes) {
	var n notes
	s := service{log: l, start: make([]float64, len(l.calls))}
	var sample []plant.ServiceTime
	for i := range all {
		if a := &all[i]; a.measured() {
			sample = append(sample, plant.ServiceTime{Class: a.class, Prompt: float64(a.Prompt), Tokens: float64(a.Output)})
		}
	}
	iterations := law.Law
	if iterations.Seqs == 0 && law.Most > plant.UnboundPlaces {
		iterations.Seqs = law.Most
	}
	s.law = plant.LanguageLaw(iterations, bySize(sample, 1024))
	s.law.Timeout, s.law.FirstToken = patienceOf(l.run, true)
	var more notes
	s.law.Queue, more = queueOf(l, s.law.Slots())
	s.startsBy(all, &law.Law)
	n.quality("law", law.Error, law.N, "model: %s, %s; mean |ln(predicted/measured)| of the times to the first "+
		"token and from there to the last", law.Name, law.Law.String())
	n.quality("service", meanTotal(s.law.Times), len(sample),
		"mean service time of a request that is alone, in seconds, by the model")
	for _, w := range law.Warnings {
		n.warn("%s", w)
	}
	if !l.visible {
		n.assume("all replicas are treated as one (the recording does not show which one answered)")
	}
	if !law.SeqsSeen {
		n.warn("the limit of requests at once was not reached (%d were served); %d is assumed. A run past saturation "+
			"would tell", law.Most, s.law.Slots())
	}
	n.add(more)
	return s, n
}

// bySize takes n of a sample, evenly by tokens and, among those with about as many, by prompt.
// That way they keep the mean and the quantiles of both, which n random ones would miss by 1/√n
// of the scatter, and the tail by more: the longest answers decide an E2E p95. They are mixed, so
// that every few in a row are like all of them.
func bySize(sample []plant.ServiceTime, n int) []plant.ServiceTime {
	if len(sample) <= n {
		return sample
	}
	sample = slices.Clone(sample)
	slices.SortStableFunc(sample, func(a, b plant.ServiceTime) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Tokens, b.Tokens))
	})
	groups := int(math.Sqrt(float64(n)))
	for k := range groups {
		slices.SortStableFunc(sample[k*len(sample)/groups:(k+1)*len(sample)/groups],
			func(a, b plant.ServiceTime) int { return cmp.Compare(a.Prompt, b.Prompt) })
	}
	out := make([]plant.ServiceTime, n)
	stride := goldenStride(n)
	for i := range out {
		k := i * stride % n
		out[i] = sample[(2*k+1)*len(sample)/(2*n)]
	}
	return out
}

// goldenStride is a step that visits all of n places, each step far from those before: the
// golden section of n, or the next larger step that has no divisor in common with n.
func goldenStride(n int) int {
	for k := max(1, int(float64(n)/math.Phi)); ; k++ {
		if new(big.Int).GCD(nil, nil, big.NewInt(int64(k)), big.NewInt(int64(n))).Int64() == 1 {
			return k
		}
	}
}

// startsBy fills in when each call was admitted to an iteration, by the law.
func (s *service) startsBy(all []answer, law *plant.Iterations) {
	byArrival := map[int]float64{}
	byServer := map[int][]int{}
	for i := range all {
		byServer[all[i].server] = append(byServer[all[i].server], i)
	}
	for _, k := range sortedKeys(byServer) {
		var calls []plant.Call
		for _, i := range byServer[k] {
			calls = append(calls, all[i].Call)
		}
		played, _ := law.Play(calls)
		for j, i := range byServer[k] {
			byArrival[all[i].arrival] = played[j].Start
		}
	}
	for i := range s.calls {
		c := &s.calls[i]
		s.start[i] = c.sent
		if at, ok := byArrival[c.request.Arrival]; ok {
			s.start[i] = min(max(c.sent, at), c.first)
		}
	}
}
