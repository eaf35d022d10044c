package results

import (
	"strings"
	"testing"
	"time"
)

// An objective that was given twice, or in other words, is one.
func TestParseObjectivesOnce(t *testing.T) {
	got, err := ParseObjectives([]string{"ttft.p95 < 4s", "error_rate < 1%", "ttft.p95<4000ms", "error_rate < 0.01", "ttft.p95 <= 4s", "ttft.p99 < 4s"})
	texts := ""
	for _, o := range got {
		texts += o.Text + "; "
	}
	if want := "ttft.p95 < 4s; error_rate < 1%; ttft.p95 <= 4s; ttft.p99 < 4s; "; err != nil || texts != want {
		t.Errorf("ParseObjectives = %q, %v, want %q", texts, err, want)
	}
}

func TestParseObjective(t *testing.T) {
	for _, c := range []struct {
		sentence string
		text     string
		want     Objective
	}{
		{"a quantile under a duration", "ttft.p95 < 500ms", Objective{Metric: "ttft", Stat: 0.95, Op: "<", Limit: 0.5, Unit: "s"}},
		{"a share of windows", "e2e.p99 <= 2s each 1m for 99%", Objective{Metric: "e2e", Stat: 0.99, Op: "<=", Limit: 2, Unit: "s", Window: time.Minute, For: 0.99}},
		{"no spaces around the operator", "tpot.p99.9<50ms", Objective{Metric: "tpot", Stat: 0.999, Op: "<", Limit: 0.05, Unit: "s"}},
		{"p999 is p99.9", "itl.p999 < 1s", Objective{Metric: "itl", Stat: 0.999, Op: "<", Limit: 1, Unit: "s"}},
		{"a mean", "e2e.mean < 1s", Objective{Metric: "e2e", Stat: StatMean, Op: "<", Limit: 1, Unit: "s"}},
		{"a maximum", "e2e.max < 1s", Objective{Metric: "e2e", Stat: 1, Op: "<", Limit: 1, Unit: "s"}},
		{"a percentage", "error_rate < 0.1%", Objective{Metric: "error_rate", Stat: StatNone, Op: "<", Limit: 0.001, Unit: "ratio"}},
		{"a ratio", "goodput >= 0.95", Objective{Metric: "goodput", Stat: StatNone, Op: ">=", Limit: 0.95, Unit: "ratio"}},
		{"more is better", "goodput > 95%", Objective{Metric: "goodput", Stat: StatNone, Op: ">", Limit: 0.95, Unit: "ratio"}},
		{"hours", "replica_hours < 12", Objective{Metric: "replica_hours", Stat: StatNone, Op: "<", Limit: 12, Unit: "h"}},
		{"money", "usd_month < 900", Objective{Metric: "usd_month", Stat: StatNone, Op: "<", Limit: 900, Unit: "usd"}},
		{"money with its sign", "usd_month < $900", Objective{Metric: "usd_month", Stat: StatNone, Op: "<", Limit: 900, Unit: "usd"}},
		{"a count", "flaps <= 2", Objective{Metric: "flaps", Stat: StatNone, Op: "<=", Limit: 2}},
		{"a duration of the whole run", "time_to_capacity < 90s", Objective{Metric: "time_to_capacity", Stat: StatNone, Op: "<", Limit: 90, Unit: "s"}},
	} {
		got, err := ParseObjective("  " + c.text + " ")
		c.want.Text = c.text
		if err != nil || got != c.want {
			t.Errorf("%s: ParseObjective(%q) = %+v, %v, want %+v", c.sentence, c.text, got, err, c.want)
		}
	}
}

func TestBadObjectivesSayWhatToTry(t *testing.T) {
	for text, want := range map[string]string{
		"ttft.p95 <":                           `objective "ttft.p95 <": missing limit; try "ttft.p95 < 500ms"`,
		"":                                     `objective "": empty; try "ttft.p95 < 500ms"`,
		"ttft.p95":                             `objective "ttft.p95": missing operator; try "ttft.p95 < 500ms"`,
		"ttft < 1s":                            `objective "ttft < 1s": missing statistic; try "ttft.p95 < 500ms"`,
		"ttfb.p95 < 1s":                        `unknown metric "ttfb"`,
		"ttft.q95 < 1s":                        `unknown statistic "q95"`,
		"ttft.p101 < 1s":                       `unknown statistic "p101"`,
		"ttft.p95 << 1s":                       `unknown operator "<<"`,
		"ttft.p95 < 500":                       `limit "500": not a duration`,
		"ttft.p95 < -1s":                       `limit "-1s": not a duration above 0`,
		"error_rate < 120%":                    `limit "120%": not a percentage`,
		"error_rate.p95 < 1%":                  `error_rate has no statistics`,
		"flaps < NaN":                          `limit "NaN": not a number`,
		"flaps < 2 each 1m for 99%":            `no "each"`,
		"ttft.p95 < 1s each":                   `after the limit comes`,
		"ttft.p95 < 1s each 1x for 99%":        `window "1x"`,
		"ttft.p95 < 1s each 1m for 99":         `"99" is not a percentage`,
		"ttft.p95 < 1s each 1m for 0%":         `"0%" is not a percentage over 0%`,
		"ttft.p95 < each 1m for 99%":           `missing limit`,
		"replica_hours < twelve":               `limit "twelve": not a number`,
		"ttft.p95 < 1s each 1m for 99% please": `after the limit comes`,
		"ttft.p95 > 1s":                        `it passes if ttft is bad; try "ttft.p95 < 1s"`,
		"e2e.mean>=2s":                         `try "e2e.mean <= 2s"`,
		"replica_hours > 12":                   `try "replica_hours < 12"`,
		"flaps >= 2":                           `try "flaps <= 2"`,
		"goodput < 95%":                        `try "goodput > 95%"`,
		"error_rate > 1%":                      `try "error_rate < 1%"`,
		"error_rate < 1":                       `it always passes: 1 is all requests; try "error_rate < 1%"`,
		"error_rate <= 100%":                   `it always passes: 100% is all requests; try "error_rate < 0.1%"`,
		"goodput >= 0%":                        `it always passes: no share is below 0; try "goodput > 95%"`,
		"goodput > 1":                          `it can never pass: 1 is all requests; try "goodput >= 100%"`,
		"goodput > 95":                         `limit "95": not a percentage`,
		"error_rate < 0%":                      `it can never pass: no error_rate is below 0; try "error_rate <= 0%"`,
		"flaps < 0":                            `try "flaps <= 0"`,
	} {
		_, err := ParseObjective(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseObjective(%q): %v, want %q in it", text, err, want)
		}
	}
	_, err := ParseObjectives([]string{"ttft.p95 <", "flaps <= 2", "nonsense"})
	if err == nil || strings.Count(err.Error(), "objective ") != 2 {
		t.Errorf("ParseObjectives reports %v, want both problems", err)
	}
}

func FuzzParseObjective(f *testing.F) {
	for _, s := range []string{"ttft.p95 < 500ms", "e2e.p99 <= 2s each 1m for 99%", "error_rate < 0.1%", "goodput > 95%", "flaps <= 2", "itl.p999<1s", "usd_month < $9", "ttft.p95 <", "<>=", ".p < %"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseObjective(text)
		if err != nil {
			if !strings.Contains(err.Error(), "; try \"") {
				t.Errorf("ParseObjective(%q): %v says nothing to try", text, err)
			}
			return
		}
		again, err := ParseObjective(o.Text)
		if err != nil || again != o {
			t.Errorf("ParseObjective(%q) = %+v; its own text %q gives %+v, %v", text, o, o.Text, again, err)
		}
		if o.Limit != o.Limit || o.Limit < 0 || o.Stat > 1 {
			t.Errorf("ParseObjective(%q) = %+v", text, o)
		}
		limits := LimitsOf([]Objective{o})
		if limits.Tightest() < 0 {
			t.Errorf("LimitsOf(%q) = %+v", text, limits)
		}
	})
}
