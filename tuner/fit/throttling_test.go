package fit

import (
	"testing"

	"github.com/hpatune/hpatune/results"
)

func TestThrottledOf(t *testing.T) {
	count := func(pod, name string, values ...float64) (out []results.Sample) {
		for _, v := range values {
			out = append(out, results.Sample{Pod: pod, Container: "app", Name: name, Value: v})
		}
		return out
	}
	const all, stopped = "container_cpu_cfs_periods_total", "container_cpu_cfs_throttled_periods_total"
	for _, row := range []struct {
		name    string
		samples [][]results.Sample
		share   float64
		periods int
		ok      bool
	}{
		{"nothing sampled", nil, 0, 0, false},
		{"one look says nothing", [][]results.Sample{count("a", all, 100), count("a", stopped, 40)}, 0, 0, false},
		{"two pods", [][]results.Sample{count("a", all, 100, 200), count("a", stopped, 10, 50), count("b", all, 0, 100), count("b", stopped, 0, 0)}, 0.2, 200, true},
		{"a container that began anew", [][]results.Sample{count("a", all, 500, 20, 120), count("a", stopped, 400, 0, 25)}, 0.25, 100, true},
	} {
		var samples []results.Sample
		for _, s := range row.samples {
			samples = append(samples, s...)
		}
		share, periods, ok := throttledOf(samples)
		if share != row.share || periods != row.periods || ok != row.ok {
			t.Errorf("%s: throttledOf = %v, %v, %v, want %v, %v, %v", row.name, share, periods, ok, row.share, row.periods, row.ok)
		}
	}
}
