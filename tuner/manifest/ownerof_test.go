package manifest

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestOwnerOf(t *testing.T) {
	yes := true
	for _, tt := range []struct {
		name      string
		o         metav1.ObjectMeta
		want      string
		patchable bool
	}{
		{"nobody", metav1.ObjectMeta{}, "", true},
		{"KEDA by ownerReferences", metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{APIVersion: "keda.sh/v1alpha1", Kind: "ScaledObject", Name: "so", Controller: &yes}}}, "KEDA so", false},
		{"KServe by label", metav1.ObjectMeta{Labels: map[string]string{"serving.kserve.io/inferenceservice": "bert"}}, "KServe bert", false},
		{"Argo CD by tracking id", metav1.ObjectMeta{Annotations: map[string]string{"argocd.argoproj.io/tracking-id": "shop:autoscaling/HorizontalPodAutoscaler:ml/x"}}, "Argo CD shop", false},
		{"Flux under Helm is Flux", metav1.ObjectMeta{Labels: map[string]string{"helm.toolkit.fluxcd.io/name": "r", "app.kubernetes.io/managed-by": "Helm"}}, "Flux HelmRelease r", false},
		{"Helm leaves changes until its next upgrade", metav1.ObjectMeta{Annotations: map[string]string{"meta.helm.sh/release-name": "r"}}, "Helm r", true},
		{"a field manager that wrote the spec", metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "pulumi", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{}}`)}}}, "manager pulumi", true},
		{"a person with kubectl owns nothing", metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl-client-side-apply", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{}}`)}}}, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := OwnerOf(&tt.o)
			if strings.TrimSpace(got.Kind+" "+got.Name) != tt.want || got.Patchable() != tt.patchable {
				t.Errorf("OwnerOf = %+v (patchable %v), want %q (patchable %v)", got, got.Patchable(), tt.want, tt.patchable)
			}
		})
	}
}

// KEDA labels and writes every ScaledObject; that does not make KEDA its owner.
func TestOwnerOfScaled(t *testing.T) {
	own := metav1.ObjectMeta{
		Labels:        map[string]string{"scaledobject.keda.sh/name": "so"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "keda", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{}}`)}},
	}
	if got := OwnerOfScaled(&own); got != (Owner{}) {
		t.Errorf("OwnerOfScaled = %+v, want nobody", got)
	}
	own.Labels["argocd.argoproj.io/instance"] = "shop"
	if got := OwnerOfScaled(&own); got.Kind != "Argo CD" || got.Name != "shop" {
		t.Errorf("OwnerOfScaled = %+v, want Argo CD shop", got)
	}
}
