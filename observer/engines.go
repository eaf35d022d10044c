package observer

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hpatune/hpatune/results"
)

// An engine is a server, or an exporter next to it, with known metrics.
type engine struct {
	name     string
	probe    string // a family that only it has
	families []family
}

// A family is a metric worth recording for each pod.
type family struct {
	name string
	kind kind
}

// kind is how the series of a pod in a family become its value.
type kind int8

const (
	summed    kind = iota // gauges and counters: requests, tokens
	largest               // shares: the fullest cache of a pod's engines
	histogram             // the mean over the last minute, and the buckets
	throttle              // summed, of the pod's containers without its own group
)

// engines are looked for in Prometheus, and on the pods' own pages.
//
// Names: vLLM docs/usage/metrics (before 0.10 gpu_cache_usage_perc, before 0.12
// time_per_output_token_seconds); SGLang references/production_metrics; TGI
// reference/metrics; llama.cpp tools/server; BentoML's default metrics; Triton
// docs/user_guide/metrics.md; KServe's pythonserver; DCGM exporter's default
// counters; cAdvisor.
var engines = []engine{
	{"vLLM", "vllm:num_requests_running", []family{
		{"vllm:num_requests_running", summed},
		{"vllm:num_requests_waiting", summed},
		{"vllm:kv_cache_usage_perc", largest},
		{"vllm:gpu_cache_usage_perc", largest},
		{"vllm:generation_tokens_total", summed},
		{"vllm:prompt_tokens_total", summed},
		{"vllm:request_success_total", summed},
		{"vllm:time_to_first_token_seconds", histogram},
		{"vllm:request_queue_time_seconds", histogram},
		{"vllm:inter_token_latency_seconds", histogram},
		{"vllm:time_per_output_token_seconds", histogram},
		{"vllm:e2e_request_latency_seconds", histogram},
	}},
	{"SGLang", "sglang:num_running_reqs", []family{
		{"sglang:num_running_reqs", summed},
		{"sglang:num_queue_reqs", summed},
		{"sglang:token_usage", largest},
		{"sglang:generation_tokens_total", summed},
		{"sglang:prompt_tokens_total", summed},
		{"sglang:num_requests_total", summed},
		{"sglang:time_to_first_token_seconds", histogram},
		{"sglang:inter_token_latency_seconds", histogram},
		{"sglang:e2e_request_latency_seconds", histogram},
	}},
	{"TGI", "tgi_queue_size", []family{
		{"tgi_queue_size", summed},
		{"tgi_batch_current_size", summed},
		{"tgi_request_count", summed},
		{"tgi_request_success", summed},
		{"tgi_request_queue_duration", histogram},
		{"tgi_request_duration", histogram},
	}},
	{"llama.cpp", "llamacpp:requests_processing", []family{
		{"llamacpp:requests_processing", summed},
		{"llamacpp:requests_deferred", summed},
		{"llamacpp:kv_cache_usage_ratio", largest},
		{"llamacpp:tokens_predicted_total", summed},
		{"llamacpp:prompt_tokens_total", summed},
	}},
	{"BentoML", "bentoml_service_request_in_progress", []family{
		{"bentoml_service_request_in_progress", summed},
		{"bentoml_service_request_total", summed},
		{"bentoml_service_request_duration_seconds", histogram},
	}},
	{"Triton", "nv_inference_request_success", []family{
		{"nv_inference_request_success", summed},
		{"nv_inference_pending_request_count", summed},
		{"nv_inference_queue_duration_us", summed},
		{"nv_gpu_utilization", largest},
	}},
	{"KServe", "request_predict_seconds_count", []family{
		{"request_predict_seconds_count", summed},
		{"request_predict_seconds", histogram},
	}},
	{"DCGM", "DCGM_FI_DEV_GPU_UTIL", []family{
		{"DCGM_FI_DEV_GPU_UTIL", largest},
		{"DCGM_FI_DEV_FB_USED", summed},
	}},
	{"cAdvisor", "container_cpu_cfs_periods_total", []family{
		{"container_cpu_cfs_periods_total", throttle},
		{"container_cpu_cfs_throttled_periods_total", throttle},
	}},
}

// queries are the Prometheus queries for a family. matchers select the pods.
func (f family) queries(matchers string) []Query {
	of := func(op, name, more string) string {
		return fmt.Sprintf("%s by (pod) (%s{%s%s})", op, name, matchers, more)
	}
	switch f.kind {
	case largest:
		return []Query{{Name: f.name, PromQL: of("max", f.name, "")}}
	case throttle:
		return []Query{{Name: f.name, PromQL: of("sum", f.name, `,container!=""`)}}
	case histogram:
		rate := func(part string) string {
			return fmt.Sprintf("sum by (pod) (rate(%s_%s{%s}[1m]))", f.name, part, matchers)
		}
		return []Query{
			{Name: meanName(f.name), PromQL: rate("sum") + " / " + rate("count"), Idle: true},
			{Name: f.name, PromQL: fmt.Sprintf("sum by (pod, le) (%s_bucket{%s})", f.name, matchers), Buckets: true},
		}
	}
	return []Query{{Name: f.name, PromQL: of("sum", f.name, "")}}
}

// meanName is the name of a histogram's mean over the last minute.
func meanName(family string) string { return family + results.MeanSuffix }

// bucketName is the name under which a bucket is recorded, as Prometheus writes
// the series: x_bucket{le="0.5"}.
func bucketName(family string, le float64) string {
	return family + `_bucket{le="` + strconv.FormatFloat(le, 'g', -1, 64) + `"}`
}

// shareLike reports whether an unknown metric is a ratio, for which the largest series of a
// pod is used: the sum of two caches' ratios means nothing.
func shareLike(name string) bool {
	for _, end := range []string{"_perc", "_percent", "_ratio", "_utilization", "_usage", "_util"} {
		if strings.HasSuffix(strings.ToLower(name), end) {
			return true
		}
	}
	return false
}
