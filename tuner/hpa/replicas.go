package hpa

import (
	"math"
	"time"
)

// propose fills p with what one metric asks for.
// Source: horizontal.go, computeReplicasForMetric.
func (c *Controller) propose(o *Observation, m *Metric, r *Reading, tol tolerances, p *Proposal) {
	*p = Proposal{Metric: m}
	t := &m.Target
	if m.SelectorErr != "" && (m.Source != External || t.AverageMilli != 0 || t.ValueMilli != 0) {
		p.Fault.Code = FaultSelector
		return
	}
	switch m.Source {
	case Resource, ContainerResource:
		switch {
		case t.AverageMilli != 0:
			c.perPod(o, m, r, tol, t.AverageMilli, false, p)
		case t.Utilization != 0:
			c.perPod(o, m, r, tol, int64(t.Utilization), true, p)
		default:
			p.Fault.Code = FaultNoTarget
		}
	case Pods:
		c.perPod(o, m, r, tol, t.AverageMilli, false, p)
	case Object:
		switch {
		case t.Type == Value && t.ValueMilli != 0:
			if usage, ok := objectUsage(r, p); ok {
				c.byValue(o, usage, t.ValueMilli, tol, p)
			}
		case t.Type == AverageValue && t.AverageMilli != 0:
			if usage, ok := objectUsage(r, p); ok {
				c.byAverage(o, usage, t.AverageMilli, false, tol, p)
			}
		default:
			p.Fault.Code = FaultNoTarget
		}
	case External:
		switch {
		case t.AverageMilli != 0:
			if usage, ok := c.externalUsage(r, true, p); ok {
				c.byAverage(o, usage, t.AverageMilli, c.params.Release >= 34, tol, p)
			}
		case t.ValueMilli != 0:
			if usage, ok := c.externalUsage(r, false, p); ok {
				c.byValue(o, usage, t.ValueMilli, tol, p)
			}
		default:
			p.Fault.Code = FaultNoTarget
		}
	default:
		p.Fault.Code = FaultUnknownSource
	}
}

// perPod is the one algorithm for per-pod metrics, in its two variants: utilization (target is a
// percentage of the request) and plain value (target in thousandths).
//
// Upstream works on maps of pod names in two passes. The second pass needs only sums over classes
// of pods, so one pass over the pods gives the same numbers. Overflow is the same too, because
// int64 addition is modular.
//
// Source: replica_calculator.go, GetResourceReplicas, calcPlainMetricReplicas, groupPods.
func (c *Controller) perPod(
	o *Observation,
	m *Metric,
	r *Reading,
	tol tolerances,
	target int64,
	util bool,
	p *Proposal,
) {
	if r.Err != nil {
		p.Fault = Fault{Code: FaultAPI, Err: r.Err}
		return
	}
	resource := m.Source != Pods
	cpu := resource && m.Name == "cpu"
	var (
		ready, unready, missing, ignored    int64
		usage, readyReq                     int64 // of ready pods
		unreadyReq, missingReq, missingFill int64
		fault                               Fault
		listed                              = r.Listed || len(r.Ghosts) > 0
		fill                                = max(100, target) // percent of request that a missing pod counts downward
		q                                   requester
	)
	if util {
		q = requester{
			cpu:      cpu,
			memory:   m.Name == "memory",
			podLevel: c.params.Gates.PodLevelResources && c.params.Release >= 34,
			lenient:  c.params.Release < 35,
		}
		if m.Source == ContainerResource {
			q.container = m.Container
		}
	}
	for i := range o.Pods {
		pod := &o.Pods[i]
		n := int64(max(pod.Count, 1))
		var request int64
		if util {
			var code FaultCode
			if request, code = q.of(pod); code != OK && (fault.Code == OK || pod.Name < fault.Pod) {
				fault = Fault{Code: code, Pod: pod.Name, Container: q.at}
			}
		}
		var sample *Sample
		if i < len(r.Samples) && r.Samples[i].OK {
			sample, listed = &r.Samples[i], true
		}
		switch {
		case pod.Deleted || pod.Phase == Failed:
			ignored += n
		case pod.Phase == Pending:
			unready += n
			unreadyReq += n * request
		case sample == nil:
			missing += n
			missingReq += n * request
			missingFill += n * (request * fill / 100)
		case cpu && c.unready(o.At, pod, sample):
			unready += n
			unreadyReq += n * request
		default:
			ready += n
			usage += n * sample.Milli
			readyReq += n * request
		}
	}
	p.Ready, p.Unready, p.Missing, p.Ignored = int32(ready), int32(unready), int32(missing), int32(ignored)
	metered := ready + int64(len(r.Ghosts))
	switch {
	case !listed:
		p.Fault.Code = FaultNothingListed
	case len(o.Pods) == 0:
		p.Fault.Code = FaultNoPods
	case metered == 0:
		p.Fault.Code = FaultNoSamples
	case fault.Code != OK:
		p.Fault = fault
	case util && readyReq == 0:
		p.Fault.Code = FaultNothingMatched
	}
	if p.Fault.Code != OK {
		return
	}
	var ratio float64
	if util {
		p.Utilization = int32(usage * 100 / readyReq)
		p.UsageMilli = usage / ready
		ratio = float64(p.Utilization) / float64(target)
	} else {
		for _, v := range r.Ghosts {
			usage += v
		}
		p.UsageMilli = usage / metered
		ratio = float64(p.UsageMilli) / float64(target)
	}
	p.Ratio, p.First, p.Metered = ratio, ratio, int32(metered)
	current := o.SpecReplicas
	upWithUnready := unready > 0 && ratio > 1.0
	if !upWithUnready && missing == 0 {
		if tol.within(ratio) {
			p.Replicas, p.Tolerated = current, true
			return
		}
		p.Replicas = toInt32(math.Ceil(ratio * float64(ready)))
		return
	}
	requests := readyReq
	if ratio < 1.0 {
		metered += missing
		requests += missingReq
		if util {
			usage += missingFill
		} else {
			usage += missing * target
		}
	} else if ratio > 1.0 {
		metered += missing
		requests += missingReq
	}
	if upWithUnready {
		metered += unready
		requests += unreadyReq
	}
	var second float64
	if util {
		if requests == 0 {
			p.Fault.Code = FaultNothingMatched
			return
		}
		second = float64(int32(usage*100/requests)) / float64(target)
	} else {
		second = float64(usage/metered) / float64(target)
	}
	p.Ratio, p.Metered = second, int32(metered)
	if tol.within(second) {
		p.Replicas, p.Tolerated = current, true
		return
	}
	if ratio < 1.0 && second > 1.0 || ratio > 1.0 && second < 1.0 {
		p.Replicas, p.Kept = current, true
		return
	}
	n := toInt32(math.Ceil(second * float64(metered)))
	if second < 1.0 && n > current || second > 1.0 && n < current {
		p.Replicas, p.Kept = current, true
		return
	}
	p.Replicas = n
}

// unready reports whether a running pod counts as unready, so that its CPU sample is not used.
//
// Within the initialization period the sample counts once its window began after the pod's last
// change of readiness; after it, a pod that is unready and has never been ready does not count.
//
// Source: replica_calculator.go, groupPods.
func (c *Controller) unready(now time.Duration, p *Pod, s *Sample) bool {
	if p.Ready == ReadyAbsent || p.NotStarted {
		return true
	}
	if p.StartTime+c.params.CPUInitializationPeriod > now {
		return p.Ready == ReadyFalse || s.At < p.ReadySince+s.Window
	}
	return p.Ready == ReadyFalse && p.StartTime+c.params.InitialReadinessDelay > p.ReadySince
}

// byValue proposes a size for a target that applies to all ready pods together. Source:
// replica_calculator.go, getUsageRatioReplicaCount.
func (c *Controller) byValue(o *Observation, usage, target int64, tol tolerances, p *Proposal) {
	p.UsageMilli = usage
	p.Ratio = float64(usage) / float64(target)
	p.First = p.Ratio
	if o.SpecReplicas == 0 {
		p.Replicas = toInt32(math.Ceil(p.Ratio))
		return
	}
	if tol.within(p.Ratio) {
		p.Replicas, p.Tolerated = o.SpecReplicas, true
		return
	}
	if len(o.Pods) == 0 {
		p.Fault.Code = FaultNoPods
		return
	}
	var ready int64
	for i := range o.Pods {
		if pod := &o.Pods[i]; pod.Phase == Running && pod.Ready == ReadyTrue {
			ready += int64(max(pod.Count, 1))
		}
	}
	p.Ready, p.Metered = int32(ready), int32(ready)
	n := p.Ratio * float64(ready)
	if n > math.MaxInt32 && c.params.Release >= 35 {
		p.Replicas = math.MaxInt32
		return
	}
	p.Replicas = toInt32(math.Ceil(n))
}

// byAverage proposes a size for a total that replicas share; the readiness of pods does not matter.
// Source: replica_calculator.go, GetObjectPerPodMetricReplicas, GetExternalPerPodMetricReplicas.
func (c *Controller) byAverage(o *Observation, usage, target int64, capped bool, tol tolerances, p *Proposal) {
	status := float64(o.StatusReplicas)
	p.Ratio = float64(usage) / (float64(target) * status)
	p.First = p.Ratio
	p.Replicas, p.Tolerated = o.StatusReplicas, true
	if !tol.within(p.Ratio) {
		n := math.Ceil(float64(usage) / float64(target))
		p.Tolerated = false
		if capped && n > math.MaxInt32 {
			p.Replicas = math.MaxInt32
		} else {
			p.Replicas = toInt32(n)
		}
	}
	if capped && float64(usage) >= math.MaxInt64 {
		p.UsageMilli = math.MaxInt64
		return
	}
	p.UsageMilli = toInt64(math.Ceil(float64(usage) / status))
}

func objectUsage(r *Reading, p *Proposal) (int64, bool) {
	switch {
	case r.Err != nil:
		p.Fault = Fault{Code: FaultAPI, Err: r.Err}
	case len(r.Series) == 0:
		p.Fault.Code = FaultNothingListed
	default:
		return r.Series[0], true
	}
	return 0, false
}

// externalUsage sums the series. For a value target a positive overflow is capped. For an average
// target any negative sum on the way counts as an overflow, so a negative metric asks for as many
// replicas as possible.
func (c *Controller) externalUsage(r *Reading, average bool, p *Proposal) (usage int64, ok bool) {
	switch {
	case r.Err != nil:
		p.Fault = Fault{Code: FaultAPI, Err: r.Err}
		return 0, false
	case len(r.Series) == 0:
		p.Fault.Code = FaultNothingListed
		return 0, false
	}
	for _, v := range r.Series {
		if !average && c.params.Release >= 35 && v > 0 && usage > math.MaxInt64-v {
			return math.MaxInt64, true
		}
		usage += v
		if average && c.params.Release >= 34 && usage < 0 {
			return math.MaxInt64, true
		}
	}
	return usage, true
}
