package kube

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/hpatune/hpatune/internal/secrets"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// Description is the part of a run's meta about its cluster.
type Description struct {
	Workload results.Workload
	HPA      results.HPAContext
	Context  map[string]string // image, digest, model, node types, …; never env values or secrets
	Files    map[string][]byte // cluster/: hpa.yaml, target.yaml
}

// The entries of a run's context that say who writes the HPA, and the ScaledObject that
// makes it.
const (
	HPAOwner        = "hpa_owner"      // an Owner's Kind
	HPAOwnerName    = "hpa_owner_name" // and its Name
	ScaledOwner     = "scaledobject_owner"
	ScaledOwnerName = "scaledobject_owner_name"
)

// Describe reads what a run must know about its subject later. What cannot be read is left
// out.
func (c *Cluster) Describe(ctx context.Context, s *Subject) (Description, error) {
	d := Description{Context: map[string]string{}, Files: map[string][]byte{}}
	d.Workload = results.Workload{Name: s.Target.String(), Namespace: s.Namespace}
	d.HPA = results.HPAContext{Controller: "none", Kubernetes: c.Version}
	put := func(key, value string) {
		if value != "" {
			d.Context[key] = value
		}
	}
	put("kubernetes", c.Version)
	put("context", c.Context)
	put("target_owner", s.Owner.Kind)
	if s.HPA != nil {
		// The controller's flags cannot be read from outside: its defaults.
		d.HPA = results.HPAContext{
			Name:                     s.HPA.Name,
			Controller:               "kube-controller-manager",
			Kubernetes:               c.Version,
			Assumed:                  true,
			SyncPeriodS:              15,
			Tolerance:                0.1,
			DownscaleStabilizationS:  300,
			CPUInitializationPeriodS: 300,
			InitialReadinessDelayS:   30,
		}
		put(HPAOwner, s.HPAOwner.Kind)
		put(HPAOwnerName, s.HPAOwner.Name)
		h := s.HPA.DeepCopy()
		h.ManagedFields = nil
		delete(h.Annotations, Original) // another run's journal is no part of it
		object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(h)
		if err != nil {
			return d, fmt.Errorf("HPA %s: %w", h.Name, err)
		}
		if d.Files["hpa.yaml"], err = yaml.Marshal(bare(object)); err != nil {
			return d, fmt.Errorf("HPA %s: %w", h.Name, err)
		}
	}
	var err error
	if s.Scaled != nil {
		owner := manifest.OwnerOfScaled(s.Scaled)
		put(ScaledOwner, owner.Kind)
		put(ScaledOwnerName, owner.Name)
		if d.Files["scaledobject.yaml"], err = yaml.Marshal(scaledFile(s.Scaled)); err != nil {
			return d, fmt.Errorf("ScaledObject %s: %w", s.Scaled.GetName(), err)
		}
	}
	if d.Files["target.yaml"], err = yaml.Marshal(secrets.Object(s.Object.Object)); err != nil {
		return d, fmt.Errorf("%s: %w", s.Target, err)
	}
	c.describePods(ctx, s, &d, put)
	model(s, put)
	return d, nil
}

// describePods reads a replica's size, image and place from the existing pods, else from
// the target's template.
func (c *Cluster) describePods(ctx context.Context, s *Subject, d *Description, put func(string, string)) {
	var spec corev1.PodSpec
	if len(s.Pods) > 0 {
		spec = s.Pods[0].Spec
	} else if m, ok, _ := unstructured.NestedMap(s.Object.Object, "spec", "template", "spec"); ok {
		_ = runtime.DefaultUnstructuredConverter.FromUnstructured(m, &spec) // what is not a pod template says nothing
	}
	var images []string
	limited := true
	for _, k := range Containers(&spec) {
		images = append(images, k.Image)
		d.Workload.CPUMilli += k.Resources.Requests.Cpu().MilliValue()
		d.Workload.MemoryBytes += k.Resources.Requests.Memory().Value()
		limited = limited && !k.Resources.Limits.Cpu().IsZero()
		d.Workload.CPULimitMilli += k.Resources.Limits.Cpu().MilliValue()
		for name, q := range k.Resources.Limits {
			if strings.HasSuffix(string(name), "/gpu") {
				d.Workload.GPUs += q.Value()
			}
		}
		put("container/"+k.Name, fmt.Sprintf("requests cpu=%s memory=%s, limits cpu=%s memory=%s",
			k.Resources.Requests.Cpu(), k.Resources.Requests.Memory(), k.Resources.Limits.Cpu(), k.Resources.Limits.Memory()))
	}
	if !limited {
		d.Workload.CPULimitMilli = 0 // one container without a limit has none
	}
	d.Workload.Image = strings.Join(images, ",")
	d.Workload.Quotas = c.quotas(ctx, s, &spec)
	restarts := int32(0)
	digests, nodes := map[string]bool{}, map[string]bool{}
	for _, p := range s.Pods {
		for _, k := range p.Status.ContainerStatuses {
			restarts += k.RestartCount
			if _, digest, ok := strings.Cut(k.ImageID, "@"); ok {
				digests[k.Name+"@"+digest] = true
			} else if k.ImageID != "" {
				digests[k.Name+"@"+k.ImageID] = true
			}
		}
		nodes[p.Spec.NodeName] = true
	}
	put("image_digests", joined(digests))
	put("restarts_before", fmt.Sprint(restarts))
	list, err := c.Clients.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return // not everybody may look at nodes
	}
	types := map[string]bool{}
	for _, n := range list.Items {
		if nodes[n.Name] {
			kind := firstOf(
				n.Labels["node.kubernetes.io/instance-type"],
				n.Labels["beta.kubernetes.io/instance-type"],
				"unnamed type",
			)
			types[fmt.Sprintf("%s (%s cpu, %s memory)", kind, n.Status.Allocatable.Cpu(), n.Status.Allocatable.Memory())] = true
		}
	}
	put("node_types", joined(types))
	put("nodes_in_cluster", fmt.Sprint(len(list.Items)))
}

func joined(set map[string]bool) string {
	delete(set, "")
	return strings.Join(slices.Sorted(maps.Keys(set)), ", ")
}

// modelKeys are labels, annotations and arguments that name a model or its
// version: MLflow's registered model, KServe's and vLLM's.
var modelKeys = []string{
	"mlflow.org/registered-model",
	"mlflow.org/model-name",
	"mlflow.org/model-version",
	"mlflow/registered-model",
	"mlflow/model-version",
	"mlflow.registeredModelName",
	"mlflow.modelVersion",
	"model",
	"model-name",
	"model_name",
	"model-version",
	"model_version",
	"model-uri",
	"served-model-name",
}

// model finds which model is served, in labels, annotations and arguments.
func model(s *Subject, put func(string, string)) {
	sets := []map[string]string{s.Object.GetLabels(), s.Object.GetAnnotations()}
	for _, at := range []string{"labels", "annotations"} {
		m, _, _ := unstructured.NestedStringMap(s.Object.Object, "spec", "template", "metadata", at)
		sets = append(sets, m)
	}
	for _, set := range sets {
		for k, v := range set {
			if slices.Contains(modelKeys, k) || strings.HasPrefix(k, "mlflow") {
				put("model/"+k, v)
			}
		}
	}
	containers, _, _ := unstructured.NestedSlice(s.Object.Object, "spec", "template", "spec", "containers")
	for _, c := range containers {
		m, _ := c.(map[string]any)
		args, _, _ := unstructured.NestedStringSlice(m, "args")
		command, _, _ := unstructured.NestedStringSlice(m, "command")
		words := append(command, args...)
		for i, w := range words {
			name, value, has := strings.Cut(strings.TrimLeft(w, "-"), "=")
			if !strings.HasPrefix(w, "-") || !slices.Contains(modelKeys, name) {
				if strings.HasPrefix(w, "models:/") { // MLflow's URI of a registered model
					put("model/mlflow_uri", w)
				}
				continue
			}
			if !has && i+1 < len(words) {
				value = words[i+1]
			}
			put("model/"+name, value)
		}
	}
}

// bare returns an object without managers' notes about themselves and without kubectl's
// copy of it. Tokens are removed from its texts (secrets.Text). The argument is not
// changed.
func bare(object map[string]any) map[string]any {
	u := unstructured.Unstructured{Object: runtime.DeepCopyJSON(object)}
	u.SetManagedFields(nil)
	notes := u.GetAnnotations()
	delete(notes, "kubectl.kubernetes.io/last-applied-configuration")
	if len(notes) == 0 {
		notes = nil
	}
	u.SetAnnotations(notes)
	return secrets.Texts(u.Object).(map[string]any)
}
