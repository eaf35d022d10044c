package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OwnerKEDA is the Kind of an Owner that is a ScaledObject.
const OwnerKEDA = "KEDA"

// Owner is who writes an object, and would overwrite changes.
type Owner struct {
	Kind string // KEDA, KServe, Argo CD, Flux, Helm, controller, manager, "" = none found
	Name string // of the owning object or release
	How  string // the evidence: the label, annotation, ownerReference or field manager
}

// Patchable reports whether a change to the object lasts until it is reverted: KEDA, KServe
// and other controllers overwrite their objects within seconds, and Argo CD and Flux at
// their next sync.
func (o Owner) Patchable() bool { return o.Kind == "" || o.Kind == "Helm" || o.Kind == "manager" }

// Where says what to change instead of the object; "" = the object itself.
func (o Owner) Where() string {
	switch o.Kind {
	case OwnerKEDA:
		return "change the ScaledObject " + o.Name + ": KEDA writes this HPA"
	case "KServe":
		return "change the InferenceService " + o.Name + ": KServe writes this object"
	case "Argo CD":
		return "change the manifest in the repository of the Argo CD application " +
			"" + o.Name + ": self-heal undoes changes in the cluster"
	case "Flux":
		return "change the manifest in the repository of " + o.Name + ": Flux undoes changes in the cluster"
	case "Helm":
		return "change the values of the Helm release " + o.Name + ", or its next upgrade undoes this"
	case "controller":
		return "change " + o.Name + ": its controller writes this object"
	}
	return ""
}

// String is the owner for a person.
func (o Owner) String() string {
	if o.Kind == "" {
		return "none found"
	}
	return fmt.Sprintf("%s %s (by %s)", o.Kind, o.Name, o.How)
}

// kubectlManagers are field managers of people at a terminal and of the
// control plane: they own nothing.
var kubectlManagers = []string{
	"kubectl",
	"kube-controller-manager",
	"kube-apiserver",
	"hpatune",
	"before-first-apply",
	"k9s",
	"lens",
	"rancher",
}

// OwnerOf finds who owns an object: its ownerReferences, then labels and
// annotations of KEDA, KServe, Argo CD, Flux and Helm, then the field manager
// that applied its spec.
func OwnerOf(o metav1.Object) Owner { return ownerOf(o, false) }

// OwnerOfScaled finds who owns a ScaledObject, as OwnerOf does. KEDA's own label and writes
// do not make it the owner.
func OwnerOfScaled(o metav1.Object) Owner { return ownerOf(o, true) }

func ownerOf(o metav1.Object, scaled bool) Owner {
	labels, notes := o.GetLabels(), o.GetAnnotations()
	for _, r := range o.GetOwnerReferences() {
		switch group, _, _ := strings.Cut(r.APIVersion, "/"); {
		case group == "keda.sh":
			return Owner{OwnerKEDA, r.Name, "ownerReferences"}
		case strings.HasSuffix(group, "kserve.io"):
			return Owner{"KServe", r.Name, "ownerReferences"}
		}
	}
	if n := labels[kedaOwner]; n != "" && !scaled {
		return Owner{OwnerKEDA, n, "label scaledobject.keda.sh/name"}
	}
	if n := labels["serving.kserve.io/inferenceservice"]; n != "" {
		return Owner{"KServe", n, "label serving.kserve.io/inferenceservice"}
	}
	for _, r := range o.GetOwnerReferences() {
		if r.Controller != nil && *r.Controller {
			return Owner{"controller", r.Kind + "/" + r.Name, "ownerReferences"}
		}
	}
	if id := notes["argocd.argoproj.io/tracking-id"]; id != "" {
		app, _, _ := strings.Cut(id, ":")
		return Owner{"Argo CD", app, "annotation argocd.argoproj.io/tracking-id"}
	}
	if n := labels["argocd.argoproj.io/instance"]; n != "" {
		return Owner{"Argo CD", n, "label argocd.argoproj.io/instance"}
	}
	if n := labels["kustomize.toolkit.fluxcd.io/name"]; n != "" {
		return Owner{"Flux", "Kustomization " + n, "label kustomize.toolkit.fluxcd.io/name"}
	}
	if n := labels["helm.toolkit.fluxcd.io/name"]; n != "" {
		return Owner{"Flux", "HelmRelease " + n, "label helm.toolkit.fluxcd.io/name"}
	}
	if n := notes["meta.helm.sh/release-name"]; n != "" {
		return Owner{"Helm", n, "annotation meta.helm.sh/release-name"}
	}
	if labels["app.kubernetes.io/managed-by"] == "Helm" {
		return Owner{"Helm", cmp.Or(labels["app.kubernetes.io/instance"], o.GetName()), "label app.kubernetes.io/managed-by"}
	}
	for _, m := range o.GetManagedFields() {
		if m.Subresource != "" || m.FieldsV1 == nil || !strings.Contains(m.FieldsV1.String(), `"f:spec"`) {
			continue
		}
		switch name := strings.ToLower(m.Manager); {
		case scaled && strings.HasPrefix(name, "keda"):
		case strings.HasPrefix(name, "keda"):
			return Owner{OwnerKEDA, o.GetName(), "managedFields"}
		case strings.HasPrefix(name, "argocd"):
			return Owner{"Argo CD", o.GetName(), "managedFields"}
		case strings.HasPrefix(name, "kustomize-controller"), strings.HasPrefix(name, "helm-controller"):
			return Owner{"Flux", o.GetName(), "managedFields"}
		case strings.HasPrefix(name, "helm"):
			return Owner{"Helm", o.GetName(), "managedFields"}
		case !slices.ContainsFunc(kubectlManagers, func(k string) bool { return strings.HasPrefix(name, k) }):
			return Owner{"manager", m.Manager, "managedFields"}
		}
	}
	return Owner{}
}
