package recorded

import (
	"errors"
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"sigs.k8s.io/yaml"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// ErrNoTarget means that a run recorded neither an HPA nor what it loaded.
var ErrNoTarget = errors.New("the run recorded neither an HPA nor a target")

// First returns what a workload that ran at fixed sizes is compared with: the HPA that
// kubectl autoscale would create for it, up to the largest of these sizes. It wraps
// ErrNoTarget if the first run has no cluster/target.yaml.
func First(runs []*results.Run) (hpa.Config, manifest.Meta, error) {
	var target struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
	}
	if err := yaml.Unmarshal(runs[0].Cluster["target.yaml"], &target); err != nil {
		return hpa.Config{}, manifest.Meta{}, fmt.Errorf("%w: cluster/target.yaml: %w", ErrNoTarget, err)
	}
	if target.Kind == "" {
		return hpa.Config{}, manifest.Meta{}, ErrNoTarget
	}
	largest := 1
	for _, r := range runs {
		there := map[string]bool{}
		for _, p := range r.Pods {
			there[p.Name] = true
		}
		largest = max(largest, len(there))
	}
	ref := autoscalingv2.CrossVersionObjectReference{APIVersion: target.APIVersion, Kind: target.Kind,
		Name: target.Metadata.Name}
	meta := manifest.Meta{Namespace: runs[0].Meta.Workload.Namespace, Name: target.Metadata.Name, Target: ref}
	return hpa.DefaultConfig(int32(largest)), meta, nil
}
