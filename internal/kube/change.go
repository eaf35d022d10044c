package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
)

// Original is the annotation in which a change stores the original.
const Original = "hpatune.dev/original"

// The annotations of a Lease that name the object whose journal it stores.
const (
	changedHPA    = "hpatune.dev/hpa"
	changedScaled = "hpatune.dev/scaledobject"
)

// manager is the name of this tool's writes in managedFields.
const manager = "hpatune"

// journal is the annotation's value: enough to restore from any machine, and to see whether
// somebody else has changed the object since.
type journal struct {
	Run string    `json:"run"`
	At  time.Time `json:"at"`
	// HPAs.
	Spec    *autoscalingv2.HorizontalPodAutoscalerSpec `json:"spec,omitempty"`
	Applied *autoscalingv2.HorizontalPodAutoscalerSpec `json:"applied,omitempty"`
	// ScaledObjects, whose specs have fields that are unknown here.
	Scaled        map[string]any `json:"scaled,omitempty"`
	ScaledApplied map[string]any `json:"scaledApplied,omitempty"`
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

// ErrChanged means that an earlier run crashed and left its change.
var ErrChanged = errors.New("an earlier run changed it and did not restore it")

func left(what, namespace, text string) error {
	var j journal
	_ = json.Unmarshal([]byte(text), &j) // an unreadable one was left all the same
	return fmt.Errorf(
		"%s: %w (run %s, %s); try: hpatune restore -n %s",
		what,
		ErrChanged,
		j.Run,
		j.At.Format(time.RFC3339),
		namespace,
	)
}

// Owned is why the subject's HPA is never patched: its owner would revert that; nil = it
// has no such owner.
func (s *Subject) Owned() error {
	if s.HPAOwner.Patchable() {
		return nil
	}
	return fmt.Errorf(
		"HPA %s/%s is owned by %v and is never patched: %s",
		s.Namespace,
		s.HPA.Name,
		s.HPAOwner,
		s.HPAOwner.Where(),
	)
}

// Left is what a crashed run has left of its change on the subject, and how to restore
// that; nil = nothing.
func (s *Subject) Left() error {
	if s.HPA != nil && s.Scaled == nil { // KEDA copies its ScaledObject's annotations
		if text, ok := s.HPA.Annotations[Original]; ok {
			return left("HPA "+s.Namespace+"/"+s.HPA.Name, s.Namespace, text)
		}
	}
	if s.Scaled != nil {
		if text, ok := s.Scaled.GetAnnotations()[Original]; ok {
			return left("ScaledObject "+s.Namespace+"/"+s.Scaled.GetName(), s.Namespace, text)
		}
	}
	if text, ok := s.Object.GetAnnotations()[Original]; ok {
		return left(s.Target.String(), s.Namespace, text)
	}
	return nil
}

// ApplyHPA writes a spec into the subject's HPA, with the original in the annotation, in
// one write, so neither is ever there without the other. It returns the spec as the API
// server stored it. HPAs of an owner that would revert the change are refused, with what to
// change instead.
func (c *Cluster) ApplyHPA(
	ctx context.Context,
	s *Subject,
	spec autoscalingv2.HorizontalPodAutoscalerSpec,
	run string,
) (*autoscalingv2.HorizontalPodAutoscalerSpec, error) {
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
		// When restoring, what the API server stored, with defaults filled in, must be
		// found again.
		dry, err := hpas.Update(ctx, h, metav1.UpdateOptions{FieldManager: manager, DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return err
		}
		h.Annotations[Original] = journal{
			Run:     run,
			At:      time.Now().UTC().Truncate(time.Second),
			Spec:    before,
			Applied: &dry.Spec,
		}.text()
		if err := c.noteLease(ctx, s, run, changedHPA, h.Name, h.Annotations[Original]); err != nil {
			return err
		}
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

// FixReplicas sets the target's size. It first writes the original size to an annotation.
// If the same run has already fixed the size, the first original stays.
func (c *Cluster) FixReplicas(ctx context.Context, s *Subject, n int32, run string) error {
	if s.HPA != nil {
		return fmt.Errorf(
			"%s is scaled by the HPA %s, which would undo a fixed size; run it with --hpa %s/%s",
			s.Target,
			s.HPA.Name,
			s.Namespace,
			s.HPA.Name,
		)
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

// noteLease stores the journal of a changed HPA or ScaledObject in the run's Lease, too,
// since deleting the object deletes its annotation. kind is the annotation that names the
// object. A run without a Lease has none.
func (c *Cluster) noteLease(ctx context.Context, s *Subject, run, kind, name, text string) error {
	leases := c.Clients.CoordinationV1().Leases(s.Namespace)
	l, err := leases.Get(ctx, leaseName(s), metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && (l.Spec.HolderIdentity == nil || *l.Spec.HolderIdentity != run) {
		return nil
	}
	if err == nil {
		metav1.SetMetaDataAnnotation(&l.ObjectMeta, Original, text)
		metav1.SetMetaDataAnnotation(&l.ObjectMeta, kind, name)
		_, err = leases.Update(ctx, l, metav1.UpdateOptions{FieldManager: manager})
	}
	return err
}

// note writes the target's annotation; "" removes it.
func (c *Cluster) note(ctx context.Context, s *Subject, text string) error {
	var value any = text
	if text == "" {
		value = nil
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{Original: value}}})
	if err == nil {
		_, err = c.objects(s).
			Patch(ctx, s.Target.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: manager})
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

// WaitReady waits until the target has exactly n pods and all are ready.
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
