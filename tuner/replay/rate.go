package replay

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// A rate is not recorded, only the arrivals that came at it. It is their moving mean. A narrow
// mean takes the chance of the one recorded day for the load, and every redrawn day repeats it;
// a wide one flattens the peaks.

// narrowest is how far a rate is averaged to either side at least: loads that change within it
// are not told from chance.
const narrowest = 10 * time.Second

// halves is how far the rate is averaged to either side, in bins, for each stretch between
// breaks: of narrowest, twice that, and so on up to the whole stretch, the widest whose expected
// squared error is the least, or larger by no more than the standard error of the difference.
//
// Source: Mallows, Some comments on C_p, Technometrics 15 (1973): the squared residuals, plus
// twice the variance of a bin for each bin, over the number of bins in its mean. Of the residuals
// of two means over w and v > w of n bins, the difference has a variance of 8·(1/w − 1/v)·n times
// the squared variance of a bin.
func (d *Demand) halves() []int {
	breaks := d.breaks()
	spread := d.CV2 * d.noise() // variance of a bin, over its mean
	out := make([]int, len(breaks)-1)
	for j := range out {
		bins := d.Bins[breaks[j]:breaks[j+1]]
		n := len(bins)
		halves, errs := []int{}, []float64{}
		for k := max(1, int(narrowest/d.Step)); ; k = min(2*k, n) {
			halves, errs = append(halves, k), append(errs, squaredError(bins, k, spread))
			if k >= n {
				break
			}
		}
		least := slices.Index(errs, slices.Min(errs))
		width := func(k int) float64 { return float64(min(2*k+1, n)) }
		for i, k := range halves {
			chance := spread * total(bins) / float64(n) * math.Sqrt(8*float64(n)*(1/width(halves[least])-1/width(k)))
			if i == least || i > least && errs[i] <= errs[least]+chance {
				out[j] = k
			}
		}
	}
	return out
}

// squaredError is the expected squared error of the means over k bins to either side, summed
// over the bins, less what is the same for every k. spread is a bin's variance over its mean.
func squaredError(bins []float64, k int, spread float64) float64 {
	sum := 0.0
	for i, m := range means(bins, k, make([]float64, len(bins))) {
		n := min(len(bins), i+k+1) - max(0, i-k)
		sum += (bins[i]-m)*(bins[i]-m) + 2*spread*m/float64(n)
	}
	return sum
}

// means are centred moving means over 2k+1 bins, shorter at the ends. They are written to out.
func means(bins []float64, k int, out []float64) []float64 {
	sum := make([]float64, len(bins)+1)
	for i, b := range bins {
		sum[i+1] = sum[i] + b
	}
	for i := range bins {
		lo, hi := max(0, i-k), min(len(bins), i+k+1)
		out[i] = (sum[hi] - sum[lo]) / float64(hi-lo)
	}
	return out
}

// breaks are the bins before which the rate may jump, in order, including the first and the
// end.
func (d *Demand) breaks() []int {
	out := []int{0, len(d.Bins)}
	for _, at := range d.Breaks {
		if i := int((at + d.Step/2) / d.Step); i > 0 && i < len(d.Bins) {
			out = append(out, i)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// smooth is the moving mean of each stretch between breaks, by its half: a mean across a step
// would turn it into a ramp, which an autoscaler can follow when it cannot follow the step.
func (d *Demand) smooth(bins []float64, halves []int) []float64 {
	out := make([]float64, len(bins))
	breaks := d.breaks()
	for j, k := range halves {
		means(bins[breaks[j]:breaks[j+1]], k, out[breaks[j]:breaks[j+1]])
	}
	return out
}

// doubt multiplies the rates of each stretch by an error of their own: they are known as well
// as the number of arrivals in the stretch. overall is the relative standard error for all
// arrivals together.
func (d *Demand) doubt(rates []float64, overall float64, r *rand.Rand) {
	breaks := d.breaks()
	all := total(rates)
	for j := 1; j < len(breaks); j++ {
		stretch := rates[breaks[j-1]:breaks[j]]
		k := 1.0
		if n := total(stretch); n > 0 {
			k = about(r, overall*math.Sqrt(all/n))
		}
		for i := range stretch {
			stretch[i] *= k
		}
	}
}

func total(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum
}

// count draws the number of arrivals for an expected mean, with variance cv2·mean: Poisson
// by inversion for cv2 = 1, a rounded normal otherwise and for large means.
func count(r *rand.Rand, mean, cv2 float64) float64 {
	if mean <= 0 {
		return 0
	}
	if cv2 == 1 && mean < 30 {
		p := math.Exp(-mean)
		u, n, c := r.Float64(), 0.0, p
		for u > c && n < 200 {
			n++
			p *= mean / n
			c += p
		}
		return n
	}
	return max(0, math.Round(mean+math.Sqrt(mean*cv2)*r.NormFloat64()))
}
