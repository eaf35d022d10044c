package plant

import "slices"

// history is what came to each ready replica of the fluid plant up to the end of each
// step, summed up. It is kept where a metric reads ages.
type history []float64

// came adds a step.
func (h history) came(share float64) history {
	if n := len(h); n > 0 {
		share += h[n-1]
	}
	return append(h, share)
}

// age is for how long the first of the last q arrivals has been there, in steps of dt
// seconds: with a queue that is first in, first out, that is the one that waits longest.
func (h history) age(q, dt float64) float64 {
	if q <= 0 || len(h) == 0 {
		return 0
	}
	last := len(h) - 1
	i, _ := slices.BinarySearch(h, h[last]-q+1e-9) // the step in which it came
	from, before := 0.0, 0.0
	if i > 0 {
		before = h[i-1]
	}
	if n := h[i] - before; n > 0 {
		from = (h[i] - (h[last] - q)) / n
	}
	return (float64(last-i) + min(1, from)) * dt
}
