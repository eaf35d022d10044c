package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// judged are the kinds that the doctor reads; wide ones have no namespace, and
// only the needed ones must be readable.
var judged = []struct {
	group, version, resource string
	wide, needed             bool
}{
	{"autoscaling", "v2", "horizontalpodautoscalers", false, true},
	{"apps", "v1", "deployments", false, true},
	{"apps", "v1", "statefulsets", false, true},
	{"policy", "v1", "poddisruptionbudgets", false, false},
	{"", "v1", "resourcequotas", false, false},
	{"autoscaling.k8s.io", "v1", "verticalpodautoscalers", false, false},
	{"keda.sh", "v1alpha1", "scaledobjects", false, false},
	{"", "v1", "events", false, false},
	{"", "v1", "nodes", true, false},
	{"apiregistration.k8s.io", "v1", "apiservices", true, false},
}

// Facts returns the objects that the doctor judges as one JSON List, read-only:
// those of a namespace ("" = all), and nodes and API services. missed says what
// could not be read and is not known therefore; a kind that the cluster does not
// have is not missed.
func (c *Cluster) Facts(ctx context.Context, namespace string) (list []byte, missed []string, err error) {
	items := []any{}
	for _, k := range judged {
		var door dynamic.ResourceInterface = c.Dynamic.Resource(schema.GroupVersionResource{Group: k.group, Version: k.version, Resource: k.resource})
		if !k.wide {
			door = c.Dynamic.Resource(schema.GroupVersionResource{Group: k.group, Version: k.version, Resource: k.resource}).Namespace(namespace)
		}
		o := metav1.ListOptions{}
		if k.resource == "events" {
			o.FieldSelector = "involvedObject.kind=HorizontalPodAutoscaler,type=Warning"
		}
		got, err := door.List(ctx, o)
		switch {
		case apierrors.IsNotFound(err):
			continue
		case err != nil && k.needed:
			return nil, nil, fmt.Errorf("list %s: %w", k.resource, Explain(err, "doctor"))
		case err != nil && errors.Is(err, ctx.Err()):
			return nil, nil, fmt.Errorf("list %s: %w", k.resource, err)
		case err != nil:
			missed = append(missed, fmt.Sprintf("%s: %v", k.resource, Explain(err, "doctor")))
			continue
		}
		for i := range got.Items {
			if k.resource != "horizontalpodautoscalers" { // whose managers tell autoscaling/v1
				unstructured.RemoveNestedField(got.Items[i].Object, "metadata", "managedFields")
			}
			items = append(items, got.Items[i].Object)
		}
	}
	list, err = json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
	return list, missed, err
}
