package pairs

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	v := func(f float64) *float64 { return &f }
	yes, no := true, false
	pair := func(name string, busiest, hours, p95 float64, within *bool) *Result {
		return &Result{Name: name, Busiest: v(busiest), Rows: []Row{
			{Figure: "replica_hours", Unit: "h", Predicted: &Interval{0.2, v(0.18), v(0.22)}, Actual: v(0.2 / (1 + hours)), Error: v(hours),
				Within: within, Once: v(0.1), Again: v(0.11), Apart: apart("h", v(0.1), v(0.11)), OnceWithin: &yes},
			{Figure: "ttft_p95_s", Unit: "s", Predicted: &Interval{Value: 0.3}, Actual: v(0.2), Error: v(p95), Within: within},
			{Figure: "attainment", Unit: "ratio", Error: v(-0.015)},
			{Figure: "time_to_capacity_s", Unit: "s", Once: v(0), Again: v(8), Apart: apart("s", v(0), v(8))},
		}}
	}
	got := Table([]*Result{pair("step", 0.6, -0.05, 0.5, &yes), pair("climb", 0.95, 0.01, 3, &no), pair("waves", 0.8, 0.02, 0.1, &yes)})
	for _, want := range []string{
		"| step | replica hours | 0.2 (0.18–0.22) | 0.2105 | yes | -5.0 % | 0.1 | 0.11 | +10.0 % |\n",
		"| climb | ttft p95 | 0.3 | 0.2 | no | +300.0 % | — | — | — |\n",
		"| step | time to capacity | — | — | — | — | 0 | 8 | — |\n", // no share of nothing
		"| replica hours | 2.0 % of 3 | 10.0 % of 3 | 2 of 3 | 3 of 3 |\n",
		// The pair with a pod above 85 % counts for the interval, not for the error.
		"| ttft p95 | 30.0 % of 2, 1 left out (a pod beyond 85 %) | — | 2 of 3 | 0 of 0 |\n",
		"| attainment | 1.50 pt of 3 | — | 0 of 0 | 0 of 0 |\n",
		"| climb | 95 % of its limit |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
}
