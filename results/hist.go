package results

import (
	"math"
	"math/bits"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// HistError is the largest relative error of a Hist's quantiles: half the
	// width of a bucket, 1/2048, of 3 significant digits.
	HistError = 0.0005

	histDigits = 3
	// histBits: 3 digits take 2¹¹ values below a doubling, the upper half of them above it.
	histBits = 11
	histTop  = int64(24 * time.Hour)
	// histUnit is the weight of one whole duration. Weights are kept as whole
	// multiples of 1/histUnit, so that sums do not depend on their order and
	// shards merge bit for bit; 2⁴³ durations fit.
	histUnit = 1 << 20
)

// Hist is a histogram of durations, for totals: mergeable, with quantiles
// within HistError (0.05 %) of the exact ones, from 1 ns to 24 h. The zero Hist
// is empty and ready; it takes about 310 KB from its first duration on.
//
// Copies share their counts: copy a Hist only when done adding to it. It is not
// safe for concurrent use. Hists merge into Hists alone, never into a Slice,
// which is coarser.
type Hist struct {
	h        *hdr.Histogram
	min, max time.Duration // exact
}

// Record adds one duration. A negative one counts as 0, one longer than 24 h as 24 h.
func (h *Hist) Record(d time.Duration) { h.add(d, histUnit) }

// RecordN adds n equal durations. n ≤ 0 adds nothing.
func (h *Hist) RecordN(d time.Duration, n int64) { h.add(d, n*histUnit) }

// Add adds a duration with a weight, which can be a fraction: the fluid plant's requests
// are fractions. Weights are rounded to 2⁻²⁰; a weight that is not above 0 adds nothing.
func (h *Hist) Add(d time.Duration, weight float64) {
	if weight > 0 && !math.IsInf(weight, 1) {
		h.add(d, int64(math.Round(weight*histUnit)))
	}
}

func (h *Hist) add(d time.Duration, units int64) {
	if units <= 0 {
		return
	}
	if h.h == nil {
		h.h = hdr.New(1, histTop, histDigits)
	}
	d = min(max(d, 0), time.Duration(histTop))
	if h.h.TotalCount() == 0 {
		h.min, h.max = d, d
	}
	h.min, h.max = min(h.min, d), max(h.max, d)
	// The only error of RecordValues is a value out of range, and d is in it.
	_ = h.h.RecordValues(int64(d), units)
}

// Merge adds all of o to h. Merged shards equal the histogram of all their
// durations exactly, in whatever order they come.
func (h *Hist) Merge(o Hist) {
	if o.h == nil || o.h.TotalCount() == 0 {
		return
	}
	if h.h == nil {
		h.h = hdr.New(1, histTop, histDigits)
	}
	if h.h.TotalCount() == 0 {
		h.min, h.max = o.min, o.max
	}
	h.min, h.max = min(h.min, o.min), max(h.max, o.max)
	h.h.Merge(o.h)
}

// Equal reports whether h and o hold the same counts, bucket for bucket.
func (h Hist) Equal(o Hist) bool {
	if h.Count() == 0 || o.Count() == 0 {
		return h.Count() == o.Count()
	}
	return h.min == o.min && h.max == o.max && h.h.Equals(o.h)
}

// Reset empties h and keeps its memory for reuse.
func (h *Hist) Reset() {
	if h.h != nil {
		h.h.Reset()
	}
	h.min, h.max = 0, 0
}

// Count returns the sum of the weights: how many durations there are.
func (h Hist) Count() float64 {
	if h.h == nil {
		return 0
	}
	return float64(h.h.TotalCount()) / histUnit
}

// Quantile returns the smallest duration that a share q of the durations does
// not exceed (the inverse of the empirical distribution), within HistError.
// q = 0 is the smallest duration and q = 1 the largest, both exact. It returns
// false for an empty histogram or q outside 0..1.
func (h Hist) Quantile(q float64) (time.Duration, bool) {
	if h.Count() == 0 || !(q >= 0 && q <= 1) {
		return 0, false
	}
	switch q {
	case 0:
		return h.min, true
	case 1:
		return h.max, true
	}
	// HdrHistogram answers with the top of the bucket: its middle halves the
	// error. A bucket is 2^(bits−11) wide with 3 digits (2048 to a doubling,
	// of which the upper half is used), and 1 wide below 2048.
	top := h.h.ValueAtQuantile(q * 100)
	width := int64(1) << max(0, bits.Len64(uint64(top))-11)
	return min(max(time.Duration(top-width/2), h.min), h.max), true
}

// Mean returns the mean, within HistError; false if there is none.
func (h Hist) Mean() (time.Duration, bool) {
	if h.Count() == 0 {
		return 0, false
	}
	return min(max(time.Duration(h.h.Mean()), h.min), h.max), true
}

// Min returns the smallest duration, exactly; false if there is none.
func (h Hist) Min() (time.Duration, bool) { return h.Quantile(0) }

// Max returns the largest duration, exactly; false if there is none.
func (h Hist) Max() (time.Duration, bool) { return h.Quantile(1) }

// ShareWithin returns the share of the durations that are at most d, within the
// width of one bucket at d; false if there are none.
func (h Hist) ShareWithin(d time.Duration) (float64, bool) {
	if h.Count() == 0 {
		return 0, false
	}
	if d >= h.max {
		return 1, true
	}
	// Buckets whose top is at most d. Their counts are read in memory order, 2048 up to the
	// first 2048 ns and 1024 for each doubling above. Listing all bars would take forty
	// times as long, and a search needs thousands of shares.
	counts := h.h.Export().Counts
	next := int(max(d, -1)) + 1
	shift := max(0, bits.Len(uint(next))-histBits)
	full := next>>shift + shift<<(histBits-1)
	var below int64
	for _, n := range counts[:min(full, len(counts))] {
		below += n
	}
	return float64(below) / float64(h.h.TotalCount()), true
}
