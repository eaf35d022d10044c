package observer

import (
	"fmt"
	"slices"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/yaml"

	"github.com/hpatune/hpatune/results"
)

// pending is a sync whose input has not been found yet.
type pending struct {
	sync    results.Sync
	current []autoscalingv2.MetricStatus
	spec    []autoscalingv2.MetricSpec
	failed  bool
	polls   int // of the metrics, since
}

// rescaleReason is the reason in the HPA's event of a rescale.
type rescaleReason struct {
	at     time.Duration
	size   int32
	reason string
}

// statusLag is the minimum time from a decision until its status arrives: the controller
// lists pods, then writes the status.
const statusLag = 10 * time.Millisecond

// hpaSeen takes the current HPA: a changed status is a reconcile.
func (k *Kube) hpaSeen(h *autoscalingv2.HorizontalPodAutoscaler, listed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	prev := k.hpa
	k.hpa = h
	if keep := k.o.KeepSpec; keep != nil && !k.undone && !equality.Semantic.DeepEqual(*keep, h.Spec) {
		k.undone = true
		k.warn(results.WarnChangeUndone, "%s changed the HPA's spec that this run applied", lastManager(h))
	}
	if prev == nil {
		return
	}
	if !equality.Semantic.DeepEqual(prev.Spec, h.Spec) {
		k.edited(h)
	}
	if equality.Semantic.DeepEqual(decided(prev), decided(h)) {
		return
	}
	k.pending = append(k.pending, k.syncOf(prev, h))
	k.settle(false)
}

// decided is the part of the status that a reconcile changes.
func decided(h *autoscalingv2.HorizontalPodAutoscaler) autoscalingv2.HorizontalPodAutoscalerStatus {
	s := *h.Status.DeepCopy()
	s.ObservedGeneration = nil
	return s
}

func lastManager(h *autoscalingv2.HorizontalPodAutoscaler) string {
	name, at := "unknown", time.Time{}
	for _, m := range h.ManagedFields {
		if m.Subresource == "" && m.Time != nil && m.Time.After(at) {
			name, at = m.Manager, m.Time.Time
		}
	}
	return name
}

// edited records that the HPA's spec was changed during the run.
func (k *Kube) edited(h *autoscalingv2.HorizontalPodAutoscaler) {
	k.edits++
	name := fmt.Sprintf("hpa-edit-%d.yaml", k.edits)
	k.warn(
		results.WarnHPAEdited,
		"the HPA's spec was changed during the run by %s (saved as cluster/%s); later decisions are not comparable with "+
			"earlier ones",
		lastManager(h),
		name,
	)
	if k.o.File == nil {
		return
	}
	c := h.DeepCopy()
	c.APIVersion, c.Kind, c.ManagedFields = "autoscaling/v2", "HorizontalPodAutoscaler", nil
	if text, err := yaml.Marshal(c); err == nil {
		k.o.File(name, text)
	}
}

// syncOf makes a sync from a changed status.
func (k *Kube) syncOf(prev, h *autoscalingv2.HorizontalPodAutoscaler) pending {
	st := &h.Status
	now := k.now()
	s := results.Sync{
		At:       now - statusLag,
		Spec:     st.CurrentReplicas,
		Desired:  st.DesiredReplicas,
		Replicas: st.CurrentReplicas,
		Selector: k.subject.Selector,
	}
	scaled := st.LastScaleTime != nil &&
		(prev.Status.LastScaleTime == nil || st.LastScaleTime.After(prev.Status.LastScaleTime.Time))
	if scaled {
		s.Replicas = st.DesiredReplicas
		// The scale is written before the status, and new pods may exist when the status
		// arrives; the decision was about the pods before that.
		for i := len(k.scales) - 1; i > 0 && k.scales[i].at > now-10*time.Second; i-- {
			if k.scales[i].spec == st.DesiredReplicas && k.scales[i-1].spec == st.CurrentReplicas {
				s.At = k.scales[i].at - statusLag
				break
			}
		}
	}
	s.Status = s.Spec
	if sc, ok := k.scale(s.At); ok {
		s.Status = sc.status
	}
	s.Pods = k.were(s.At)
	p := pending{sync: s, current: st.CurrentMetrics, spec: h.Spec.Metrics}
	for _, c := range st.Conditions {
		p.sync.Conditions = append(
			p.sync.Conditions,
			results.Condition{Type: string(c.Type), Status: string(c.Status), Reason: c.Reason, Message: c.Message},
		)
		if c.Status == corev1.ConditionFalse &&
			(c.Type == autoscalingv2.AbleToScale || c.Type == autoscalingv2.ScalingActive && c.Reason != "ScalingDisabled") {
			p.failed = true
			p.sync.Err = c.Message
		}
	}
	return p
}

// settle emits, in order, the pending syncs whose input is found and, after two more
// readings or at the end, the others without.
func (k *Kube) settle(end bool) {
	for len(k.pending) > 0 {
		p := &k.pending[0]
		metrics, ok := k.inputs(p)
		if !ok && p.polls < 2 && !end {
			return
		}
		p.sync.Metrics = metrics
		if p.sync.Rescaled() {
			for _, r := range slices.Backward(k.reasons) {
				if r.size == p.sync.Replicas && (r.at-p.sync.At).Abs() < 5*time.Second {
					p.sync.Reason = r.reason
					break
				}
			}
			if p.sync.Reason == "" && p.polls < 1 && !end {
				return // the event comes a little later
			}
		}
		k.emit(p.sync)
		k.pending = k.pending[1:]
	}
}

// inputs finds each metric's reading at a sync, from what the status says that the
// controller computed. ok is false if one was not found: a record without its input is
// better than one with a guess.
func (k *Kube) inputs(p *pending) (out []results.Reading, ok bool) {
	if len(p.current) == 0 && !p.failed {
		return nil, true // a shortcut to the bounds, for which no metric was read
	}
	for i := range p.spec {
		m := &p.spec[i]
		if i >= len(p.current) || p.current[i].Type == "" {
			if !p.failed && i >= len(p.current) {
				return nil, false
			}
			text := p.sync.Err
			if text == "" {
				text = "the metric could not be read"
			}
			out = append(out, results.Reading{Metric: metricName(m), Err: text})
			continue
		}
		r, found := k.metrics.find(i, m, &p.current[i], &p.sync)
		if !found {
			return nil, false
		}
		out = append(out, r)
	}
	return out, true
}

// metricName is a metric's name as the HPA gives it.
func metricName(m *autoscalingv2.MetricSpec) string {
	switch {
	case m.Resource != nil:
		return string(m.Resource.Name)
	case m.ContainerResource != nil:
		return string(m.ContainerResource.Name)
	case m.Pods != nil:
		return m.Pods.Metric.Name
	case m.Object != nil:
		return m.Object.Metric.Name
	case m.External != nil:
		return m.External.Metric.Name
	}
	return ""
}
