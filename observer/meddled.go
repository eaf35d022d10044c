package observer

import (
	"bytes"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hpatune/hpatune/results"
)

// meddled warns about what somebody other than the autoscaler did to the target since the
// last look: set its size, or changed its pods' template. The object's managed fields say
// who wrote the size; without them, nothing is known. The caller holds mu.
func (k *Kube) meddled(u *unstructured.Unstructured, now scaleAt) {
	template, _, _ := unstructured.NestedMap(u.Object, "spec", "template")
	before := k.template
	k.template = template
	if before != nil && template != nil && !equality.Semantic.DeepEqual(before, template) {
		k.warn(
			results.WarnTargetChanged,
			"the pod template of %s was changed during the run by %s",
			k.subject.Target,
			orUnknown(lastWriter(u, "template")),
		)
	}
	if len(k.scales) == 0 || k.scales[len(k.scales)-1].spec == now.spec || k.subject.HPA == nil {
		return
	}
	who := lastWriter(u, "replicas")
	if who == "" || isAutoscaler(who) {
		return
	}
	k.warn(
		results.WarnTargetScaled,
		"%s was scaled to %d replicas during the run by %s, not by its HPA",
		k.subject.Target,
		now.spec,
		who,
	)
}

// lastWriter returns the field manager that last wrote a field of the object's spec,
// through the object or its scale; "" if the object does not say.
func lastWriter(u *unstructured.Unstructured, field string) string {
	name, at := "", time.Time{}
	for _, m := range u.GetManagedFields() {
		if m.Subresource == "status" || m.FieldsV1 == nil ||
			!bytes.Contains(m.FieldsV1.GetRawBytes(), []byte(`"f:`+field+`"`)) {
			continue
		}
		// The API server records no time for a write through /scale. Its writer loses the
		// field to the next one who changes it, so the current owner is the last writer.
		if m.Time == nil {
			return m.Manager
		}
		if !m.Time.Time.Before(at) {
			name, at = m.Manager, m.Time.Time
		}
	}
	return name
}

// isAutoscaler reports whether a field manager scales for the HPA: the controller itself,
// KEDA at zero, or this program, which reports its changes elsewhere.
func isAutoscaler(manager string) bool {
	for _, known := range []string{"kube-controller-manager", "keda", "hpatune", "vpa", "knative"} {
		if strings.HasPrefix(manager, known) {
			return true
		}
	}
	return false
}

func orUnknown(name string) string {
	if name == "" {
		return "somebody unknown"
	}
	return name
}
