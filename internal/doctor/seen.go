package doctor

import (
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// see computes what the subject's own pods show: what runs, how long a start takes, what is
// used. What a person stated overrides it.
func (s *subject) see() {
	sel, err := metav1.LabelSelectorAsSelector(s.work.selector)
	if s.work.selector == nil || err != nil || sel.Empty() {
		return
	}
	for _, d := range s.of("Pod") {
		p, err := decode[corev1.Pod](s.facts, d)
		if err == nil && sel.Matches(labels.Set(p.Labels)) && p.DeletionTimestamp == nil &&
			p.Status.Phase != corev1.PodFailed &&
			p.Status.Phase != corev1.PodSucceeded {
			s.pods = append(s.pods, p)
		}
	}
	if len(s.pods) == 0 {
		return
	}
	// The running pods count, not the template: requests may come from a webhook or a
	// LimitRange, and sidecars are injected.
	newest := slices.MaxFunc(
		s.pods,
		func(a, b *corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) },
	)
	s.spec, s.labels = newest.Spec, newest.Labels
	if s.m.Startup == 0 {
		s.seeStartup()
	}
	s.seeUsage()
}

// tooLong is longer than any start: a pod that became ready later than this was ready
// before, lost readiness and regained it.
const tooLong = time.Hour

// seeStartup uses the median of the pods that never restarted, since a pod that lost and
// regained readiness looks slow.
func (s *subject) seeStartup() {
	var took []time.Duration
	for _, p := range s.pods {
		ready := condition(p, corev1.PodReady)
		if ready == nil || ready.Status != corev1.ConditionTrue || restarted(p) {
			continue
		}
		if d := ready.LastTransitionTime.Sub(p.CreationTimestamp.Time); d >= 0 && d < tooLong {
			took = append(took, d)
		}
	}
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	// The API's times are whole seconds: less than one is not "not known".
	s.m.Startup = max(took[len(took)/2], time.Second)
	s.startup = fmt.Sprintf("%v (from created to ready, %s)", s.m.Startup, medianOf(len(took)))
}

func medianOf(n int) string {
	if n == 1 {
		return "by 1 pod"
	}
	return fmt.Sprintf("median of %d pods", n)
}

// podMetrics is metrics.k8s.io's PodMetrics.
type podMetrics struct {
	Containers []struct {
		Usage map[string]resource.Quantity `json:"usage"`
	} `json:"containers"`
}

// seeUsage computes what ready pods currently use, relative to their requests.
func (s *subject) seeUsage() {
	byName := map[string]*corev1.Pod{}
	for _, p := range s.pods {
		if c := condition(p, corev1.PodReady); c != nil && c.Status == corev1.ConditionTrue {
			byName[p.Name] = p
		}
	}
	used, asked, n := map[string]float64{}, map[string]float64{}, 0
	for _, d := range s.of("PodMetrics") {
		p := byName[d.Name]
		m, err := decode[podMetrics](s.facts, d)
		if p == nil || err != nil {
			continue
		}
		n++
		one := subject{facts: s.facts, doc: s.doc, spec: p.Spec}
		one.fill()
		for _, name := range []string{"cpu", "memory"} {
			request, ok := one.amount("", name, false)
			if !ok {
				continue
			}
			asked[name] += request
			for _, c := range m.Containers {
				q := c.Usage[name]
				used[name] += q.AsApproximateFloat64()
			}
		}
	}
	told := s.m.Usage
	s.m.Usage = maps.Clone(told)
	for name, request := range asked {
		if _, known := told[name]; known || request == 0 {
			continue
		}
		if s.m.Usage == nil {
			s.m.Usage = map[string]float64{}
		}
		s.m.Usage[name] = used[name] / request
	}
	s.usedBy = n
}

// settling reports whether all pods are so young that they cannot have a metric yet:
// metrics-server needs two scrapes.
func (s *subject) settling() bool {
	return !s.facts.Now.IsZero() && len(s.pods) > 0 && !slices.ContainsFunc(s.pods, func(p *corev1.Pod) bool {
		return p.Status.StartTime != nil && s.facts.Now.Sub(p.Status.StartTime.Time) > time.Minute
	})
}

func condition(p *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == kind {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

func restarted(p *corev1.Pod) bool {
	return slices.ContainsFunc(
		p.Status.ContainerStatuses,
		func(c corev1.ContainerStatus) bool { return c.RestartCount > 0 },
	)
}

// flipped reports whether a pod was ready, and then no longer, without a restart: readiness
// became false after its containers had started. (A pod that was never ready has had its
// condition since before that.)
func flipped(p *corev1.Pod) (since time.Time, ok bool) {
	ready := condition(p, corev1.PodReady)
	all := condition(p, corev1.ContainersReady) // stays true where only the node was lost
	if ready == nil || ready.Status != corev1.ConditionFalse || all == nil || all.Status != corev1.ConditionFalse ||
		restarted(p) ||
		len(p.Status.ContainerStatuses) == 0 {
		return time.Time{}, false
	}
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Running == nil || !ready.LastTransitionTime.After(c.State.Running.StartedAt.Add(time.Second)) {
			return time.Time{}, false
		}
	}
	return ready.LastTransitionTime.Time, true
}
