package predict

import (
	"strings"
	"testing"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/tuner/fit"
)

// scaledObject is a ScaledObject of the shipped run's Deployment, which an HPA scaled on CPU.
func scaledObject(t *testing.T, formula, triggers string) string {
	t.Helper()
	if formula != "" {
		formula = "  advanced: {scalingModifiers: {formula: \"" + formula + "\", target: \"4\"}}\n"
	}
	return file(t, "so.yaml", "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\n"+
		"metadata: {name: inference-endpoint, namespace: ml-serving}\nspec:\n  scaleTargetRef: {name: inference-endpoint}\n"+
		"  minReplicaCount: 2\n  maxReplicaCount: 10\n"+formula+"  triggers:\n"+triggers)
}

func query(name, promQL string) string {
	return "    - {type: prometheus, name: " + name + ", metadata: {serverAddress: s, query: \"" + promQL + "\", threshold: \"4\"}}\n"
}

// A run under an HPA on CPU answers what a ScaledObject on its servers' metrics would have done.
func TestScaledObjectsThatDidNotRun(t *testing.T) {
	if testing.Short() {
		t.Skip("replays a recording")
	}
	running := query("running", "sum(vllm:num_requests_running)")
	cron := "    - {type: cron, name: always, metadata: {timezone: UTC, start: 0 0 * * *, end: 59 23 * * *, desiredReplicas: \"9\"}}\n"
	replay := func(text string) (*Replayed, error) {
		ask := Ask{Seed: 1, Replicates: 5, Filename: text, Say: func(string) {}}
		return ask.Replay(t.Context(), before)
	}
	hours := map[string]float64{}
	for _, tt := range []struct{ sentence, id, file, says string }{
		{"another query", "query", scaledObject(t, "", running), ""},
		{"a formula of it", "formula", scaledObject(t, "running", running), ""},
		{"a ratio, which is small", "ratio",
			scaledObject(t, "", query("r", "sum(vllm:num_requests_waiting) / sum(vllm:num_requests_running)")), ""},
		{"a clock inside a formula", "clock", scaledObject(t, "max(running, always * 4)", running+cron), ""},
		{"a latency of its requests", "ttft", scaledObject(t, "",
			query("ttft", "histogram_quantile(0.95, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket[1m])))")), ""},
		{"a mean of it", "mean", scaledObject(t, "",
			query("m",
				"sum(rate(vllm:time_to_first_token_seconds_sum[1m])) / sum(rate(vllm:time_to_first_token_seconds_count[1m]))")),
			""},
		{"a histogram of which nobody knows what it measures", "",
			scaledObject(t, "", query("x", "histogram_quantile(0.95, sum by (le) (rate(my_seconds_bucket[1m])))")),
			"and not my_seconds either"},
		{"a metric that no pod exported", "", scaledObject(t, "", query("x", "sum(vllm:no_such_metric)")),
			"so.yaml:9: spec.triggers[0].metadata.query: the run did not record sum(vllm:no_such_metric)"},
		{"a formula that divides by zero most of the time", "", scaledObject(t, "running / (running - running)", running),
			"divides by zero for any value"},
		{"one that does so only in the run", "",
			scaledObject(t, "running / waiting", running+query("waiting", "sum(vllm:num_requests_waiting)")),
			"divides by zero at "},
	} {
		r, err := replay(tt.file)
		if tt.says != "" {
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v, want an error that says %q", tt.sentence, err, tt.says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.sentence, err)
			continue
		}
		if r.SelfReplay.Verdict != fit.SelfPass {
			t.Errorf("%s: the run is replayed under what did not run: %+v", tt.sentence, r.SelfReplay)
		}
		hours[tt.id] = r.Pick.Predicted.ReplicaHours.Value
	}
	if !(hours["mean"] < hours["ttft"]) {
		t.Errorf("replica-hours %v: want fewer of a mean than of p95", hours)
	}
	if hours["query"] != hours["formula"] || !(hours["ratio"] < hours["query"] && hours["query"] < hours["clock"]) {
		t.Errorf("replica-hours %v: want those of a query equal to its formula's, fewer of a ratio, more beside a clock", hours)
	}
	if _, err := replay(scaledObject(t, "", query("x", "sum(vllm:no_such_metric)"))); failure.Of(err) != failure.Evidence {
		t.Errorf("what was not recorded is of kind %v, want evidence", failure.Of(err))
	}
}
