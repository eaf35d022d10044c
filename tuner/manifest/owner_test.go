package manifest

import (
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"sigs.k8s.io/yaml"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// scaledObject is the part of KEDA's type that the patch changes.
type scaledObject struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Spec       struct {
		MinReplicaCount *int32 `json:"minReplicaCount"`
		MaxReplicaCount *int32 `json:"maxReplicaCount"`
		Advanced        struct {
			HorizontalPodAutoscalerConfig struct {
				Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior `json:"behavior"`
			} `json:"horizontalPodAutoscalerConfig"`
		} `json:"advanced"`
	} `json:"spec"`
}

func TestKEDA(t *testing.T) {
	c, _, err := Decode([]byte(Handwritten))
	if err != nil {
		t.Fatal(err)
	}
	p := KEDA(&c, "ml", "so", []Note{{"", "By hpatune."}, {"spec.maxReplicas", "The peak needs 9."}})
	var so scaledObject
	if err := yaml.UnmarshalStrict(p.Body, &so); err != nil {
		t.Fatalf("%v\n%s", err, p.Body)
	}
	// What KEDA makes of it is the config again.
	spec := autoscalingv2.HorizontalPodAutoscalerSpec{MinReplicas: so.Spec.MinReplicaCount, MaxReplicas: *so.Spec.MaxReplicaCount, Behavior: so.Spec.Advanced.HorizontalPodAutoscalerConfig.Behavior}
	got, err := FromV2(&spec)
	want := c.Clone()
	drop(&want)
	got.Metrics = want.Metrics
	if err != nil || !got.Equal(&want) {
		t.Errorf("%v: %+v, want %+v", err, got, want)
	}
	if !strings.Contains(string(p.Body), "  # The peak needs 9.\n  maxReplicaCount: 10\n") {
		t.Errorf("the note is not above its field:\n%s", p.Body)
	}
	if got, want := strings.Join(p.Rest, "\n"), `in the trigger of type cpu: metricType Utilization and metadata.value "70"
in the trigger of type memory: metricType Utilization and metadata.value "80"`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestKServe(t *testing.T) {
	c, _, err := Decode([]byte(Handwritten))
	if err != nil {
		t.Fatal(err)
	}
	p := KServe(&c, "ml", "llm", nil)
	want := `apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  namespace: ml
  name: llm
spec:
  predictor:
    minReplicas: 2
    maxReplicas: 10
    scaleMetric: cpu
    scaleTarget: 70
`
	if string(p.Body) != want {
		t.Errorf("got\n%swant\n%s", p.Body, want)
	}
	if len(p.Rest) != 2 || !strings.Contains(p.Rest[0], "memory (Utilization 80)") || !strings.Contains(p.Rest[1], "behavior") {
		t.Errorf("rest %q", p.Rest)
	}
	c = hpa.DefaultConfig(3)
	if p := KServe(&c, "", "llm", nil); len(p.Rest) != 0 {
		t.Errorf("nothing is left to say, but %q", p.Rest)
	}
}
