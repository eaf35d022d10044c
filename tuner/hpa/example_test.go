package hpa_test

import (
	"fmt"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// Two pods use all that they request, and the target is half of that: the controller wants
// twice as many pods.
func ExampleController_Step() {
	spec := hpa.DefaultConfig(10)
	spec.Metrics = []hpa.Metric{{Source: hpa.Resource, Name: "cpu", Target: hpa.Target{Utilization: 50}}}
	requests := []hpa.Container{{Name: "app", CPU: 200, HasCPU: true}}
	old := -time.Hour
	pods := []hpa.Pod{
		{Name: "a", Containers: requests, StartTime: old, ReadySince: old},
		{Name: "b", Containers: requests, StartTime: old, ReadySince: old},
	}
	used := hpa.Sample{Milli: 200, Window: 15 * time.Second, OK: true}
	seen := hpa.Observation{
		Spec: &spec, SpecReplicas: 2, StatusReplicas: 2, Selector: "app=web", Pods: pods,
		Metrics: []hpa.Reading{{Samples: []hpa.Sample{used, used}, Listed: true}},
	}

	controller := hpa.New(hpa.DefaultParams())
	var decision hpa.Decision
	controller.Step(&seen, &decision)
	fmt.Println(decision.Replicas, decision.Scaled)
	// Output: 4 true
}

// Knobs walks every setting of an HPA by the path that its manifest has.
func ExampleKnobs() {
	spec := hpa.DefaultConfig(10)
	spec.MinReplicas = 2
	for _, k := range hpa.Knobs(&spec)[:2] {
		fmt.Println(k.Path, k.Get(&spec))
	}
	// Output:
	// spec.minReplicas 2
	// spec.maxReplicas 10
}
