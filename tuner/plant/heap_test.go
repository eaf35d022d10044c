package plant

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// Calls leave in order of their end, those that end together in order of arrival, each as it
// was when it got its slot, and the heap does what a sorted list does.
func TestCallsLeaveInOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, slots := range []int{1, 2, 3, 8, 33} {
		var s server
		var list []call
		for i := range 5000 {
			for len(list) == slots || len(list) > 0 && r.IntN(3) == 0 {
				slices.SortFunc(list, func(a, b call) int {
					return cmp.Or(cmp.Compare(a.finish, b.finish), cmp.Compare(a.index, b.index))
				})
				if got := s.pop(); *got != list[0] {
					t.Fatalf("%d slots: %+v leaves, want %+v", slots, *got, list[0])
				}
				list = list[1:]
			}
			c := call{index: int32(i), finish: float64(r.IntN(20)), at: r.Float64(), worth: r.Float64()}
			s.push(&c)
			if list = append(list, c); len(s.serving) != len(list) {
				t.Fatalf("%d slots: %d calls, want %d", slots, len(s.serving), len(list))
			}
		}
		if len(s.calls) > slots {
			t.Errorf("%d slots: room for %d calls is taken", slots, len(s.calls))
		}
	}
}
