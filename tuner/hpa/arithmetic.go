package hpa

import "math"

// toInt32 converts as amd64 does, where the controller's own results were checked: what does
// not fit, and NaN, becomes −2147483648. arm64 would saturate. Spelled out so that one input
// gives one decision on every machine.
func toInt32(x float64) int32 {
	if n := toInt64(x); n == int64(int32(n)) {
		return int32(n)
	}
	return math.MinInt32
}

// toInt64 converts as amd64 does: what does not fit, and NaN, becomes the least int64.
func toInt64(x float64) int64 {
	if x >= -9223372036854775808 && x < 9223372036854775808 {
		return int64(x)
	}
	return math.MinInt64
}

// tolerances is how far from 1.0 a ratio may be, in each direction, and still be on target.
type tolerances struct {
	down, up float64
	old      bool // before 1.33: |1 − ratio| ≤ up
}

// within includes both ends; NaN is never within.
// Source: replica_calculator.go, Tolerances.isWithin.
func (t tolerances) within(ratio float64) bool {
	if t.old {
		return math.Abs(1.0-ratio) <= t.up
	}
	return 1.0-t.down <= ratio && ratio <= 1.0+t.up
}

func (c *Controller) tolerances() tolerances {
	t := tolerances{c.params.Tolerance, c.params.Tolerance, c.params.Release < 33}
	if c.spec.Behavior && c.params.Gates.ConfigurableTolerance && !t.old {
		if c.spec.ScaleDown.ToleranceSet {
			t.down = c.spec.ScaleDown.Tolerance
		}
		if c.spec.ScaleUp.ToleranceSet {
			t.up = c.spec.ScaleUp.Tolerance
		}
	}
	return t
}
