package promql

import (
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	for query, want := range map[string]string{
		`sum(vllm:num_requests_waiting{model_name="m"})`:                          "vllm:num_requests_waiting[sum]",
		`sum(rate(http_requests_total{job=~"a|b(c)"}[2m]))`:                       "http_requests_total[sum rate]",
		`histogram_quantile(0.95, sum by (le, pod) (rate(x_seconds_bucket[5m])))`: "x_seconds_bucket[histogram_quantile sum rate]",
		`sum(a) by (pod) / on(pod) group_left() count(b{x="}"}) > bool 5`:         "a[sum] b[count]",
		`avg without(instance) (c:d) or vector(0)`:                                "c:d[avg]",
		`{__name__="vllm:num_requests_running", model="x"}`:                       "vllm:num_requests_running[]",
		`sum({"vllm.requests", pod="a"})`:                                         "vllm.requests[sum]",
		`max_over_time(q[10m:30s] offset 5m) + 1e3 * time()`:                      "q[max_over_time]",
		`sum(increase(foo_total[1m])) / 2 and absent(up)`:                         "foo_total[sum increase] up[absent]",
		"":       "",
		`sum(`:   "",
		`a{b="c`: "a[]",
	} {
		var got []string
		for _, x := range Read(query) {
			got = append(got, x.Name+"["+strings.Join(x.Inside, " ")+"]")
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("Read(%s) = %q, want %q", query, g, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`sum by (le) (rate(x_bucket{a="b"}[5m])) / on() group_left c`)
	f.Fuzz(func(t *testing.T, query string) {
		for _, x := range Read(query) {
			if x.Name == "" {
				t.Errorf("Read(%q) has a series without a name", query)
			}
		}
	})
}
