package report

import "testing"

func TestShortNames(t *testing.T) {
	for name, want := range map[string]string{
		"vllm:num_requests_running":                           "vllm:num_requests_running",
		"sum(rate(vllm:generation_tokens_total[60s]))":        "rate of generation_tokens",
		"sum(vllm:num_waiting) / sum(vllm:num_running)":       "num_waiting / num_running",
		"sum(vllm:num_running) / count(vllm:num_running) / 8": "num_running / slots",
		"vllm:num_running+vllm:num_waiting":                   "num_running + num_waiting",
		"vllm:request_queue_time_seconds:mean1m":              "mean of request_queue_time_seconds",
		"max of sum(rate(x_total[60s])) and vllm:num_waiting": "max of rate of x and vllm:num_waiting",
		"sum(rate(gateway_requests[5m])) / 2":                 "sum(rate(gateway_requests[5m])) / 2",
	} {
		if got := shortName(name); got != want {
			t.Errorf("shortName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestNarrow(t *testing.T) {
	for follows, want := range map[string]string{
		"p95 of the time to the first token":      "p95 TTFT",
		"mean time to the end of the answer":      "mean E2E",
		"p99 of the time in the queue":            "p99 queue time",
		"requests waiting":                        "waiting",
		"requests waiting per request in service": "ratio",
	} {
		if got := narrow.Replace(follows); got != want {
			t.Errorf("%q in a table: %q, want %q", follows, got, want)
		}
	}
}
