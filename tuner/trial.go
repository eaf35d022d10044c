package tuner

import (
	"math"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// trial is what one configuration did over the replicates, the i-th outcome on the i-th
// day. All configurations meet the same days.
type trial struct {
	config hpa.Config
	days   []outcome
	// distance is the number of settings that differ from the current configuration, and
	// shift how far in total: the sum of |ln(to/from)| over those with two positive values,
	// 1 for each other.
	distance int
	shift    float64
}

// of returns one figure of every day.
func (t *trial) of(figure func(*outcome) float64) []float64 {
	out := make([]float64, len(t.days))
	for i := range t.days {
		out[i] = figure(&t.days[i])
	}
	return out
}

func hours(o *outcome) float64      { return o.hours }
func paid(o *outcome) float64       { return o.paid }
func attainment(o *outcome) float64 { return o.attainment }
func flaps(o *outcome) float64      { return o.flaps }
func toCapacity(o *outcome) float64 { return o.capacity }

// held is the number of days on which every objective held.
func (t *trial) held() int {
	n := 0
	for i := range t.days {
		if t.days[i].met {
			n++
		}
	}
	return n
}

// pMet is the share of days on which every objective held; NaN without days.
func (t *trial) pMet() float64 { return ratio(float64(t.held()), float64(len(t.days))) }

// pMetEnds is the 90 % interval of pMet, by Clopper and Pearson: 0 and 1 without
// days.
func (t *trial) pMetEnds() (lo, hi float64) { return shareEnds(t.held(), len(t.days)) }

func mean(v []float64) float64 {
	s := 0.0
	for _, x := range v {
		s += x
	}
	return ratio(s, float64(len(v)))
}

// tail is the probability beyond each end of a 90 % interval.
const tail = 0.05

// shareEnds returns the 90 % interval of a probability of which k of n trials succeeded:
// the ends at which that many, or more (fewer), have a chance of 5 %. It is never too
// narrow. 29 of 29 give at least 0.902, 28 of 29 only 0.847.
//
// Source: Clopper and Pearson, Biometrika 26 (1934); the ends by bisection.
func shareEnds(k, n int) (lo, hi float64) {
	lo = bisect(fine, func(p float64) bool { return surelyAbove(k, n, p) })
	hi = 1
	if k < n {
		hi = bisect(fine, func(p float64) bool { return !surelyBelow(k, n, p) })
	}
	return lo, hi
}

// surelyAbove says that p is below the interval of shareEnds, and surelyBelow that it is
// above: without looking for its ends, which takes forty times as long.
func surelyAbove(k, n int, p float64) bool { return 1-binomialCDF(k-1, n, p) < tail }
func surelyBelow(k, n int, p float64) bool { return binomialCDF(k, n, p) <= tail }

// fine is the number of halvings that find a probability to 2⁻⁴⁰ (1e-12).
const fine = 40

// bisect returns where holds turns from true to false between 0 and 1, at most 2⁻ⁿ too low
// for n halvings; 0 if it holds at none of the points tried.
func bisect(halvings int, holds func(p float64) bool) float64 {
	lo, hi := 0.0, 1.0
	for range halvings {
		if mid := (lo + hi) / 2; holds(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// binomialCDF is the chance of at most k successes in n trials of probability p,
// 0 < p < 1.
func binomialCDF(k, n int, p float64) float64 {
	sum := 0.0
	lgN, _ := math.Lgamma(float64(n) + 1)
	for i := 0; i <= k; i++ {
		lgI, _ := math.Lgamma(float64(i) + 1)
		lgR, _ := math.Lgamma(float64(n-i) + 1)
		sum += math.Exp(lgN - lgI - lgR + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return sum
}
