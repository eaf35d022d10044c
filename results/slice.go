package results

import (
	"math"
	"slices"
	"time"
)

// SliceError is the largest relative error of a Slice's quantiles.
const SliceError = 0.01

// sliceGrowth is the ratio of a bucket's bounds: (1+e)/(1−e) puts the middle
// within e of both (DDSketch, Masson et al. 2019, proposition 3).
const sliceGrowth = (1 + SliceError) / (1 - SliceError)

var sliceLog = math.Log(sliceGrowth)

// Slice is a sparse histogram of the durations of one slice of time: a few
// hundred bytes where a Hist takes 310 KB, with quantiles within SliceError
// (1 %). The zero Slice is empty and ready. Slices merge into Slices alone.
type Slice struct {
	buckets []sliceBucket // by index
	count   float64
}

type sliceBucket struct {
	index  int16 // durations in (g^(index−1), g^index] ns
	weight float64
}

// Add adds a duration with a weight; negative durations count as 0, and a
// weight that is not above 0 adds nothing.
func (s *Slice) Add(d time.Duration, weight float64) {
	if !(weight > 0) {
		return
	}
	var index int16 // 0: up to 1 ns
	if d > 1 {
		index = int16(math.Ceil(math.Log(float64(d)) / sliceLog))
	}
	s.addBucket(index, weight)
}

func (s *Slice) addBucket(index int16, weight float64) {
	i, found := slices.BinarySearchFunc(
		s.buckets,
		index,
		func(b sliceBucket, index int16) int { return int(b.index) - int(index) },
	)
	if !found {
		s.buckets = slices.Insert(s.buckets, i, sliceBucket{index: index})
	}
	s.buckets[i].weight += weight
	s.count += weight
}

// Merge adds all of o to s.
func (s *Slice) Merge(o Slice) {
	for _, b := range o.buckets {
		s.addBucket(b.index, b.weight)
	}
}

// Count returns the sum of the weights.
func (s Slice) Count() float64 { return s.count }

// Quantile returns the duration that a share q of the durations does not
// exceed, within SliceError; false for an empty slice or q outside 0..1.
func (s Slice) Quantile(q float64) (time.Duration, bool) {
	if s.count == 0 || !(q >= 0 && q <= 1) {
		return 0, false
	}
	want, sum := q*s.count*(1-1e-12), 0.0 // the factor forgives the rounding of sums
	for _, b := range s.buckets {
		if sum += b.weight; sum >= want {
			return b.middle(), true
		}
	}
	return s.buckets[len(s.buckets)-1].middle(), true
}

func (b sliceBucket) middle() time.Duration {
	if b.index == 0 {
		return 0
	}
	return time.Duration(2 * math.Pow(sliceGrowth, float64(b.index)) / (sliceGrowth + 1))
}
