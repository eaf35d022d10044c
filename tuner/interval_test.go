package tuner

import (
	"math"
	"testing"
)

func TestIntervals(t *testing.T) {
	nan := math.NaN()
	if i := over([]float64{1, 2, 3, 10}); i.Value != 4 || i.Lo != nil {
		t.Errorf("four values: %+v, want their mean and no ends", i)
	}
	if i := over([]float64{5, 1, nan, 2, 3, 4}); i.Value != 3 || *i.Lo != 1 || *i.Hi != 5 {
		t.Errorf("five and a NaN: %v, %v – %v, want 3, 1 – 5", i.Value, *i.Lo, *i.Hi)
	}
	var hundred []float64
	for i := range 100 {
		hundred = append(hundred, float64(i+1))
	}
	if i := over(hundred); *i.Lo != 5 || *i.Hi != 96 {
		t.Errorf("of 1 … 100: %v – %v, want 5 – 96: 91 of 101", *i.Lo, *i.Hi)
	}
	for n, want := range map[int][2]float64{19: {1, 19}, 38: {1, 38}, 39: {2, 38}} {
		if i := over(hundred[:n]); *i.Lo != want[0] || *i.Hi != want[1] {
			t.Errorf("of 1 … %d: %v – %v, want %v", n, *i.Lo, *i.Hi, want)
		}
	}
	if over([]float64{nan}) != nil || over(nil) != nil || over([]float64{1, math.Inf(1)}) != nil || over([]float64{1, math.Inf(-1)}) != nil ||
		typical(nil) != nil {
		t.Error("what is not known, or not finite, has no figure")
	}
	if i := typical([]float64{1, 1, 1, 2, 9, nan}); i.Value != 1 || *i.Hi != 9 {
		t.Errorf("typical = %+v, want the median 1 and 9 at the end", i)
	}
	if i := typical([]float64{9, 1, 2}); i.Value != 2 {
		t.Errorf("the median of three is %v, want 2", i.Value)
	}
	if i := typical([]float64{1, 2, 4, 9}); i.Value != 3 {
		t.Errorf("the median of an even number is %v, want 3", i.Value)
	}
	if i := ends(-2, 0, 5).negated(); math.Signbit(i.Value) || *i.Lo != -5 || *i.Hi != 2 {
		t.Errorf("negated: %v, %v – %v, want 0, −5 – 2", i.Value, *i.Lo, *i.Hi)
	}
}

func TestADifferenceBeyondZero(t *testing.T) {
	for _, c := range []struct {
		sentence string
		i        *Interval
		want     bool
	}{
		{"dearer on nearly all days", ends(0.5, 2, 5), true},
		{"cheaper on nearly all days", ends(-5, -2, -0.5), true},
		{"dearer on some days and cheaper on others", ends(-0.5, 2, 5), false},
		{"no dearer on some days", ends(0, 2, 5), false},
		{"no cheaper on some days", ends(-5, -2, 0), false},
		{"too few days for an interval", &Interval{Value: 2}, true},
		{"not measured", nil, false},
	} {
		if got := c.i.BeyondZero(); got != c.want {
			t.Errorf("%s: %v, want %v", c.sentence, got, c.want)
		}
	}
}
