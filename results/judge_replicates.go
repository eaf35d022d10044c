package results

import (
	"fmt"
	"math"
	"slices"
)

// The shares of replicates in which a prediction must hold to pass, as in tune, and below
// which it fails.
const sureShare = 0.9

// fewReplicates is the smallest number of replicates that gives an interval.
const fewReplicates = 5

// JudgeReplicates combines the judgements of several replicates of a replay, each with one
// judgement per objective, in order. The figure is the mean over them, for times the
// median, as in tune (one bad day would move a mean). Its interval lies between their 5th
// and 95th percentile. The verdict depends on how many met the objective: pass from nine in
// ten, as in tune, fail up to one in ten, and inconclusive in between, with a note on what
// would decide it.
//
// A replicate without a figure has not met the objective. N is the number of requests (or
// windows, or ticks) of one replicate.
func JudgeReplicates(objectives []Objective, replicates [][]Judgement) []Judgement {
	out := make([]Judgement, 0, len(objectives))
	for i, o := range objectives {
		of := make([]Judgement, 0, len(replicates))
		for _, r := range replicates {
			of = append(of, r[i])
		}
		out = append(out, o.overReplicates(of))
	}
	return out
}

func (o Objective) overReplicates(of []Judgement) Judgement {
	j := Judgement{Text: o.Text, Limit: o.Limit, Unit: o.Unit, Verdict: Unknown, Replicates: len(of)}
	if len(of) > 0 {
		j.Currency = of[0].Currency
	}
	met, n := 0, 0.0
	var values, attainments []float64
	for _, r := range of {
		n += float64(r.N) / float64(len(of))
		switch {
		case r.Verdict == Pass:
			met++
		case r.Verdict == Unknown:
			j.Note = r.Note
			continue
		}
		values = append(values, orInf(r.Value))
		if r.Attainment != nil {
			attainments = append(attainments, *r.Attainment)
		}
	}
	j.N = int(math.Round(n))
	if len(values) == 0 {
		return j
	}
	f := spread(values)
	if o.Unit == Seconds {
		f.Value = median(values)
	}
	f.Lo, f.Hi = min(f.Lo, f.Value), max(f.Hi, f.Value) // one odd replicate moves a mean beyond them
	j.Value, j.Lo, j.Hi = number(f.Value), number(f.Lo), number(f.Hi)
	if len(attainments) > 0 {
		j.Attainment = number(spread(attainments).Value)
	}
	share := float64(met) / float64(len(of))
	j.Note = fmt.Sprintf("holds in %d of %d replicates", met, len(of))
	switch {
	case len(of) < fewReplicates:
		j.Verdict = Inconclusive
		j.Note += fmt.Sprintf("; judging needs %d of them", fewReplicates)
	case share >= sureShare-1e-9:
		j.Verdict = Pass
	case share <= 1-sureShare+1e-9:
		j.Verdict = Fail
	default:
		j.Verdict = Inconclusive
		limit := o.Limit
		if o.Window > 0 {
			values, limit = attainments, o.For
		}
		j.Note += whatDecides(met, len(of), values, limit, j.N)
	}
	return j
}

// whatDecides says what would turn met of n replicates into a verdict: more replicates, if
// that many cannot be told apart from nine, or one, in ten; else a longer recording, whose
// figure varies less between replicates. requests is the number of requests of one
// replicate.
func whatDecides(met, n int, values []float64, limit float64, requests int) string {
	share := float64(met) / float64(n)
	bar := sureShare
	if share < 0.5 {
		bar = 1 - sureShare
	}
	if lo, hi := ratioInterval(float64(met), float64(n)); lo <= bar && bar <= hi {
		need := float64(n)
		for lo <= bar && bar <= hi && need < 1e5 {
			need *= 1.25
			lo, hi = ratioInterval(share*need, need)
		}
		return fmt.Sprintf("; about %s replicates would decide it", roughly(need))
	}
	f := spread(values)
	sd := 0.0
	for _, v := range values {
		sd += (v - f.Value) * (v - f.Value) / float64(len(values))
	}
	// At 1.28 standard deviations from the limit nine in ten are on one side.
	factor := sd * 1.2816 * 1.2816 / ((f.Value - limit) * (f.Value - limit))
	if !(factor > 1) || factor > 1e4 {
		return "; the limit is too close to the prediction to tell them apart"
	}
	return fmt.Sprintf(
		"; a recording of about %s requests would decide it, this one has %d",
		roughly(factor*float64(requests)),
		requests,
	)
}

// spread is the mean of values and their 5th and 95th percentile, NaN of fewer
// than five.
func spread(values []float64) Figure {
	sorted := slices.Sorted(slices.Values(values))
	f := Figure{Lo: math.NaN(), Hi: math.NaN(), N: len(values)}
	for _, v := range sorted {
		f.Value += v / float64(len(sorted))
	}
	if len(sorted) >= fewReplicates {
		f.Lo, f.Hi = NearestRank(sorted, 0.05), NearestRank(sorted, 0.95)
	}
	return f
}

// median is the middle of at least one value, the mean of the two in the middle of
// an even number.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// orInf is the value of a judgement, +Inf where it is not finite.
func orInf(v *float64) float64 {
	if v == nil {
		return math.Inf(1)
	}
	return *v
}
