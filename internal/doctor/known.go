package doctor

import (
	"maps"
	"slices"
	"strings"

	"github.com/hpatune/hpatune/internal/source"
)

// kind is what the series of a metric are.
type kind string

// Counter only grows; a histogram has series of other names (_bucket, _sum, _count).
const (
	gauge     kind = "gauge"
	counter   kind = "counter"
	histogram kind = "histogram"
)

// unit is what the values of a metric count, if that limits or misleads.
type unit string

const (
	ratio   unit = "ratio"   // 0 to 1
	percent unit = "percent" // 0 to 100
	seconds unit = "seconds"
	mib     unit = "MiB"
)

// wellKnown is what is known about a metric that model servers or GPUs export.
type wellKnown struct {
	name   string // as the server spells it; a counter's may have _total behind it
	server string
	kind   kind
	unit   unit
	// gone says since when the server no longer has it, present what it has now ("" =
	// nothing similar).
	gone, present string
	// averaged: the value is a mean over the pods already.
	averaged bool
}

// table lists the metrics of one server, one per line: "name kind [unit] [averaged] [gone
// SINCE [→ present]]".
type table struct {
	server, prefix, lines string
}

// tables hold what the servers themselves document.
//
// Sources: docs.vllm.ai usage/metrics (0.4 to 0.32); docs.sglang.io production_metrics;
// Triton docs/user_guide/metrics.md and tensorrtllm_backend's README; TGI reference/metrics; TorchServe
// docs/metrics.md; docs.bentoml.com observability/metrics; docs.ray.io serve/monitoring; LMDeploy
// lmdeploy/metrics/loggers.py; TensorRT-LLM tensorrt_llm/metrics; dcgm-exporter etc/default-counters.csv;
// gateway-api-inference-extension pkg/epp/metrics.
var tables = []table{
	{"vLLM", "vllm:", `
num_requests_running gauge
num_requests_waiting gauge
num_requests_waiting_by_reason gauge
kv_cache_usage_perc gauge ratio
gpu_cache_usage_perc gauge ratio gone vLLM 0.11 → vllm:kv_cache_usage_perc
cpu_cache_usage_perc gauge ratio gone vLLM 0.11
num_requests_swapped gauge gone vLLM 0.11
gpu_prefix_cache_hit_rate gauge ratio gone vLLM 0.11 → vllm:prefix_cache_hits_total over vllm:prefix_cache_queries_total
cpu_prefix_cache_hit_rate gauge ratio gone vLLM 0.11
gpu_prefix_cache_hits_total counter gone vLLM 0.11 → vllm:prefix_cache_hits_total
gpu_prefix_cache_queries_total counter gone vLLM 0.11 → vllm:prefix_cache_queries_total
avg_prompt_throughput_toks_per_s gauge gone vLLM 0.11 → a rate of vllm:prompt_tokens_total
avg_generation_throughput_toks_per_s gauge gone vLLM 0.11 → a rate of vllm:generation_tokens_total
prefix_cache_hits counter
prefix_cache_queries counter
num_preemptions counter
prompt_tokens counter
generation_tokens counter
request_success counter
iteration_tokens_total histogram
time_to_first_token_seconds histogram seconds
inter_token_latency_seconds histogram seconds
time_per_output_token_seconds histogram seconds gone vLLM 0.13 → vllm:inter_token_latency_seconds
request_time_per_output_token_seconds histogram seconds
e2e_request_latency_seconds histogram seconds
request_queue_time_seconds histogram seconds
request_prefill_time_seconds histogram seconds
request_decode_time_seconds histogram seconds
request_inference_time_seconds histogram seconds
request_prompt_tokens histogram
request_generation_tokens histogram`},
	{"SGLang", "sglang:", `
num_running_reqs gauge
num_queue_reqs gauge
num_used_tokens gauge
token_usage gauge ratio
cache_hit_rate gauge ratio
gen_throughput gauge
prompt_tokens counter
generation_tokens counter
cached_tokens counter
num_requests counter
num_aborted_requests counter
time_to_first_token_seconds histogram seconds
inter_token_latency_seconds histogram seconds
time_per_output_token_seconds histogram seconds gone SGLang 0.5 → sglang:inter_token_latency_seconds
e2e_request_latency_seconds histogram seconds
queue_time_seconds histogram seconds`},
	{"Triton", "", `
nv_inference_pending_request_count gauge
nv_inference_request_success counter
nv_inference_request_failure counter
nv_inference_count counter
nv_inference_exec_count counter
nv_inference_request_duration_us counter
nv_inference_queue_duration_us counter
nv_inference_compute_input_duration_us counter
nv_inference_compute_infer_duration_us counter
nv_inference_compute_output_duration_us counter
nv_inference_request_summary_us gauge
nv_inference_first_response_histogram_ms histogram
nv_cache_num_hits_per_model counter
nv_gpu_utilization gauge ratio
nv_gpu_memory_used_bytes gauge
nv_cpu_utilization gauge ratio
nv_energy_consumption counter
nv_trt_llm_request_metrics gauge
nv_trt_llm_kv_cache_block_metrics gauge
nv_trt_llm_inflight_batcher_metrics gauge`},
	{"TGI", "tgi_", `
queue_size gauge
batch_current_size gauge
batch_current_max_tokens gauge
request_count counter
request_success counter
request_failure counter
batch_inference_count counter
batch_inference_success counter
batch_concat counter
request_duration histogram seconds
request_queue_duration histogram seconds
request_inference_duration histogram seconds
request_mean_time_per_token_duration histogram seconds
batch_inference_duration histogram seconds
batch_forward_duration histogram seconds
batch_decode_duration histogram seconds
batch_next_size histogram
request_generated_tokens histogram
request_input_length histogram`},
	{"TorchServe", "", `
ts_inference_requests_total counter
ts_inference_latency_microseconds counter
ts_queue_latency_microseconds counter
Requests2XX counter
Requests4XX counter
Requests5XX counter
QueueTime gauge
PredictionTime gauge
HandlerTime gauge
WorkerThreadTime gauge
WorkerLoadTime gauge
CPUUtilization gauge percent
MemoryUtilization gauge percent
GPUUtilization gauge percent
GPUMemoryUtilization gauge percent`},
	{"BentoML", "bentoml_", `
service_request_in_progress gauge
service_request counter
service_request_duration_seconds histogram seconds
service_adaptive_batch_size histogram
api_server_request_in_progress gauge gone BentoML 1.2 → bentoml_service_request_in_progress
api_server_request_total counter gone BentoML 1.2 → bentoml_service_request_total
runner_request_in_progress gauge gone BentoML 1.2 → bentoml_service_request_in_progress
runner_request_total counter gone BentoML 1.2 → bentoml_service_request_total`},
	{"Ray Serve", "ray_serve_", `
deployment_queued_queries gauge
replica_processing_queries gauge
replica_pending_queries gauge
num_ongoing_http_requests gauge
num_ongoing_grpc_requests gauge
deployment_request_counter counter
deployment_error_counter counter
deployment_replica_starts counter
num_http_requests counter
num_grpc_requests counter
num_http_error_requests counter
num_router_requests counter
handle_request_counter counter
deployment_processing_latency_ms histogram
http_request_latency_ms histogram`},
	{"LMDeploy", "lmdeploy:", `
num_requests_running gauge
num_requests_waiting gauge
num_api_requests_routed gauge
num_api_requests_waiting gauge
num_requests_finished counter
gpu_cache_usage_perc gauge ratio
prompt_tokens counter
generation_tokens counter
request_success counter
time_to_first_token_seconds histogram seconds
inter_token_latency_seconds histogram seconds
e2e_request_latency_seconds histogram seconds`},
	{"TensorRT-LLM", "trtllm_", `
num_requests_running gauge
num_requests_waiting gauge
num_paused_requests gauge
kv_cache_utilization gauge ratio
kv_cache_host_utilization gauge ratio
kv_cache_hit_rate gauge ratio
request_success counter
e2e_request_latency_seconds histogram seconds
time_to_first_token_seconds histogram seconds
time_per_output_token_seconds histogram seconds
request_queue_time_seconds histogram seconds`},
	{"DCGM", "DCGM_FI_", `
DEV_GPU_UTIL gauge percent
DEV_MEM_COPY_UTIL gauge percent
DEV_ENC_UTIL gauge percent
DEV_DEC_UTIL gauge percent
DEV_FB_USED gauge MiB
DEV_FB_FREE gauge MiB
DEV_TOTAL_ENERGY_CONSUMPTION counter
DEV_PCIE_REPLAY_COUNTER counter
DEV_NVLINK_BANDWIDTH_TOTAL counter
DEV_XID_ERRORS gauge
PROF_GR_ENGINE_ACTIVE gauge ratio
PROF_SM_ACTIVE gauge ratio
PROF_SM_OCCUPANCY gauge ratio
PROF_PIPE_TENSOR_ACTIVE gauge ratio
PROF_DRAM_ACTIVE gauge ratio`},
	{"dcgm-exporter", "", `
dcgm_gpu_utilization gauge percent gone dcgm-exporter 2.0 → DCGM_FI_DEV_GPU_UTIL
dcgm_mem_copy_utilization gauge percent gone dcgm-exporter 2.0 → DCGM_FI_DEV_MEM_COPY_UTIL
dcgm_fb_used gauge MiB gone dcgm-exporter 2.0 → DCGM_FI_DEV_FB_USED`},
	{"GKE", "", `
kubernetes.io|container|accelerator|duty_cycle gauge percent
kubernetes.io|node|accelerator|duty_cycle gauge percent`},
	{"the inference gateway", "inference_", `
pool_average_kv_cache_utilization gauge ratio averaged
pool_average_queue_size gauge averaged
pool_average_running_requests gauge averaged
pool_per_pod_queue_size gauge
pool_ready_pods gauge
extension_flow_control_queue_size gauge
objective_running_requests gauge
objective_request_total counter
model_running_requests gauge
model_request_total counter
objective_request_duration_seconds histogram seconds
model_request_duration_seconds histogram seconds`},
}

// plain is a metric's name as it is compared: adapters and exporters replace a colon, a dot
// or a slash by another mark, and write counters with or without _total.
func plain(name string) string {
	name = strings.NewReplacer(":", "_", "-", "_", ".", "_", "/", "_", "|", "_").Replace(strings.ToLower(name))
	return strings.TrimSuffix(name, "_total")
}

var knownMetrics = readTables(tables)

func readTables(tables []table) map[string]wellKnown {
	out := map[string]wellKnown{}
	for _, t := range tables {
		for line := range strings.Lines(strings.TrimSpace(t.lines)) {
			line, gone, _ := strings.Cut(strings.TrimSpace(line), " gone ")
			f := strings.Fields(line)
			k := wellKnown{name: t.prefix + f[0], server: t.server, kind: kind(f[1])}
			k.gone, k.present, _ = strings.Cut(gone, " → ")
			for _, word := range f[2:] {
				if word == "averaged" {
					k.averaged = true
				} else {
					k.unit = unit(word)
				}
			}
			out[plain(t.prefix+f[0])] = k
		}
	}
	return out
}

// lookUp returns what is known about a metric; ok is false for one that is not listed. The
// series of a histogram are counters.
func lookUp(name string) (k wellKnown, ok bool) {
	p := plain(name)
	if k, ok = knownMetrics[p]; ok {
		return k, true
	}
	for _, part := range []string{"_bucket", "_sum", "_count"} {
		if base, cut := strings.CutSuffix(p, part); cut {
			if k, ok = knownMetrics[base]; ok && k.kind == histogram {
				k.kind, k.unit = counter, ""
				return k, true
			}
		}
	}
	return wellKnown{}, false
}

// How many letters may differ for a name to be a misspelling of another: one in ten, up to
// a maximum, and more if its prefix says which server it belongs to.
const (
	slips, ownSlips = 2, 4
	shortestName    = 10
)

// misspelt returns the metric that was most likely meant by an unknown name; ok is false if
// none is similar. A known name with an addition (:sum, _per_pod) comes from a rule or an
// adapter.
func misspelt(name string) (k wellKnown, ok bool) {
	if _, known := lookUp(name); known || len(name) < shortestName {
		return wellKnown{}, false
	}
	p, ending := plain(name), ""
	for _, part := range []string{"_bucket", "_sum", "_count"} {
		if base, cut := strings.CutSuffix(p, part); cut {
			p, ending = base, part
		}
	}
	most, among := min(slips, max(1, len(p)/shortestName)), []string{}
	for _, t := range tables {
		if t.prefix != "" && strings.Contains(t.prefix, ":") && strings.HasPrefix(name, t.prefix) {
			most = ownSlips
		}
	}
	for _, known := range slices.Sorted(maps.Keys(knownMetrics)) {
		if knownMetrics[known].gone != "" || ending != "" && knownMetrics[known].kind != histogram {
			continue
		}
		if strings.HasPrefix(p, known+"_") {
			return wellKnown{}, false
		}
		among = append(among, known)
	}
	near := source.NearestWithin(p, among, most)
	if near == "" {
		return wellKnown{}, false
	}
	k = knownMetrics[near]
	k.name += ending
	if k.kind == counter && strings.HasSuffix(strings.ToLower(name), "_total") && !strings.HasSuffix(k.name, "_total") {
		k.name += "_total"
	}
	return k, true
}

// onlyGrows reports whether a metric is a counter: according to the table, else to
// Prometheus' endings for counters.
func onlyGrows(name string) bool {
	if k, ok := lookUp(name); ok {
		return k.kind == counter
	}
	return slices.ContainsFunc([]string{"_total", "_bucket", "_sum"}, func(end string) bool {
		return strings.HasSuffix(strings.ToLower(name), end)
	})
}
