package observer

import (
	"encoding/json"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/results"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
)

func TestWhatOthersDoToTheTargetIsWarnedOf(t *testing.T) {
	written := func(manager, subresource, fields string, second int) metav1.ManagedFieldsEntry {
		at := metav1.NewTime(time.Unix(int64(second), 0))
		return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, Time: &at, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	const spec, status, image = `{"f:spec":{"f:replicas":{}}}`, `{"f:status":{"f:replicas":{}}}`, `{"f:spec":{"f:template":{"f:spec":{}}}}`
	scaled := func(manager string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Subresource: "scale", FieldsV1: metav1.NewFieldsV1(spec)}
	}
	deployed := written("kubectl-client-side-apply", "", `{"f:spec":{"f:replicas":{},"f:template":{}}}`, 1)
	for _, tt := range []struct {
		name   string
		size   int64 // after 2
		image  string
		fields []metav1.ManagedFieldsEntry
		want   string // ID of the warning; "" = none
	}{
		{"the HPA scales", 4, "a", []metav1.ManagedFieldsEntry{deployed, written("kube-controller-manager", "scale", spec, 9)}, ""},
		{"a person scales, and the status is written after it", 4, "a", []metav1.ManagedFieldsEntry{deployed, written("kubectl", "scale", spec, 9), written("kube-controller-manager", "status", status, 10)}, "target-scaled"},
		{"a person scales after the HPA has", 1, "a", []metav1.ManagedFieldsEntry{deployed, written("kube-controller-manager", "scale", spec, 5), written("kubectl-edit", "", spec, 9)}, "target-scaled"},
		{"a person scales, as an API server of 1.37 notes it: without a time", 3, "a",
			[]metav1.ManagedFieldsEntry{scaled("kubectl"), written("e2e.test", "", image, 1)}, "target-scaled"},
		{"the HPA scales, noted without a time", 3, "a",
			[]metav1.ManagedFieldsEntry{scaled("kube-controller-manager"), written("kubectl-edit", "", image, 9)}, ""},
		{"KEDA wakes it", 1, "a", []metav1.ManagedFieldsEntry{deployed, written("keda-operator", "scale", spec, 9)}, ""},
		{"nobody says who it was", 4, "a", nil, ""},
		{"a new image is rolled out", 2, "b", []metav1.ManagedFieldsEntry{deployed, written("helm", "", image, 9)}, "target-changed"},
		{"nothing happens", 2, "a", []metav1.ManagedFieldsEntry{deployed}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			object := func(size int64, image string, fields []metav1.ManagedFieldsEntry) *unstructured.Unstructured {
				u := &unstructured.Unstructured{Object: map[string]any{
					"spec":   map[string]any{"replicas": size, "template": map[string]any{"spec": map[string]any{"image": image}}},
					"status": map[string]any{"replicas": size}}}
				u.SetManagedFields(fields)
				return u
			}
			s := &kube.Subject{HPA: &autoscalingv2.HorizontalPodAutoscaler{}}
			s.Target.Kind, s.Target.Name, s.Target.Resource.Group = "Deployment", "web", "apps"
			var got []string
			k := NewKube(nil, s, results.Clock{Start: time.Now(), Speed: 1}, Options{})
			k.emit = func(r results.Record) {
				if w, ok := r.(results.Warning); ok {
					got = append(got, string(w.ID))
				}
			}
			k.targetSeen(t.Context(), object(2, "a", []metav1.ManagedFieldsEntry{deployed}))
			k.targetSeen(t.Context(), object(tt.size, tt.image, tt.fields))
			want := []string{tt.want}
			if tt.want == "" {
				want = nil
			}
			if a, b := text(got), text(want); a != b {
				t.Errorf("warnings %s, want %s", a, b)
			}
		})
	}
}

func text(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
