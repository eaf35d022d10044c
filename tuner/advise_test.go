package tuner

import (
	"strings"
	"testing"

	"github.com/hpatune/hpatune/results"
)

func TestWhatNoObjectiveGuards(t *testing.T) {
	for _, c := range []struct {
		sentence   string
		objectives []string
		errors     *Interval
		says       string
	}{
		{"a cost alone, and a fifth of the requests fail", []string{"usd_month < 60"}, &Interval{Value: 0.206}, "20.6 % of the requests fail"},
		{"flaps alone, and hardly any fails", []string{"flaps <= 2"}, &Interval{Value: 0.01}, ""},
		{"a latency limits failed requests, too", []string{"flaps <= 2", "ttft.p95 < 4s"}, &Interval{Value: 0.2}, ""},
		{"so does the error rate", []string{"time_to_capacity < 30s", "error_rate < 50%"}, &Interval{Value: 0.2}, ""},
		{"errors are not known", []string{"flaps <= 2"}, nil, ""},
	} {
		var objectives []results.Objective
		for _, text := range c.objectives {
			o, err := results.ParseObjective(text)
			if err != nil {
				t.Fatal(err)
			}
			objectives = append(objectives, o)
		}
		if got := unguarded(objectives, c.errors); (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: %q, want %q", c.sentence, got, c.says)
		}
	}
}
