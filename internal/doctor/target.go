package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// scalable are the well-known kinds that have a /scale, and their API groups. The
// controller resolves a target by group and kind, regardless of the version.
//
// Source: k8s.io/kubernetes pkg/controller/podautoscaler/horizontal.go
// (scaleForResourceMappings); each project's CustomResourceDefinition.
var scalable = map[string][]string{
	"Deployment": {"apps"}, "StatefulSet": {"apps"}, "ReplicaSet": {"apps"}, "ReplicationController": {""},
	"Rollout": {"argoproj.io"}, "LeaderWorkerSet": {"leaderworkerset.x-k8s.io"}, "CloneSet": {"apps.kruise.io"},
	"VLLMRuntime": {"production-stack.vllm.ai"}, "StormService": {"orchestration.aibrix.ai"},
	"RoleBasedGroupScalingAdapter": {"workloads.x-k8s.io"}, "DynamoGraphDeploymentScalingAdapter": {"nvidia.com"},
	"PodCliqueScalingGroup": {"grove.io"}, "PodClique": {"grove.io"}, "ModelServing": {"workload.serving.volcano.sh"},
	"SeldonDeployment": {"machinelearning.seldon.io"},
}

// unscalable are kinds that have no /scale, and what to name instead.
var unscalable = map[string]string{
	"DaemonSet": "a DaemonSet runs a pod on every node; an HPA cannot scale it",
	"Job":       "use a Deployment; the size of a job is its parallelism",
	"CronJob":   "use a Deployment; the size of a job is its parallelism",
	"Pod":       "use the Deployment that creates the pods",
	"Service":   "use the Deployment behind it",
	"InferenceService": "KServe creates an HPA itself: set serving.kserve.io/autoscalerClass: hpa, or use the " +
		"predictor's Deployment",
	"RayService":              "Ray scales its workers itself (enableInTreeAutoscaling)",
	"RayCluster":              "Ray scales its workers itself (enableInTreeAutoscaling)",
	"HorizontalPodAutoscaler": "use the Deployment",
}

// resolution is what became of a scaleTargetRef.
type resolution struct {
	doc   *manifest.Doc // what it names, or was meant to; nil = not among the facts
	wrong string        // why the controller cannot find it ("" = it can)
	fix   string        // of wrong
	near  *manifest.Doc // where doc is nil: what it may have been meant to name
	how   string        // how near differs
}

// resolve finds the object that a reference names.
func (s *subject) resolve(ref autoscalingv2.CrossVersionObjectReference) (r resolution) {
	kind, groups := ref.Kind, []string{group(ref.APIVersion)}
	switch {
	case unscalable[kind] != "" && !(kind == "Service" && groups[0] != ""):
		r.wrong, r.fix = fmt.Sprintf(
			"%s has no /scale, so an HPA cannot scale it: it always fails with FailedGetScale",
			kind,
		), unscalable[kind]
	case scalable[kind] != nil && ref.APIVersion != "" && !slices.Contains(scalable[kind], groups[0]):
		if kind == "Deployment" || kind == "ReplicaSet" || groups[0] == "extensions" || groups[0] == "" {
			r.wrong = fmt.Sprintf("%s has no kind %s: it always fails with FailedGetScale", ref.APIVersion, kind)
			if groups[0] == "extensions" {
				r.wrong = fmt.Sprintf(
					"%s was removed in Kubernetes 1.16, so there is no %s: it always fails with FailedGetScale",
					ref.APIVersion,
					kind,
				)
			}
			r.fix = "apiVersion: " + apiVersions[scalable[kind][0]]
			groups = scalable[kind]
		}
	case scalable[kind] == nil:
		known := slices.Sorted(maps.Keys(scalable))
		meant := sameLetters(kind, known)
		// All kinds of apps are known, so a name that is none of them is a mistake.
		if meant == "" && (groups[0] == "apps" || groups[0] == "extensions") {
			meant = cmp.Or(source.Nearest(kind, known), "Deployment")
		}
		if meant != "" {
			r.wrong = fmt.Sprintf(
				"%s has no kind %q (case matters): it always fails with FailedGetScale",
				cmp.Or(ref.APIVersion, "the API"),
				kind,
			)
			r.fix, kind, groups = "kind: "+meant, meant, scalable[meant]
		}
	}
	var found []*manifest.Doc
	for _, d := range s.of(kind) {
		g := group(d.APIVersion)
		old := g == "extensions" && slices.Contains(groups, "apps") // its own manifest is as old
		if d.Name == ref.Name && (ref.APIVersion == "" || slices.Contains(groups, g) || old) {
			found = append(found, d)
		}
	}
	if len(found) > 0 { // the nearest file, and of one file what is written last
		r.doc = slices.MaxFunc(found, func(a, b *manifest.Doc) int {
			return cmp.Or(cmp.Compare(near(s.doc.File, a.File), near(s.doc.File, b.File)), cmp.Compare(a.Line, b.Line))
		})
		return r
	}
	r.near, r.how = s.nearest(kind, ref.Name)
	return r
}

// apiVersions are the present versions of the groups of scalable.
var apiVersions = map[string]string{
	"apps":                        "apps/v1",
	"":                            "v1",
	"argoproj.io":                 "argoproj.io/v1alpha1",
	"leaderworkerset.x-k8s.io":    "leaderworkerset.x-k8s.io/v1",
	"apps.kruise.io":              "apps.kruise.io/v1alpha1",
	"production-stack.vllm.ai":    "production-stack.vllm.ai/v1alpha1",
	"orchestration.aibrix.ai":     "orchestration.aibrix.ai/v1alpha1",
	"machinelearning.seldon.io":   "machinelearning.seldon.io/v1",
	"nvidia.com":                  "nvidia.com/v1alpha1",
	"workloads.x-k8s.io":          "workloads.x-k8s.io/v1alpha1",
	"grove.io":                    "grove.io/v1alpha1",
	"workload.serving.volcano.sh": "workload.serving.volcano.sh/v1alpha1",
}

// sameLetters finds the kind that a word differs from by case, by a plural, or by being
// kubectl's short name.
func sameLetters(word string, known []string) string {
	short := map[string]string{
		"deploy": "Deployment",
		"sts":    "StatefulSet",
		"rs":     "ReplicaSet",
		"rc":     "ReplicationController",
		"lws":    "LeaderWorkerSet",
	}
	if k := short[strings.ToLower(word)]; k != "" {
		return k
	}
	for _, k := range known {
		if strings.EqualFold(k, word) || strings.EqualFold(k+"s", word) {
			return k
		}
	}
	return ""
}

// nearest finds the object that a missing target was probably meant to be: another kind
// with that name, that name in another namespace, or a similar name that no other
// autoscaler uses.
func (s *subject) nearest(kind, name string) (*manifest.Doc, string) {
	var names []string
	byName := map[string]*manifest.Doc{}
	for i := range s.facts.Docs {
		d := &s.facts.Docs[i]
		if scalable[d.Kind] == nil || s.facts.apart.apart(s.doc.File, d.File) {
			continue
		}
		here := d.Namespace == s.doc.Namespace || d.Namespace == "" || s.doc.Namespace == ""
		switch {
		case d.Name == name && here && d.Kind != kind:
			return d, "has that name"
		case d.Name == name && d.Kind == kind && !here:
			return d, "is in another namespace"
		case d.Kind == kind && here && !s.facts.named(d):
			names, byName[d.Name] = append(names, d.Name), d
		}
	}
	if n := source.Nearest(name, names); n != "" {
		return byName[n], "has a similar name"
	}
	return nil, ""
}

// named reports whether some HPA has an object as its target.
func (f *Facts) named(d *manifest.Doc) bool {
	all := slices.Concat(f.of(d.Namespace, "HorizontalPodAutoscaler"), f.of(d.Namespace, "ScaledObject"))
	return slices.ContainsFunc(all, func(h *manifest.Doc) bool {
		return h.HPA != nil && h.HPA.Spec.ScaleTargetRef.Kind == d.Kind && h.HPA.Spec.ScaleTargetRef.Name == d.Name
	})
}

func targetKind(s *subject) ([]hit, bool) {
	if s.target.wrong == "" {
		return nil, true
	}
	h := s.hit("spec.scaleTargetRef", "%s", s.target.wrong)
	h.fix = s.target.fix
	return []hit{h}, true
}

func targetMissing(s *subject) ([]hit, bool) {
	if s.facts.Live || s.target.doc == nil && s.target.near == nil {
		return nil, false
	}
	if s.target.doc != nil {
		return nil, true
	}
	ref := s.doc.HPA.Spec.ScaleTargetRef
	h := s.hit("spec.scaleTargetRef.name", "%s %s is not among these files; %s (%s) %s",
		ref.Kind, ref.Name, object(s.target.near), place(s.target.near), s.target.how)
	if s.target.near.Kind != ref.Kind {
		h.path = "spec.scaleTargetRef.kind"
	}
	h.fix = fmt.Sprintf("use %s %s, if you mean that one", s.target.near.Kind, s.target.near.Name)
	return []hit{h}, true
}

func place(d *manifest.Doc) string { return fmt.Sprintf("%s:%d", d.File, d.Line) }

// atZero finds targets with 0 replicas, for which an HPA does nothing.
func atZero(s *subject) ([]hit, bool) {
	if s.config.MinReplicas == 0 || s.loop() { // KEDA brings it back
		return nil, true
	}
	for _, c := range s.doc.HPA.Status.Conditions {
		if c.Type == autoscalingv2.ScalingActive && c.Reason == "ScalingDisabled" {
			return []hit{
				s.hit(
					"spec.scaleTargetRef",
					"the target has 0 replicas, which switches the HPA off until somebody sets 1 or more (%s)",
					c.Message,
				),
			}, true
		}
	}
	if s.work == nil {
		return nil, false
	}
	if n := s.work.replicas; n != nil && *n == 0 {
		return []hit{
			{
				doc:  s.workDoc,
				path: "spec.replicas",
				why:  "the target has replicas: 0, which switches the HPA off until somebody sets 1 or more",
			},
		}, true
	}
	return nil, true
}

// injectors are the names of containers that webhooks put into pods.
var injectors = []string{
	"istio-proxy",
	"linkerd-proxy",
	"envoy",
	"envoy-sidecar",
	"daprd",
	"vault-agent",
	"queue-proxy",
	"consul-dataplane",
	"kuma-sidecar",
	"aws-otel-collector",
	"otc-container",
	"datadog-agent",
	"cloud-sql-proxy",
	"kserve-container",
	"gke-gcsfuse-sidecar",
}

// container finds ContainerResource metrics of a container that the pods do not have.
func container(s *subject) (hits []hit, ok bool) {
	if s.work == nil {
		return nil, false
	}
	var names []string
	list, _ := s.containers()
	for _, c := range list {
		names = append(names, c.Name)
	}
	for i, m := range s.config.Metrics {
		if m.Source != hpa.ContainerResource || slices.Contains(names, m.Container) {
			continue
		}
		h := s.hit(
			metricPath(i)+".containerResource.container",
			"the pods have no container %s (they have %s), so the metric always fails: FailedGetContainerResourceMetric",
			m.Container,
			strings.Join(names, ", "),
		)
		if n := cmp.Or(
			source.Nearest(m.Container, names),
			names[0],
		); len(names) == 1 ||
			source.Nearest(m.Container, names) != "" {
			h.fix = "container: " + n
		}
		if slices.Contains(injectors, m.Container) && len(s.pods) == 0 {
			h.severity = Warning
			h.why = fmt.Sprintf(
				"the pod template has no container %s; unless a webhook injects it, the metric always fails: "+
					"FailedGetContainerResourceMetric",
				m.Container,
			)
			h.fix = "check in a running pod (kubectl get pod -o yaml) that the container exists and has requests"
		}
		hits = append(hits, h)
	}
	return hits, true
}
