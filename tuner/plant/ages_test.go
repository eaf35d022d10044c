package plant

import (
	"math"
	"testing"
)

func TestAgeOfTheOldest(t *testing.T) {
	var h history
	for _, share := range []float64{2, 0, 3, 1} {
		h = h.came(share)
	}
	for _, tt := range []struct {
		sentence string
		queued   float64
		want     float64
	}{
		{"nothing waits", 0, 0},
		{"less than can be told from nothing arrived just now", 1e-12, 0},
		{"the last arrival, which came in the last second", 1, 1},
		{"two: one of the three before it", 2, 4. / 3},
		{"all of them, the first for four seconds", 6, 4},
		{"more than ever came", 9, 4},
	} {
		if got := h.age(tt.queued, 1); math.Abs(got-tt.want) > 1e-6 {
			t.Errorf("%s: age(%v) = %v, want %v", tt.sentence, tt.queued, got, tt.want)
		}
	}
	if got := history(nil).age(3, 1); got != 0 {
		t.Errorf("nothing ever came: %v", got)
	}
}
