package manifest

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/keda"
)

// TestLoop reads everything that KEDA's own loop has from one object.
func TestLoop(t *testing.T) {
	d := scaledOf(t, strings.Replace(so(`  minReplicaCount: 2
  idleReplicaCount: 0
  pollingInterval: 10
  cooldownPeriod: 60
  initialCooldownPeriod: 20
  fallback: {failureThreshold: 3, replicas: 4, behavior: currentReplicasIfHigher}
  triggers:
    - type: cpu
      metricType: Utilization
      metadata: {value: "70"}
    - type: prometheus
      useCachedMetrics: true
      metricType: Value
      metadata: {serverAddress: "http://p", query: "sum(vllm:num_requests_waiting)", threshold: "5", activationThreshold: "2",
        ignoreNullValues: "false"}
    - type: metrics-api
      metadata: {url: "http://x", valueLocation: "a.b", targetValue: "7", activationTargetValue: "1.5"}
`), "{name: web, namespace", `{annotations: {autoscaling.keda.sh/paused-scale-in: "true", autoscaling.keda.sh/force-activation: ""}, name: web, namespace`, 1))
	zero := int32(0)
	want := &keda.Loop{
		Polling: 10 * time.Second, Cooldown: time.Minute, InitialCooldown: 20 * time.Second, Min: 2, Idle: &zero,
		PausedIn: true, Forced: true,
		Fallback: &keda.Fallback{FailureThreshold: 3, Replicas: 4, Behavior: keda.CurrentReplicasIfHigher},
		Triggers: []keda.Trigger{
			{Metric: "cpu", Resource: true},
			{Metric: "s1-prometheus", Activation: 2, EmptyFails: true, OfPods: true, Reads: "prometheus", Cached: true, Target: 5, Value: true,
				Query: "sum(vllm:num_requests_waiting)"},
			{Metric: "s2-metric-api-a-b", Activation: 1.5, Reads: "metrics-api", Target: 7},
		},
	}
	got := d.Scaled.Loop(func(t *Trigger) (string, bool) {
		return t.Type, strings.Contains(t.Metadata["query"], "vllm")
	})
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Loop = %+v, want %+v", got, want)
	}
}

func TestLoopDefaultsFormulaAndPause(t *testing.T) {
	d := scaledOf(t, strings.Replace(so(`  advanced:
    scalingModifiers: {formula: "a + 1", target: "2.5", activationTarget: "3", metricType: Value}
  fallback: {failureThreshold: 1, replicas: 2}
  triggers:
    - type: prometheus
      name: a
      metadata: {serverAddress: "http://p", query: "up", threshold: "5"}
`), "{name: web, namespace", `{annotations: {autoscaling.keda.sh/paused-replicas: "3"}, name: web, namespace`, 1))
	got := d.Scaled.Loop(func(*Trigger) (string, bool) { return "", false })
	want := &keda.Loop{
		Polling: 30 * time.Second, Cooldown: 5 * time.Minute, Paused: true, PausedAt: 3,
		Fallback: &keda.Fallback{FailureThreshold: 1, Replicas: 2, Void: true}, // the target is no whole number
		Formula:  &keda.Formula{Activation: 3, Target: 2.5, Value: true, Text: "a + 1", Names: []string{"a"}},
		Triggers: []keda.Trigger{{Metric: "s0-prometheus", Name: "a", Query: "up", Target: 5}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Loop = %+v, want %+v", got, want)
	}
}
