package replay

import (
	"math"
	"math/rand/v2"
)

// Doubt is how far a fitted world may be off: what a replicate varies beside luck,
// so that an interval over replicates is one for a new day of a world that is known
// only so well. The zero Doubt varies nothing.
type Doubt struct {
	Rate    float64   `json:"rate"`    // relative standard error of the offered rate
	Service float64   `json:"service"` // of what requests take
	Pipes   []float64 `json:"pipes"`   // of what load adds to each metric; nil = none
	Starts  bool      `json:"starts"`  // cold starts are a sample, and are drawn anew from it
	// Off is how far the world was off when it replayed the run that it was fitted to.
	Off Off `json:"off"`
}

// Off is what was recorded over what the world makes of the same run, each as a
// ratio; 1 where the recorded figure lies in the middle half of the replicates, and
// where there is nothing to compare.
type Off struct {
	Misses   float64 `json:"misses"` // of the limits
	TTFT     float64 `json:"ttft_p95"`
	E2E      float64 `json:"e2e_p95"`
	Hours    float64 `json:"replica_hours"`
	Capacity float64 `json:"time_to_capacity"`
}

// NotOff is an Off of nothing.
var NotOff = Off{1, 1, 1, 1, 1}

// about draws a factor of relative standard error s around 1, and at most three of
// these from it.
func about(r *rand.Rand, s float64) float64 {
	z := r.NormFloat64() // always drawn: what one part varies does not depend on another's doubt
	return math.Exp(s * min(max(z, -3), 3))
}
