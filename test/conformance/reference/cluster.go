package reference

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	k8serrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	scaleclient "k8s.io/client-go/scale"
	clienttesting "k8s.io/client-go/testing"

	"github.com/hpatune/hpatune/test/conformance/gen"
)

// feeds are the watches of one controller's informers.
type feeds struct{ hpas, pods *watch.RaceFreeFakeWatcher }

// newFeeds makes the clientset act as a small API server: list and watch of one HPA and
// its pods, and the HPA's status subresource.
func newFeeds(w *world, client *fake.Clientset) feeds {
	f := feeds{watch.NewRaceFreeFake(), watch.NewRaceFreeFake()}
	client.AddReactor("list", "horizontalpodautoscalers", func(clienttesting.Action) (bool, runtime.Object, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return true, &autoscalingv2.HorizontalPodAutoscalerList{
			ListMeta: metav1.ListMeta{ResourceVersion: strconv.FormatInt(w.version, 10)},
			Items:    []autoscalingv2.HorizontalPodAutoscaler{*w.hpa.DeepCopy()}}, nil
	})
	client.AddReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		l := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: strconv.FormatInt(w.version, 10)}}
		for _, name := range slices.Sorted(maps.Keys(w.pods)) {
			l.Items = append(l.Items, *w.pods[name].DeepCopy())
		}
		return true, l, nil
	})
	client.AddReactor("update", "horizontalpodautoscalers", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if a.GetSubresource() != "status" {
			return true, nil, fmt.Errorf("the controller wrote %q of its HPA", a.GetSubresource())
		}
		if text := w.observation().StatusError; text != "" {
			return true, nil, errors.New(text)
		}
		sent := a.(clienttesting.UpdateAction).GetObject().(*autoscalingv2.HorizontalPodAutoscaler)
		w.mu.Lock()
		stored := w.hpa.DeepCopy() // a status write changes only the status
		w.mu.Unlock()
		stored.Status = *sent.Status.DeepCopy()
		return true, w.store(stored), nil
	})
	client.AddWatchReactor("horizontalpodautoscalers", clienttesting.DefaultWatchReactor(f.hpas, nil))
	client.AddWatchReactor("pods", clienttesting.DefaultWatchReactor(f.pods, nil))
	return f
}

func (f feeds) close() {
	f.hpas.Stop()
	f.pods.Stop()
}

// stamp gives an object the next resource version. The caller holds the lock, or nothing
// else runs.
func (w *world) stamp(m *metav1.ObjectMeta) {
	w.version++
	m.ResourceVersion = strconv.FormatInt(w.version, 10)
}

// store saves the HPA and notifies the informer. Times are cut to whole seconds, as in the
// API's JSON.
func (w *world) store(h *autoscalingv2.HorizontalPodAutoscaler) *autoscalingv2.HorizontalPodAutoscaler {
	h = h.DeepCopy()
	if t := h.Status.LastScaleTime; t != nil {
		h.Status.LastScaleTime = new(metav1.Time)
		*h.Status.LastScaleTime = metav1.NewTime(t.Truncate(time.Second))
	}
	for i := range h.Status.Conditions {
		c := &h.Status.Conditions[i]
		c.LastTransitionTime = metav1.NewTime(c.LastTransitionTime.Truncate(time.Second))
	}
	w.mu.Lock()
	w.stamp(&h.ObjectMeta)
	w.hpa = h
	f := w.feed
	w.mu.Unlock()
	if f.hpas != nil && !f.hpas.IsStopped() {
		f.hpas.Modify(h.DeepCopy())
	}
	return h.DeepCopy()
}

// setPods replaces the informer's pods with those of the observation; nil keeps them. The
// caller holds the lock.
func (w *world) setPods(want *[]gen.Pod) error {
	if want == nil {
		return nil
	}
	next := map[string]*corev1.Pod{}
	for i := range *want {
		p := w.pod(&(*want)[i])
		if next[p.Name] != nil {
			return fmt.Errorf("pod %s: named twice", p.Name)
		}
		next[p.Name] = p
	}
	live := w.feed.pods != nil && !w.feed.pods.IsStopped()
	for _, name := range slices.Sorted(maps.Keys(w.pods)) {
		if next[name] == nil {
			gone := w.pods[name].DeepCopy()
			w.stamp(&gone.ObjectMeta)
			if live {
				w.feed.pods.Delete(gone)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(next)) {
		old, p := w.pods[name], next[name]
		if old != nil {
			p.ResourceVersion = old.ResourceVersion
			if apiequality.Semantic.DeepEqual(old, p) {
				continue
			}
		}
		w.stamp(&p.ObjectMeta)
		switch {
		case !live:
		case old == nil:
			w.feed.pods.Add(p.DeepCopy())
		default:
			w.feed.pods.Modify(p.DeepCopy())
		}
	}
	w.pods = next
	return nil
}

// pod converts a pod of the format to an API object.
func (w *world) pod(g *gen.Pod) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: g.Name, Namespace: w.hpa.Namespace, UID: types.UID(g.Name), Labels: g.Labels},
	}
	if p.Labels == nil {
		p.Labels = map[string]string{"app": targetName}
	}
	if g.Deleted {
		t := metav1.NewTime(w.start)
		p.DeletionTimestamp = &t
	}
	p.Status.Phase = corev1.PodPhase(g.Phase)
	if g.StartTime != nil {
		t := w.carried(*g.StartTime)
		p.Status.StartTime = &t
	}
	if g.Ready != "" {
		c := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionStatus(g.Ready)}
		if g.Transition != nil {
			c.LastTransitionTime = w.carried(*g.Transition)
		}
		p.Status.Conditions = []corev1.PodCondition{c}
	}
	containers := g.Containers
	if containers == nil {
		containers = w.s.Containers
	}
	for _, c := range containers {
		k := corev1.Container{
			Name:      c.Name,
			Resources: corev1.ResourceRequirements{Requests: amounts(c.CPUMilli, c.MemoryBytes)},
		}
		switch {
		case c.Sidecar:
			always := corev1.ContainerRestartPolicyAlways
			k.RestartPolicy = &always
			p.Spec.InitContainers = append(p.Spec.InitContainers, k)
		case c.Init:
			p.Spec.InitContainers = append(p.Spec.InitContainers, k)
		default:
			p.Spec.Containers = append(p.Spec.Containers, k)
		}
	}
	if g.PodCPUMilli != nil || g.PodMemoryBytes != nil {
		p.Spec.Resources = &corev1.ResourceRequirements{Requests: amounts(g.PodCPUMilli, g.PodMemoryBytes)}
	}
	return p
}

func amounts(cpuMilli, memoryBytes *int64) corev1.ResourceList {
	l := corev1.ResourceList{}
	if cpuMilli != nil {
		l[corev1.ResourceCPU] = *resource.NewMilliQuantity(*cpuMilli, resource.DecimalSI)
	}
	if memoryBytes != nil {
		l[corev1.ResourceMemory] = *resource.NewQuantity(*memoryBytes, resource.BinarySI)
	}
	return l
}

// observation returns the current one.
func (w *world) observation() *gen.Observation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return &w.s.Observations[w.i]
}

func mapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper([]schema.GroupVersion{appsv1.SchemeGroupVersion})
	for _, kind := range []string{"Deployment", "StatefulSet", "ReplicaSet"} {
		m.Add(appsv1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	return m
}

// scales is the target's scale subresource. The first read of a reconcile also keeps the
// scenario's time: it answers at the time of the observation, as a slow API server would.
// This makes periods that are slightly longer than the controller's.
type scales struct{ w *world }

func (s scales) Scales(string) scaleclient.ScaleInterface { return s }

func (s scales) Get(
	_ context.Context,
	gr schema.GroupResource,
	name string,
	_ metav1.GetOptions,
) (*autoscalingv1.Scale, error) {
	w := s.w
	w.mu.Lock()
	first := !w.started
	w.started = true
	switch {
	case first:
	case w.rereads > 0:
		w.rereads--
	default:
		w.problem = fmt.Errorf("at %v: a second reconcile", time.Since(w.start))
	}
	until := time.Until(w.at)
	w.mu.Unlock()
	if until > 0 {
		time.Sleep(until)
	}
	o := w.observation()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = time.Now()
	if first && o.ScaleGetError != "" {
		return nil, errors.New(o.ScaleGetError)
	}
	status, selector := w.replicas, "app="+targetName
	if o.StatusReplicas != nil {
		status = *o.StatusReplicas
	}
	if o.Selector != nil {
		selector = *o.Selector
	}
	return &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec:       autoscalingv1.ScaleSpec{Replicas: w.replicas},
		Status:     autoscalingv1.ScaleStatus{Replicas: status, Selector: selector},
	}, nil
}

func (s scales) Update(
	_ context.Context,
	gr schema.GroupResource,
	scale *autoscalingv1.Scale,
	_ metav1.UpdateOptions,
) (*autoscalingv1.Scale, error) {
	w := s.w
	o := w.observation()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = time.Now()
	if w.conflicts > 0 {
		w.conflicts--
		w.rereads++
		return nil, k8serrors.NewConflict(
			gr,
			scale.Name,
			errors.New("the object has been modified; please apply your changes to the latest version and try again"),
		)
	}
	if o.UpdateError != "" {
		w.rereads++ // the controller reads the scale after any failure
		return nil, errors.New(o.UpdateError)
	}
	w.replicas, w.scaled = scale.Spec.Replicas, true
	return scale.DeepCopy(), nil
}

func (s scales) Patch(
	context.Context,
	schema.GroupVersionResource,
	string,
	types.PatchType,
	[]byte,
	metav1.PatchOptions,
) (*autoscalingv1.Scale, error) {
	return nil, errors.New("the HPA controller never patches a scale")
}
