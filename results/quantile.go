package results

import (
	"math"
	"slices"

	"github.com/montanaflynn/stats"
)

// Percentile returns the quantile q (0..1) of the values by linear
// interpolation between the closest ranks, as R's type 7, NumPy and Excel do;
// NaN for no values. q = 0 is the smallest. It leaves its input as it was.
//
// It is for tables. Objectives are judged by NearestRank, which says for how
// many requests a limit held.
func Percentile(values []float64, q float64) float64 {
	if len(values) == 0 || !(q >= 0 && q <= 1) {
		return math.NaN()
	}
	if q == 0 {
		return slices.Min(values)
	}
	// Its definition changed in v0.8.0 (issue 92): a golden test pins it.
	v, err := stats.Percentile(values, q*100)
	if err != nil {
		return math.NaN()
	}
	return v
}

// NearestRank returns the smallest of the sorted values that a share q of them
// does not exceed; NaN for none.
func NearestRank(sorted []float64, q float64) float64 {
	n := len(sorted)
	if n == 0 || !(q >= 0 && q <= 1) {
		return math.NaN()
	}
	// The small step back forgives 0.95·1000 = 950.0000000000001.
	return sorted[min(max(int(math.Ceil(q*float64(n)-1e-9)), 1), n)-1]
}

// confidence of the intervals: 90 %, so 5 % on each side.
const tail = 0.05

// z is the standard normal quantile of 1−tail.
const z = 1.6448536269514722

// quantileInterval returns a 90 % confidence interval of the quantile q of
// what the sorted values were drawn from: two order statistics, by the
// binomial distribution (David and Nagaraja, Order Statistics, 7.1); nothing
// is assumed of its shape, but that the values are independent, which
// latencies in a queue are not quite. A bound that n values cannot give (an
// upper one of p99 takes 299) is NaN.
func quantileInterval(sorted []float64, q float64) (lo, hi float64) {
	l, u := binomialRanks(len(sorted), q)
	lo, hi = math.NaN(), math.NaN()
	if l >= 1 {
		lo = sorted[l-1]
	}
	if u <= len(sorted) {
		hi = sorted[u-1]
	}
	return lo, hi
}

// binomialRanks returns the largest l with P(X < l) ≤ 5 % and the smallest u
// with P(X ≥ u) ≤ 5 %, X ~ Binomial(n, q): x₍l₎ and x₍u₎ are the bounds. l = 0
// and u = n+1 mean that there is none.
func binomialRanks(n int, q float64) (l, u int) {
	if n == 0 || q <= 0 || q >= 1 {
		return 0, n + 1
	}
	mean, sd := float64(n)*q, math.Sqrt(float64(n)*q*(1-q))
	if sd > 10 { // the normal distribution is within a rank of it there
		return max(int(math.Floor(mean-z*sd)), 0), min(int(math.Ceil(mean+z*sd))+1, n+1)
	}
	// The mass is within 12 standard deviations and some: sum only that.
	from, to := max(int(mean-12*sd)-10, 0), min(int(mean+12*sd)+10, n)
	lgN, _ := math.Lgamma(float64(n + 1))
	cdf := 0.0
	l, u = from, n+1
	for k := from; k <= to; k++ {
		// Here cdf = P(X < k).
		if cdf <= tail {
			l = k
		}
		if 1-cdf <= tail {
			u = k
			break
		}
		lgK, _ := math.Lgamma(float64(k + 1))
		lgR, _ := math.Lgamma(float64(n - k + 1))
		cdf += math.Exp(lgN - lgK - lgR + float64(k)*math.Log(q) + float64(n-k)*math.Log1p(-q))
	}
	return l, u
}

// ratioInterval returns Wilson's 90 % score interval of a share of k in n.
func ratioInterval(k, n float64) (lo, hi float64) {
	if n <= 0 {
		return math.NaN(), math.NaN()
	}
	p := k / n
	mid := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(mid-half, 0), min(mid+half, 1)
}
