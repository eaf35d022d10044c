package promql

import "testing"

func TestPerPod(t *testing.T) {
	for _, tt := range []struct {
		sentence, query string
		want            bool
	}{
		{"a metric of the pods", "vllm:num_requests_waiting", true},
		{"its rate", "rate(vllm:generation_tokens_total[1m])", true},
		{"its maximum over time, of a subquery", "max_over_time(vllm:num_requests_waiting[5m:30s])", true},
		{"a sum by pod", "sum by (pod) (vllm:num_requests_waiting)", true},
		{"a ratio of two", "a / b", true},
		{"a metric times a number", "(a * 2)", true},
		{"the two highest", "topk(2, a)", true},
		{"a sum without the labels of the container", "sum without (container) (a)", true},
		{"a sum", "sum(vllm:num_requests_waiting)", false},
		{"a sum by model", "sum by (model_name) (vllm:num_requests_waiting)", false},
		{"a sum without the labels of pods", "sum without (pod, instance) (a)", false},
		{"a ratio of sums", "sum(a) / sum(b)", false},
		{"the highest", "topk(1, a)", false},
		{"one pod by its name", `vllm:num_requests_waiting{pod="llm-0"}`, false},
		{"a scalar", "scalar(a)", false},
		{"a number", "5", false},
		{"not PromQL", "sum(", false},
	} {
		if got := PerPod(tt.query); got != tt.want {
			t.Errorf("%s: PerPod(%q) = %v, want %v", tt.sentence, tt.query, got, tt.want)
		}
	}
}
