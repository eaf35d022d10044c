package fit

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
)

// What a query is computed from is fitted like any metric of the pods: by its samples.
func TestPartsOfQueries(t *testing.T) {
	s := scene()
	pod := func(name string) *hpa.Metric { return &hpa.Metric{Source: hpa.Pods, Name: name} }
	scrape := func(of func(r reading) float64) func(int, float64) (float64, bool) {
		return func(k int, at float64) (float64, bool) {
			on := math.Floor(at/15) * 15
			return of(s.did(k, on, on)), true
		}
	}
	running := func(r reading) float64 { return r.running }
	generated := func(k int, at float64) float64 {
		sum := 0.0
		for _, i := range s.servers[k].calls {
			c := &s.calls[i]
			if start := s.start[i]; at > start {
				sum += c.tokens * math.Min(1, (at-start)/(c.done-start))
			}
		}
		return sum
	}
	tokens := func(k int, at float64) (float64, bool) { // a counter, of which one restarts
		if at > 500 && k == 1 {
			return generated(k, at) - generated(k, 500), true
		}
		return generated(k, at), true
	}
	perRequest := s.meanOfCalls(func(c *call) float64 { return c.tokens })
	for _, tt := range []struct {
		sentence string
		metric   *hpa.Metric
		value    func(int, float64) (float64, bool)
		part     keda.Part
		want     plant.Pipe
		says     string // why it cannot be replayed
	}{
		{"a sum over the pods", pod("vllm:num_requests_running"), scrape(running),
			keda.Part{Name: "sum(vllm:num_requests_running)", Metric: "vllm:num_requests_running", Pool: "sum"},
			plant.Pipe{PerRunning: 1, Over: plant.Sum}, ""},
		{"a mean of a ratio, which follows what runs", pod("vllm:kv_cache_usage_perc"), scrape(func(r reading) float64 { return r.running / 4 }),
			keda.Part{Name: "avg(vllm:kv_cache_usage_perc)", Metric: "vllm:kv_cache_usage_perc", Pool: "avg"},
			plant.Pipe{PerRunning: 0.25, Over: plant.Mean}, ""},
		{"a mean over time is the pipe's window", pod("vllm:num_requests_running"), scrape(running),
			keda.Part{Name: "max(avg_over_time(vllm:num_requests_running[1m]))", Metric: "vllm:num_requests_running", Pool: "max", Over: time.Minute},
			plant.Pipe{PerRunning: 1, Over: plant.Max, Window: time.Minute}, ""},
		{"a rate of a counter, which restarts once", pod("vllm:generation_tokens_total"), tokens,
			keda.Part{Name: "sum(rate(vllm:generation_tokens_total[1m]))", Metric: "vllm:generation_tokens_total", Pool: "sum", Over: time.Minute, Rate: true},
			plant.Pipe{PerDone: perRequest, Over: plant.Sum}, ""},
		{"a number of pods", pod("vllm:num_requests_running"), scrape(running),
			keda.Part{Name: "count(vllm:num_requests_running)", Metric: "vllm:num_requests_running", Pool: "count"},
			plant.Pipe{PerRunning: 1, Over: plant.Count}, ""},
		{"what follows nothing", pod("temperature"), func(k int, at float64) (float64, bool) { return 50 + 9*math.Sin(at*at+float64(k)), true },
			keda.Part{Name: "sum(temperature)", Metric: "temperature", Pool: "sum"}, plant.Pipe{}, "metric temperature follows nothing"},
	} {
		s.seen(tt.metric, tt.value)
		before := len(s.run.Samples)
		got, unread, _ := partsOf(s, []keda.Part{tt.part, tt.part}, nil, nil)
		if len(s.run.Samples) != before {
			t.Errorf("%s: the run's samples changed", tt.sentence)
		}
		if tt.says != "" {
			if len(got) > 0 || !strings.Contains(unread[tt.part.Name], tt.says) {
				t.Errorf("%s: %+v, %q; want %q", tt.sentence, got, unread, tt.says)
			}
			continue
		}
		if len(got) != 1 {
			t.Errorf("%s: %d pipes (%v), want one", tt.sentence, len(got), unread)
			continue
		}
		p, w := got[0], tt.want
		near := func(a, b float64) bool { return math.Abs(a-b) <= 0.15*math.Max(math.Abs(b), 0.05) }
		if p.Name != tt.part.Name || p.Over != w.Over || !near(p.PerRunning, w.PerRunning) || !near(p.PerWaiting, w.PerWaiting) ||
			!near(p.PerDone, w.PerDone) || w.Window > 0 && (p.Window != w.Window || p.Apart) {
			t.Errorf("%s: %+v, want %+v", tt.sentence, p, w)
		}
		if _, err := plant.Compile(plant.Spec{Step: time.Second, Law: plant.SlotsLaw(4, []plant.ServiceTime{{Total: 1}}),
			Start: []plant.PhaseSample{{Ready: time.Second}}, Pipes: got}); err != nil {
			t.Errorf("%s: %v", tt.sentence, err)
		}
	}
	s.seen(pod("vllm:num_requests_running"), scrape(running))
	for _, unseen := range [][]string{nil, {"job"}} {
		_, _, n := partsOf(s, []keda.Part{{Name: "sum(x)", Metric: "vllm:num_requests_running", Pool: "sum",
			Unseen: unseen}}, nil, nil)
		if len(n.assumed) != len(unseen) {
			t.Errorf("assumed %q, want one for each label that was not recorded (%v)", n.assumed, unseen)
		}
	}
	// A part whose name another metric of the HPA has is not fitted twice.
	if got, _, _ := partsOf(s, []keda.Part{{Name: "s0-prometheus", Metric: "s0-prometheus"}}, []plant.Pipe{{Name: "s0-prometheus"}}, nil); len(got) != 0 {
		t.Errorf("fitted again: %+v", got)
	}
}
