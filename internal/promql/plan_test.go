package promql

import (
	"fmt"
	"strings"
	"testing"
)

func TestPlanOf(t *testing.T) {
	known := func(query string) (string, bool) {
		return "queue", query == Same("sum(rate(gateway_requests_total[1m]))")
	}
	for _, tt := range []struct{ sentence, query, text, parts, says string }{
		{"a sum over the pods", "sum(vllm:num_requests_waiting)", "v0", "sum vllm:num_requests_waiting", ""},
		{"labels and a grouping that does not tell pods apart", `sum by (model_name) (vllm:num_requests_waiting{model_name="m"})`,
			"v0", "sum vllm:num_requests_waiting", ""},
		{"a ratio of two", "sum(a) / sum(b)", "(v0 / v1)", "sum a, sum b", ""},
		{"of one metric twice", "sum(a) / count(a) * 100", "((v0 / v1) * 100)", "sum a, count a", ""},
		{"the same part twice is one", "(sum(a) + sum(b)) / sum(a)", "((v0 + v1) / v0)", "sum a, sum b", ""},
		{"a mean over time", "avg(avg_over_time(vllm:kv_cache_usage_perc[1m]))", "v0", "avg vllm:kv_cache_usage_perc over 1m0s", ""},
		{"a counter's rate", "sum(rate(vllm:generation_tokens_total[2m]))", "v0", "sum vllm:generation_tokens_total rate over 2m0s", ""},
		{"0 where there is no series", "sum(a) or vector(0)", "v0", "sum a", ""},
		{"sum of sums by pod", "sum(sum by (pod) (a))", "v0", "sum a", ""},
		{"a query that was recorded, in other spaces", "sum( rate(gateway_requests_total[1m]) )", "v0", " queue", ""},
		{"a part of it that was recorded", "sum(rate(gateway_requests_total[1m])) / 2", "(v0 / 2)", " queue", ""},
		{"one series per pod", "vllm:num_requests_waiting", "", "", "one series per pod"},
		{"by pod", "max by (pod) (a)", "", "", "single pods"},
		{"a quantile of a histogram", "histogram_quantile(0.95, sum by (le) (rate(x_seconds_bucket[2m])))", "v0",
			"p95 of x_seconds over 2m0s", ""},
		{"its grouping behind, with a label that does not tell pods apart, in milliseconds",
			`histogram_quantile(0.9, (sum(rate(x_bucket{model_name="m"}[1m])) by (model_name, le))) * 1000`, "(v0 * 1000)",
			"p90 of x over 1m0s", ""},
		{"the mean of a histogram", "sum(rate(x_sum[2m])) / sum(rate(x_count[2m]))", "v0", "mean of x over 2m0s", ""},
		{"a sum over another histogram's count", "sum(rate(x_sum[2m])) / sum(rate(y_count[2m]))", "(v0 / v1)",
			"sum x_sum rate over 2m0s, sum y_count rate over 2m0s", ""},
		{"over another range", "sum(rate(x_sum[2m])) / sum(rate(x_count[5m]))", "(v0 / v1)",
			"sum x_sum rate over 2m0s, sum x_count rate over 5m0s", ""},
		{"a quantile of each pod", "histogram_quantile(0.95, sum by (le, pod) (rate(x_bucket[1m])))", "", "",
			"those of all pods"},
		{"a quantile without a sum", "histogram_quantile(0.95, rate(x_bucket[1m]))", "", "", "those of all pods"},
		{"a quantile without its buckets", "histogram_quantile(0.95, sum(rate(x_bucket[1m])))", "", "", "those of all pods"},
		{"a quantile that is computed", "histogram_quantile(scalar(a), sum by (le) (rate(x_bucket[1m])))", "", "",
			"not a number between 0 and 1"},
		{"a quantile of all time", "histogram_quantile(0.95, sum by (le) (x_bucket))", "", "", "only the rate"},
		{"a quantile of five minutes ago", "histogram_quantile(0.95, sum by (le) (rate(x_bucket[1m] offset 5m)))", "", "",
			"only the rate"},
		{"a comparison", "sum(a) > 5", "", "", "only + - * /"},
		{"an aggregation that is not known", "stddev(a)", "", "", "only sum, avg, max and count"},
		{"a function of a range that is not known", "sum(max_over_time(a[1m]))", "", "", "only rate and avg_over_time"},
		{"a function without arguments", "sum(hour())", "", "", "only rate and avg_over_time"},
		{"the rate of the last two samples", "sum(irate(a[1m]))", "", "", "only rate and avg_over_time"},
		{"the value of five minutes ago", "sum(a offset 5m)", "", "", "as it is now"},
		{"a rate of five minutes ago", "sum(rate(a[1m] offset 5m))", "", "", "as it is now"},
		{"the value of a time", "sum(a @ 1700000000)", "", "", "as it is now"},
		{"the value at the end", "sum(a @ end())", "", "", "as it is now"},
		{"a sum of the largest", "sum(max by (pod) (a))", "", "", "one metric"},
		{"not PromQL", "sum(a", "", "", "rejected by Prometheus"},
	} {
		got, err := PlanOf(tt.query, known)
		var parts []string
		for _, p := range got.Parts {
			text := p.Pool + " " + p.Metric
			switch {
			case p.Times && p.Quantile == 0:
				text = "mean of " + p.Metric
			case p.Times:
				text = fmt.Sprintf("p%g of %s", 100*p.Quantile, p.Metric)
			}
			if p.Rate {
				text += " rate"
			}
			if p.Over > 0 {
				text += fmt.Sprintf(" over %v", p.Over)
			}
			parts = append(parts, text)
		}
		switch {
		case tt.says != "":
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: PlanOf(%q): %v, want an error that says %q", tt.sentence, tt.query, err, tt.says)
			}
		case err != nil || got.Text != tt.text || strings.Join(parts, ", ") != tt.parts:
			t.Errorf("%s: PlanOf(%q) = %q over %q, %v; want %q over %q", tt.sentence, tt.query, got.Text, parts, err, tt.text, tt.parts)
		}
	}
}
