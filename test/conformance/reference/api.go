package reference

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/autoscaling"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install" // registers types, defaults and conversions
	registry "k8s.io/kubernetes/pkg/registry/autoscaling/horizontalpodautoscaler"
	"sigs.k8s.io/yaml"
)

const (
	namespace  = "default"
	hpaName    = "web" // the name that tuner/scenario gives an HPA without one
	targetName = "web"
)

var strict = serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict)

// Admit does the API server's part: it decodes an HPA manifest strictly, sets the
// defaults, runs the registry's strategy and validation, and returns the object as v2.
//
// old is the stored object for an edit, nil for a new one. As in the interchange
// format, apiVersion (default autoscaling/v2), kind, metadata and scaleTargetRef may be
// left out. All rules are upstream's own code: pkg/apis/autoscaling and
// pkg/registry/autoscaling.
func Admit(
	manifest json.RawMessage,
	old *autoscalingv2.HorizontalPodAutoscaler,
) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	var text string
	if json.Unmarshal(manifest, &text) == nil { // YAML or JSON in a string
		j, err := yaml.YAMLToJSONStrict([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("hpa: %w", err)
		}
		manifest = j
	}
	var doc map[string]any
	if err := json.Unmarshal(manifest, &doc); err != nil {
		return nil, fmt.Errorf("hpa: %w", err)
	}
	fill := func(m map[string]any, key string, v any) {
		if m != nil && m[key] == nil {
			m[key] = v
		}
	}
	fill(doc, "apiVersion", "autoscaling/v2")
	fill(doc, "kind", "HorizontalPodAutoscaler")
	fill(doc, "metadata", map[string]any{})
	meta, _ := doc["metadata"].(map[string]any)
	fill(meta, "name", hpaName)
	fill(meta, "namespace", namespace)
	spec, _ := doc["spec"].(map[string]any)
	fill(spec, "scaleTargetRef", map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": targetName})
	full, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}

	obj, err := runtime.Decode(strict.UniversalDecoder(autoscaling.SchemeGroupVersion), full)
	if err != nil {
		return nil, fmt.Errorf("hpa: %w", err)
	}
	hpa, ok := obj.(*autoscaling.HorizontalPodAutoscaler)
	if !ok {
		return nil, fmt.Errorf("hpa: found %s, want a HorizontalPodAutoscaler", reflect.TypeOf(obj))
	}
	ctx := context.Background()
	if old == nil {
		registry.Strategy.PrepareForCreate(ctx, hpa)
		if errs := registry.Strategy.Validate(ctx, hpa); len(errs) > 0 {
			return nil, fmt.Errorf("hpa: %w", errs.ToAggregate())
		}
	} else {
		was := &autoscaling.HorizontalPodAutoscaler{}
		if err := legacyscheme.Scheme.Convert(old, was, nil); err != nil {
			return nil, err
		}
		hpa.ObjectMeta = *was.ObjectMeta.DeepCopy()
		registry.Strategy.PrepareForUpdate(ctx, hpa, was)
		if errs := registry.Strategy.ValidateUpdate(ctx, hpa, was); len(errs) > 0 {
			return nil, fmt.Errorf("hpa: %w", errs.ToAggregate())
		}
	}
	out := &autoscalingv2.HorizontalPodAutoscaler{}
	if err := legacyscheme.Scheme.Convert(hpa, out, nil); err != nil {
		return nil, fmt.Errorf("hpa: %w", err)
	}
	return out, nil
}
