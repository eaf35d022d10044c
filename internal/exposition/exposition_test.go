package exposition

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// told is a family as one line: its values in order, histograms as count/sum.
func told(t *testing.T, page, name string) string {
	t.Helper()
	all, err := Read([]byte(page), func(n string) bool { return n == name })
	if err != nil {
		return "error: " + err.Error()
	}
	var out []string
	for _, m := range all[name].GetMetric() {
		if h := m.GetHistogram(); h != nil {
			out = append(out, fmt.Sprintf("%d/%g/%d buckets", h.GetSampleCount(), h.GetSampleSum(), len(h.GetBucket())))
			continue
		}
		out = append(out, fmt.Sprint(Value(m)))
	}
	return strings.Join(out, " ")
}

func TestRead(t *testing.T) {
	for _, tt := range []struct{ name, page, family, want string }{
		{"a counter and its type", "# HELP a_total What.\n# TYPE a_total counter\na_total 3\n", "a_total", "3"},
		{"one series a label set", "q{pod=\"a\"} 1\nq{pod=\"b\"} 2\n", "q", "1 2"},
		{"a time stamp is left out", "q 1 1700000000000\n", "q", "1"},
		{"so is OpenMetrics' in seconds", "# TYPE q gauge\nq 1 1700000000.25\n# EOF\n", "q", "1"},
		{"an exemplar is left out", "# TYPE a counter\na_total{x=\"y\"} 5 # {trace_id=\"b 1\"} 0.67 1700000000.1\n# EOF\n", "a_total", "5"},
		{"an exemplar of a bucket, too", "# TYPE h histogram\nh_bucket{le=\"1\"} 2 # {trace_id=\"x\"} 0.3\nh_bucket{le=\"+Inf\"} 3\nh_sum 4.5\nh_count 3\n", "h", "3/4.5/2 buckets"},
		{"a label's value may hold braces, quotes and a hash", "q{a=\"} # {\\\"\"} 7\n", "q", "7"},
		{"types that Prometheus lacks count as none", "# TYPE i info\ni_info{v=\"1\"} 1\n# TYPE u unknown\nu 2\n", "u", "2"},
		{"a second HELP and TYPE line do no harm", "# HELP q x\n# HELP q y\n# TYPE q gauge\n# TYPE q gauge\nq 4\n", "q", "4"},
		{"NaN is told", "q NaN\n", "q", "NaN"},
		{"a line that is no sample is skipped", "oops\nq{a=\"1\" 3\nq 4\n", "q", "4"},
		{"a name with a colon", "vllm:num_requests_waiting{model_name=\"m\"} 2.0\n", "vllm:num_requests_waiting", "2"},
		{"a name in quotes", "{\"my.name\", a=\"b\"} 2\n", "my.name", "2"},
		{"lines of Windows", "q 1\r\nq 2\r\n", "q", "1 2"},
		{"a summary is how many it saw", "# TYPE s summary\ns{quantile=\"0.5\"} 2\ns_sum 8\ns_count 4\n", "s", "4"},
		{"what is not there", "q 1\n", "x", ""},
		{"HTML", "<!DOCTYPE html>\n<html><body>404 not found</body></html>\n", "q", `error: not a page of metrics: it begins with "<!DOCTYPE html> <html><body>404 not foun"`},
		{"JSON", `{"requests": 3}`, "q", `error: not a page of metrics: it begins with "{\"requests\": 3}"`},
		{"an empty page", "", "q", `error: not a page of metrics: it begins with ""`},
	} {
		if got := told(t, tt.page, tt.family); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"q{a=\"b\"} 1 # {x=\"y\"} 2\n", "# TYPE h histogram\nh_bucket{le=\"1\"} 2\n", "{\"a\"} 1", "a{", "# EOF"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, page string) {
		all, err := Read([]byte(page), nil)
		if errors.Is(err, ErrNoMetrics) && len(all) > 0 {
			t.Errorf("families of a page without metrics: %v", all)
		}
		var names []string
		for name, f := range all {
			names = append(names, name)
			for _, m := range f.GetMetric() {
				if v := Value(m); math.IsNaN(v) {
					continue
				}
				Label(m, "le")
			}
		}
		slices.Sort(names)
	})
}
