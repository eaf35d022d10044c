package profiles

import (
	"math"
	"math/rand/v2"
)

// Streams of random numbers of a stage. Each has its own, so that another class does not
// move the arrivals, and a longer stage does not change later ones.
const (
	forGaps = iota
	forClasses
	forPrompts
	forOutputs
	forCopies
	streams
)

// stream is a sequence of random numbers, fixed by (seed, stage, purpose). The
// distributions are drawn here and not by rand.Rand, whose algorithms may
// change with a Go release: same seed, same bytes.
type stream struct {
	pcg   rand.PCG
	spare float64 // the second of a pair of normals
	has   bool
}

func newStream(seed int64, stage, purpose int) *stream {
	s := &stream{}
	hi := mix(uint64(seed))
	s.pcg.Seed(hi, mix(hi^uint64(stage*streams+purpose)))
	return s
}

// mix is splitmix64's finaliser: neighbouring seeds give unrelated streams.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// uniform returns a number in (0, 1), neither end included.
func (s *stream) uniform() float64 {
	return (float64(s.pcg.Uint64()>>11) + 0.5) / (1 << 53)
}

// exponential returns a number of mean 1.
func (s *stream) exponential() float64 { return -math.Log(s.uniform()) }

// normal returns a number of mean 0 and variance 1 (Marsaglia's polar method).
func (s *stream) normal() float64 {
	if s.has {
		s.has = false
		return s.spare
	}
	for {
		x, y := 2*s.uniform()-1, 2*s.uniform()-1
		if q := x*x + y*y; q < 1 && q > 0 {
			f := math.Sqrt(-2 * math.Log(q) / q)
			s.spare, s.has = y*f, true
			return x * f
		}
	}
}

// gamma returns a number of mean 1 and coefficient of variation cv: shape
// 1/cv², scale cv² (Marsaglia and Tsang, ACM TOMS 26, 2000; below shape 1 with
// their boost by u^(1/shape)).
func (s *stream) gamma(cv float64) float64 {
	shape := 1 / (cv * cv)
	boost, k := 1.0, shape
	if k < 1 {
		boost, k = math.Pow(s.uniform(), 1/shape), shape+1
	}
	d := k - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := s.normal()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(s.uniform()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v * boost / shape
		}
	}
}

// draw returns a number of tokens of t's distribution.
func (t Tokens) draw(s *stream) int {
	switch {
	case t.Mean == 0:
		return 0
	case t.CV == 0:
		return max(1, int(math.Round(t.Mean)))
	}
	return int(max(1, min(maxTokens, math.Round(t.Mean*s.gamma(t.CV)))))
}
