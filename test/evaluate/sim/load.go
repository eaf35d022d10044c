package sim

import (
	"math"
	"math/rand/v2"
)

// Load is a rate of arrivals over time, and their variability.
type Load struct {
	Stages []Stage
	// CV2 is the squared coefficient of variation of the gaps at a constant rate: 1 is Poisson;
	// above 1 the gaps are gamma-distributed, so arrivals come in bursts.
	CV2 float64
}

// Stage is a stretch of a profile with one formula for its rate.
type Stage struct {
	Name, Shape string // shape: rate, ramp, sine, trace
	Seconds     float64
	Rate        func(t float64) float64 // requests a second, t seconds into the stage
}

// Seconds is how long the load lasts.
func (l *Load) Seconds() float64 {
	sum := 0.0
	for _, s := range l.Stages {
		sum += s.Seconds
	}
	return sum
}

// arrivals draws a day's arrival times: a renewal process of mean 1 whose clock is the integral of
// the rate, times k.
func (l *Load) arrivals(r *rand.Rand, k float64) (at []float64, stage []int16) {
	const dt = 0.05
	cv2 := l.CV2
	if cv2 == 0 {
		cv2 = 1
	}
	next, sum, begin := gap(r, cv2), 0.0, 0.0
	for i, s := range l.Stages {
		for j := 0; j < int(s.Seconds/dt+0.5); j++ {
			t := float64(j) * dt
			more := k * s.Rate(t+dt/2) * dt
			for ; more > 0 && next <= sum+more; next += gap(r, cv2) {
				at = append(at, begin+t+dt*(next-sum)/more)
				stage = append(stage, int16(i))
			}
			sum += more
		}
		begin += s.Seconds
	}
	return at, stage
}

// gap draws from a gamma distribution of mean 1 and the given squared coefficient of variation.
func gap(r *rand.Rand, cv2 float64) float64 {
	if cv2 == 1 {
		return r.ExpFloat64()
	}
	return gamma(r, 1/cv2) * cv2
}

// gamma draws from a gamma distribution with the given shape and scale 1 (Marsaglia and Tsang).
func gamma(r *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return gamma(r, shape+1) * math.Pow(r.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(r.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

// Flat is a constant rate.
func Flat(name string, seconds, rate float64) Stage {
	return Stage{name, "rate", seconds, func(float64) float64 { return rate }}
}

// Ramp goes from one rate to another.
func Ramp(name string, seconds, from, to float64) Stage {
	return Stage{name, "ramp", seconds, func(t float64) float64 { return from + (to-from)*t/seconds }}
}

// Sine oscillates between low and high, beginning low.
func Sine(name string, seconds, period, low, high float64) Stage {
	return Stage{name, "sine", seconds, func(t float64) float64 {
		return low + (high-low)*(1-math.Cos(2*math.Pi*t/period))/2
	}}
}

// Trace follows counts, each over step seconds, scaled to the given mean rate.
func Trace(name string, counts []float64, step, mean float64) Stage {
	sum := 0.0
	for _, c := range counts {
		sum += c
	}
	k := mean * float64(len(counts)) / sum
	return Stage{name, "trace", step * float64(len(counts)), func(t float64) float64 {
		return k * counts[min(int(t/step), len(counts)-1)]
	}}
}

// Text is the length of prompts and answers in tokens: lognormal around a median, with bounds.
type Text struct {
	Prompt, Output             float64 // medians
	PromptSpread, OutputSpread float64 // σ of the logarithm
	PromptMost, OutputMost     int
	// Prefixes is the number of different prompt prefixes, with frequencies proportional to 1/rank;
	// 0 = no shared prefix. Shared is the length of a prefix.
	Prefixes int
	Shared   int
}

func (x *Text) draw(r *rand.Rand) (prompt, output, prefix int) {
	one := func(median, spread float64, most int) int {
		n := int(math.Round(median * math.Exp(spread*r.NormFloat64())))
		if most > 0 {
			n = min(n, most)
		}
		return max(1, n)
	}
	prompt, output = one(x.Prompt, x.PromptSpread, x.PromptMost), one(x.Output, x.OutputSpread, x.OutputMost)
	if x.Prefixes > 0 {
		// Zipf with exponent 1 by inversion of the logarithm.
		prefix = 1 + min(x.Prefixes-1, int(math.Exp(r.Float64()*math.Log(float64(x.Prefixes)+1)))-1)
		prompt += x.Shared
	}
	return prompt, output, prefix
}
