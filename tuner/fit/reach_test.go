package fit

import (
	"math"
	"testing"

	"github.com/hpatune/hpatune/tuner/cost"
	"github.com/hpatune/hpatune/tuner/hpa"
)

func TestReachOf(t *testing.T) {
	curve := func(f func(in float64) float64) (rs []reading) {
		for i := range 200 {
			in := float64(i) / 10
			rs = append(rs, reading{running: min(in, 8), waiting: max(0, in-8), value: f(in) * (1 + 0.02*math.Sin(float64(7*i)))})
		}
		return rs
	}
	for _, row := range []struct {
		name         string
		rs           []reading
		largest, cap float64
	}{
		{"no samples", nil, 0, 0},
		{"a line that never ends", curve(func(in float64) float64 { return 0.05 * in }), 1, 0},
		{"flat once eight are in service", curve(func(in float64) float64 { return 0.1 * min(8, in) }), 0.8, 0.8},
		{"one thread: flat from the first request on", curve(func(in float64) float64 { return 0.95 * min(1, in) }), 0.95, 0.95},
		{"always the same", curve(func(float64) float64 { return 0.5 }), 0.5, 0},
	} {
		got := reachOf("cpu", row.rs)
		if math.Abs(got.Largest-row.largest) > 0.03*row.largest || math.Abs(got.Cap-row.cap) > 0.03 {
			t.Errorf("%s: %+v, want largest %v, cap %v", row.name, got, row.largest, row.cap)
		}
	}
}

func TestReaching(t *testing.T) {
	f := Fitted{Replica: cost.Replica{CPUCores: 1}, Reaches: []Reach{{Metric: "cpu", Largest: 0.5, N: 50}}}
	for _, row := range []struct {
		name   string
		target int32
		cap    float64
		want   Extrapolation
	}{
		{"within the samples", 40, 0, Seen},
		{"a quarter beyond them", 56, 0, Seen},
		{"half beyond", 70, 0, Doubtful},
		{"twice as far", 95, 0, Unseen},
		{"twice as far, where the cap is known", 95, 0.5, Seen},
	} {
		f.Reaches[0].Cap = row.cap
		cfg := hpa.DefaultConfig(5)
		cfg.Metrics[0].Target.Utilization = row.target
		if got, text := f.Reaching(&cfg, 0.1); got != row.want || (text == "") != (row.want == Seen) {
			t.Errorf("%s: %v %q, want %v", row.name, got, text, row.want)
		}
		beyond := f.Beyond(&cfg, 0.1)
		if (beyond == 1) != (row.want == Seen) || row.want == Doubtful && math.Abs(beyond-0.7*1.1/0.5/1.25) > 1e-9 {
			t.Errorf("%s: %v times beyond", row.name, beyond)
		}
	}
}
