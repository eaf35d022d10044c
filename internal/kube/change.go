package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
)

// Original is the annotation in which a change keeps what was there before.
const Original = "hpatune.dev/original"

// manager is the name under which this tool's writes stand in managedFields.
const manager = "hpatune"

// journal is the annotation's value: enough to put back from any machine, and
// to see whether somebody else has changed it since.
type journal struct {
	Run string    `json:"run"`
	At  time.Time `json:"at"`
	// HPAs.
	Spec    *autoscalingv2.HorizontalPodAutoscalerSpec `json:"spec,omitempty"`
	Applied *autoscalingv2.HorizontalPodAutoscalerSpec `json:"applied,omitempty"`
	// Targets at fixed sizes.
	Replicas *int32 `json:"replicas,omitempty"`
	Fixed    *int32 `json:"fixed,omitempty"`
}

func (j journal) text() string {
	b, err := json.Marshal(j)
	if err != nil {
		panic(err) // a struct of API types
	}
	return string(b)
}

// ErrChanged says that an earlier run died and left its change.
var ErrChanged = errors.New("an earlier run changed it and did not put it back")

func left(what, namespace, text string) error {
	var j journal
	_ = json.Unmarshal([]byte(text), &j) // an unreadable one was left all the same
	return fmt.Errorf("%s: %w (run %s, %s); try: hpatune restore -n %s", what, ErrChanged, j.Run, j.At.Format(time.RFC3339), namespace)
}

// Owned is why the subject's HPA is never patched: somebody owns it who would
// undo that; nil = nobody does.
func (s *Subject) Owned() error {
	if s.HPAOwner.Patchable() {
		return nil
	}
	return fmt.Errorf("HPA %s/%s is owned by %v and is never patched: %s", s.Namespace, s.HPA.Name, s.HPAOwner, s.HPAOwner.Where())
}

// Left is what a run that died has left of its change on the subject, and how to
// put that back; nil = nothing.
func (s *Subject) Left() error {
	if s.HPA != nil {
		if text, ok := s.HPA.Annotations[Original]; ok {
			return left("HPA "+s.Namespace+"/"+s.HPA.Name, s.Namespace, text)
		}
	}
	if text, ok := s.Object.GetAnnotations()[Original]; ok {
		return left(s.Target.String(), s.Namespace, text)
	}
	return nil
}

// ApplyHPA writes a spec into the subject's HPA, with what was there in the
// annotation, in one write: there is no moment in which the one is there
// without the other. It returns the spec as the API server stored it.
// HPAs of an owner that would undo it are refused with what to change instead.
func (c *Cluster) ApplyHPA(ctx context.Context, s *Subject, spec autoscalingv2.HorizontalPodAutoscalerSpec, run string) (*autoscalingv2.HorizontalPodAutoscalerSpec, error) {
	if err := s.Owned(); err != nil {
		return nil, err
	}
	what := "HPA " + s.Namespace + "/" + s.HPA.Name
	hpas := c.Clients.AutoscalingV2().HorizontalPodAutoscalers(s.Namespace)
	var stored *autoscalingv2.HorizontalPodAutoscalerSpec
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		h, err := hpas.Get(ctx, s.HPA.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if text, ok := h.Annotations[Original]; ok {
			return left(what, s.Namespace, text)
		}
		if h.Annotations == nil {
			h.Annotations = map[string]string{}
		}
		before := h.Spec.DeepCopy()
		h.Spec = spec
		// What the API server makes of it, defaults filled, is what must be
		// found again when it is put back.
		dry, err := hpas.Update(ctx, h, metav1.UpdateOptions{FieldManager: manager, DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return err
		}
		h.Annotations[Original] = journal{Run: run, At: time.Now().UTC().Truncate(time.Second), Spec: before, Applied: &dry.Spec}.text()
		h, err = hpas.Update(ctx, h, metav1.UpdateOptions{FieldManager: manager})
		if err == nil {
			stored = &h.Spec
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: apply: %w", what, Explain(err, "run --apply"))
	}
	return stored, nil
}

// FixReplicas sets the target's size, with what was there in its annotation,
// which is written first. Once fixed by the same run, the first original stays.
func (c *Cluster) FixReplicas(ctx context.Context, s *Subject, n int32, run string) error {
	if s.HPA != nil {
		return fmt.Errorf("%s is scaled by the HPA %s, which would undo a fixed size; run it with --hpa %s/%s", s.Target, s.HPA.Name, s.Namespace, s.HPA.Name)
	}
	if !s.Owner.Patchable() {
		return fmt.Errorf("%s is owned by %v, which would undo a fixed size: %s", s.Target, s.Owner, s.Owner.Where())
	}
	o, err := c.objects(s).Get(ctx, s.Target.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("%s: %w", s.Target, Explain(err, "run --fix-replicas"))
	}
	scale, err := c.Scale(ctx, s)
	if err != nil {
		return err
	}
	j := journal{Run: run, At: time.Now().UTC().Truncate(time.Second), Replicas: &scale.Spec, Fixed: &n}
	if text, ok := o.GetAnnotations()[Original]; ok {
		var before journal
		if json.Unmarshal([]byte(text), &before) != nil || before.Run != run {
			return left(s.Target.String(), s.Namespace, text)
		}
		j.Replicas = before.Replicas
	}
	if err := c.note(ctx, s, j.text()); err != nil {
		return err
	}
	return c.resize(ctx, s, n)
}

// note writes the target's annotation; "" removes it.
func (c *Cluster) note(ctx context.Context, s *Subject, text string) error {
	var value any = text
	if text == "" {
		value = nil
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{Original: value}}})
	if err == nil {
		_, err = c.objects(s).Patch(ctx, s.Target.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: manager})
	}
	if err != nil {
		return fmt.Errorf("%s: annotation %s: %w", s.Target, Original, Explain(err, "run --fix-replicas"))
	}
	return nil
}

func (c *Cluster) resize(ctx context.Context, s *Subject, n int32) error {
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		u, err := c.objects(s).Get(ctx, s.Target.Name, metav1.GetOptions{}, "scale")
		if err != nil {
			return err
		}
		if err := unstructured.SetNestedField(u.Object, int64(n), "spec", "replicas"); err != nil {
			return err
		}
		_, err = c.objects(s).Update(ctx, u, metav1.UpdateOptions{FieldManager: manager}, "scale")
		return err
	})
	if err != nil {
		return fmt.Errorf("scale of %s: %w", s.Target, Explain(err, "run --fix-replicas"))
	}
	return nil
}

// WaitReady waits until exactly n of the target's pods are there and ready.
func (c *Cluster) WaitReady(ctx context.Context, s *Subject, n int32) error {
	for {
		list, err := c.Clients.CoreV1().Pods(s.Namespace).List(ctx, metav1.ListOptions{LabelSelector: s.Selector})
		if err != nil {
			return fmt.Errorf("pods of %s: %w", s.Target, Explain(err, "run"))
		}
		ready := int32(0)
		for i := range list.Items {
			if p := &list.Items[i]; p.DeletionTimestamp == nil && Ready(p) {
				ready++
			}
		}
		if ready == n && len(list.Items) == int(n) {
			return nil
		}
		t := time.NewTimer(500 * time.Millisecond)
		select {
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("%s: %d of %d pods are ready, %d there: %w", s.Target, ready, n, len(list.Items), ctx.Err())
		case <-t.C:
		}
	}
}

// Restored is one object that was looked at by Restore.
type Restored struct {
	Object string // Kind/name
	Run    string // that had changed it
	Text   string // what was done, or why it was left
	Put    bool   // the original is back
}

// restoreHPA puts an HPA's original back, unless somebody has changed it since:
// then theirs stays and only the annotation goes. What a run other than this one
// changed is left alone; "" = any.
func (c *Cluster) restoreHPA(ctx context.Context, namespace, name, run string) (Restored, error) {
	out := Restored{Object: "HorizontalPodAutoscaler/" + name}
	hpas := c.Clients.AutoscalingV2().HorizontalPodAutoscalers(namespace)
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		h, err := hpas.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		text, ok := h.Annotations[Original]
		if !ok {
			out.Text = "nothing to put back"
			return nil
		}
		var j journal
		if err := json.Unmarshal([]byte(text), &j); err != nil || j.Spec == nil {
			return fmt.Errorf("annotation %s cannot be read (%v); it says: %.300s", Original, err, text)
		}
		if run != "" && j.Run != run {
			out.Text = "what run " + j.Run + " changed is its own to put back"
			return nil
		}
		out.Run = j.Run
		if j.Applied == nil || equality.Semantic.DeepEqual(*j.Applied, h.Spec) {
			h.Spec = *j.Spec
			out.Put, out.Text = true, "the spec from before is back"
		} else {
			out.Put, out.Text = false, "somebody has changed it since: theirs stays; the spec from before was "+string(mustJSON(j.Spec))
		}
		delete(h.Annotations, Original)
		_, err = hpas.Update(ctx, h, metav1.UpdateOptions{FieldManager: manager})
		return err
	})
	if err != nil {
		return out, fmt.Errorf("HPA %s/%s: restore: %w", namespace, name, Explain(err, "restore"))
	}
	return out, nil
}

func mustJSON(v any) []byte {
	b, _ := json.Marshal(v) // API types
	return b
}

// restoreTarget puts a target's original size back, on the same terms.
func (c *Cluster) restoreTarget(ctx context.Context, s *Subject, run string) (Restored, error) {
	out := Restored{Object: s.Target.String()}
	o, err := c.objects(s).Get(ctx, s.Target.Name, metav1.GetOptions{})
	if err != nil {
		return out, fmt.Errorf("%s: restore: %w", s.Target, Explain(err, "restore"))
	}
	text, ok := o.GetAnnotations()[Original]
	if !ok {
		out.Text = "nothing to put back"
		return out, nil
	}
	var j journal
	if err := json.Unmarshal([]byte(text), &j); err != nil || j.Replicas == nil {
		return out, fmt.Errorf("%s: annotation %s cannot be read (%v); it says: %.300s", s.Target, Original, err, text)
	}
	if run != "" && j.Run != run {
		out.Text = "what run " + j.Run + " changed is its own to put back"
		return out, nil
	}
	out.Run = j.Run
	scale, err := c.Scale(ctx, s)
	if err != nil {
		return out, err
	}
	if j.Fixed == nil || scale.Spec == *j.Fixed {
		if err := c.resize(ctx, s, *j.Replicas); err != nil {
			return out, err
		}
		out.Put, out.Text = true, fmt.Sprintf("back at %d replicas", *j.Replicas)
	} else {
		out.Text = fmt.Sprintf("somebody has set %d replicas since: theirs stays; before the run it was %d", scale.Spec, *j.Replicas)
	}
	return out, c.note(ctx, s, "")
}

// Restore puts back what a run changed of a subject, and nothing of another's.
func (c *Cluster) Restore(ctx context.Context, s *Subject, run string) ([]Restored, error) {
	var out []Restored
	var errs []error
	if s.HPA != nil {
		r, err := c.restoreHPA(ctx, s.Namespace, s.HPA.Name, run)
		out, errs = append(out, r), append(errs, err)
	}
	if _, ok := known[s.Target.Kind]; ok {
		r, err := c.restoreTarget(ctx, s, run)
		out, errs = append(out, r), append(errs, err)
	}
	return out, errors.Join(errs...)
}

// RestoreAll puts back everything that runs have left in a namespace, unless
// the run that did it is still alive by its lease (force = then too), and
// removes dead leases.
func (c *Cluster) RestoreAll(ctx context.Context, namespace string, force bool) ([]Restored, error) {
	var out []Restored
	var errs []error
	add := func(r Restored, err error) { out, errs = append(out, r), append(errs, err) }
	leases, err := c.Clients.CoordinationV1().Leases(namespace).List(ctx, metav1.ListOptions{})
	running := map[string]bool{}
	if err == nil {
		for i := range leases.Items {
			l := &leases.Items[i]
			switch {
			case len(l.Name) < len("hpatune-") || l.Name[:len("hpatune-")] != "hpatune-":
			case c.alive(l) && !force:
				running[*l.Spec.HolderIdentity] = true
			default:
				if err := c.Clients.CoordinationV1().Leases(namespace).Delete(ctx, l.Name, metav1.DeleteOptions{}); err != nil {
					errs = append(errs, fmt.Errorf("lease %s: %w", l.Name, Explain(err, "restore")))
				}
			}
		}
	}
	busy := func(object, text string) bool {
		var j journal
		_ = json.Unmarshal([]byte(text), &j)
		if !running[j.Run] {
			return false
		}
		out = append(out, Restored{Object: object, Run: j.Run, Text: "its run is still on, by its lease; --force restores it all the same"})
		return true
	}
	list, err := c.Clients.AutoscalingV2().HorizontalPodAutoscalers(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("HPAs of %s: %w", namespace, Explain(err, "restore"))
	}
	for i := range list.Items {
		h := &list.Items[i]
		if text, ok := h.Annotations[Original]; ok && !busy("HorizontalPodAutoscaler/"+h.Name, text) {
			add(c.restoreHPA(ctx, namespace, h.Name, ""))
		}
	}
	for kind, resource := range known {
		objects, err := c.Dynamic.Resource(resource).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			errs = append(errs, Explain(err, "restore"))
			continue
		}
		for i := range objects.Items {
			o := &objects.Items[i]
			owned := metav1.GetControllerOf(o) != nil // a ReplicaSet has its Deployment's annotations
			if text, ok := o.GetAnnotations()[Original]; ok && !owned && !busy(kind+"/"+o.GetName(), text) {
				add(c.restoreTarget(ctx, &Subject{Namespace: namespace, Target: Ref{kind, o.GetName(), resource}}, ""))
			}
		}
	}
	return out, errors.Join(errs...)
}
