package replay

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestArrivalsOfAStepAreSorted(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var a arrivals
	for _, row := range []struct {
		name string
		of   func() float64
	}{
		{"even", r.Float64},
		{"all at the start", func() float64 { return 0 }},
		{"all at the end", func() float64 { return math.Nextafter(1, 0) }},
		{"in a few places", func() float64 { return float64(r.IntN(4)) / 4 }},
		{"crowded", func() float64 { return math.Pow(r.Float64(), 8) }},
	} {
		for _, n := range []int{0, 1, fewest - 1, fewest, 100, 64, 1000, 3, 2049} {
			a.at = a.at[:0]
			for range n {
				a.at = append(a.at, row.of())
			}
			want := slices.Sorted(slices.Values(a.at))
			if a.sort(); !slices.Equal(a.at, want) {
				t.Fatalf("%s, %d arrivals: not in order", row.name, n)
			}
		}
	}
}
