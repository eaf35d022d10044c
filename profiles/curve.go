package profiles

import (
	"math"
	"time"
)

// curve is a stage's rate as a function of the seconds since its start, with
// the integral and the inverse of the integral in closed form.
//
//	constant  r(t) = a                     Λ(t) = a·t
//	ramp      r(t) = a + s·t               Λ(t) = a·t + s·t²/2
//	sine      r(t) = a + b·sin(wt + φ)     Λ(t) = a·t + b/w·(cos φ − cos(wt + φ))
type curve struct {
	shape   Shape
	length  float64 // seconds
	a, s    float64
	b, w, φ float64
	period  float64
	top     float64 // Λ(length)
}

func (s *Stage) curve() curve {
	c := curve{shape: s.Shape(), length: s.Duration.Seconds()}
	switch c.shape {
	case Constant:
		c.a = float64(*s.Rate)
	case Ramped:
		c.a = float64(s.Ramp.From)
		if c.length > 0 {
			c.s = (float64(s.Ramp.To) - c.a) / c.length
		}
	case Wave:
		c.a, c.b, c.period = float64(s.Sine.Mean), float64(s.Sine.Amplitude), s.Sine.Period.Seconds()
		c.w = 2 * math.Pi / c.period
		c.φ = 2 * math.Pi * float64(s.Sine.Shift%s.Sine.Period) / float64(s.Sine.Period)
	}
	c.top = c.integral(c.length)
	return c
}

// rate returns r(t), at least 0.
func (c *curve) rate(t float64) float64 {
	switch c.shape {
	case Ramped:
		return max(0, c.a+c.s*t)
	case Wave:
		return max(0, c.a+c.b*math.Sin(c.w*t+c.φ))
	}
	return c.a
}

// integral returns Λ(t), the arrivals expected by t.
func (c *curve) integral(t float64) float64 {
	switch c.shape {
	case Ramped:
		return t * (c.a + c.s*t/2)
	case Wave:
		// Whole periods add a·period exactly; in the rest the difference of
		// cosines is a product, which does not cancel for small t.
		n := math.Floor(t / c.period)
		rest := t - n*c.period
		return n*c.a*c.period + c.wave(rest)
	}
	return c.a * t
}

func (c *curve) wave(t float64) float64 {
	return c.a*t + 2*c.b/c.w*math.Sin(c.w*t/2+c.φ)*math.Sin(c.w*t/2)
}

// inverse returns the t with Λ(t) = u, for 0 ≤ u < Λ(length). near is where
// to look first: the last answer.
func (c *curve) inverse(u, near float64) float64 {
	var t float64
	switch c.shape {
	case Ramped:
		// 2u/(a+√(a²+2su)) rather than (−a+√…)/s: no cancellation for a small
		// or no slope. The root is of r(t)², so rounding below 0 means 0.
		t = 2 * u / (c.a + math.Sqrt(max(0, c.a*c.a+2*c.s*u)))
	case Wave:
		t = c.inverseWave(u, near)
	default:
		t = u / c.a
	}
	if !(t >= 0) {
		return 0
	}
	return min(t, c.length)
}

// inverseWave solves by Newton's method inside a bracket that halves where
// Newton leaves it: where the rate touches zero the slope does, too.
func (c *curve) inverseWave(u, near float64) float64 {
	area := c.a * c.period
	n := math.Floor(u / area)
	v := u - n*area
	start := n * c.period
	lo, hi := 0.0, c.period
	t := near - start
	if !(t > lo && t < hi) {
		t = v / c.a
	}
	for range 200 {
		f := c.wave(t) - v
		if f == 0 {
			break
		}
		if f > 0 {
			hi = t
		} else {
			lo = t
		}
		next := t - f/(c.a+c.b*math.Sin(c.w*t+c.φ))
		if !(next > lo && next < hi) {
			next = lo + (hi-lo)/2
		}
		if math.Abs(next-t) < 1e-11 || next <= lo || next >= hi {
			t = next
			break
		}
		t = next
	}
	return start + t
}

// expected returns the arrivals expected in [from, to) of the stage's own time,
// both within 0 and its length.
func (s *Stage) expected(from, to time.Duration) float64 {
	if s.Trace != nil {
		return float64(s.Trace.count(from, to)) * s.Trace.ScaleRate
	}
	c := s.curve()
	return max(0, c.integral(to.Seconds())-c.integral(from.Seconds()))
}

// Expected returns how many arrivals the profile expects in [from, to) of run
// time: the integral of its rate; for a trace, its rows × scale_rate.
func (p *Profile) Expected(from, to time.Duration) float64 {
	var sum float64
	for i := range p.Stages {
		s := &p.Stages[i]
		if lo, hi := max(from, s.From), min(to, s.To); lo < hi {
			sum += s.expected(lo-s.From, hi-s.From)
		}
	}
	return sum
}

// traceBin is the time over which a trace's rate is averaged: shorter bins show single
// arrivals, longer ones hide bursts.
const traceBin = 10 * time.Second

// Rate returns the arrivals per second at t that the profile describes: the intensity of a
// random stage, the mean over 10 s bins of a trace. 0 outside.
func (p *Profile) Rate(t time.Duration) Rate {
	for i := range p.Stages {
		s := &p.Stages[i]
		if t < s.From || t >= s.To {
			continue
		}
		if s.Trace == nil {
			c := s.curve()
			return Rate(c.rate((t - s.From).Seconds()))
		}
		from := (t - s.From).Truncate(traceBin)
		to := min(from+traceBin, s.Duration)
		return Rate(s.expected(from, to) / (to - from).Seconds())
	}
	return 0
}

// Peak returns the highest rate that the profile reaches, warm-up included.
func (p *Profile) Peak() Rate {
	var top Rate
	for i := range p.Stages {
		s := &p.Stages[i]
		switch s.Shape() {
		case Constant:
			top = max(top, *s.Rate)
		case Ramped:
			top = max(top, s.Ramp.From, s.Ramp.To)
		case Wave:
			top = max(top, s.Sine.top(s.Duration))
		case Recorded:
			for at := s.From; at < s.To; at += traceBin {
				top = max(top, p.Rate(at))
			}
		}
	}
	return top
}

// top is the highest rate of the wave within a length: its crest, if it reaches that.
func (s *Sine) top(length time.Duration) Rate {
	shift := s.Shift % s.Period
	toCrest := (s.Period/4 - shift + s.Period) % s.Period
	if toCrest <= length {
		return s.Mean + s.Amplitude
	}
	at := func(t time.Duration) Rate {
		return s.Mean + s.Amplitude*Rate(math.Sin(2*math.Pi*float64(shift+t)/float64(s.Period)))
	}
	return max(at(0), at(length))
}
