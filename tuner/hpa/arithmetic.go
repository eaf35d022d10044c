package hpa

import "math"

// toInt32 converts as amd64 does, where the controller's own results were checked: NaN and values
// that do not fit become −2147483648. arm64 would saturate. The conversion is explicit, so one
// input gives one decision on every machine.
func toInt32(x float64) int32 {
	if n := toInt64(x); n == int64(int32(n)) {
		return int32(n)
	}
	return math.MinInt32
}

// toInt64 converts as amd64 does: NaN and values that do not fit become the smallest int64.
func toInt64(x float64) int64 {
	if x >= -9223372036854775808 && x < 9223372036854775808 {
		return int64(x)
	}
	return math.MinInt64
}

// tolerances is how far a ratio may differ from 1.0, in each direction, and still count as on
// target.
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
