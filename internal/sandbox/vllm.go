package sandbox

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// vllm is a replica's Prometheus metrics, under the names that vLLM gives them.
// Durations are run time, so that a dashboard shows what the run's figures show.
type vllm struct {
	registry           *prometheus.Registry
	ttft, e2e, queue   prometheus.Histogram
	prompt, generation prometheus.Counter
	success, refused   prometheus.Counter
}

func newVLLM(r *replica) *vllm {
	labels := prometheus.Labels{"model_name": r.service.Model}
	histogram := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, ConstLabels: labels,
			Buckets: []float64{0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64}})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels})
	}
	gauge := func(name, help string, f func(usage) float64) prometheus.GaugeFunc {
		return prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels},
			func() float64 { return f(r.usage()) },
		)
	}
	m := &vllm{
		registry: prometheus.NewRegistry(),
		ttft: histogram(
			"vllm:time_to_first_token_seconds",
			"Time from arrival at the replica to the first token, including the queue.",
		),
		e2e:        histogram("vllm:e2e_request_latency_seconds", "From arrival at the replica to the last token."),
		queue:      histogram("vllm:request_queue_time_seconds", "Time spent waiting for a slot."),
		prompt:     counter("vllm:prompt_tokens_total", "Prompt tokens read."),
		generation: counter("vllm:generation_tokens_total", "Tokens answered."),
		success:    counter("vllm:request_success_total", "Requests answered."),
		refused:    counter("sandbox:request_refused_total", "Requests answered with 429 because the queue was full."),
	}
	m.registry.MustRegister(
		m.ttft,
		m.e2e,
		m.queue,
		m.prompt,
		m.generation,
		m.success,
		m.refused,
		gauge("vllm:num_requests_running", "Slots busy.", func(u usage) float64 { return float64(u.running) }),
		gauge(
			"vllm:num_requests_waiting",
			"Requests waiting for a slot.",
			func(u usage) float64 { return float64(u.waiting) },
		),
		gauge(
			"vllm:kv_cache_usage_perc",
			"Ratio of slots that are busy.",
			func(u usage) float64 { return float64(u.running) / float64(r.service.Slots) },
		),
	)
	return m
}

func (m *vllm) handler() http.Handler { return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}) }

// done counts a good answer that took e2e seconds of run time.
func (m *vllm) done(prompt, tokens int, e2e float64) {
	m.e2e.Observe(e2e)
	m.prompt.Add(float64(prompt))
	m.generation.Add(float64(tokens))
	m.success.Inc()
}
