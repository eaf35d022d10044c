package promql

import (
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ sentence, query, says string }{
		{"a query", `sum(rate(http_requests_total{code=~"5.."}[1m])) / 2`, ""},
		{"an experimental function", "sort_by_label(up, \"pod\")", ""},
		{"a parenthesis that is not closed", "sum(up", "unclosed left parenthesis"},
		{"an unknown function", "averge(up)", "unknown function"},
		{"a range that is missing", "rate(up)", "expected type range vector"},
	} {
		err := Check(tt.query)
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: Check(%q) = %v, want %q", tt.sentence, tt.query, err, tt.says)
		}
	}
}
