package tinyllm

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the metrics that vLLM serves, with its names, labels and bucket
// bounds (vllm/v1/metrics/loggers.py), so that dashboards, presets and adapters for
// vLLM work with this server unchanged.
type metrics struct {
	reg                            *prometheus.Registry
	running, waiting, kvUsage      prometheus.Gauge
	ttft, itl, e2e, queueTime      prometheus.Histogram
	promptTokens, generationTokens prometheus.Counter
	success                        *prometheus.CounterVec
}

func newMetrics(model string) *metrics {
	labels := prometheus.Labels{"model_name": model, "engine": "0"}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "vllm:" + name, Help: help, ConstLabels: labels})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "vllm:" + name, Help: help, ConstLabels: labels})
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(
			prometheus.HistogramOpts{Name: "vllm:" + name, Help: help, ConstLabels: labels, Buckets: buckets},
		)
	}
	first := []float64{
		0.001,
		0.005,
		0.01,
		0.02,
		0.04,
		0.06,
		0.08,
		0.1,
		0.25,
		0.5,
		0.75,
		1,
		2.5,
		5,
		7.5,
		10,
		20,
		40,
		80,
		160,
		640,
		2560,
	}
	between := []float64{0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80}
	whole := []float64{0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680}
	m := &metrics{
		reg:              prometheus.NewRegistry(),
		running:          gauge("num_requests_running", "Requests in a slot."),
		waiting:          gauge("num_requests_waiting", "Requests waiting for a slot."),
		kvUsage:          gauge("kv_cache_usage_perc", "Share of the key-value cache in use, 0 to 1."),
		ttft:             histogram("time_to_first_token_seconds", "From arrival to the first token.", first),
		itl:              histogram("inter_token_latency_seconds", "From one token to the next.", between),
		e2e:              histogram("e2e_request_latency_seconds", "From arrival to the last token.", whole),
		queueTime:        histogram("request_queue_time_seconds", "From arrival to a slot.", whole),
		promptTokens:     counter("prompt_tokens_total", "Prompt tokens processed."),
		generationTokens: counter("generation_tokens_total", "Tokens generated."),
		success: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name:        "vllm:request_success_total",
			Help:        "Requests that ended, by reason.",
			ConstLabels: labels,
		}, []string{"finished_reason"}),
	}
	m.reg.MustRegister(
		m.running,
		m.waiting,
		m.kvUsage,
		m.ttft,
		m.itl,
		m.e2e,
		m.queueTime,
		m.promptTokens,
		m.generationTokens,
		m.success,
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	for _, reason := range []string{"stop", "length", "abort"} {
		m.success.WithLabelValues(reason) // creates the series at zero: rate() needs it from the start
	}
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.reg, promhttp.HandlerOpts{})
}
