package report

import "testing"

// A server whose answers are quicker than its finest bucket tells no more than that.
func TestBucketed(t *testing.T) {
	for _, c := range []struct {
		v, finest float64
		want      string
	}{
		{0.158, 0.3, "< 300 ms"},
		{0.35, 0.3, "350 ms"},
	} {
		if got := bucketed(c.v, c.finest); got != c.want {
			t.Errorf("%g s with buckets from %g s: %q, want %q", c.v, c.finest, got, c.want)
		}
	}
}
