package replay

import (
	"math"
	"math/rand/v2"
)

// Doubt is the uncertainty of a fitted world: what a replicate varies besides luck, so that
// an interval over replicates is one for a new day of a world that is only known this well.
// The zero Doubt varies nothing.
type Doubt struct {
	Rate    float64 `json:"rate"`    // relative standard error of the offered rate
	Service float64 `json:"service"` // of what requests take
	// Waits is of how long requests wait for a processor, under a CPU limit.
	Waits  float64   `json:"waits,omitempty"`
	Pipes  []float64 `json:"pipes"`  // of what load adds to each metric; nil = none
	Starts bool      `json:"starts"` // cold starts are a sample, and are resampled
	// Off is the error of the world when it replayed the run to which it was fitted.
	Off Off `json:"off"`
}

// Off is what was recorded divided by what the world predicts for the same run, for each
// figure; 1 if the recorded figure is in the middle half of the replicates, and if there is
// nothing to compare.
type Off struct {
	Misses   float64 `json:"misses"` // of the limits
	TTFT     float64 `json:"ttft_p95"`
	E2E      float64 `json:"e2e_p95"`
	Hours    float64 `json:"replica_hours"`
	Capacity float64 `json:"time_to_capacity"`
}

// NotOff is an Off of nothing.
var NotOff = Off{1, 1, 1, 1, 1}

// about draws a factor with relative standard error s around 1, limited to three standard
// errors.
func about(r *rand.Rand, s float64) float64 {
	z := r.NormFloat64() // always drawn, so that what one part varies does not depend on another's doubt
	return math.Exp(s * min(max(z, -3), 3))
}
