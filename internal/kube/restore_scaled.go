package kube

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/yaml"
)

// ScaledOriginalFile is the name, in a run's cluster folder, of the ScaledObject
// from before a run that applied another.
const ScaledOriginalFile = "scaledobject-original.yaml"

// restoreScaled puts a ScaledObject's original back, by the rules of restoreHPA;
// KEDA then writes the HPA again.
func (c *Cluster) restoreScaled(ctx context.Context, namespace, name, run string) (Restored, error) {
	var out Restored
	objects := c.Dynamic.Resource(scaledObjects).Namespace(namespace)
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		out = Restored{Object: "ScaledObject/" + name}
		u, err := objects.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) && run != "" {
			out.Run, out.Gone = run, true
			out.Text = "it has been deleted since, so it cannot be restored; " + toCreate(run, ScaledOriginalFile)
			return nil
		}
		if err != nil {
			return err
		}
		text, ok := u.GetAnnotations()[Original]
		if !ok {
			out.Text = "nothing to restore"
			return nil
		}
		var j journal
		if err := json.Unmarshal([]byte(text), &j); err != nil || j.Scaled == nil {
			return fmt.Errorf("annotation %s is invalid (%w): %.300s", Original, err, text)
		}
		if run != "" && j.Run != run {
			out.Text = "changed by another run (" + j.Run + "), so this run does not restore it"
			return nil
		}
		out.Run = j.Run
		now, err := plain(public(u))
		if err != nil {
			return err
		}
		applied := any(j.ScaledApplied)
		if j.ScaledApplied == nil {
			applied = now
		}
		var m merged
		spec, err := unstruck("spec", m.field("spec", j.Scaled, applied, now), now, u.Object["spec"])
		if err != nil {
			return err
		}
		if u.Object["spec"], err = whole(spec); err != nil {
			return err
		}
		if out.Put = len(m.Left) == 0; out.Put {
			setAnnotation(u, "")
		} else {
			out.Original = scaledManifest(u, j.Scaled)
		}
		out.Text = m.text("scaledobject", namespace, name)
		if len(m.Back) == 0 && !out.Put {
			return nil // nothing to write
		}
		_, err = objects.Update(ctx, u, metav1.UpdateOptions{FieldManager: manager})
		return err
	})
	if err != nil {
		return out, fmt.Errorf("ScaledObject %s/%s: restore: %w", namespace, name, Explain(err, "restore"))
	}
	return out, nil
}

// whole is a spec with whole numbers as the API server wants them: int64, where
// encoding/json makes float64 of them.
func whole(spec any) (map[string]any, error) {
	var u unstructured.Unstructured
	text, err := json.Marshal(map[string]any{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "spec": spec})
	if err == nil {
		err = u.UnmarshalJSON(text)
	}
	return specOf(&u), err
}

// scaledManifest is a ScaledObject with the spec from before a run, as a file,
// without what the API server fills in and without secrets.
func scaledManifest(u *unstructured.Unstructured, spec map[string]any) []byte {
	meta := map[string]any{"name": u.GetName(), "namespace": u.GetNamespace()}
	notes := u.GetAnnotations()
	delete(notes, Original)
	if len(notes) > 0 {
		meta["annotations"] = notes
	}
	if labels := u.GetLabels(); len(labels) > 0 {
		meta["labels"] = labels
	}
	plainNotes, err := plain(meta)
	if err != nil {
		panic(err) // texts
	}
	file := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": plainNotes, "spec": any(spec),
	}}
	text, err := yaml.Marshal(scaledFile(file))
	if err != nil {
		panic(err) // JSON values
	}
	return text
}

// scaledIn lists the ScaledObjects of a namespace; none where the cluster has no KEDA.
func (c *Cluster) scaledIn(ctx context.Context, namespace string) ([]unstructured.Unstructured, error) {
	_, err := c.Clients.Discovery().ServerResourcesForGroupVersion(scaledObjects.GroupVersion().String())
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	var list *unstructured.UnstructuredList
	if err == nil {
		list, err = c.Dynamic.Resource(scaledObjects).Namespace(namespace).List(ctx, metav1.ListOptions{})
	}
	if err != nil {
		return nil, fmt.Errorf("ScaledObjects of %s: %w", namespace, Explain(err, "restore"))
	}
	return list.Items, nil
}

// scaledTarget is what a ScaledObject scales, by its name.
func scaledTarget(u *unstructured.Unstructured) Ref {
	kind, _, _ := unstructured.NestedString(u.Object, "spec", "scaleTargetRef", "kind")
	name, _, _ := unstructured.NestedString(u.Object, "spec", "scaleTargetRef", "name")
	if kind == "" {
		kind = "Deployment" // KEDA's default
	}
	return Ref{Kind: kind, Name: name}
}
