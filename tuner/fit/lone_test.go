package fit

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hpatune/hpatune/tuner/plant"
)

func TestUnderQuota(t *testing.T) {
	for _, c := range []struct {
		sentence       string
		cores, base    float64
		free, burn     float64
		mean, variance float64
	}{
		{"within a period's budget nothing is stopped", 0.5, 0, 0.02, 1, 0.02, 0},
		// It begins in the first half of a period: 0.15 s less the time since the period began; in the second: 0.15 s.
		{"of two budgets, one in the first period or in the second", 0.5, 0, 0.1, 1, 0.1375, 0.00026},
		{"half a core is never stopped", 0.5, 0, 0.7, 0.5, 0.7, 0},
		{"many budgets take a period each, on the average", 0.5, 0, 1, 1, 1.9375, 0.00026},
		{"a pod that burns by itself has less of them", 0.5, 0.1, 0.04, 1.1, 0.0401, 0},
	} {
		mean, variance := underQuota(plant.Quota{Cores: c.cores, Base: c.base}, c.free, c.burn)
		if math.Abs(mean/c.mean-1) > 0.02 || math.Abs(variance-c.variance) > 0.00003 {
			t.Errorf("%s: mean %.4f, variance %.6f, want %.4f and %.6f", c.sentence, mean, variance, c.mean, c.variance)
		}
	}
}

// stopped plays one request under a limit in steps of 0.05 ms: it begins at a time of the period
// that chance gives.
func stopped(r *rand.Rand, limit, free, cores float64) float64 {
	const step = 5e-5
	at, spent, took := r.Float64()*quotaPeriod, 0.0, 0.0
	for free > 0 {
		if at += step; at >= quotaPeriod {
			at, spent = at-quotaPeriod, 0
		}
		took += step
		if spent < limit*quotaPeriod {
			spent, free = spent+cores*step, free-step
		}
	}
	return took
}

// What requests take without the limit is found although most of them were stopped, and how much
// like ones differ.
func TestLoneRequestsAtFullSpeed(t *testing.T) {
	for _, c := range []struct {
		sentence      string
		limit, cores  float64
		first, each   float64 // seconds, and for each token
		sigma         float64
		lineOff, bySD float64 // wanted: relative error of the line; the scatter at most this far off
	}{
		{"twice stopped on average", 0.5, 1, 0.03, 0.0008, 0.2, 0.06, 0.06},
		{"hardly ever stopped", 0.5, 1, 0.005, 0.0001, 0.2, 0.03, 0.03},
		{"all alike", 0.5, 1, 0.03, 0.0008, 0, 0.06, 0.1},
		{"half of the time waiting for something else", 1, 0.5, 0.03, 0.0008, 0.2, 0.03, 0.03},
	} {
		r := rand.New(rand.NewPCG(9, 1))
		l, a := &log{}, &lone{}
		sum := 0.0
		for i := range 4000 {
			tokens := math.Round(75 * math.Exp(0.6*r.NormFloat64()))
			free := (c.first + c.each*tokens) * math.Exp(c.sigma*r.NormFloat64())
			took := stopped(r, c.limit, free, c.cores)
			sum += free * c.cores / 4000
			l.calls = append(l.calls, call{tokens: tokens, ok: true, done: took})
			a.sample = append(a.sample, plant.ServiceTime{First: took, Total: took, Tokens: tokens})
			a.seen = append(a.seen, seen{i, took, true})
		}
		q := plant.Quota{Cores: c.limit, Each: sum}
		line, mean := a.atFullSpeed(q, l)
		if want := sum / c.cores / math.Exp(c.sigma*c.sigma/2); math.Abs(mean/want-1) > c.lineOff {
			t.Errorf("%s: mean %.4f s, want %.4f", c.sentence, mean, want)
		}
		for _, tokens := range []float64{30, 75, 200} {
			want, got := c.first+c.each*tokens, line(&call{tokens: tokens}).Total
			if math.Abs(got/want-1) > 1.5*c.lineOff {
				t.Errorf("%s: %v tokens take %.4f s, want %.4f", c.sentence, tokens, got, want)
			}
		}
		n, sq := 0.0, 0.0
		for _, by := range a.by {
			n, sq = n+1, sq+math.Log(by)*math.Log(by)
		}
		if got := math.Sqrt(sq / n); math.Abs(got-c.sigma) > c.bySD {
			t.Errorf("%s: like ones differ by %.3f, want %.3f", c.sentence, got, c.sigma)
		}
	}
}
