package replay

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// drawnCounts are counts of seconds at a rate, with variance cv2 times the mean.
func drawnCounts(seconds int, cv2 float64, seed uint64, rate func(t float64) float64) []float64 {
	r := rand.New(rand.NewPCG(seed, 7))
	out := make([]float64, seconds)
	for i := range out {
		out[i] = count(r, rate(float64(i)+0.5), cv2)
	}
	return out
}

func TestHowFarARateIsAveraged(t *testing.T) {
	flat := func(rate float64) func(float64) float64 { return func(float64) float64 { return rate } }
	// Every 20 s another load: what a public trace counts.
	jumps := func(t float64) float64 { return []float64{12, 24, 8, 30, 18, 10, 26, 14}[int(t/20)%8] }
	for _, c := range []struct {
		sentence string
		seconds  int
		cv2      float64
		rate     func(t float64) float64
		lo, hi   int // halves, seconds, in nine of ten draws
	}{
		{"an even load: over minutes", 400, 1, flat(26), 80, 400},
		{"an even load in bursts, too", 400, 4, flat(26), 80, 400},
		{"a low one, too", 300, 1, flat(5), 80, 300},
		{"waves of 12 minutes: not over a quarter of one", 2100, 1,
			func(t float64) float64 { return 15 - 10*math.Cos(2*math.Pi*t/700) }, 20, 80},
		{"slow waves: over minutes", 7200, 1,
			func(t float64) float64 { return 15 - 10*math.Cos(2*math.Pi*t/7200) }, 160, 640},
		{"jumps every 20 s: as little as possible", 1600, 1, jumps, 10, 10},
		{"a jump that no stage tells: as little as possible", 400, 1,
			func(t float64) float64 { return 5 + 20*math.Floor(t/200) }, 10, 20},
	} {
		const draws = 40
		outside, found := 0, []int{}
		for seed := range uint64(draws) {
			d := Demand{Step: time.Second, CV2: c.cv2, Bins: drawnCounts(c.seconds, c.cv2, seed, c.rate)}
			k := d.halves()[0]
			if found = append(found, k); k < c.lo || k > c.hi {
				outside++
			}
		}
		if outside > draws/10 {
			t.Errorf("%s: halves %v, want %d to %d in nine of ten", c.sentence, found, c.lo, c.hi)
		}
	}
	exact := make([]float64, 400)
	for i := range exact {
		exact[i] = 26 + 5*math.Sin(float64(i)/20)
	}
	d := Demand{Step: time.Second, CV2: 1, Bins: exact}
	if k := d.halves()[0]; k != 10 {
		t.Errorf("rates without chance in them are averaged over %d s to either side, want 10", k)
	}
	d = Demand{Step: 20 * time.Second, CV2: 1, Bins: []float64{100, 100, 100, 500, 500, 500}}
	if k := d.halves()[0]; k != 1 {
		t.Errorf("bins of 20 s that differ are averaged over %d to either side, want 1", k)
	}
	d = Demand{Step: time.Second, Bins: make([]float64, 60), Breaks: []time.Duration{0, 20 * time.Second}}
	if k := d.halves(); len(k) != 2 || k[0] < 1 || k[1] < 1 {
		t.Errorf("without requests the halves are %v, want two", k)
	}
}

func TestMeans(t *testing.T) {
	for _, c := range []struct {
		sentence string
		bins     []float64
		k        int
		want     []float64
	}{
		{"over three, and two at the ends", []float64{0, 6, 3, 9}, 1, []float64{3, 3, 6, 6}},
		{"over all", []float64{0, 6, 3, 9}, 4, []float64{4.5, 4.5, 4.5, 4.5}},
		{"of one", []float64{7}, 1, []float64{7}},
	} {
		if got := means(c.bins, c.k, make([]float64, len(c.bins))); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.sentence, got, c.want)
		}
	}
}

func TestARedrawnDayJumpsWhereTheStagesDo(t *testing.T) {
	bins := make([]float64, 40)
	for i := range bins {
		bins[i] = 4
		if i >= 20 {
			bins[i] = 24
		}
	}
	d := Demand{Step: time.Second, Bins: bins, Breaks: []time.Duration{0, 20 * time.Second, time.Hour}}
	if got := d.smooth(bins, []int{10, 10}); !slices.Equal(got, bins) {
		t.Errorf("smooth with a break at the step = %v, want the step", got)
	}
	d.Breaks = nil
	if got := d.smooth(bins, []int{10}); got[19] < 10 || got[20] > 18 {
		t.Errorf("smooth without breaks = %v, want a ramp", got)
	}
}

// What was chance on the recorded day is not the load of every other day: half a minute in which
// a tenth more came than on average has no more on other days.
func TestARedrawnDayHasOtherChance(t *testing.T) {
	spec := web(drawnCounts(600, 1, 2, func(float64) float64 { return 20 }))
	w := world(t, spec)
	const span, days = 30, 200
	recorded, redrawn := make([]float64, 600/span), make([]float64, 600/span)
	for i, b := range w.Demand.Bins {
		recorded[i/span] += b / span
	}
	for seed := range uint64(days) {
		for i, b := range w.Draw(seed + 1).Demand.Bins {
			redrawn[i/span] += b / span / days
		}
	}
	apart := slices.Max(recorded) - slices.Min(recorded)
	if apart < 2.5 {
		t.Fatalf("the recorded half minutes differ by up to %.1f a second: no chance to tell", apart)
	}
	if got := slices.Max(redrawn) - slices.Min(redrawn); got > 0.3*apart {
		t.Errorf("the redrawn half minutes differ by up to %.2f a second on average, the recorded ones by %.2f", got, apart)
	}
}

// Each stage's rate is known as well as its own arrivals tell: a short one less well.
func TestTheRateOfAStageIsAsUncertainAsItsArrivals(t *testing.T) {
	bins := make([]float64, 500)
	for i := range bins {
		bins[i] = 4 // 400 in the first stage
		if i >= 100 {
			bins[i] = 9 // 3,600 in the second
		}
	}
	d := Demand{Step: time.Second, Bins: bins, Breaks: []time.Duration{0, 100 * time.Second}}
	r := rand.New(rand.NewPCG(1, 2))
	var sq [2]float64
	const n = 4000
	for range n {
		rates := slices.Clone(bins)
		d.doubt(rates, 1/math.Sqrt(4000), r)
		if rates[0] != rates[99] || rates[100] != rates[499] {
			t.Fatalf("the rate of a stage is no longer even: %v and %v, %v and %v", rates[0], rates[99], rates[100], rates[499])
		}
		for j, k := range []float64{math.Log(rates[0] / 4), math.Log(rates[100] / 9)} {
			sq[j] += k * k / n
		}
	}
	for j, want := range []float64{1.0 / 20, 1.0 / 60} {
		if got := math.Sqrt(sq[j]); math.Abs(got/want-1) > 0.05 {
			t.Errorf("stage %d: the rate has a standard error of %.4f, want %.4f", j+1, got, want)
		}
	}
	rates := slices.Clone(bins)
	if d.doubt(rates, 0, r); !slices.Equal(rates, bins) {
		t.Errorf("without doubt the rates are changed: %v", rates)
	}
	none := make([]float64, 500)
	if d.doubt(none, 0.1, r); slices.ContainsFunc(none, func(x float64) bool { return x != 0 }) {
		t.Errorf("no load has become %v", none)
	}
}

// Requests that come evenly come as often on every day: three in two seconds are not four.
func TestARedrawnDayOfEvenArrivalsKeepsTheirRate(t *testing.T) {
	spec := web(slices.Repeat([]float64{1.5}, 200))
	spec.Demand.CV2 = 0
	w := world(t, spec)
	come, n := w.Draw(3).arrivals(0), 0
	for i := range w.Demand.Bins {
		n += len(come.step(i, nil))
	}
	if n != 300 {
		t.Errorf("%d requests in 200 s of 1.5 a second, want 300", n)
	}
}
