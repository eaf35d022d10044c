package results

import (
	"fmt"
	"math"
)

// wouldDecide says how many requests would separate the figure from the limit, if it stayed
// the same; "" if that is unknown.
//
// A share is tested with its own interval. Other intervals shrink with the square root of
// the number of requests.
func (o Objective) wouldDecide(f Figure) string {
	if f.N == 0 || math.IsInf(f.Value, 0) {
		return ""
	}
	need := 0.0
	if o.Unit == Ratio {
		need = o.shareDecidedBy(f.Value)
	} else {
		side := f.Hi - f.Value
		if o.Limit < f.Value {
			side = f.Value - f.Lo
		}
		need = float64(f.N) * math.Pow(side/math.Abs(o.Limit-f.Value), 2)
	}
	if !(need > float64(f.N)) {
		return ""
	}
	if need > 1e4*float64(f.N) {
		return "; the limit is too close to what was measured to tell them apart"
	}
	return fmt.Sprintf("; about %s requests would decide it, this run has %d", roughly(need), f.N)
}

// shareDecidedBy is the number of requests from which the interval of a share p lies on one
// side of the limit; +Inf if it is more than 10⁹.
func (o Objective) shareDecidedBy(p float64) float64 {
	decided := func(n float64) bool {
		lo, hi := ratioInterval(p*n, n)
		return o.Met(lo) == o.Met(hi)
	}
	hi := 1.0
	for ; !decided(hi); hi *= 2 {
		if hi > 1e9 {
			return math.Inf(1)
		}
	}
	for lo := hi / 2; hi-lo > 1; {
		if mid := math.Floor((lo + hi) / 2); decided(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}

// roughly prints a count rounded up to two significant digits.
func roughly(n float64) string {
	unit := math.Pow(10, max(0, math.Floor(math.Log10(n))-1))
	return fmt.Sprintf("%.0f", math.Ceil(n/unit)*unit)
}
