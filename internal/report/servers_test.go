package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hpatune/hpatune/results"
)

// The page and the comment for a pull request show the servers' times, too.
func TestServersAreInEveryOutput(t *testing.T) {
	page := Page{Runs: []Run{{Summary: results.Summary{Run: "r", Servers: []results.ServerTime{
		{Source: "scrape", Of: "queue", N: 20, FromS: 90, P50S: 0.2, P95S: 0.4, FinestS: 0.3, Beyond: true},
	}}}}}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"text":     func(b *bytes.Buffer) error { return RunText(b, page.Runs[0].Summary) },
		"html":     func(b *bytes.Buffer) error { return HTML(b, page, Assets{}) },
		"markdown": func(b *bytes.Buffer) error { return Markdown(b, page) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(strings.ReplaceAll(b.String(), "&lt;", "<")), " ")
		for _, want := range []string{"(scrape) since 1 m 30 s", "queueing in the server", "< 300 ms", "400 ms", "above the last bucket"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q:\n%s", name, want, b.String())
			}
		}
	}
}

// A server whose answers are quicker than its finest bucket tells no more than that.
func TestBucketed(t *testing.T) {
	for _, c := range []struct {
		v, finest float64
		want      string
	}{
		{0.158, 0.3, "< 300 ms"},
		{0.35, 0.3, "350 ms"},
	} {
		if got := bucketed(c.v, c.finest); got != c.want {
			t.Errorf("%g s with buckets from %g s: %q, want %q", c.v, c.finest, got, c.want)
		}
	}
}
