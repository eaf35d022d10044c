package results

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// bimodal returns n durations: most near 20 ms, one in 50 near 1 s.
func bimodal(n int, seed uint64) []time.Duration {
	rng := rand.New(rand.NewPCG(seed, 1))
	ds := make([]time.Duration, n)
	for i := range ds {
		median := 20e6
		if rng.IntN(50) == 0 {
			median = 1e9
		}
		ds[i] = time.Duration(median * math.Exp(0.3*rng.NormFloat64()))
	}
	return ds
}

// exact is the definition of Hist.Quantile, by sorting.
func exact(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(max(int(math.Ceil(q*float64(len(sorted))-1e-9)), 1), len(sorted))-1]
}

// Bar B5: at most 0.1 % relative error from p50 to p99.99 on a bimodal million.
func TestHistQuantilesOfABimodalMillion(t *testing.T) {
	ds := bimodal(1_000_000, 1)
	var h Hist
	for _, d := range ds {
		h.Record(d)
	}
	slices.Sort(ds)
	for _, q := range []float64{0, 0.5, 0.75, 0.9, 0.95, 0.975, 0.98, 0.985, 0.99, 0.995, 0.999, 0.9999, 1} {
		got, ok := h.Quantile(q)
		want := exact(ds, q)
		if off := math.Abs(float64(got-want)) / float64(want); !ok || off > HistError {
			t.Errorf("Quantile(%v) = %v, %v; exact is %v: %.4f %% off, want at most %.2f %%", q, got, ok, want, 100*off, 100*HistError)
		}
	}
	if got := h.Count(); got != 1e6 {
		t.Errorf("Count() = %v, want 1e6", got)
	}
}

// Bar B5: eight merged shards equal one, bit for bit.
func TestMergedShardsEqualOne(t *testing.T) {
	ds := bimodal(100_000, 2)
	var one, merged Hist
	var shards [8]Hist
	for i, d := range ds {
		one.Add(d, 1.0/3)
		shards[i%8].Add(d, 1.0/3)
	}
	for _, i := range rand.New(rand.NewPCG(3, 3)).Perm(8) {
		merged.Merge(shards[i])
	}
	if !merged.Equal(one) {
		t.Error("eight merged shards differ from the histogram of all")
	}
	for q := 0.0; q <= 1; q += 1.0 / 1024 {
		a, _ := one.Quantile(q)
		b, _ := merged.Quantile(q)
		if a != b {
			t.Fatalf("Quantile(%v): merged %v, one %v", q, b, a)
		}
	}
	one.Record(time.Second)
	if merged.Equal(one) {
		t.Error("Equal does not see one more duration")
	}
}

func TestHistEdges(t *testing.T) {
	var h Hist
	if _, ok := h.Quantile(0.5); ok {
		t.Error("an empty histogram has a median")
	}
	if _, ok := h.Mean(); ok {
		t.Error("an empty histogram has a mean")
	}
	h.Record(-time.Second)
	h.Record(100 * time.Hour)
	h.Add(time.Second, math.NaN())
	h.Add(time.Second, -1)
	h.RecordN(time.Second, 0)
	if got := h.Count(); got != 2 {
		t.Errorf("Count() = %v, want 2: weights that are not above 0 add nothing", got)
	}
	if lo, _ := h.Min(); lo != 0 {
		t.Errorf("Min() = %v, want 0 for a negative duration", lo)
	}
	if hi, _ := h.Max(); hi != 24*time.Hour {
		t.Errorf("Max() = %v, want 24h for a longer one", hi)
	}
	h.Reset()
	h.Add(time.Second, 0.25)
	h.Add(2*time.Second, 0.75)
	if d, _ := h.Quantile(0.25); math.Abs(d.Seconds()-1) > HistError {
		t.Errorf("a quarter at 1s: Quantile(0.25) = %v", d)
	}
	if d, _ := h.Quantile(0.5); math.Abs(d.Seconds()-2) > 0.001 {
		t.Errorf("three quarters at 2s: Quantile(0.5) = %v", d)
	}
	if s, _ := h.ShareWithin(1500 * time.Millisecond); s != 0.25 {
		t.Errorf("ShareWithin(1.5s) = %v, want 0.25", s)
	}
}

func TestSliceIsWithinOnePercentAndMerges(t *testing.T) {
	ds := bimodal(20_000, 4)
	var one Slice
	var parts [5]Slice
	for i, d := range ds {
		one.Add(d, 1)
		parts[i%5].Add(d, 1)
	}
	var merged Slice
	for _, p := range parts {
		merged.Merge(p)
	}
	slices.Sort(ds)
	for _, q := range []float64{0.01, 0.5, 0.95, 0.99, 0.999, 1} {
		got, _ := one.Quantile(q)
		want := exact(ds, q)
		if off := math.Abs(float64(got-want)) / float64(want); off > SliceError {
			t.Errorf("Quantile(%v) = %v, exact is %v: %.2f %% off", q, got, want, 100*off)
		}
		if m, _ := merged.Quantile(q); m != got {
			t.Errorf("Quantile(%v): merged %v, one %v", q, m, got)
		}
	}
	if len(one.buckets) > 400 {
		t.Errorf("%d buckets: not sparse", len(one.buckets))
	}
}

func BenchmarkHistRecord(b *testing.B) {
	var h Hist
	ds := bimodal(1<<12, 1)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		h.Record(ds[i&(1<<12-1)])
	}
}

// The bars of the library say what lies within, at any edge of any bucket.
func TestShareWithinCountsTheBucketsBelow(t *testing.T) {
	var h Hist
	r := rand.New(rand.NewPCG(3, 4))
	for range 4000 {
		h.Record(time.Duration(math.Exp(r.Float64() * 30)))
	}
	bars := h.h.Distribution()
	var below int64
	for i, b := range bars {
		if i%37 == 0 || b.Count > 0 && i%5 == 0 {
			for _, d := range []int64{b.To - 1, b.To, b.To + 1} {
				want := float64(below) / 4000 / histUnit
				if d >= b.To {
					want += float64(b.Count) / 4000 / histUnit
				}
				if time.Duration(d) >= h.max {
					want = 1
				}
				if got, ok := h.ShareWithin(time.Duration(d)); d >= 0 && b.To > b.From && (!ok || math.Abs(got-want) > 1e-9) {
					t.Fatalf("ShareWithin(%d) = %v, want %v: bar %d is %+v", d, got, want, i, b)
				}
			}
		}
		below += b.Count
	}
}
