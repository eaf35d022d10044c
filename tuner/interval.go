package tuner

import (
	"math"
	"slices"
)

// Interval is a figure with its 90 % interval: the figure itself, and the 5th and 95th
// percentile over replicates. Lo and Hi are nil if none was computed.
type Interval struct {
	Value float64  `json:"value"`
	Lo    *float64 `json:"lo"`
	Hi    *float64 `json:"hi"`
}

// BeyondZero reports whether a difference is significant: its interval does not contain 0.
// It is true without an interval, and false for nil.
func (i *Interval) BeyondZero() bool {
	return i != nil && (i.Lo == nil || i.Hi == nil || *i.Lo > 0 || *i.Hi < 0)
}

// over summarises one figure over replicates: the mean and, for at least five, an interval
// for one new day. Among n days and a new one, all alike, each is equally likely to be the
// smallest, and so on. So the new day lies between the j-th smallest and the j-th largest
// with probability (n+1−2j)/(n+1). j is the largest for which that is at least 90 %, and 1
// below 19 days. Replicates without the figure (NaN) are left out. If none is left, or one
// is infinite, the result is nil: not measured.
func over(values []float64) *Interval {
	vs := make([]float64, 0, len(values))
	sum := 0.0
	for _, v := range values {
		if math.IsNaN(v) {
			continue
		}
		vs = append(vs, v)
		sum += v
	}
	if len(vs) == 0 || math.IsInf(sum, 0) || math.IsNaN(sum) {
		return nil
	}
	iv := &Interval{Value: sum / float64(len(vs))}
	if n := len(vs); n >= 5 {
		slices.Sort(vs)
		j := max(1, int(tail*float64(n+1)+1e-9))
		lo, hi := vs[j-1], vs[n-j]
		iv.Lo, iv.Hi = &lo, &hi
	}
	return iv
}

// rank returns the nearest-rank q-quantile of sorted vs, 0 ≤ q ≤ 1.
func rank(vs []float64, q float64) float64 {
	i := int(math.Ceil(q*float64(len(vs)))) - 1
	return vs[max(i, 0)]
}

// typical is over with the median as the value, for figures whose mean says little because
// a few days are very bad.
func typical(values []float64) *Interval {
	iv := over(values)
	if iv == nil {
		return nil
	}
	vs := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	slices.Sort(vs)
	n := len(vs)
	iv.Value = (vs[(n-1)/2] + vs[n/2]) / 2
	return iv
}

// negated is −i; nil for nil.
func (i *Interval) negated() *Interval {
	if i == nil {
		return nil
	}
	minus := func(x float64) float64 { return 0 - x } // never −0
	out := &Interval{Value: minus(i.Value)}
	if i.Lo != nil && i.Hi != nil {
		lo, hi := minus(*i.Hi), minus(*i.Lo)
		out.Lo, out.Hi = &lo, &hi
	}
	return out
}
