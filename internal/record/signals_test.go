package record

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/sandbox"
	"github.com/hpatune/hpatune/observer"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// scaledObject is one of these triggers, with what follows them.
func scaledObject(triggers, after string) string {
	return "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: x, namespace: ml}\nspec:\n" +
		"  scaleTargetRef: {name: inference-endpoint}\n  minReplicaCount: 1\n  triggers:\n" + triggers + after
}

func promTrigger(name, query, more string) string {
	return fmt.Sprintf("    - {type: prometheus, name: %s, metadata: {serverAddress: 'http://p:9090', query: '%s', threshold: '5'%s}}\n",
		name, query, more)
}

func TestSignals(t *testing.T) {
	page := func(more string) string {
		return "    - {type: metrics-api, metadata: {url: 'http://x:8000/metrics', targetValue: '5', format: prometheus, valueLocation: 'up'" + more + "}}\n"
	}
	clock := func(start, end string) string {
		return "    - {type: cron, name: office, metadata: {timezone: UTC, start: 0 " + start + " * * *, end: 0 " + end +
			" * * *, desiredReplicas: '4'}}\n"
	}
	const formula = "  advanced: {scalingModifiers: {formula: 'a / b', target: '2'}}\n"
	for _, tt := range []struct {
		name, text string
		answers    map[string][]float64 // by query
		metric     string
		want       string
	}{
		{"a query's value", scaledObject(promTrigger("a", "sum(q)", ""), ""), map[string][]float64{"sum(q)": {7}}, "s0-prometheus", "7"},
		{"no series counts as 0 unless told otherwise", scaledObject(promTrigger("a", "sum(q)", ""), ""), nil, "s0-prometheus", "0, and no series"},
		{"NaN does, too", scaledObject(promTrigger("a", "sum(q)", ""), ""), map[string][]float64{"sum(q)": {math.NaN()}}, "s0-prometheus", "0"},
		{"told otherwise, no series is an error", scaledObject(promTrigger("a", "sum(q)", ", ignoreNullValues: 'false'"), ""), nil,
			"s0-prometheus", "error: the query sum(q) has no series"},
		{"and so is infinity", scaledObject(promTrigger("a", "sum(q)", ", ignoreNullValues: 'false'"), ""),
			map[string][]float64{"sum(q)": {math.Inf(1)}}, "s0-prometheus", "error: the query sum(q) gives +Inf"},
		{"several series are one too many", scaledObject(promTrigger("a", "q", ""), ""), map[string][]float64{"q": {1, 2}},
			"s0-prometheus", "error: the query q has 2 series; KEDA wants one"},
		{"the pods' page, of all pods", scaledObject(page(", aggregateFromKubeServiceEndpoints: 'true', aggregationType: max"), ""),
			map[string][]float64{"max(up)": {9}}, "s0-metric-api-up", "9"},
		{"by default their average", scaledObject(page(", aggregateFromKubeServiceEndpoints: 'true'"), ""),
			map[string][]float64{"avg(up)": {4}}, "s0-metric-api-up", "4"},
		{"or of the pod that the Service leads to", scaledObject(page(""), ""), map[string][]float64{"up": {3, 3}}, "s0-metric-api-up", "3"},
		{"a formula over two triggers", scaledObject(promTrigger("a", "sum(q)", "")+promTrigger("b", "sum(r)", ""), formula),
			map[string][]float64{"sum(q)": {9}, "sum(r)": {2}}, "composite-metric", "4.5"},
		{"a clock while it is active", scaledObject(clock("8", "18"), ""), nil, "s0-cron-UTC-08xxx-018xxx", "4"},
		{"and while it is not", scaledObject(clock("18", "8"), ""), nil, "s0-cron-UTC-018xxx-08xxx", "0"},
		{"a clock inside a formula", scaledObject(promTrigger("a", "sum(q)", "")+clock("8", "18"),
			"  advanced: {scalingModifiers: {formula: 'max(a, office)', target: '2'}}\n"),
			map[string][]float64{"sum(q)": {3}}, "composite-metric", "4"},
		{"that divides by zero", scaledObject(promTrigger("a", "sum(q)", "")+promTrigger("b", "sum(r)", ""), formula),
			map[string][]float64{"sum(q)": {9}}, "composite-metric", "error: formula: it divides by zero"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, err := manifest.One("so.yaml", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
			signals, err := signalsOf(&h, func() time.Time { return noon })
			if err != nil {
				t.Fatal(err)
			}
			signal := signals[tt.metric]
			if signal == nil {
				t.Fatalf("no signal %s among %v", tt.metric, signals)
			}
			v, err := signal(func(q string) ([]float64, error) { return tt.answers[q], nil })
			got := fmt.Sprint(v)
			if errors.As(err, new(sandbox.NoSeries)) {
				got += ", and no series"
			} else if err != nil {
				got = "error: " + err.Error()
			}
			if got != tt.want {
				t.Errorf("%s = %s, want %s", tt.metric, got, tt.want)
			}
			broken := errors.New("parse error")
			if strings.Contains(tt.metric, "cron") {
				return // it asks nothing
			}
			if _, err := signal(func(string) ([]float64, error) { return nil, broken }); !errors.Is(err, broken) {
				t.Errorf("a query that fails: %v, want its error", err)
			}
		})
	}
}

func TestTriggersThatTheSandboxHasNot(t *testing.T) {
	for _, tt := range []struct{ name, trigger, want string }{
		{"a queue elsewhere", "    - {type: rabbitmq, metadata: {queueName: q, mode: QueueLength, value: '5', host: 'amqp://x'}}\n", "trigger of type rabbitmq: the sandbox has"},
		{"JSON of the pods", "    - {type: metrics-api, metadata: {url: 'http://x', targetValue: '5', valueLocation: a.b}}\n", "set format: prometheus"},
	} {
		file := filepath.Join(t.TempDir(), "so.yaml")
		if err := os.WriteFile(file, []byte(scaledObject(tt.trigger, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := NewSandbox(file, 20, nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) || failure.Of(err) != failure.Input {
			t.Errorf("%s: %v, want %q as a fault of the input", tt.name, err, tt.want)
		}
	}
}

// What a live ScaledObject's queries read of the pods is scraped off them, and the
// queries behind names are kept.
func TestWhatARunKeepsOfQueries(t *testing.T) {
	text, err := yaml.YAMLToJSON([]byte(scaledObject(promTrigger("a", "sum(vllm:num_requests_waiting) / count(up)", ""),
		"    - {type: cpu, metricType: Utilization, metadata: {value: '70'}}\n")))
	if err != nil {
		t.Fatal(err)
	}
	var u unstructured.Unstructured
	if err := u.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	if got := readByScaled(&u); !slices.Contains(got, "vllm:num_requests_waiting") {
		t.Errorf("a live ScaledObject reads %v", got)
	}
	got := named([]observer.Query{{Name: "queue", PromQL: "sum(waiting)"}, {Name: "up", PromQL: "up"}})
	if len(got) != 1 || got["queue"] != "sum(waiting)" || named(nil) != nil {
		t.Errorf("named = %v, want the one that was given a name", got)
	}
}
