package plant

import "slices"

// history is the cumulative number of requests that reached each ready replica of the fluid
// plant, at the end of each step. It is kept only if a metric reads ages.
type history []float64

// came appends a step.
func (h history) came(share float64) history {
	if n := len(h); n > 0 {
		share += h[n-1]
	}
	return append(h, share)
}

// age returns how long the first of the last q arrivals has been in the system. dt is the
// length of a step in seconds. In a first-in-first-out queue, that request has waited longest.
func (h history) age(q, dt float64) float64 {
	if q <= 0 || len(h) == 0 {
		return 0
	}
	last := len(h) - 1
	i, _ := slices.BinarySearch(h, h[last]-q+1e-9) // the step in which it arrived
	i = min(i, last)                               // a queue of less than that arrived just now
	from, before := 0.0, 0.0
	if i > 0 {
		before = h[i-1]
	}
	if n := h[i] - before; n > 0 {
		from = (h[i] - (h[last] - q)) / n
	}
	return (float64(last-i) + min(1, from)) * dt
}
