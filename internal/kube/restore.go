package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/yaml"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// Restored is one object that Restore checked.
type Restored struct {
	Object string // Kind/name
	Run    string // that had changed it; "" = none, or not this one
	Text   string // what was done, or why it was left, and what to do then
	Put    bool   // nothing of the run's is left in it
	Gone   bool   // it has been deleted
	// Original is the object before the run, as YAML for kubectl replace or create; nil if
	// nothing is left to do.
	Original []byte
}

// Left reports whether something that a run changed is not restored.
func (r *Restored) Left() bool { return r.Run != "" && !r.Put }

// restoreHPA restores an HPA's original. If somebody has changed it since, their fields
// stay and the run's are restored; the annotation stays until all of the run's are
// restored. Changes by a run other than this one are left alone; "" = any.
func (c *Cluster) restoreHPA(ctx context.Context, namespace, name, run string) (Restored, error) {
	var out Restored
	hpas := c.Clients.AutoscalingV2().HorizontalPodAutoscalers(namespace)
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		out = Restored{Object: "HorizontalPodAutoscaler/" + name}
		h, err := hpas.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) && run != "" {
			out.Run, out.Gone, out.Text = run, true, "it has been deleted since, so it cannot be restored; "+
				""+toCreate(run, OriginalFile)
			return nil
		}
		if err != nil {
			return err
		}
		text, ok := h.Annotations[Original]
		if !ok {
			out.Text = "nothing to restore"
			return nil
		}
		var j journal
		if err := json.Unmarshal([]byte(text), &j); err != nil || j.Spec == nil {
			return fmt.Errorf("annotation %s is invalid (%w): %.300s", Original, err, text)
		}
		if run != "" && j.Run != run {
			out.Text = "changed by another run (" + j.Run + "), so this run does not restore it"
			return nil
		}
		out.Run = j.Run
		if j.Applied == nil {
			j.Applied = &h.Spec
		}
		m, err := threeWay(j.Spec, j.Applied, &h.Spec)
		if err != nil {
			return err
		}
		h.Spec = m.Spec
		if out.Put = len(m.Left) == 0; out.Put {
			delete(h.Annotations, Original)
		} else {
			out.Original = manifestOf(h, j.Spec)
		}
		out.Text = m.text("hpa", namespace, name)
		if len(m.Back) == 0 && !out.Put {
			return nil // nothing to write
		}
		_, err = hpas.Update(ctx, h, metav1.UpdateOptions{FieldManager: manager})
		return err
	})
	if err != nil {
		return out, fmt.Errorf("HPA %s/%s: restore: %w", namespace, name, Explain(err, "restore"))
	}
	return out, nil
}

// text says what was restored, what somebody else changed, and what to do about fields that
// both changed.
func (m *merged) text(kind, namespace, name string) string {
	if len(m.Theirs)+len(m.Left) == 0 {
		return "restored the original spec"
	}
	var out []string
	if len(m.Back) > 0 {
		out = append(out, "restored: "+strings.Join(m.Back, ", "))
	}
	if len(m.Theirs) > 0 {
		out = append(out, "changed by somebody else since and kept: "+strings.Join(m.Theirs, ", "))
	}
	if len(m.Left) > 0 {
		out = append(out, "somebody else changed the same fields since; their values are kept: "+strings.Join(m.Left, ", "),
			fmt.Sprintf("to keep theirs: kubectl annotate %s -n %s %s %s-", kind, namespace, name, Original))
	}
	return strings.Join(out, "; ")
}

// manifestOf is an HPA with the spec from before a run, as a file: labels and
// annotations as they are now, without what the API server fills in.
func manifestOf(h *autoscalingv2.HorizontalPodAutoscaler, spec *autoscalingv2.HorizontalPodAutoscalerSpec) []byte {
	notes := maps.Clone(h.Annotations)
	delete(notes, Original)
	file := struct {
		APIVersion string                                     `json:"apiVersion"`
		Kind       string                                     `json:"kind"`
		Metadata   map[string]any                             `json:"metadata"`
		Spec       *autoscalingv2.HorizontalPodAutoscalerSpec `json:"spec"`
	}{"autoscaling/v2", "HorizontalPodAutoscaler", map[string]any{"name": h.Name, "namespace": h.Namespace}, spec}
	if len(h.Labels) > 0 {
		file.Metadata["labels"] = h.Labels
	}
	if len(notes) > 0 {
		file.Metadata["annotations"] = notes
	}
	text, err := yaml.Marshal(file)
	if err != nil {
		panic(err) // API types
	}
	return text
}

// OriginalFile is the name, in a run's cluster folder, of the HPA from before a
// run that applied another.
const OriginalFile = "hpa-original.yaml"

// toCreate says where the object before a run is stored, and under which name.
func toCreate(run, file string) string {
	host, dir, _ := strings.Cut(run, "/")
	return fmt.Sprintf("to create it again, on %s: kubectl create -f %s/cluster/%s", host, dir, file)
}

// restoreTarget restores a target's original size. If somebody has set another size since,
// it stays, and so does the annotation.
func (c *Cluster) restoreTarget(ctx context.Context, s *Subject, run string) (Restored, error) {
	out := Restored{Object: s.Target.String()}
	o, err := c.objects(s).Get(ctx, s.Target.Name, metav1.GetOptions{})
	if err != nil {
		return out, fmt.Errorf("%s: restore: %w", s.Target, Explain(err, "restore"))
	}
	text, ok := o.GetAnnotations()[Original]
	if !ok {
		out.Text = "nothing to restore"
		return out, nil
	}
	var j journal
	if err := json.Unmarshal([]byte(text), &j); err != nil || j.Replicas == nil {
		return out, fmt.Errorf("%s: annotation %s is invalid (%w): %.300s", s.Target, Original, err, text)
	}
	if run != "" && j.Run != run {
		out.Text = "changed by another run (" + j.Run + "), so this run does not restore it"
		return out, nil
	}
	out.Run = j.Run
	scale, err := c.Scale(ctx, s)
	if err != nil {
		return out, err
	}
	object := strings.ToLower(s.Target.Kind) + "/" + s.Target.Name
	switch {
	case scale.Spec == *j.Replicas:
		out.Text = fmt.Sprintf("at %s, as before", figure.Many(int(scale.Spec), "replica"))
	case j.Fixed == nil || scale.Spec == *j.Fixed:
		if err := c.resize(ctx, s, *j.Replicas); err != nil {
			return out, err
		}
		out.Text = fmt.Sprintf("restored to %s", figure.Many(int(*j.Replicas), "replica"))
	default:
		out.Text = fmt.Sprintf(
			"somebody else has set %s since, which is kept; the original was %d; to restore it: kubectl scale -n "+
				"%s %s --replicas=%d, and hpatune restore again; to keep theirs: kubectl annotate -n %s %s %s-",
			figure.Many(int(scale.Spec), "replica"),
			*j.Replicas,
			s.Namespace,
			object,
			*j.Replicas,
			s.Namespace,
			object,
			Original,
		)
		return out, nil
	}
	if err := c.note(ctx, s, ""); err != nil {
		return out, err
	}
	out.Put = true
	return out, nil
}

// Restore restores what a run changed of a subject, and nothing of other runs.
func (c *Cluster) Restore(ctx context.Context, s *Subject, run string) ([]Restored, error) {
	var out []Restored
	var errs []error
	if s.Scaled != nil { // KEDA's HPA is never written
		r, err := c.restoreScaled(ctx, s.Namespace, s.Scaled.GetName(), run)
		out, errs = append(out, r), append(errs, err)
	} else if s.HPA != nil {
		r, err := c.restoreHPA(ctx, s.Namespace, s.HPA.Name, run)
		out, errs = append(out, r), append(errs, err)
	}
	if _, ok := known[s.Target.Kind]; ok {
		r, err := c.restoreTarget(ctx, s, run)
		out, errs = append(out, r), append(errs, err)
	}
	return out, errors.Join(errs...)
}

// RestoreAll restores everything that runs have left in a namespace, except for targets
// whose Lease a run currently holds (force = these, too), and removes dead Leases. Without
// the list of Leases it changes nothing, since active runs are then unknown.
func (c *Cluster) RestoreAll(ctx context.Context, namespace string, force bool) ([]Restored, error) {
	leases, err := c.leases(ctx, namespace)
	if err != nil {
		return nil, fmt.Errorf("leases of %s: %w; active runs are unknown, so nothing was changed", namespace,
			Explain(err, "restore"))
	}
	held := map[string]string{} // run by the Lease's name
	for _, l := range leases {
		if c.alive(l) && !force {
			held[l.Name] = *l.Spec.HolderIdentity
		}
	}
	list, err := c.Clients.AutoscalingV2().HorizontalPodAutoscalers(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("HPAs of %s: %w", namespace, Explain(err, "restore"))
	}
	scaled, err := c.scaledIn(ctx, namespace)
	var out []Restored
	errs := []error{err} // of ScaledObjects; the rest is put back all the same
	add := func(r Restored, err error) {
		if out = append(out, r); err != nil {
			errs = append(errs, err)
		}
	}
	// busy is whether a run holds the target, or is the one that changed it.
	busy := func(object string, target Ref, text string) bool {
		var j journal
		_ = json.Unmarshal([]byte(text), &j)
		by := held[leaseName(&Subject{Target: target})]
		for _, run := range held {
			if run == j.Run {
				by = run
			}
		}
		if by == "" {
			return false
		}
		out = append(out, Restored{Object: object, Run: j.Run,
			Text: "run " + by + " is still active (lease held): wait for it to end, or restore it now with --force"})
		return true
	}
	there := map[string]bool{} // by the annotation that names it, and its name
	for i := range scaled {
		u := &scaled[i]
		there[changedScaled+u.GetName()] = true
		if text, ok := u.GetAnnotations()[Original]; ok && !busy("ScaledObject/"+u.GetName(), scaledTarget(u), text) {
			add(c.restoreScaled(ctx, namespace, u.GetName(), ""))
		}
	}
	for i := range list.Items {
		h := &list.Items[i]
		there[changedHPA+h.Name] = true
		ref := Ref{Kind: h.Spec.ScaleTargetRef.Kind, Name: h.Spec.ScaleTargetRef.Name}
		if manifest.OwnerOf(h).Kind == manifest.OwnerKEDA {
			continue // its annotations are those of its ScaledObject
		}
		if text, ok := h.Annotations[Original]; ok && !busy("HorizontalPodAutoscaler/"+h.Name, ref, text) {
			add(c.restoreHPA(ctx, namespace, h.Name, ""))
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(known)) {
		resource := known[kind]
		objects, err := c.Dynamic.Resource(resource).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			errs = append(errs, Explain(err, "restore"))
			continue
		}
		for i := range objects.Items {
			o := &objects.Items[i]
			ref := Ref{kind, o.GetName(), resource}
			owned := metav1.GetControllerOf(o) != nil // a ReplicaSet has its Deployment's annotations
			if text, ok := o.GetAnnotations()[Original]; ok && !owned && !busy(kind+"/"+o.GetName(), ref, text) {
				add(c.restoreTarget(ctx, &Subject{Namespace: namespace, Target: ref}, ""))
			}
		}
	}
	for _, l := range leases {
		if _, on := held[l.Name]; on {
			continue
		}
		if r, gone := deleted(l, there); gone { // its Lease is all that is left of it
			out = append(out, r)
			continue
		}
		only := metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{ResourceVersion: &l.ResourceVersion},
		} // not one that a run has taken since
		err := c.Clients.CoordinationV1().Leases(namespace).Delete(ctx, l.Name, only)
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("lease %s: %w", l.Name, Explain(err, "restore")))
		}
	}
	return out, errors.Join(errs...)
}

// leases are those of runs.
func (c *Cluster) leases(ctx context.Context, namespace string) ([]*coordinationv1.Lease, error) {
	list, err := c.Clients.CoordinationV1().Leases(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var out []*coordinationv1.Lease
	for i := range list.Items {
		if strings.HasPrefix(list.Items[i].Name, "hpatune-") {
			out = append(out, &list.Items[i])
		}
	}
	return out, nil
}

// deleted is the HPA or ScaledObject of a dead run's Lease, if it no longer exists.
func deleted(l *coordinationv1.Lease, there map[string]bool) (Restored, bool) {
	var j journal
	if json.Unmarshal([]byte(l.Annotations[Original]), &j) != nil {
		return Restored{}, false
	}
	gone := Restored{Run: j.Run, Gone: true, Text: fmt.Sprintf(
		"it has been deleted since, so it cannot be restored; if that was intended: kubectl delete lease -n %s %s",
		l.Namespace,
		l.Name,
	)}
	if name := l.Annotations[changedScaled]; name != "" && j.Scaled != nil && !there[changedScaled+name] {
		u := &unstructured.Unstructured{}
		u.SetNamespace(l.Namespace)
		u.SetName(name)
		gone.Object, gone.Original = "ScaledObject/"+name, scaledManifest(u, j.Scaled)
		return gone, true
	}
	if name := l.Annotations[changedHPA]; name != "" && j.Spec != nil && !there[changedHPA+name] {
		h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: name}}
		gone.Object, gone.Original = "HorizontalPodAutoscaler/"+name, manifestOf(h, j.Spec)
		return gone, true
	}
	return Restored{}, false
}
