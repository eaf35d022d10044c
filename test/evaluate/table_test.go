package main

import (
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

// made is a small set of reports with a known table.
func made() []*report {
	holds, fails := truth{Hold: 1, Hours: 10}, truth{Hold: 0.5, Hours: 8}
	pick := func(t truth, hours float64, p float64) *picked {
		return &picked{Truth: t, PSLOMet: p, Regret: hours/10 - 1, Margin: &margin{1.2, 0.95, 0.2},
			Figures: []held{{Name: "hours", Value: 10, Lo: 9, Hi: 11, Truth: 10.5, Within: 8, Above: 2,
				HalfWidth: 0.1, Error: -0.05}, {Name: "attainment", Error: 0.01}}}
	}
	good := pick(holds, 11, 1)
	bad := pick(fails, 0, 0.96)
	return []*report{
		{World: "cpu/a", Family: "cpu", Best: &holds, Baselines: map[string]truth{"crane": {Hold: 1, Hours: 20}},
			Recordings: []recording{{Passed: true, Pick: good}, {Passed: true, Refusal: "infeasible"}}},
		{World: "cpu/b", Family: "hidden", Hidden: true,
			Recordings: []recording{{Passed: true, Pick: bad}, {SettledBy: "connections.backend_header"}, {}}},
		{World: "cpu/c", Family: "censored", Censored: true, Slots: 8,
			Recordings: []recording{{Slots: 8}, {Slots: 13}, {Slots: 13, Verdict: "refuse"}}},
		{World: "cpu/a/wrong", Family: "wrong", Recordings: []recording{{}},
			Bent: []bent{{Name: "wrong law", Errors: map[string]float64{"replica_hours": 0.2, "attainment": -0.1}, Outside: 2,
				Of: 5}}},
	}
}

func TestTableCounts(t *testing.T) {
	var b strings.Builder
	printTable(&b, made(), "", "today")
	for _, want := range []string{
		"today\n",
		`no candidate, falsely | 1 of 3 that were tuned to the end; feasible in the grid: 1 of 4 worlds`,
		"identity test, worlds cpu | 2 of 2 recordings pass; 1 of 1 picks hold",
		"identity test, worlds hidden | 1 of 3 recordings pass; 0 of 1 picks hold",
		"picks that hold on ≥ 90 % of days | 1 of 2; 1 below 0.8 where ≥ 0.95 was said",
		"intervals, replica-hours | 80 % of 20 days within, half-width 10.0 %; error 5.0 %, bias -5.0 %",
		"intervals, TTFT p95 | — |",
		"backends hidden | 1 of 3 recordings pass, 1 of 2 others say what to turn on",
		"censored recordings: slots | 1 of 3 within 10 %, 1 of 2 others refused",
		"regret where the pick holds | median 10.0 %, worst 10.0 % of 1",
		"load margin | holds in 2 of 2, fails at 1.25 times it in 2 of 2",
		"against crane | holds in 1 of 4 worlds; the pick alone holds in 0 of 2, and costs -50 % where both do (1)",
		"model wrong law | attainment -10.0 pt, hours +20.0 %, 2 of 5 figures outside their intervals",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(b.String())
	}
}

func TestQuickRunFailsWhereItFellBack(t *testing.T) {
	r := func(x recording) []*report {
		x.SelfReplay.Verdict = "fail"
		return []*report{{World: "cpu/quota/rr/sine", Best: &truth{}, Recordings: []recording{x}}}
	}
	for _, row := range []struct {
		name string
		x    recording
		want string // "" = it passes
	}{
		{"passes, and the pick holds", recording{Passed: true, Pick: &picked{Truth: truth{Hold: 0.9}}}, ""},
		{"the identity test fails", recording{}, "identity test says fail"},
		{"no candidate, though there is one", recording{Passed: true, Refusal: "infeasible"}, "no candidate"},
		{"the pick fails on most days", recording{Passed: true, Pick: &picked{Truth: truth{Hold: 0.3}}},
			"holds on 30 %"},
	} {
		err := below(r(row.x))
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
	}
	for w := range bars {
		if !quick[w] {
			t.Errorf("%s has a bar and is not among the quick worlds", w)
		}
	}
}

// Two pods that use 0.4 and 0.8 cores for ten minutes, with a request of 1.
func TestBaselines(t *testing.T) {
	run := &results.Run{Syncs: []results.Sync{{Replicas: 2}, {Replicas: 5}}}
	for i := range 40 {
		for pod, v := range map[string]float64{"a": 400, "b": 800} {
			run.Samples = append(run.Samples, results.Sample{At: time.Duration(i) * 15 * time.Second,
				Name: "cpu_milli", Pod: pod, Value: v})
		}
	}
	c := crane(run, 1)
	// P95 of the total is 1.2: min ⌈1.2/0.5⌉ = 3; target ⌈0.8·115⌉ = 92 → 75; max ⌈3.6/0.75⌉ = 5.
	if c.MinReplicas != 3 || c.MaxReplicas != 5 || c.Metrics[0].Target.Utilization != 75 {
		t.Errorf("crane: %d to %d at %d %%, want 3 to 5 at 75 %%", c.MinReplicas, c.MaxReplicas,
			c.Metrics[0].Target.Utilization)
	}
	o := tortoise(run, 1, 60)
	// Half of 5 and twice 5; 100 − (0.8·115 − 60) = 68.
	if o.MinReplicas != 3 || o.MaxReplicas != 10 || o.Metrics[0].Target.Utilization != 68 {
		t.Errorf("tortoise: %d to %d at %d %%, want 3 to 10 at 68 %%", o.MinReplicas, o.MaxReplicas,
			o.Metrics[0].Target.Utilization)
	}
}

func TestGridIsEightyValidConfigurations(t *testing.T) {
	for _, w := range worlds() {
		g := w.grid()
		if len(g) != 80 {
			t.Errorf("%s: %d configurations, want 80", w.Name, len(g))
		}
		for i := range g {
			if c := &g[i]; c.MinReplicas < 1 || c.MaxReplicas < c.MinReplicas ||
				c.Metrics[0].Target.Utilization+int32(c.Metrics[0].Target.AverageMilli) <= 0 {
				t.Errorf("%s: %+v", w.Name, *c)
			}
			for j := range i {
				if g[i].Equal(&g[j]) {
					t.Errorf("%s: configurations %d and %d are one", w.Name, i, j)
				}
			}
		}
	}
	if v := at([]float64{3, 1, 2}, 0.5); v != 2 {
		t.Errorf("the median of 1, 2, 3 is %v", v)
	}
}
