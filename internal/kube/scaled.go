package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/retry"

	"github.com/hpatune/hpatune/internal/secrets"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// followWithin is how long KEDA may take to write the HPA of a changed
// ScaledObject. Its operator watches, so that it takes a second or two.
const followWithin = 60 * time.Second

// OwnedScaled is why the ScaledObject that the subject's HPA is made of is never
// patched: it cannot be read, or its owner would undo that; nil = nobody does.
func (s *Subject) OwnedScaled() error {
	if s.Scaled == nil {
		return fmt.Errorf("ScaledObject %s/%s cannot be read: %w", s.Namespace, s.HPAOwner.Name, s.ScaledWhy)
	}
	owner := manifest.OwnerOfScaled(s.Scaled)
	if owner.Patchable() {
		return nil
	}
	return fmt.Errorf("ScaledObject %s/%s is owned by %v and is never patched: %s", s.Namespace, s.Scaled.GetName(), owner,
		owner.Where())
}

// ApplyScaled writes a spec into the ScaledObject that the subject's HPA is made of,
// with what was there in the annotation, in one write, and waits until KEDA has
// written the HPA that follows from it. It returns that HPA's spec.
func (c *Cluster) ApplyScaled(
	ctx context.Context, s *Subject, spec map[string]any, run string,
) (*autoscalingv2.HorizontalPodAutoscalerSpec, error) {
	if err := s.OwnedScaled(); err != nil {
		return nil, err
	}
	name := s.Scaled.GetName()
	what := "ScaledObject " + s.Namespace + "/" + name
	objects := c.Dynamic.Resource(scaledObjects).Namespace(s.Namespace)
	var before, stored *unstructured.Unstructured
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		live, err := objects.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if text, ok := live.GetAnnotations()[Original]; ok {
			return left(what, s.Namespace, text)
		}
		before = live.DeepCopy()
		live.Object["spec"] = runtime.DeepCopyJSON(spec)
		// As the API server and KEDA's admission store it: that is what must be
		// found again when it is put back.
		dry, err := objects.Update(ctx, live, metav1.UpdateOptions{FieldManager: manager, DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return err
		}
		j := journal{Run: run, At: time.Now().UTC().Truncate(time.Second), Scaled: public(before), ScaledApplied: public(dry)}
		if err := recoverable(before, dry); err != nil {
			return err
		}
		setAnnotation(live, j.text())
		if err := c.noteLease(ctx, s, run, changedScaled, name, j.text()); err != nil {
			return err
		}
		stored, err = objects.Update(ctx, live, metav1.UpdateOptions{FieldManager: manager})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: apply: %w", what, Explain(err, "run --apply"))
	}
	s.Scaled = stored
	out, err := c.follows(ctx, s, before)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return out, nil
}

// public is a ScaledObject's spec without secrets. Journals have no other: KEDA
// copies annotations to the HPA, which has other readers, as the Lease has.
func public(u *unstructured.Unstructured) map[string]any {
	spec, _ := scaledFile(u)["spec"].(map[string]any)
	return spec
}

// recoverable is why the spec from before a change cannot be had again from its
// public form and what is stored after the change; nil = it can.
func recoverable(before, after *unstructured.Unstructured) error {
	again, err := unstruck("spec", any(public(before)), any(public(after)), any(specOf(after)))
	if err == nil && !equality.Semantic.DeepEqual(again, any(specOf(before))) {
		err = errors.New("a secret of a trigger differs")
	}
	if err != nil {
		return fmt.Errorf("%w; --apply keeps no secrets, so it could not put this one back: change it by hand", err)
	}
	return nil
}

// follows waits until the subject's HPA is the one that KEDA makes of its
// ScaledObject, which was another before, and returns its spec. One that has
// changed but is not what was expected is taken after followWithin: a later KEDA
// may make another.
func (c *Cluster) follows(
	ctx context.Context, s *Subject, before *unstructured.Unstructured,
) (*autoscalingv2.HorizontalPodAutoscalerSpec, error) {
	want := madeOf(s.Scaled)
	same := equality.Semantic.DeepEqual(want, madeOf(before)) // only KEDA's own loop has changed
	deadline := time.Now().Add(followWithin)
	for {
		h, err := c.Clients.AutoscalingV2().HorizontalPodAutoscalers(s.Namespace).Get(ctx, s.HPA.Name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("HPA %s/%s: %w", s.Namespace, s.HPA.Name, Explain(err, "run --apply"))
		}
		changed := !equality.Semantic.DeepEqual(h.Spec, s.HPA.Spec)
		late := time.Now().After(deadline)
		switch {
		case same, want != nil && equality.Semantic.DeepEqual(h.Spec, *want), late && changed:
			return &h.Spec, nil
		case late:
			return nil, fmt.Errorf("KEDA did not change the HPA %s within %v; is its operator running?\n"+
				"Try: kubectl describe scaledobject -n %s %s", s.HPA.Name, followWithin, s.Namespace, s.Scaled.GetName())
		}
		t := time.NewTimer(500 * time.Millisecond)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		case <-t.C:
		}
	}
}

// madeOf is the spec of the HPA that KEDA makes of a ScaledObject; nil where that
// cannot be told.
func madeOf(u *unstructured.Unstructured) *autoscalingv2.HorizontalPodAutoscalerSpec {
	docs, _ := manifest.Options{Unchecked: true}.Parse("ScaledObject "+u.GetName(), mustJSON(u.Object))
	if len(docs) != 1 || docs[0].HPA == nil {
		return nil
	}
	return &docs[0].HPA.Spec
}

func specOf(u *unstructured.Unstructured) map[string]any {
	spec, _ := u.Object["spec"].(map[string]any)
	return spec
}

// setAnnotation sets the annotation that keeps the original; "" removes it.
func setAnnotation(u *unstructured.Unstructured, text string) {
	notes := u.GetAnnotations()
	if notes == nil {
		notes = map[string]string{}
	}
	notes[Original] = text
	if text == "" {
		delete(notes, Original)
	}
	if len(notes) == 0 {
		notes = nil
	}
	u.SetAnnotations(notes)
}

// ScaledSpec reads the spec that a ScaledObject's file (JSON) is to give the live
// one, and says in what they differ, a line each; none = they are equal. Values
// that the product struck out of its own files are the live object's. What
// --apply cannot change is an error.
func ScaledSpec(live *unstructured.Unstructured, file []byte) (spec map[string]any, differ []string, err error) {
	var u unstructured.Unstructured
	if err := json.Unmarshal(file, &u.Object); err != nil {
		return nil, nil, err
	}
	for key, value := range u.GetAnnotations() {
		was, has := live.GetAnnotations()[key]
		if strings.Contains(key, "keda.sh/") && (!has || was != value) {
			return nil, nil, fmt.Errorf("its annotation %s: %q is not the live object's; --apply changes only the "+
				"spec", key, value)
		}
	}
	filled, err := unstruck("spec", u.Object["spec"], any(public(live)), live.Object["spec"])
	if err != nil {
		return nil, nil, err
	}
	spec, _ = filled.(map[string]any)
	named := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	return spec, differences("spec", any(public(live)), any(public(named))), nil
}

// unstruck returns a value of a file with what was struck out of it as it is in
// the live object, whose public form is what the product writes to files.
func unstruck(path string, file, public, live any) (any, error) {
	switch v := file.(type) {
	case string:
		if !strings.Contains(v, secrets.Struck) {
			return v, nil
		}
		if text, ok := live.(string); ok && public == any(v) {
			return text, nil
		}
		return nil, fmt.Errorf("%s: %q stands for a secret that the live object does not have there", path, v)
	case map[string]any:
		p, _ := public.(map[string]any)
		l, _ := live.(map[string]any)
		out := map[string]any{}
		for _, k := range keys(v) {
			value, err := unstruck(path+"."+k, v[k], p[k], l[k])
			if err != nil {
				return nil, err
			}
			out[k] = value
		}
		return out, nil
	case []any:
		p, _ := public.([]any)
		l, _ := live.([]any)
		out := make([]any, len(v))
		for i := range v {
			var at, as any
			if i < len(p) && i < len(l) {
				at, as = p[i], l[i]
			}
			value, err := unstruck(fmt.Sprintf("%s[%d]", path, i), v[i], at, as)
			if err != nil {
				return nil, err
			}
			out[i] = value
		}
		return out, nil
	}
	return file, nil
}

// differences says where b differs from a, a line each: "spec.maxReplicaCount: 5 → 9".
func differences(path string, a, b any) (out []string) {
	if reflect.DeepEqual(a, b) || number(a) && number(b) && value(a) == value(b) {
		return nil
	}
	am, isA := a.(map[string]any)
	bm, isB := b.(map[string]any)
	if isA && isB {
		for _, k := range keys(am, bm) {
			out = append(out, differences(path+"."+k, am[k], bm[k])...)
		}
		return out
	}
	al, isA := a.([]any)
	bl, isB := b.([]any)
	if isA && isB && len(al) == len(bl) {
		for i := range al {
			out = append(out, differences(fmt.Sprintf("%s[%d]", path, i), al[i], bl[i])...)
		}
		return out
	}
	return []string{fmt.Sprintf("%s: %s → %s", path, value(a), value(b))}
}

// number says whether a value is one: a file's are float64, the API server's int64.
func number(v any) bool {
	switch v.(type) {
	case int64, float64:
		return true
	}
	return false
}
