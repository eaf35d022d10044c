package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/hpatune/hpatune/internal/doctor"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// Facts are what the doctor judges, read from a cluster without changing it.
type Facts struct {
	List   []byte                          // one JSON List: HPAs, their targets and pods, and what is around them
	Now    time.Time                       // by the cluster's clock
	Probes map[string]map[int]doctor.Probe // by namespace/name of an HPA and index in spec.metrics
	Served map[string]string               // metrics API group → why it is not served, "" where it is; absent = not known
	Missed []string                        // what could not be read, and is therefore unknown
}

// Doctor returns the facts in the doctor's form. The error is about an object that the API
// server returned and that cannot be read.
func (f *Facts) Doctor() (doctor.Facts, error) {
	docs, problems := manifest.Options{Unchecked: true}.Parse("cluster", f.List)
	return doctor.Facts{Docs: docs, Live: true, Now: f.Now, Served: f.Served, Probes: f.Probes}, problems.Err()
}

// abreast is the number of parallel requests: a first look at a large cluster must not be a
// load on it.
const abreast = 8

// gathering is one reading of a cluster.
type gathering struct {
	c                  *Cluster
	command, namespace string
	groups             map[string][]string // API groups and their versions; nil = not known
	hpas               []autoscalingv2.HorizontalPodAutoscaler
	judged             []int // of hpas
	targets            map[string]map[string]labels.Selector

	mu    sync.Mutex // guards what follows
	facts Facts
	items []any
	pods  []corev1.Pod
	used  []unstructured.Unstructured
	late  int // requests for which there was no time
}

// Facts reads what the doctor judges: the HPAs of a namespace ("" = all of the
// cluster) and what belongs to them, in a handful of lists and a request a
// custom or external metric. name, if not "", is the only HPA whose target and
// metrics are read. Only the HPAs must be readable: Missed says what else was not.
// When ctx ends, what was read until then is returned.
func (c *Cluster) Facts(ctx context.Context, namespace, name string) (*Facts, error) {
	g := &gathering{c: c, command: "doctor", namespace: namespace, targets: map[string]map[string]labels.Selector{}}
	if namespace == "" {
		g.command = "doctor -A"
	}
	g.facts = Facts{Now: time.Now().Add(c.Ahead), Probes: map[string]map[int]doctor.Probe{}, Served: map[string]string{}}
	list, err := c.Clients.AutoscalingV2().HorizontalPodAutoscalers(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list horizontalpodautoscalers: %w", Explain(err, g.command))
	}
	g.hpas = list.Items
	for i := range g.hpas {
		h := &g.hpas[i]
		h.APIVersion, h.Kind = "autoscaling/v2", "HorizontalPodAutoscaler" // typed clients leave them out
		g.items = append(g.items, h)
		if name == "" || h.Name == name {
			g.judged = append(g.judged, i)
		}
	}
	if len(g.judged) > 0 {
		g.discover(ctx)
		g.run(ctx, g.lists())
		g.keepPods()
		g.run(ctx, g.probes())
	}
	if g.late > 0 {
		g.facts.Missed = append(g.facts.Missed, fmt.Sprintf("%d metrics were not read: time ran out", g.late))
	}
	slices.Sort(g.facts.Missed)
	g.facts.Missed = slices.Compact(g.facts.Missed)
	g.facts.List, err = json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": g.items})
	return &g.facts, err
}

// run does the work, a few requests at a time.
func (g *gathering) run(ctx context.Context, work []func(context.Context)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, abreast)
	for _, w := range work {
		slots <- struct{}{}
		wg.Go(func() { defer func() { <-slots }(); w(ctx) })
	}
	wg.Wait()
}

// missed notes what could not be read.
func (g *gathering) missed(ctx context.Context, what string, err error) {
	text := fmt.Sprintf("%s: %v", what, Explain(err, g.command))
	if ctx.Err() != nil {
		text = what + ": time ran out"
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.facts.Missed = append(g.facts.Missed, text)
}

// unserved records, once, a kind of target that the cluster does not have.
func (g *gathering) unserved(kind, apiVersion string) {
	text := fmt.Sprintf("targets of kind %s: the cluster does not serve %s %s", kind, apiVersion, kind)
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Contains(g.facts.Missed, text) {
		g.facts.Missed = append(g.facts.Missed, text)
	}
}

// discover lists the API groups, so that kinds that the cluster does not have are not
// requested: without rights to them, the answer looks like a refusal.
func (g *gathering) discover(ctx context.Context) {
	body, err := g.c.Raw(ctx, "/apis", nil)
	var list metav1.APIGroupList
	if err != nil || json.Unmarshal(body, &list) != nil {
		return
	}
	g.groups = map[string][]string{}
	for _, group := range list.Groups {
		for _, v := range group.Versions {
			g.groups[group.Name] = append(g.groups[group.Name], v.Version)
		}
	}
	for _, group := range []string{"metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io"} {
		if _, has := g.groups[group]; has {
			g.facts.Served[group] = ""
		} else {
			g.facts.Served[group] = "not among its API groups"
		}
	}
}

func (g *gathering) has(group string) bool {
	_, ok := g.groups[group]
	return ok || g.groups == nil || group == ""
}

// around are the kinds that are read whole; wide ones have no namespace.
var around = []struct {
	group, version, resource string
	wide                     bool
}{
	{"policy", "v1", "poddisruptionbudgets", false},
	{"", "v1", "resourcequotas", false},
	{"", "v1", "limitranges", false},
	{"autoscaling.k8s.io", "v1", "verticalpodautoscalers", false},
	{"keda.sh", "v1alpha1", "scaledobjects", false},
	{"", "v1", "events", false},
	{"apiregistration.k8s.io", "v1", "apiservices", true},
}

// lists are the requests for objects: one a kind.
func (g *gathering) lists() (work []func(context.Context)) {
	wanted := map[string]map[string]bool{} // kind → namespace/name
	for _, i := range g.judged {
		h := &g.hpas[i]
		ref := h.Spec.ScaleTargetRef
		if _, ok := known[ref.Kind]; !ok || ref.APIVersion != "" && !strings.HasPrefix(ref.APIVersion, "apps/") {
			work = append(work, g.other(h.Namespace, ref.APIVersion, ref.Kind, ref.Name))
			continue
		}
		if wanted[ref.Kind] == nil {
			wanted[ref.Kind] = map[string]bool{}
		}
		wanted[ref.Kind][h.Namespace+"/"+ref.Name] = true
	}
	for kind, names := range wanted {
		work = append(work, func(ctx context.Context) { g.workloads(ctx, kind, names) })
	}
	for _, k := range around {
		if !g.has(k.group) {
			continue
		}
		work = append(work, func(ctx context.Context) {
			o := metav1.ListOptions{}
			if k.resource == "events" {
				o.FieldSelector = "involvedObject.kind=HorizontalPodAutoscaler,type=Warning"
			}
			resource := schema.GroupVersionResource{Group: k.group, Version: k.version, Resource: k.resource}
			for _, u := range g.list(ctx, resource, k.wide, o) {
				unstructured.RemoveNestedField(u.Object, "metadata", "managedFields")
				g.mu.Lock()
				g.items = append(g.items, u.Object)
				g.mu.Unlock()
			}
		})
	}
	return append(work, g.listPods, g.listNodes, g.listUse)
}

// list lists a kind; a kind that the cluster does not have is an empty list.
func (g *gathering) list(
	ctx context.Context,
	r schema.GroupVersionResource,
	wide bool,
	o metav1.ListOptions,
) []unstructured.Unstructured {
	door := g.c.Dynamic.Resource(r)
	var got *unstructured.UnstructuredList
	var err error
	if wide {
		got, err = door.List(ctx, o)
	} else {
		got, err = door.Namespace(g.namespace).List(ctx, o)
	}
	if err != nil {
		if !apierrors.IsNotFound(err) {
			g.missed(ctx, r.Resource, err)
		}
		return nil
	}
	return got.Items
}

// workloads reads the scale targets of a kind, and how their pods are told.
func (g *gathering) workloads(ctx context.Context, kind string, names map[string]bool) {
	for _, u := range g.list(ctx, known[kind], false, metav1.ListOptions{}) {
		id := u.GetNamespace() + "/" + u.GetName()
		if !names[id] {
			continue
		}
		var sel metav1.LabelSelector
		raw, _, _ := unstructured.NestedMap(u.Object, "spec", "selector")
		text, _ := json.Marshal(raw)
		_ = json.Unmarshal(text, &sel)
		s, err := metav1.LabelSelectorAsSelector(&sel)
		g.mu.Lock()
		g.items = append(g.items, u.Object)
		if err == nil && !s.Empty() {
			if g.targets[u.GetNamespace()] == nil {
				g.targets[u.GetNamespace()] = map[string]labels.Selector{}
			}
			g.targets[u.GetNamespace()][kind+"/"+u.GetName()] = s
		}
		g.mu.Unlock()
	}
}

// other reads a scale target of any other kind that has a /scale: where it is, by
// discovery, and its pods by the selector of its scale.
func (g *gathering) other(namespace, apiVersion, kind, name string) func(context.Context) {
	return func(ctx context.Context) {
		what := fmt.Sprintf("target %s/%s in %s", kind, name, namespace)
		resource, err := g.c.resource(apiVersion, kind)
		if meta.IsNoMatchError(err) {
			g.unserved(kind, apiVersion)
			return
		}
		if err != nil {
			g.missed(ctx, what, err)
			return
		}
		s := &Subject{Namespace: namespace, Target: Ref{kind, name, resource}}
		u, err := g.c.objects(s).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return // its HPA says so
		}
		if err != nil {
			g.missed(ctx, what, err)
			return
		}
		unstructured.RemoveNestedField(u.Object, "metadata", "managedFields")
		selector := labels.Nothing()
		scale, err := g.c.objects(s).Get(ctx, name, metav1.GetOptions{}, "scale")
		if err != nil {
			g.missed(ctx, "scale of "+what, err)
		} else if text := scaleOf(scale).Selector; text == "" {
			g.missed(ctx, what, errors.New("its scale has no selector, so its pods are not known"))
		} else if selector, err = labels.Parse(text); err != nil {
			g.missed(ctx, "scale of "+what, err)
			selector = labels.Nothing()
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.items = append(g.items, u.Object)
		if !selector.Empty() {
			if g.targets[namespace] == nil {
				g.targets[namespace] = map[string]labels.Selector{}
			}
			g.targets[namespace][kind+"/"+name] = selector
		}
	}
}

// compact is a client that asks for protobuf, which is several times quicker
// to read than JSON: pods and nodes are most of what there is.
func (g *gathering) compact() kubernetes.Interface {
	if g.c.Config == nil {
		return g.c.Clients
	}
	config := rest.CopyConfig(g.c.Config)
	config.ContentType, config.AcceptContentTypes = "application/vnd.kubernetes.protobuf",
		"application/vnd.kubernetes.protobuf,application/json"
	clients, err := kubernetes.NewForConfigAndClient(config, g.c.http)
	if err != nil {
		return g.c.Clients
	}
	return clients
}

func (g *gathering) listPods(ctx context.Context) {
	list, err := g.compact().CoreV1().Pods(g.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		g.missed(ctx, "pods", err)
		return
	}
	g.pods = list.Items
}

func (g *gathering) listNodes(ctx context.Context) {
	list, err := g.compact().CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		g.missed(ctx, "nodes", err)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range list.Items { // a node's list of images is long
		g.items = append(
			g.items,
			&corev1.Node{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Node"},
				ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: n.Labels},
				Status:     corev1.NodeStatus{Allocatable: n.Status.Allocatable},
			},
		)
	}
}

// listUse reads metrics.k8s.io as the autoscaler does; whether it answers is a
// fact of its own.
func (g *gathering) listUse(ctx context.Context) {
	const group = "metrics.k8s.io"
	if !g.has(group) {
		return
	}
	got, err := g.c.Dynamic.Resource(schema.GroupVersionResource{Group: group, Version: "v1beta1", Resource: "pods"}).
		Namespace(g.namespace).
		List(ctx, metav1.ListOptions{})
	switch {
	case err == nil:
		g.used = got.Items
		g.serves(group, "")
	case apierrors.IsNotFound(err), apierrors.IsServiceUnavailable(err):
		g.serves(group, err.Error())
	default:
		g.missed(ctx, "pods of "+group, err)
	}
}

func (g *gathering) serves(group, why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.facts.Served[group] = why
}

// keepPods keeps only the targets' pods, and of each only what is judged, never its
// environment or arguments.
func (g *gathering) keepPods() {
	kept := map[string]bool{}
	for i := range g.pods {
		p := &g.pods[i]
		for _, s := range g.targets[p.Namespace] {
			if s.Matches(labels.Set(p.Labels)) {
				kept[p.Namespace+"/"+p.Name] = true
				g.items = append(g.items, slim(p))
				break
			}
		}
	}
	for _, u := range g.used {
		if kept[u.GetNamespace()+"/"+u.GetName()] {
			g.items = append(g.items, map[string]any{
				"apiVersion": u.GetAPIVersion(),
				"kind":       "PodMetrics",
				"metadata": map[string]any{
					"name":      u.GetName(),
					"namespace": u.GetNamespace(),
				},
				"containers": u.Object["containers"],
			})
		}
	}
}

func slim(p *corev1.Pod) *corev1.Pod {
	containers := func(list []corev1.Container) (out []corev1.Container) {
		for _, c := range list {
			out = append(
				out,
				corev1.Container{
					Name:           c.Name,
					Image:          c.Image,
					Ports:          c.Ports,
					Resources:      c.Resources,
					RestartPolicy:  c.RestartPolicy,
					ReadinessProbe: c.ReadinessProbe,
					StartupProbe:   c.StartupProbe,
				},
			)
		}
		return out
	}
	out := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name:              p.Name,
			Namespace:         p.Namespace,
			Labels:            p.Labels,
			CreationTimestamp: p.CreationTimestamp,
			DeletionTimestamp: p.DeletionTimestamp,
			OwnerReferences:   p.OwnerReferences,
		},
		Spec: corev1.PodSpec{
			Containers:                    containers(p.Spec.Containers),
			InitContainers:                containers(p.Spec.InitContainers),
			Resources:                     p.Spec.Resources,
			NodeSelector:                  p.Spec.NodeSelector,
			TerminationGracePeriodSeconds: p.Spec.TerminationGracePeriodSeconds,
		},
		Status: corev1.PodStatus{Phase: p.Status.Phase, StartTime: p.Status.StartTime},
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady || c.Type == corev1.ContainersReady {
			out.Status.Conditions = append(
				out.Status.Conditions,
				corev1.PodCondition{Type: c.Type, Status: c.Status, LastTransitionTime: c.LastTransitionTime},
			)
		}
	}
	for _, c := range p.Status.ContainerStatuses {
		s := corev1.ContainerStatus{Name: c.Name, RestartCount: c.RestartCount}
		if c.State.Running != nil {
			s.State.Running = &corev1.ContainerStateRunning{StartedAt: c.State.Running.StartedAt}
		}
		out.Status.ContainerStatuses = append(out.Status.ContainerStatuses, s)
	}
	return out
}
