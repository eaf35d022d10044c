package observer

import (
	"net"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/results"
)

// keepStates is the number of changes for which the pods' states are kept: an HPA's status
// arrives within a second of its decision.
const keepStates = 400

// pod is what is known about a pod so far.
type pod struct {
	name, node string
	ip         string
	backend    string // ip:port, as clients see it; "" before it has an address
	restarts   int
	entered    map[results.PodPhase]bool
	ready      bool
	state      results.PodState
}

// podStates are the pods from a time on.
type podStates struct {
	at   time.Duration
	pods []results.PodState // by name
}

// enter emits a phase of a pod's life, once.
func (k *Kube) enter(p *pod, phase results.PodPhase, at time.Duration) {
	if p.entered[phase] {
		return
	}
	p.entered[phase] = true
	k.emitPod(p, phase, at)
}

func (k *Kube) emitPod(p *pod, phase results.PodPhase, at time.Duration) {
	k.emit(results.Pod{At: at, Name: p.name, Phase: phase, Node: p.node, Backend: p.backend, Restarts: p.restarts})
}

func condition(o *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range o.Status.Conditions {
		if o.Status.Conditions[i].Type == t {
			return &o.Status.Conditions[i]
		}
	}
	return nil
}

func (k *Kube) podSeen(o *corev1.Pod, listed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.pods[o.Name]
	if p == nil {
		p = &pod{name: o.Name, entered: map[results.PodPhase]bool{}}
		k.pods[o.Name] = p
	}
	p.node, p.ip = o.Spec.NodeName, o.Status.PodIP
	if port := k.port(&o.Spec); p.ip != "" && port > 0 {
		p.backend = net.JoinHostPort(p.ip, strconv.Itoa(int(port)))
	}
	k.enter(p, results.PodCreated, k.refine(o.CreationTimestamp.Time, listed))
	if c := condition(o, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionTrue {
		if since, ok := k.nodes[p.node]; ok && since.After(o.CreationTimestamp.Time) {
			k.enter(p, results.PodNodeAdded, k.at(since))
		}
		k.enter(p, results.PodScheduled, k.refine(c.LastTransitionTime.Time, listed))
	}
	restarts, running := 0, len(o.Status.ContainerStatuses) > 0
	var started time.Time
	for _, c := range o.Status.ContainerStatuses {
		restarts += int(c.RestartCount)
		if c.State.Running == nil {
			running = false
		} else if t := c.State.Running.StartedAt.Time; t.After(started) {
			started = t
		}
	}
	if restarts > p.restarts && !listed {
		k.warn(results.WarnPodRestarted, "pod %s: a container was restarted (%d restarts in total)", p.name, restarts)
	}
	p.restarts = restarts
	if running {
		k.enter(p, results.PodStarted, k.refine(started, listed))
	}
	if c := condition(o, corev1.PodReady); c != nil {
		ready := c.Status == corev1.ConditionTrue
		switch at := k.refine(c.LastTransitionTime.Time, listed); {
		case ready && !p.ready:
			k.emitPod(p, results.PodReady, at)
		case !ready && p.ready:
			k.emitPod(p, results.PodUnready, at)
		}
		p.ready = ready
	}
	if o.DeletionTimestamp != nil {
		asked := o.DeletionTimestamp.Time // when it must be gone at the latest
		if g := o.DeletionGracePeriodSeconds; g != nil {
			asked = asked.Add(-time.Duration(*g) * time.Second)
		}
		k.enter(p, results.PodDeleted, k.refine(asked, listed))
	}
	p.state = k.stateOf(o)
	k.keep()
}

// port is the one on which the Service reaches a pod; without one, the first
// that the pod names; 0 = none.
func (k *Kube) port(p *corev1.PodSpec) int32 {
	var want intstr.IntOrString
	if len(k.subject.Services) > 0 && len(k.subject.Services[0].Spec.Ports) > 0 {
		sp := k.subject.Services[0].Spec.Ports[0]
		if want = sp.TargetPort; want == (intstr.IntOrString{}) {
			return sp.Port // the API server's default
		}
	}
	if want.IntVal > 0 {
		return want.IntVal
	}
	for _, c := range kube.Containers(p) {
		for _, cp := range c.Ports {
			if want.StrVal == "" || cp.Name == want.StrVal {
				return cp.ContainerPort
			}
		}
	}
	return 0
}

func (k *Kube) podGone(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gone(name)
	k.keep()
}

func (k *Kube) gone(name string) {
	if p := k.pods[name]; p != nil {
		k.enter(p, results.PodGone, k.now())
		delete(k.pods, name)
	}
}

func (k *Kube) podsOnly(names map[string]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := len(k.pods)
	for n := range k.pods {
		if !names[n] {
			k.gone(n)
		}
	}
	if len(k.pods) != before {
		k.keep()
	}
}

// keep records the pods from now on.
func (k *Kube) keep() {
	s := podStates{at: k.now()}
	for _, p := range k.pods {
		s.pods = append(s.pods, p.state)
	}
	slices.SortFunc(s.pods, func(a, b results.PodState) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	k.states = append(k.states, s)
	if len(k.states) > keepStates {
		k.states = slices.Delete(k.states, 0, len(k.states)-keepStates)
	}
}

// were returns the pods at a time; before the first look, the pods at that look.
func (k *Kube) were(at time.Duration) []results.PodState {
	for i := len(k.states) - 1; i >= 0; i-- {
		if k.states[i].at <= at {
			return k.states[i].pods
		}
	}
	if len(k.states) > 0 {
		return k.states[0].pods
	}
	return nil
}

// stateOf is a pod as the HPA controller sees it. Its times are those of the API object, in
// whole seconds, since the controller compares those.
func (k *Kube) stateOf(o *corev1.Pod) results.PodState {
	s := results.PodState{
		Name:           o.Name,
		Phase:          string(o.Status.Phase),
		Deleted:        o.DeletionTimestamp != nil,
		Started:        results.NotYet,
		PodCPUMilli:    -1,
		PodMemoryBytes: -1,
	}
	if c := condition(o, corev1.PodReady); c != nil {
		s.Ready, s.ReadySince = string(c.Status), k.at(c.LastTransitionTime.Time)
	}
	if t := o.Status.StartTime; t != nil {
		s.Started = k.at(t.Time)
	}
	for _, c := range kube.Containers(&o.Spec) {
		s.Containers = append(s.Containers, results.ContainerState{
			Name:        c.Name,
			CPUMilli:    milli(c.Resources.Requests, corev1.ResourceCPU),
			MemoryBytes: whole(c.Resources.Requests, corev1.ResourceMemory),
			Sidecar:     !slices.ContainsFunc(o.Spec.Containers, func(x corev1.Container) bool { return x.Name == c.Name }),
		})
	}
	if r := o.Spec.Resources; r != nil {
		s.PodCPUMilli, s.PodMemoryBytes = milli(r.Requests, corev1.ResourceCPU), whole(r.Requests, corev1.ResourceMemory)
	}
	return s
}

func milli(l corev1.ResourceList, name corev1.ResourceName) int64 {
	if q, ok := l[name]; ok {
		return q.MilliValue()
	}
	return -1
}

func whole(l corev1.ResourceList, name corev1.ResourceName) int64 {
	if q, ok := l[name]; ok {
		return q.Value()
	}
	return -1
}

// values is a metrics API's quantity in milli, rounded up as the controller does.
func values(q resource.Quantity) int64 { return q.MilliValue() }
