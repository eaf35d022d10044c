package observer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/results"
)

// Kube watches one subject: its HPA, its target, its pods, events, endpoints
// and nodes. It is a Source; make one with NewKube for each run.
type Kube struct {
	cluster *kube.Cluster
	subject *kube.Subject
	clock   results.Clock
	o       Options
	emit    results.Emit

	mu       sync.Mutex
	pods     map[string]*pod
	states   []podStates    // what the pods were, oldest first
	scales   []scaleAt      // what the target's size was, oldest first
	template map[string]any // of the target's pods, as last seen; nil = not yet
	slices   map[string]*discoveryv1.EndpointSlice
	ready    []string             // the last list of endpoints
	nodes    map[string]time.Time // since when a node is there
	hpa      *autoscalingv2.HorizontalPodAutoscaler
	edits    int // of the HPA's spec, in mid-run
	undone   bool
	pending  []pending
	reasons  []rescaleReason
	answers  map[int32]string // backends by index: pod or address that has not answered yet
	metrics  metrics
	every    time.Duration // between polls, until the resolution is known
}

// Options are optional settings of a watcher.
type Options struct {
	// File takes objects verbatim (an HPA edited during the run); nil = dropped.
	File func(name string, data []byte)
	// Keep is the HPA spec, or the size, that the run has set and that must stay; another
	// one is a Warning results.WarnChangeUndone. nil = nothing was set.
	KeepSpec     *autoscalingv2.HorizontalPodAutoscalerSpec
	KeepReplicas *int32
	// Throttling asks the kubelets how often pods were throttled.
	Throttling bool
}

// NewKube returns the watcher of a subject. clock is the run's.
func NewKube(c *kube.Cluster, s *kube.Subject, clock results.Clock, o Options) *Kube {
	return &Kube{
		cluster: c,
		subject: s,
		clock:   clock,
		o:       o,
		every:   pollFirst,
		pods:    map[string]*pod{},
		slices:  map[string]*discoveryv1.EndpointSlice{},
		nodes:   map[string]time.Time{},
		answers: map[int32]string{},
	}
}

// at converts a time of an API object to the run's clock.
func (k *Kube) at(t time.Time) time.Duration { return k.clock.At(k.cluster.Time(t)) }

func (k *Kube) now() time.Duration { return k.clock.At(time.Now()) }

// refine makes a time of an API object, which is in whole seconds, as exact as possible:
// the moment of the notification, if that is within its second.
func (k *Kube) refine(t time.Time, listed bool) time.Duration {
	lo := k.at(t)
	if listed {
		return lo
	}
	return min(max(k.now(), lo), lo+time.Second-1)
}

// Observe watches until ctx is done.
func (k *Kube) Observe(ctx context.Context, emit results.Emit) error {
	k.emit = emit
	ns, core := k.subject.Namespace, k.cluster.Clients.CoreV1()
	selected := func(o metav1.ListOptions) metav1.ListOptions {
		o.LabelSelector = k.subject.Selector
		return o
	}
	target := k.cluster.Dynamic.Resource(k.subject.Target.Resource).Namespace(ns)
	named := func(name string, o metav1.ListOptions) metav1.ListOptions {
		o.FieldSelector = "metadata.name=" + name
		return o
	}
	feeds := []feed{
		{
			name: results.SourcePods,
			list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				return core.Pods(ns).List(ctx, selected(o))
			},
			watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				return core.Pods(ns).Watch(ctx, selected(o))
			},
			saw:  func(o runtime.Object, listed bool) { k.podSeen(o.(*corev1.Pod), listed) },
			lost: func(o runtime.Object) { k.podGone(o.(*corev1.Pod).Name) },
			only: k.podsOnly,
		},
		{
			name: results.SourceTarget,
			list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				return target.List(ctx, named(k.subject.Target.Name, o))
			},
			watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				return target.Watch(ctx, named(k.subject.Target.Name, o))
			},
			saw: func(o runtime.Object, _ bool) { k.targetSeen(ctx, o.(*unstructured.Unstructured)) },
		},
		{
			name: results.SourceEndpoints,
			list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				return k.cluster.Clients.DiscoveryV1().EndpointSlices(ns).List(ctx, o)
			},
			watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				return k.cluster.Clients.DiscoveryV1().EndpointSlices(ns).Watch(ctx, o)
			},
			saw:  func(o runtime.Object, _ bool) { k.sliceSeen(o.(*discoveryv1.EndpointSlice)) },
			lost: func(o runtime.Object) { k.sliceGone(o.(*discoveryv1.EndpointSlice).Name) },
			only: k.slicesOnly,
		},
		{
			name: results.SourceEvents, optional: true,
			list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				return core.Events(ns).List(ctx, o)
			},
			watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				return core.Events(ns).Watch(ctx, o)
			},
			saw: func(o runtime.Object, listed bool) { k.eventSeen(o.(*corev1.Event), listed) },
		},
		{
			name: results.SourceNodes, optional: true,
			list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				return core.Nodes().List(ctx, o)
			},
			watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				return core.Nodes().Watch(ctx, o)
			},
			saw: func(o runtime.Object, _ bool) { k.nodeSeen(o.(*corev1.Node)) },
		},
	}
	if h := k.subject.HPA; h != nil {
		hpas := k.cluster.Clients.AutoscalingV2().HorizontalPodAutoscalers(ns)
		feeds = append(feeds, feed{
			name: results.SourceHPA,
			list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				return hpas.List(ctx, named(h.Name, o))
			},
			watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				return hpas.Watch(ctx, named(h.Name, o))
			},
			saw: func(o runtime.Object, listed bool) { k.hpaSeen(o.(*autoscalingv2.HorizontalPodAutoscaler), listed) },
			lost: func(runtime.Object) {
				k.warn(results.WarnHPADeleted, "the HPA was deleted during the run")
			},
		})
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(feeds)+1)
	var wg sync.WaitGroup
	for i := range feeds {
		f := &feeds[i]
		f.clock, f.emit = k.clock, emit
		wg.Go(func() {
			if errs[i] = f.run(ctx); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Go(func() { errs[len(feeds)] = k.poll(ctx) })
	wg.Wait()
	k.mu.Lock()
	k.settle(true)
	k.mu.Unlock()
	return errors.Join(errs...)
}

func (k *Kube) warn(id results.WarningID, format string, args ...any) {
	k.emit(results.Warning{At: k.now(), ID: id, Text: fmt.Sprintf(format, args...)})
}

// scaleAt is the target's size from a time on.
type scaleAt struct {
	at           time.Duration
	spec, status int32
}

func (k *Kube) targetSeen(ctx context.Context, u *unstructured.Unstructured) {
	s := scaleAt{at: k.now()}
	if g := k.subject.Target.Resource.Group; g == "apps" {
		spec, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas")
		status, _, _ := unstructured.NestedInt64(u.Object, "status", "replicas")
		s.spec, s.status = int32(spec), int32(status)
	} else { // only its /scale shows where the sizes are
		scale, err := k.cluster.Scale(ctx, k.subject)
		if err != nil {
			return
		}
		s.spec, s.status = scale.Spec, scale.Status
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.meddled(u, s)
	k.scales = append(k.scales, s)
	if len(k.scales) > keepStates {
		k.scales = slices.Delete(k.scales, 0, len(k.scales)-keepStates)
	}
	if keep := k.o.KeepReplicas; keep != nil && s.spec != *keep && !k.undone {
		k.undone = true
		k.warn(
			results.WarnChangeUndone,
			"%s was fixed at %d replicas and now has %d: somebody else scaled it",
			k.subject.Target,
			*keep,
			s.spec,
		)
	}
}

// scale returns the size at a time; before the first look, the size at that look.
func (k *Kube) scale(at time.Duration) (scaleAt, bool) {
	for i := len(k.scales) - 1; i >= 0; i-- {
		if k.scales[i].at <= at {
			return k.scales[i], true
		}
	}
	if len(k.scales) > 0 {
		return k.scales[0], true
	}
	return scaleAt{}, false
}

func (k *Kube) nodeSeen(n *corev1.Node) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.nodes[n.Name] = n.CreationTimestamp.Time
}

// service is the one whose endpoints the load meets.
func (k *Kube) service() string {
	if len(k.subject.Services) == 0 {
		return ""
	}
	return k.subject.Services[0].Name
}

func (k *Kube) sliceSeen(s *discoveryv1.EndpointSlice) {
	if s.Labels[discoveryv1.LabelServiceName] != k.service() || s.AddressType == discoveryv1.AddressTypeFQDN {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.slices[s.Name] = s
	k.endpoints()
}

func (k *Kube) sliceGone(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.slices[name]; ok {
		delete(k.slices, name)
		k.endpoints()
	}
}

func (k *Kube) slicesOnly(names map[string]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for n := range k.slices {
		if !names[n] {
			delete(k.slices, n)
		}
	}
}

// endpoints records which pods get traffic, if that has changed.
func (k *Kube) endpoints() {
	var out []string
	for _, s := range k.slices {
		if len(s.Ports) == 0 || s.Ports[0].Port == nil {
			continue
		}
		port := strconv.Itoa(int(*s.Ports[0].Port))
		for _, e := range s.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			for _, a := range e.Addresses {
				out = append(out, net.JoinHostPort(a, port))
			}
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	if k.ready != nil && slices.Equal(out, k.ready) {
		return
	}
	k.ready = append([]string{}, out...)
	k.emit(results.Endpoints{At: k.now(), Ready: out})
}

// ours reports whether an event is about the HPA, the target or its pods.
func (k *Kube) ours(e *corev1.Event) bool {
	o := e.InvolvedObject
	switch o.Kind {
	case "Pod":
		_, ok := k.pods[o.Name]
		return ok || strings.HasPrefix(o.Name, k.subject.Target.Name+"-")
	case "ReplicaSet":
		return strings.HasPrefix(o.Name, k.subject.Target.Name+"-")
	case "HorizontalPodAutoscaler":
		return k.subject.HPA != nil && o.Name == k.subject.HPA.Name
	}
	return o.Kind == k.subject.Target.Kind && o.Name == k.subject.Target.Name
}

func (k *Kube) eventSeen(e *corev1.Event, listed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	when := e.LastTimestamp.Time
	if when.IsZero() {
		when = e.EventTime.Time
	}
	if when.IsZero() {
		when = e.CreationTimestamp.Time
	}
	at := k.refine(when, listed)
	if !k.ours(e) {
		return
	}
	if e.InvolvedObject.Kind == "Pod" && e.Reason == "Pulled" {
		if p := k.pods[e.InvolvedObject.Name]; p != nil {
			k.enter(p, results.PodPulled, at)
		}
	}
	if e.Reason == results.RescaleEvent {
		if size, reason, ok := strings.Cut(strings.TrimPrefix(e.Message, "New size: "), "; reason: "); ok {
			n, _ := strconv.Atoi(size)
			k.reasons = append(k.reasons, rescaleReason{at, int32(n), reason})
		}
	}
	if listed && at < 0 && e.Reason != results.RescaleEvent {
		return // before the run; except for rescales, which the controller remembers
	}
	source := e.Source.Component
	if source == "" {
		source = e.ReportingController
	}
	k.emit(
		results.Event{
			At:      at,
			Source:  source,
			Object:  e.InvolvedObject.Kind + "/" + e.InvolvedObject.Name,
			Type:    e.Type,
			Reason:  e.Reason,
			Message: e.Message,
		},
	)
}

// Answered looks in the load generator's records for the first good answer of each pod, and
// emits its phase. It can only know that if backends are visible. It is called for every
// record of a run.
func (k *Kube) Answered(r results.Record) {
	switch r := r.(type) {
	case results.Name:
		if r.Table == results.BackendTable {
			k.mu.Lock()
			k.answers[r.Index] = r.Text
			if r.Address != "" {
				k.answers[r.Index] = r.Address
			}
			k.mu.Unlock()
		}
	case results.Request:
		if r.Outcome != results.OK || r.Backend < 0 {
			return
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		name, ok := k.answers[r.Backend]
		if !ok {
			return
		}
		delete(k.answers, r.Backend)
		if host, _, err := net.SplitHostPort(name); err == nil {
			for _, p := range k.pods {
				if p.ip == host {
					name = p.name
				}
			}
		}
		if p := k.pods[name]; p != nil {
			k.enter(p, results.PodFirstAnswer, r.Done)
		}
	}
}
