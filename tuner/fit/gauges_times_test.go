package fit

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
)

// streaming is the scene with a first token after a fifth of the service.
func streaming() *service {
	s := scene()
	for i := range s.calls {
		c := &s.calls[i]
		c.first, c.streamed = s.start[i]+(c.done-s.start[i])/5, true
	}
	return s
}

// shownBy is an exact quantile; of buckets, the one that histogram_quantile interpolates.
func shownBy(times []float64, q float64, buckets []float64) float64 {
	slices.Sort(times)
	if q == 0 {
		return meanOf(times)
	}
	if buckets == nil {
		return times[min(len(times)-1, int(q*float64(len(times))))]
	}
	rank, low := q*float64(len(times)), 0.0
	for _, b := range buckets {
		in, before := 0, 0
		for _, x := range times {
			if x <= low {
				before++
			} else if x <= b {
				in++
			}
		}
		if float64(before+in) >= rank {
			return low + (b-low)*(rank-float64(before))/float64(in)
		}
		low = b
	}
	return low
}

// The fit finds which time of a request a metric reports, how it is aggregated, and over which
// window: from what its query says, or by trying.
func TestGaugesOfTimes(t *testing.T) {
	first := func(c *call, _ float64) (at, took float64) { return c.first, c.first - c.sent }
	whole := func(c *call, _ float64) (at, took float64) { return c.done, c.done - c.sent }
	queue := func(c *call, start float64) (at, took float64) { return c.done, start - c.sent }
	type of = func(c *call, start float64) (at, took float64)
	for _, tt := range []struct {
		sentence, name string
		asks           *keda.Part
		of             of
		quantile       float64
		buckets        []float64
		window, late   float64
		unit           float64
		want           plant.Times
	}{
		{"p95 of the first token, by its name", "ttft_p95_seconds", nil, first, 0.95, nil, 120, 0, 1,
			plant.Times{Of: plant.ToFirst, Quantile: 0.95}},
		{"the mean of the whole answer, by nothing but its values", "s0-prometheus", nil, whole, 0, nil, 60, 10, 1,
			plant.Times{Of: plant.ToEnd}},
		{"p90 of the queue in milliseconds", "queue_time_ms", nil, queue, 0.9, nil, 60, 0, 1000,
			plant.Times{Of: plant.InQueue, Quantile: 0.9, Unit: 1000}},
		{"the median in vLLM's buckets, by its query", "s0-prometheus",
			&keda.Part{Name: "s0-prometheus", Metric: "vllm:e2e_request_latency_seconds", Over: 2 * time.Minute, Times: true,
				Quantile: 0.5},
			whole, 0.5, bucketsOfRequest, 120, 5, 1, plant.Times{Of: plant.ToEnd, Quantile: 0.5, Buckets: bucketsOfRequest}},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			s := streaming()
			if tt.asks != nil {
				s.asks = []keda.Part{*tt.asks}
			}
			m := &hpa.Metric{Source: hpa.External, Name: tt.name}
			s.seen(m, func(k int, at float64) (float64, bool) {
				var times []float64
				for i := range s.calls {
					when, took := tt.of(&s.calls[i], s.start[i])
					if when <= at-tt.late && when > at-tt.late-tt.window {
						times = append(times, took)
					}
				}
				return tt.unit * shownBy(times, tt.quantile, tt.buckets), k == 0 && len(times) > 0
			})
			p, ok, n := gaugeOf(s, m)
			if !ok || p.Times == nil {
				t.Fatalf("it reads %+v, %q, want a time", p, n.warnings)
			}
			if p.Times.Of != tt.want.Of || p.Times.Quantile != tt.want.Quantile || p.Times.Unit != tt.want.Unit ||
				tt.buckets != nil && len(p.Times.Buckets) != len(tt.buckets) {
				t.Errorf("it reads %+v, want %+v; %+v", *p.Times, tt.want, n.qualities)
			}
			if p.Window != seconds(tt.window) || (p.Delay-seconds(tt.late)).Abs() > 5*time.Second || p.Over != plant.Max {
				t.Errorf("it is seen as %+v, want over %v s, %v s late", p, tt.window, tt.late)
			}
			if q := n.qualities[0]; q.Value > 0.1 || !strings.Contains(q.Text, tt.want.Of.String()) {
				t.Errorf("quality %+v, want the %v, within a tenth", q, tt.want.Of)
			}
			if _, err := plant.Compile(plant.Spec{Law: plant.SlotsLaw(4, []plant.ServiceTime{{Total: 1}}),
				Start: []plant.PhaseSample{{}}, Pipes: []plant.Pipe{p}}); err != nil {
				t.Errorf("the pipe: %v", err)
			}
		})
	}
	if got := streaming().timesCandidates(&hpa.Metric{Name: "vllm:inter_token_latency_seconds:mean1m"}, nil,
		1); got != nil {
		t.Errorf("the gap between two tokens reads %+v, want nothing", got)
	}
	many := map[int][]measured{all: make([]measured, 95), 3: make([]measured, 50)}
	if got := thinned(many, 10); len(got[all]) != 10 || len(got[3]) != 5 || len(thinned(many, 95)[3]) != 50 {
		t.Errorf("thinned to %d and %d, want 10 and 5", len(got[all]), len(got[3]))
	}
	s := streaming()
	s.asks = []keda.Part{{Name: "s0-prometheus", Metric: "vllm:time_to_first_token_seconds", Over: time.Minute,
		Times: true, Quantile: 0.9}}
	m := &hpa.Metric{Source: hpa.External, Name: "s0-prometheus"}
	s.seen(m, func(k int, at float64) (float64, bool) { return 5 + 4*math.Sin(at*at), k == 0 })
	if p, ok, n := gaugeOf(s, m); ok || len(n.warnings) != 1 || !strings.Contains(n.warnings[0],
		"s0-prometheus is a latency") {
		t.Errorf("a time that is not that of these requests: %+v, %q; want a refusal by name", p, n.warnings)
	}
}

// A time that a query reads and that was not recorded is that of the recorded requests.
func TestPartsOfTimes(t *testing.T) {
	buckets := func(s *service) {
		for _, le := range []string{"0.5", "2", "+Inf"} {
			s.run.Samples = append(s.run.Samples,
				results.Sample{Name: `vllm:time_to_first_token_seconds_bucket{le="` + le + `"}`, Pod: "a"})
		}
	}
	for _, tt := range []struct {
		sentence, metric string
		s                func() *service
		want             plant.Times
		says             string
	}{
		{"in vLLM's own buckets", "vllm:time_to_first_token_seconds", streaming,
			plant.Times{Of: plant.ToFirst, Buckets: bucketsOfFirst}, ""},
		{"in those that were recorded", "vllm:time_to_first_token_seconds",
			func() *service { s := streaming(); buckets(s); return s }, plant.Times{Of: plant.ToFirst, Buckets: []float64{0.5,
				2}}, ""},
		{"through an adapter's name", "vllm_request_queue_time_seconds", streaming,
			plant.Times{Of: plant.InQueue, Buckets: bucketsOfRequest}, ""},
		{"of another server, whose buckets are not known", "sglang:e2e_request_latency_seconds", streaming,
			plant.Times{Of: plant.ToEnd}, ""},
		{"a histogram of nobody knows what", "my_seconds", streaming, plant.Times{},
			"does not know which time of a request my_seconds"},
		{"the gap between two tokens", "vllm:inter_token_latency_seconds", streaming, plant.Times{},
			"does not know which time"},
		{"a first token, where nothing streams", "vllm:time_to_first_token_seconds", scene, plant.Times{}, "do not stream"},
	} {
		x := keda.Part{Name: "p95", Metric: tt.metric, Over: time.Minute, Times: true, Quantile: 0.95}
		got, unread, n := partsOf(tt.s(), []keda.Part{x}, nil, nil)
		if tt.says != "" {
			if len(got) > 0 || !strings.Contains(unread["p95"], tt.says) {
				t.Errorf("%s: %+v, %q; want %q", tt.sentence, got, unread, tt.says)
			}
			continue
		}
		if len(got) != 1 || got[0].Times == nil || len(n.assumed) != 1 {
			t.Errorf("%s: %+v, %q, assumed %q; want a time", tt.sentence, got, unread, n.assumed)
			continue
		}
		if p := got[0]; p.Times.Of != tt.want.Of || p.Times.Quantile != 0.95 || !slices.Equal(p.Times.Buckets,
			tt.want.Buckets) ||
			p.Window != 45*time.Second || p.Delay != 7500*time.Millisecond || p.Name != "p95" {
			t.Errorf("%s: %+v of %+v, want %+v", tt.sentence, p, *p.Times, tt.want)
		}
	}
}
