package observer

import "testing"

func TestParseQuery(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       Query // zero = refused
	}{
		{"a name before an expression", "queue=sum(vllm:num_requests_waiting)", Query{"queue", "sum(vllm:num_requests_waiting)"}},
		{"an expression names itself", `sum(rate(http_requests_total{code="200"}[1m]))`, Query{`sum(rate(http_requests_total{code="200"}[1m]))`, `sum(rate(http_requests_total{code="200"}[1m]))`}},
		{"a comparison is no name", "up==1", Query{"up==1", "up==1"}},
		{"a recording rule's name has colons", "job:asked:rate1m=sum(rate(asked[1m]))", Query{"job:asked:rate1m", "sum(rate(asked[1m]))"}},
		{"spaces around are dropped", " queue = sum(x) ", Query{"queue", "sum(x)"}},
		{"a name without an expression is refused", "queue=", Query{}},
		{"nothing is refused", " ", Query{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseQuery(tt.text)
			if got != tt.want || (err != nil) != (tt.want == Query{}) {
				t.Errorf("ParseQuery(%q) = %+v, %v, want %+v", tt.text, got, err, tt.want)
			}
		})
	}
}
