package recorded

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// scaledBy is a ScaledObject with these triggers, and a formula if there is one.
func scaledBy(t *testing.T, formula string, triggers ...string) manifest.HPA {
	t.Helper()
	text := "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: web, namespace: ml}\nspec:\n" +
		"  scaleTargetRef: {name: web}\n  minReplicaCount: 2\n"
	if formula != "" {
		text += "  advanced: {scalingModifiers: {formula: \"" + formula + "\", target: \"3\"}}\n"
	}
	h, err := manifest.One("so.yaml", []byte(text+"  triggers:\n"+strings.Join(triggers, "")))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func asks(name, query string) string {
	return "    - {type: prometheus, name: " + name + ", metadata: {serverAddress: s, query: \"" + query + "\", threshold: \"5\"}}\n"
}

func pages(metric, more string) string {
	return "    - {type: metrics-api, name: page, metadata: {url: \"http://web/metrics\", format: prometheus, valueLocation: \"" + metric +
		"\", targetValue: \"5\", aggregateFromKubeServiceEndpoints: \"true\"" + more + "}}\n"
}

const office = "    - {type: cron, name: office, metadata: {timezone: UTC, start: 0 8 * * *, end: 0 18 * * *, desiredReplicas: \"4\"}}\n"

// ranUnder is a run under a ScaledObject, with one sample of each name; names that end in
// * are of single pods.
func ranUnder(h manifest.HPA, names ...string) *results.Run {
	run := &results.Run{Cluster: map[string][]byte{hpaFile: h.Data}}
	for _, n := range names {
		name, ofPod := strings.CutSuffix(n, "*")
		x := results.Sample{Name: name, At: time.Second}
		if ofPod {
			x.Pod = "web-1"
		}
		run.Samples = append(run.Samples, x)
	}
	return run
}

// timed is which of the times a part reads.
func timed(p keda.Part) string {
	if p.Quantile == 0 {
		return "mean"
	}
	return fmt.Sprintf("p%g", 100*p.Quantile)
}

func TestLoopReadsWhatTheRunRecorded(t *testing.T) {
	waiting, running := "sum(vllm:num_requests_waiting)", "sum(vllm:num_requests_running)"
	ran := scaledBy(t, "", asks("waiting", waiting))
	for _, tt := range []struct {
		sentence string
		run      *results.Run
		asked    manifest.HPA
		want     string // per trigger: its own metric, or what it is computed from
		says     string
	}{
		{"the object that ran", ranUnder(ran, "s0-prometheus"), ran, "s0-prometheus", ""},
		{"the object that ran, of which nothing was sampled, is not refused here", ranUnder(ran), ran, "s0-prometheus", ""},
		{"the same query in other spaces", ranUnder(ran, "s0-prometheus"),
			scaledBy(t, "", asks("waiting", "sum( vllm:num_requests_waiting )")), "s0-prometheus", ""},
		{"another query has the same name, and is not the recorded metric", ranUnder(ran, "s0-prometheus"),
			scaledBy(t, "", asks("waiting", running)), "",
			"so.yaml:8: spec.triggers[0].metadata.query: the run did not record sum(vllm:num_requests_running), and not " +
				"vllm:num_requests_running either (its s0-prometheus was sum(vllm:num_requests_waiting))"},
		{"it is computed from what the pods exported", ranUnder(ran, "s0-prometheus", "vllm:num_requests_running*"),
			scaledBy(t, "", asks("waiting", running)), "v0 of sum vllm:num_requests_running", ""},
		{"through an adapter's name", ranUnder(ran, "s0-prometheus", "vllm_num_requests_running*"),
			scaledBy(t, "", asks("waiting", running)), "v0 of sum vllm_num_requests_running", ""},
		{"the recorded query at another place", ranUnder(ran, "s0-prometheus", "vllm:num_requests_running*"),
			scaledBy(t, "", asks("busy", running), asks("waiting", waiting)),
			"v0 of sum vllm:num_requests_running, v0 of  s0-prometheus", ""},
		{"a ratio of a recorded query and a metric of the pods", ranUnder(ran, "s0-prometheus", "vllm:num_requests_running*"),
			scaledBy(t, "", asks("x", waiting+" / "+running)), "(v0 / v1) of  s0-prometheus and sum vllm:num_requests_running", ""},
		{"a query that cannot be computed", ranUnder(ran, "s0-prometheus"),
			scaledBy(t, "", asks("x", "quantile_over_time(0.9, a[1m])")), "", "not computed from single metrics"},
		{"a latency of the requests, which every run records", ranUnder(ran, "s0-prometheus"),
			scaledBy(t, "", asks("x",
				"histogram_quantile(0.95, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket[2m])))")),
			"v0 of p95 vllm:time_to_first_token_seconds, asks p95 vllm:time_to_first_token_seconds over 2m0s", ""},
		{"the latency that ran is read as it was recorded",
			ranUnder(scaledBy(t, "", asks("x", "sum(rate(t_sum[1m])) / sum(rate(t_count[1m]))")), "s0-prometheus"),
			scaledBy(t, "", asks("x", "sum(rate(t_sum[1m])) / sum(rate(t_count[1m]))")), "s0-prometheus, asks mean t over 1m0s",
			""},
		{"a metric of which only one number was recorded", ranUnder(ran, "s0-prometheus", "vllm:num_requests_running"),
			scaledBy(t, "", asks("x", running)), "", "vllm:num_requests_running of each pod"},
		{"the mean that metrics-api makes of the pods' pages", ranUnder(ran, "s0-prometheus", "vllm:num_requests_running*"),
			scaledBy(t, "", pages("vllm:num_requests_running", "")), "v0 of avg vllm:num_requests_running", ""},
		{"its minimum, which is not computed", ranUnder(ran, "s0-prometheus", "vllm:num_requests_running*"),
			scaledBy(t, "", pages("vllm:num_requests_running", ", aggregationType: min")), "", "so.yaml:8: spec.triggers[0].metadata.valueLocation: "},
		{"a formula that did not run, over what was recorded", ranUnder(ran, "s0-prometheus"),
			scaledBy(t, "waiting * 2", asks("waiting", waiting)), "s0-prometheus computed", ""},
		{"a clock inside a formula", ranUnder(ran, "s0-prometheus"),
			scaledBy(t, "max([waiting, office * 5])", asks("waiting", waiting), office), "s0-prometheus, s1-cron-UTC-08xxx-018xxx computed", ""},
		{"the formula that ran is read as it was recorded", ranUnder(scaledBy(t, "waiting * 2", asks("waiting", waiting)), keda.Composite),
			scaledBy(t, "waiting * 2", asks("waiting", waiting)), "s0-prometheus", ""},
		{"another formula over triggers that were not recorded", ranUnder(scaledBy(t, "waiting * 2", asks("waiting", waiting)), keda.Composite),
			scaledBy(t, "waiting * 3", asks("waiting", waiting)), "", "so.yaml:7: spec.advanced.scalingModifiers.formula: the run recorded the " +
				"value of another formula (waiting * 2)"},
	} {
		l, err := Loop(tt.run, tt.asked, func(*manifest.Trigger) (string, bool) { return "", true })
		if tt.says != "" {
			if err == nil || !strings.Contains(err.Error(), tt.says) || failure.Of(err) != failure.Evidence {
				t.Errorf("%s: %v, want an error of evidence that says %q", tt.sentence, err, tt.says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.sentence, err)
			continue
		}
		var got []string
		for _, x := range l.Triggers {
			text := x.Metric
			if x.From != nil {
				var parts []string
				for _, p := range x.From.Parts {
					if p.Times {
						p.Pool = timed(p)
					}
					parts = append(parts, p.Pool+" "+p.Metric)
				}
				text = x.From.Text + " of " + strings.Join(parts, " and ")
			}
			got = append(got, text)
			if p := x.Asks; p != nil {
				got = append(got, fmt.Sprintf("asks %s %s over %v", timed(*p), p.Metric, p.Over))
			}
		}
		text := strings.Join(got, ", ")
		if l.Formula != nil && l.Formula.Computed {
			text += " computed"
		}
		if text != tt.want {
			t.Errorf("%s: %s, want %s", tt.sentence, text, tt.want)
		}
	}
	if l, err := Loop(&results.Run{}, manifest.HPA{}, nil); l != nil || err != nil {
		t.Errorf("an HPA alone has a loop: %v, %v", l, err)
	}
}

// A query that selects by labels is computed only where it reads what was recorded.
func TestLoopComparesLabels(t *testing.T) {
	const of = "vllm:num_requests_running"
	for _, tt := range []struct {
		sentence, query, says, unseen string
		series                        []string // labels on the pods' pages
	}{
		{"a label that the pods' series have", `sum(` + of + `{model_name='m'})`, "", "", []string{`model_name="m"`}},
		{"a pattern of it", `sum(` + of + `{model_name=~'m|n'})`, "", "", []string{`model_name="m"`, `model_name="n"`}},
		{"one of two series of a pod", `sum(` + of + `{model_name='m'})`,
			`model_name="m" selects 1 of the 2 recorded series of ` + of, "", []string{`model_name="m"`, `model_name="n"`}},
		{"none of them", `sum(` + of + `{model_name!='m'})`, `selects 0 of the 1`, "", []string{`model_name="m"`}},
		{"a label that only one of two series has", `sum(` + of + `{lora='a'})`, `selects 1 of the 2`, "",
			[]string{`model_name="m"`, `lora="a",model_name="m"`}},
		{"a label that whoever scrapes adds", `sum(` + of + `{job='llm'})`, "", "job", []string{`model_name="m"`}},
		{"no series was recorded", `sum(` + of + `{model_name='m'})`, "", "model_name", nil},
		{"the run's namespace", `sum(` + of + `{namespace='ml'})`, "", "", nil},
		{"another namespace", `sum(` + of + `{namespace='prod'})`, `namespace="prod" is not the namespace of the run (ml)`,
			"", nil},
		{"all pods by their name", `sum(` + of + `{pod=~'web-.*'})`, "", "", nil},
		{"one pod of two", `sum(` + of + `{pod='web-1'})`, `selects 1 of the 2 recorded pods`, "", nil},
		{"the buckets of a latency", `histogram_quantile(0.9, sum by (le) (rate(` + of + `_bucket{model_name='x'}[1m])))`,
			`selects 0 of the 1`, "", []string{`model_name="m"`}},
		{"the count of its mean", `sum(rate(` + of + `_sum[1m])) / sum(rate(` + of + `_count{model_name='x'}[1m]))`,
			`selects 0 of the 1`, "", []string{`model_name="m"`}},
	} {
		run := ranUnder(scaledBy(t, "", asks("waiting", "sum(x)")), "s0-prometheus", of+"*")
		run.Meta.Workload.Namespace = "ml"
		run.Samples = append(run.Samples, results.Sample{Name: of, Pod: "web-2", At: time.Second})
		for _, labels := range tt.series {
			for _, pod := range []string{"web-1", "web-2"} {
				run.Samples = append(run.Samples, results.Sample{Name: of + "{" + labels + "}", Pod: pod, At: time.Second})
			}
		}
		l, err := Loop(run, scaledBy(t, "", asks("waiting", tt.query)), func(*manifest.Trigger) (string, bool) {
			return "",
				true
		})
		if tt.says != "" {
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "so.yaml:8") {
				t.Errorf("%s: %v, want an error that says %q", tt.sentence, err, tt.says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.sentence, err)
		} else if got := strings.Join(l.Triggers[0].From.Parts[0].Unseen, " "); got != tt.unseen {
			t.Errorf("%s: labels %q were not compared, want %q", tt.sentence, got, tt.unseen)
		}
	}
}

// The recorded values of a query are not those of another one, whatever the metric's name.
func TestScenarioIsOfTheSameQueries(t *testing.T) {
	waiting := asks("waiting", "sum(vllm:num_requests_waiting)")
	ran := scaledBy(t, "max(waiting, office)", waiting, office)
	run := ranUnder(ran, keda.Composite, "vllm:num_requests_waiting*", "vllm:num_requests_running*")
	for _, tt := range []struct {
		sentence string
		given    manifest.HPA
		want     bool
	}{
		{"what ran, with a clock inside its formula", ran, true},
		{"another formula of the same triggers", scaledBy(t, "max(waiting, office * 2)", waiting, office), false},
		{"the same formula of another query",
			scaledBy(t, "max(waiting, office)", asks("waiting", "sum(vllm:num_requests_running)"), office), false},
	} {
		if same := AsksTheSame(run, tt.given); same != tt.want {
			t.Errorf("%s: asks the same: %v, want %v", tt.sentence, same, tt.want)
		}
	}
	given := &Given{HPA: scaledBy(t, "", asks("running", "sum(vllm:num_requests_running)")), File: "so.yaml"}
	if _, _, err := Scenario(run, given); err == nil || !strings.Contains(err.Error(), "other queries") {
		t.Errorf("Scenario under another query: %v, want an error", err)
	}
}
