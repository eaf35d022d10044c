package loadgen

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hpatune/hpatune/profiles"
)

func TestForeignTrafficIsMeasured(t *testing.T) {
	for _, c := range []struct {
		name    string
		counter string
		labels  prometheus.Labels
		foreign int  // requests of others
		missed  bool // the counter does not count ours
		replica bool // a balancer that names two backends
		want    float64
	}{
		{"nobody else", "vllm:request_success_total", nil, 0, false, false, 0},
		{"a tenth more", "vllm:request_success_total", nil, 10, false, false, 0.1},
		{"answers that reached their end count", "vllm:request_success_total", prometheus.Labels{"finished_reason": "length"}, 10, false, false, 0.1},
		{"what was broken off does not, though vLLM calls it a success", "vllm:request_success_total", prometheus.Labels{"finished_reason": "abort"}, 50, false, false, math.NaN()},
		{"only our path counts", "http_requests_total", prometheus.Labels{"path": "/"}, 20, false, false, 0.2},
		{"other paths do not", "http_requests_total", prometheus.Labels{"path": "/healthz"}, 50, false, false, math.NaN()},
		{"a counter nobody knows", "my_requests_total", nil, 0, false, false, math.NaN()},
		{"a counter that missed ours: one replica of many", "vllm:request_success_total", nil, 0, true, false, math.NaN()},
		{"several backends behind one address", "vllm:request_success_total", nil, 0, false, true, math.NaN()},
	} {
		registry := prometheus.NewRegistry()
		counter := prometheus.NewCounter(prometheus.CounterOpts{Name: c.counter, ConstLabels: c.labels})
		registry.MustRegister(counter)
		counter.Add(1000) // from before
		metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
		var n atomic.Int64
		_, rep := load(t, Options{Arrivals: constant(100, 0), CheckForeign: true, Profile: plan(profiles.Target{}, short)}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/metrics" {
				metrics.ServeHTTP(w, r)
				return
			}
			if !c.missed {
				counter.Inc()
			}
			k := n.Add(1)
			if k == 50 {
				counter.Add(float64(c.foreign))
			}
			if c.replica {
				w.Header().Set(BackendHeader, fmt.Sprint(k%2))
			}
		})
		got := math.NaN()
		if rep.Client.ForeignRatio != nil {
			got = *rep.Client.ForeignRatio
		}
		if math.IsNaN(got) != math.IsNaN(c.want) || math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: ratio %v, want %v", c.name, got, c.want)
		}
	}
	// No /metrics: not checked, and no failure.
	list, rep := load(t, Options{Arrivals: constant(5, 0), CheckForeign: true}, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/metrics") {
			http.NotFound(w, r)
		}
	})
	if rep.Client.ForeignRatio != nil || len(list) != 5 {
		t.Errorf("ratio %v of a server without metrics", rep.Client.ForeignRatio)
	}
}

func TestCensus(t *testing.T) {
	const path = "/v1/completions"
	for _, tt := range []struct {
		name          string
		before, after []string // a page a server
		counter       string
		want          float64 // NaN = not known
	}{
		{"what was counted on all servers", []string{"vllm:request_success_total 10\n", "vllm:request_success_total 7\n"},
			[]string{"vllm:request_success_total 15\n", "vllm:request_success_total 8\n"}, "vllm:request_success_total", 6},
		{"exemplars and time stamps of OpenMetrics", []string{"http_requests_total{path=\"/v1/completions\"} 1 # {trace_id=\"a\"} 1 1.5\n"},
			[]string{"http_requests_total{path=\"/v1/completions\"} 4 1700000000.5 # {trace_id=\"b\"} 1\n# EOF\n"}, "http_requests_total", 3},
		{"a series that is new began at nothing", []string{"vllm:request_success_total{finished_reason=\"stop\"} 10\n"},
			[]string{"vllm:request_success_total{finished_reason=\"stop\"} 12\nvllm:request_success_total{finished_reason=\"length\"} 5\n"},
			"vllm:request_success_total", 7},
		{"a series that is no number counts nothing", []string{"http_requests_total{path=\"/v1/completions\"} 2\nhttp_requests_total{code=\"x\"} NaN\n"},
			[]string{"http_requests_total{path=\"/v1/completions\"} 3\nhttp_requests_total{code=\"x\"} NaN\n"}, "http_requests_total", 1},
		{"one server of two that began anew makes the sum unknown, though it grew", []string{"vllm:request_success_total 10\n", "vllm:request_success_total 7\n"},
			[]string{"vllm:request_success_total 2\n", "vllm:request_success_total 90\n"}, "vllm:request_success_total", math.NaN()},
		{"a series that is gone, too", []string{"vllm:request_success_total{engine=\"0\"} 10\nvllm:request_success_total{engine=\"1\"} 3\n"},
			[]string{"vllm:request_success_total{engine=\"0\"} 30\n"}, "vllm:request_success_total", math.NaN()},
	} {
		read := func(pages []string) census {
			c := census{}
			for i, p := range pages {
				if err := c.add(fmt.Sprint(i), []byte(p), path); err != nil {
					t.Fatalf("%s: %v", tt.name, err)
				}
			}
			return c
		}
		got, ok := read(tt.after).since(read(tt.before), tt.counter)
		if !ok {
			got = math.NaN()
		}
		if got != tt.want && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
