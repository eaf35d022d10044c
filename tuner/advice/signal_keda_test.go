package advice

import (
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// A workload that KEDA scales keeps its ScaledObject: only the triggers become those of the
// signal, and a second object would fight with the first.
func TestASignalReplacesTheTriggersOfAScaledObject(t *testing.T) {
	h, err := manifest.One("so.yaml", []byte(`apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: llm, namespace: serving, uid: "1", annotations: {team: a}}
spec:
  scaleTargetRef: {name: llm}
  minReplicaCount: 2
  maxReplicaCount: 9
  cooldownPeriod: 120
  fallback: {failureThreshold: 3, replicas: 5}
  advanced:
    scalingModifiers: {formula: "waiting * 2", target: "4"}
    horizontalPodAutoscalerConfig: {name: my-hpa, behavior: {scaleDown: {stabilizationWindowSeconds: 300}}}
  triggers:
    - type: prometheus
      name: waiting
      authenticationRef: {name: prom}
      metadata: {serverAddress: "https://prom:9090", query: "sum(waiting)", threshold: "5", ignoreNullValues: "false"}
status: {hpaName: my-hpa}
`))
	if err != nil {
		t.Fatal(err)
	}
	c := hpa.DefaultConfig(8)
	c.MinReplicas, c.Behavior = 3, true
	c.ScaleDown.Window, c.ScaleDown.WindowSet = time.Minute, true
	c.Metrics = []hpa.Metric{
		{Source: hpa.External, Name: "sum(waiting) / sum(running)", Target: hpa.Target{Type: hpa.Value, ValueMilli: 250}},
		{Source: hpa.Resource, Name: "cpu", Target: hpa.Target{Type: hpa.Utilization, Utilization: 60}},
	}
	row := tuner.SignalRow{Name: "s", Config: &c, Advised: true}
	a := Advice{options: Options{Meta: h.Meta, Scaled: h.Scaled}}
	if a.signal(&tuner.Recommendation{Signals: []tuner.SignalRow{row}}); len(a.Files) != 1 {
		t.Fatalf("files %+v, want signal.yaml", a.Files)
	}
	text := string(a.Files[0].Data)
	for _, want := range []string{"replaces the triggers of ScaledObject llm", "serverAddress: https://prom:9090", "name: prom",
		"cooldownPeriod: 120", "failureThreshold: 3", "name: my-hpa", "ignoreNullValues: \"false\"", "team: a",
		`query: sum(waiting{namespace="serving"}) / sum(running{namespace="serving"})`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, not := range []string{"scalingModifiers", "status:", "uid:", "Delete the HPA"} {
		if strings.Contains(text, not) {
			t.Errorf("%q is in\n%s", not, text)
		}
	}
	got, err := manifest.One("signal.yaml", a.Files[0].Data)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	g := got.Config
	if g.MinReplicas != 3 || g.MaxReplicas != 8 || g.ScaleDown.Window != time.Minute || len(g.Metrics) != 2 ||
		g.Metrics[0].Target.ValueMilli != 250 || g.Metrics[1].Target.Utilization != 60 || got.Meta.Name != "my-hpa" {
		t.Errorf("it makes the HPA %+v %+v", got.Meta, g)
	}
	// Beside a plain HPA it is an object of its own, with the behavior that was predicted.
	c.Metrics = c.Metrics[:1]
	plain, err := manifest.One("signal.yaml", signalOf(&row, manifest.Meta{Name: "llm", Namespace: "serving", Target: h.Meta.Target}, nil))
	if err != nil || plain.Config.ScaleDown.Window != time.Minute {
		t.Errorf("of a plain HPA: %+v, %v; want a window of a minute", plain.Config, err)
	}
}
