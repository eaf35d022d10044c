package fit

import (
	"math"
	"slices"
	"time"

	"github.com/hpatune/hpatune/tuner/plant"
)

// seconds converts seconds to a Duration, truncated to nanoseconds.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// sign is -1, 0 or 1.
func sign(x float64) int {
	switch {
	case x < 0:
		return -1
	case x > 0:
		return 1
	}
	return 0
}

// floats is a heap (container/heap) with the smallest number on top.
type floats []float64

// Len is how many numbers there are.
func (h floats) Len() int { return len(h) }

// Less orders by value: the smallest is at index 0.
func (h floats) Less(i, j int) bool { return h[i] < h[j] }

// Swap exchanges two numbers; heap calls it.
func (h floats) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push appends x; call heap.Push, which restores the order.
func (h *floats) Push(x any) { *h = append(*h, x.(float64)) }

// Pop removes the last number; call heap.Pop, which moves the smallest there.
func (h *floats) Pop() any {
	n := len(*h) - 1
	x := (*h)[n]
	*h = (*h)[:n]
	return x
}

// median sorts v and returns its middle; NaN for none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// middle returns what median does, in time in proportion to v's length. It changes the order of
// v, but does not sort it.
//
// Source: Hoare, Algorithm 65: find, Communications of the ACM 4 (1961).
func middle(v []float64) float64 {
	if len(v) < 32 || slices.ContainsFunc(v, math.IsNaN) {
		return median(v)
	}
	k := (len(v) - 1) / 2
	for lo, hi := 0, len(v)-1; lo < hi; {
		a, b, c := v[lo], v[lo+(hi-lo)/2], v[hi]
		pivot := max(min(a, b), min(max(a, b), c))
		i, j := lo, hi
		for i <= j {
			for v[i] < pivot {
				i++
			}
			for v[j] > pivot {
				j--
			}
			if i <= j {
				v[i], v[j] = v[j], v[i]
				i, j = i+1, j-1
			}
		}
		switch {
		case k <= j:
			hi = j
		case k >= i:
			lo = i
		default:
			lo = hi // v[k] is the pivot
		}
	}
	if len(v)%2 == 1 {
		return v[k]
	}
	return (v[k] + slices.Min(v[k+1:])) / 2
}

// meanOf returns the mean of v; 0 for none.
func meanOf(v []float64) float64 {
	s := 0.0
	for _, x := range v {
		s += x
	}
	return s / float64(max(1, len(v)))
}

// meanTotal returns the mean service time of a sample, in seconds; NaN for none.
func meanTotal(times []plant.ServiceTime) float64 {
	sum := 0.0
	for _, t := range times {
		sum += t.Total
	}
	return sum / float64(len(times))
}

// thin keeps at most n elements, spread evenly over their order.
func thin[T any](v []T, n int) []T {
	if len(v) <= n {
		return v
	}
	out := make([]T, n)
	for i := range out {
		out[i] = v[i*len(v)/n]
	}
	return out
}

// line is weighted least squares: y = a + b·x.
func line(xs, ys, ws []float64) (a, b float64) {
	var w, x, y, xx, xy float64
	for i := range xs {
		w += ws[i]
		x += ws[i] * xs[i]
		y += ws[i] * ys[i]
		xx += ws[i] * xs[i] * xs[i]
		xy += ws[i] * xs[i] * ys[i]
	}
	if d := w*xx - x*x; d > 0 {
		b = (w*xy - x*y) / d
	}
	return (y - b*x) / w, b
}

// theilSen returns the median b of the slopes between pairs, and the median a of the
// residuals: up to 29 % of bad samples do not bend this line. With many samples, pairs are
// taken over fixed strides.
func theilSen(xs, ys []float64) (a, b float64) {
	n := len(xs)
	var slopes []float64
	stride := max(1, n*n/200000)
	for k := 1; k < n; k += stride {
		for i := 0; i+k < n; i++ {
			if d := xs[i+k] - xs[i]; math.Abs(d) > 1e-9 {
				slopes = append(slopes, (ys[i+k]-ys[i])/d)
			}
		}
	}
	if len(slopes) == 0 {
		return median(slices.Clone(ys)), 0
	}
	b = middle(slopes)
	rest := make([]float64, n)
	for i := range xs {
		rest[i] = ys[i] - b*xs[i]
	}
	return middle(rest), b
}
