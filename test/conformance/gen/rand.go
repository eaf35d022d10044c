package gen

import (
	"encoding/json"
	"math/rand/v2"
)

// A dice makes random choices from a seed; the same seed gives the same scenario.
type dice struct{ *rand.Rand }

// chance is true with probability p, 0..1.
func (d dice) chance(p float64) bool { return d.Float64() < p }

// in returns a whole number from lo to hi, both included.
func (d dice) in(lo, hi int) int { return lo + d.IntN(hi-lo+1) }

func one[T any](d dice, of ...T) T { return of[d.IntN(len(of))] }

func ref[T any](v T) *T { return &v }

type object = map[string]any

func raw(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // cannot fail: maps, strings and numbers of this package
	}
	return b
}
