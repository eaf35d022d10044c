package kube

import (
	"context"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hpatune/hpatune/internal/secrets"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// scaledObjects is where KEDA's objects are.
var scaledObjects = schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}

// made finds the ScaledObject that makes the subject's HPA, from the HPA's owner. If it
// cannot be read, Scaled stays nil and ScaledWhy says why: the run continues with the HPA
// alone.
func (c *Cluster) made(ctx context.Context, s *Subject) {
	if s.HPAOwner.Kind != manifest.OwnerKEDA {
		return
	}
	u, err := c.Dynamic.Resource(scaledObjects).Namespace(s.Namespace).Get(ctx, s.HPAOwner.Name, metav1.GetOptions{})
	if err != nil {
		s.ScaledWhy = Explain(err, "run")
		return
	}
	s.Scaled = u
}

// scaledFile is a ScaledObject as a run stores it, without the keys and headers of triggers
// and without another run's journal.
func scaledFile(u *unstructured.Unstructured) map[string]any {
	out := bare(u.Object)
	setAnnotation(&unstructured.Unstructured{Object: out}, "")
	triggers, _, _ := unstructured.NestedSlice(out, "spec", "triggers")
	for _, t := range triggers {
		trigger, _ := t.(map[string]any)
		metadata, _ := trigger["metadata"].(map[string]any)
		for name := range metadata {
			if secrets.SecretName(name) || strings.EqualFold(name, "customHeaders") {
				metadata[name] = secrets.Struck
			}
		}
	}
	if triggers != nil {
		_ = unstructured.SetNestedSlice(out, triggers, "spec", "triggers") // there is a spec, as it had triggers
	}
	return out
}
