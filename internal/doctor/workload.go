package doctor

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hpatune/hpatune/tuner/manifest"
)

// workload is the part of an object that makes pods which the checks use.
type workload struct {
	doc      *manifest.Doc // where its pod template stands
	path     string        // of the template: "spec.template"
	meta     metav1.ObjectMeta
	replicas *int32                // spec.replicas as written; nil = not said
	selector *metav1.LabelSelector // nil = the kind has none
	match    labels.Selector       // the same, compiled; nil = none, or one that selects nothing
	template corev1.PodTemplateSpec
}

// raw is the union of the fields of all kinds that make pods.
type raw struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		Replicas    *int32                 `json:"replicas"`
		Selector    any                    `json:"selector"`
		Template    corev1.PodTemplateSpec `json:"template"`
		WorkloadRef *struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"workloadRef"`
		JobTemplate *struct {
			Spec struct {
				Template corev1.PodTemplateSpec `json:"template"`
			} `json:"spec"`
		} `json:"jobTemplate"`
		LeaderWorkerTemplate *struct {
			LeaderTemplate *corev1.PodTemplateSpec `json:"leaderTemplate"`
			WorkerTemplate corev1.PodTemplateSpec  `json:"workerTemplate"`
		} `json:"leaderWorkerTemplate"`
	} `json:"spec"`
}

// makers are the kinds whose pods are told by labels.
var makers = []string{
	"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob", "Rollout",
	"LeaderWorkerSet", "CloneSet", "Pod",
}

// workload reads an object's pod template, once; nil if it has none that is known.
func (f *Facts) workload(d *manifest.Doc) (*workload, error) {
	if w, done := f.workloads[d]; done {
		return w, nil
	}
	w, err := f.readWorkload(d)
	if err != nil {
		return nil, err
	}
	if w != nil && w.selector != nil {
		if l, err := metav1.LabelSelectorAsSelector(w.selector); err == nil && !l.Empty() {
			w.match = l
		}
	}
	f.workloads[d] = w
	return w, nil
}

func (f *Facts) readWorkload(d *manifest.Doc) (*workload, error) {
	r, err := decode[raw](f, d)
	if err != nil {
		return nil, err
	}
	w := &workload{doc: d, path: "spec.template", meta: r.Metadata, replicas: r.Spec.Replicas, template: r.Spec.Template}
	w.selector = selector(r.Spec.Selector)
	switch {
	case d.Kind == "Pod":
		p, err := decode[corev1.Pod](f, d)
		if err != nil {
			return nil, err
		}
		w.path, w.template = "", corev1.PodTemplateSpec{ObjectMeta: p.ObjectMeta, Spec: p.Spec}
	case r.Spec.LeaderWorkerTemplate != nil:
		// Its scale selects the leaders: those are the pods that an HPA sees.
		w.path, w.template = "spec.leaderWorkerTemplate.workerTemplate", r.Spec.LeaderWorkerTemplate.WorkerTemplate
		if l := r.Spec.LeaderWorkerTemplate.LeaderTemplate; l != nil {
			w.path, w.template = "spec.leaderWorkerTemplate.leaderTemplate", *l
		}
		w.selector = &metav1.LabelSelector{MatchLabels: map[string]string{
			"leaderworkerset.sigs.k8s.io/name": d.Name, "leaderworkerset.sigs.k8s.io/worker-index": "0",
		}}
	case r.Spec.JobTemplate != nil:
		w.path, w.template = "spec.jobTemplate.spec.template", r.Spec.JobTemplate.Spec.Template
	case r.Spec.WorkloadRef != nil && len(w.template.Spec.Containers) == 0:
		for _, o := range f.beside(d, r.Spec.WorkloadRef.Kind) {
			if o.Name != r.Spec.WorkloadRef.Name || o == d {
				continue
			}
			under, err := f.workload(o)
			if err != nil || under == nil {
				return nil, err
			}
			w.doc, w.path, w.template = under.doc, under.path, under.template
			if w.selector == nil {
				w.selector = under.selector
			}
		}
	}
	if len(w.template.Spec.Containers) == 0 {
		return nil, nil
	}
	return w, nil
}

// selector reads a selector of either form: {matchLabels: …}, or plain labels
// as a ReplicationController has them.
func selector(v any) *metav1.LabelSelector {
	m, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	out := &metav1.LabelSelector{}
	plain := map[string]string{}
	for k, x := range m {
		switch x := x.(type) {
		case string:
			plain[k] = x
		case map[string]any:
			if k != "matchLabels" {
				continue
			}
			out.MatchLabels = map[string]string{}
			for k, v := range x {
				out.MatchLabels[k] = fmt.Sprint(v)
			}
		case []any:
			for _, e := range x {
				out.MatchExpressions = append(out.MatchExpressions, requirement(e))
			}
		}
	}
	if len(plain) > 0 && out.MatchLabels == nil && out.MatchExpressions == nil {
		out.MatchLabels = plain
	}
	return out
}

func requirement(v any) (out metav1.LabelSelectorRequirement) {
	m, _ := v.(map[string]any)
	out.Key, _ = m["key"].(string)
	op, _ := m["operator"].(string)
	out.Operator = metav1.LabelSelectorOperator(op)
	values, _ := m["values"].([]any)
	for _, x := range values {
		out.Values = append(out.Values, fmt.Sprint(x))
	}
	return out
}

// picks reports whether the workload's selector selects pods with these labels.
func (w *workload) picks(set map[string]string) bool {
	return w.match != nil && w.match.Matches(labels.Set(set))
}
