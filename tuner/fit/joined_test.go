package fit

import (
	"math"
	"testing"
)

// Four windows in a row of one pod become one, with their mean weighted by length.
func TestJoined(t *testing.T) {
	var rs []reading
	for i := range 4 * joinedFewest { // two pods, half of the windows each
		k := i % 2
		at := float64(i/2+1) * 15
		rs = append(rs, reading{server: k, at: at + 0.3*float64(k), window: 15, done: float64(i / 2 % 4),
			value: float64(k + 1)})
	}
	got := joined(rs)
	if len(got) != joinedFewest {
		t.Fatalf("%d readings of %d, want %d", len(got), len(rs), joinedFewest)
	}
	for i, r := range got[:2] {
		if r.server != i || r.window != 60 || r.value != float64(i+1) || math.Abs(r.done-1.5) > 1e-9 ||
			math.Abs(r.at-60.3) > 0.31 {
			t.Errorf("joined reading %d: %+v, want 60 s of server %d with 1.5 done a second and %d used", i, r, i, i+1)
		}
	}
	if few := joined(rs[:40]); len(few) != 40 {
		t.Errorf("%d readings, want all 40 as they are: too few to join", len(few))
	}
	gap := append([]reading(nil), rs...)
	for i := range gap {
		gap[i].at += float64(i/2) * 5 // 5 s between windows
	}
	if apart := joined(gap); len(apart) != len(gap) {
		t.Errorf("%d readings, want all %d as they are: their windows do not follow each other", len(apart), len(gap))
	}
}
