package hpa

import (
	"fmt"
	"strings"
)

// text is a message in parts; the string is built only when somebody reads it.
type text struct {
	form   form
	of     form // of the text inside a formComputeFailed
	n, m   int32
	metric *Metric
	fault  *Fault
	err    error
}

type form uint8

const (
	formNone form = iota
	formReason
	formErr
	formNoSelector
	formGetScale
	formUpdateScale
	formRescaled
	formNewSize
	formNewSizeFailed
	formValid
	formFault
	formUnable
	formInvalid
	formQueryFailed
	formComputeFailed
	formRescaleFailed
	formStatusFailed
)

// said is the condition message of each reason whose message never varies.
var said = map[Reason]string{
	SucceededGetScale:   "the HPA controller was able to get the target's current scale",
	ReadyForNewScale:    "recommended size matches current size",
	ScaleUpStabilized:   "recent recommendations were lower than current one, applying the lowest recent recommendation",
	ScaleDownStabilized: "recent recommendations were higher than current one, applying the highest recent recommendation",
	InvalidSelector:     "the HPA target's scale is missing a selector",
	ScalingDisabled:     "scaling is disabled since the replica count of the target is zero",
	ScaleUpLimit:        "the desired replica count is increasing faster than the maximum scale rate",
	ScaleDownLimit:      "the desired replica count is decreasing faster than the maximum scale rate",
	TooManyReplicas:     "the desired replica count is more than the maximum replica count",
	TooFewReplicas:      "the desired replica count is less than the minimum replica count",
	DesiredWithinRange:  "the desired count is within the acceptable range",
	ScaledToZeroReason:  "the HPA controller scaled the workload to zero",
	NotScaledToZero:     "the HPA controller did not scale the workload to zero",
}

// ReasonText returns the condition's reason, a seeded one's too.
func (k Condition) ReasonText() string {
	if k.seeded != nil {
		return k.seeded.reason
	}
	return k.Reason.String()
}

// Message returns the condition's message.
func (k Condition) Message() string {
	switch {
	case k.seeded != nil:
		return k.seeded.message
	case k.msg.form == formReason:
		return said[k.Reason]
	}
	return k.msg.string(nil)
}

// Message returns the event's message.
func (e Event) Message() string { return e.msg.string(nil) }

// RescaleReason returns the reason in the SuccessfulRescale event: "cpu resource utilization
// (percentage of request) above target". It is empty if the HPA did not rescale. It may be empty
// after a rescale, too: an old recommendation can raise the size while the proposal equals the
// current one.
func (d *Decision) RescaleReason() string {
	if !d.Scaled {
		return ""
	}
	return d.rescale.why()
}

// returned is the error of a reconcile; it is part of the Decision, so creating it costs nothing.
type returned struct {
	text
	id *Identity
}

func (r *returned) Error() string { return r.text.string(r.id) }

// Unwrap returns the API's own error, if there is one.
func (r *returned) Unwrap() error {
	if r.fault != nil {
		return r.fault.Err
	}
	return r.err
}

func (t *text) why() string {
	if r := Reason(t.m); r != AboveTarget || t.metric == nil {
		return r.String()
	}
	return t.metric.reasonName() + " above target"
}

func (t *text) string(id *Identity) string {
	switch t.form {
	case formErr:
		return t.err.Error()
	case formNoSelector:
		return "selector is required"
	case formGetScale:
		return "the HPA controller was unable to get the target's current scale: " + t.err.Error()
	case formUpdateScale:
		return "the HPA controller was unable to update the target scale: " + t.err.Error()
	case formRescaled:
		return fmt.Sprintf("the HPA controller was able to update the target scale to %d", t.n)
	case formNewSize:
		return fmt.Sprintf("New size: %d; reason: %s", t.n, t.why())
	case formNewSizeFailed:
		return fmt.Sprintf("New size: %d; reason: %s; error: %v", t.n, t.why(), t.err)
	case formValid:
		return "the HPA was able to successfully calculate a replica count from " + t.metric.reasonName()
	case formFault:
		return t.metric.inner(t.fault)
	case formUnable:
		return "the HPA was unable to compute the replica count: " + t.metric.inner(t.fault)
	case formInvalid:
		return fmt.Sprintf("invalid metrics (%d invalid out of %d), first error is: %s", t.n, t.m, t.metric.outer(t.fault))
	case formQueryFailed:
		return "failed to query scale subresource for " + id.reference() + ": " + t.err.Error()
	case formComputeFailed:
		inside := *t
		inside.form = t.of
		return "failed to compute desired number of replicas based on listed metrics for " +
			"" + id.reference() + ": " + inside.string(
			id,
		)
	case formRescaleFailed:
		return "failed to rescale " + id.reference() + ": " + t.err.Error()
	case formStatusFailed:
		return "failed to update status for " + id.Name + ": " + t.err.Error()
	}
	return ""
}

func (i *Identity) reference() string { return i.Kind + "/" + i.Namespace + "/" + i.Target }

// Fault is why a metric gave no proposal. It is a value; its texts are built on demand.
type Fault struct {
	Code      FaultCode
	Pod       string // the first by name of the pods at fault
	Container string
	Err       error // the API's own, for FaultAPI
	id        *Identity
}

// FaultCode is the kind of a Fault.
type FaultCode uint8

// The faults.
const (
	OK                  FaultCode = iota
	FaultAPI                      // the metrics API answered with an error
	FaultNothingListed            // … with an empty list
	FaultNoPods                   // the selector matches no pod
	FaultNoSamples                // no pod that counts has a sample
	FaultNoRequest                // a container has no request
	FaultNoContainer              // a pod has no such container
	FaultNoPodRequest             // pod-level requests lack the resource
	FaultNothingMatched           // requests sum to zero
	FaultNoTarget                 // the target has no usable value
	FaultUnknownSource            // no such metric source
	FaultSelector                 // the metric's selector is none
)

// Error returns the error of computing this metric, "" if it gave a proposal.
func (p *Proposal) Error() string {
	if p.Fault.Code == OK {
		return ""
	}
	return p.Metric.outer(&p.Fault)
}

// Name returns the metric's name as it appears in the controller's reasons.
func (p *Proposal) Name() string { return p.Metric.reasonName() }

func (m *Metric) reasonName() string {
	switch m.Source {
	case Resource, ContainerResource:
		if m.Target.AverageMilli != 0 {
			return m.Name + " resource"
		}
		if m.Source == ContainerResource {
			return m.Name + " container resource utilization (percentage of request)"
		}
		return m.Name + " resource utilization (percentage of request)"
	case Pods:
		return "pods metric " + m.Name
	case Object:
		if m.Target.Type == Value {
			return m.Object.Kind + " metric " + m.Name
		}
	}
	return "external metric " + m.Name + "(" + m.selectorString() + ")"
}

// inner is the error in the metric's own event and condition.
func (m *Metric) inner(f *Fault) string {
	id := f.id
	if id == nil {
		d := Identity{}.orDefault()
		id = &d
	}
	if f.Code == FaultSelector {
		return m.SelectorErr
	}
	switch m.Source {
	case Resource, ContainerResource:
		if f.Code == FaultNoTarget {
			return "invalid resource metric source: neither an average utilization target nor an average value (usage) " +
				"target was set"
		}
		what := " utilization: "
		if m.Target.AverageMilli != 0 {
			what = " usage: "
		}
		return "failed to get " + m.Name + what + f.api(
			"unable to get metrics for resource "+m.Name+": ",
			"resource",
		) + f.core(
			m,
		)
	case Pods:
		return f.api("unable to get metric "+m.Name+": ", "custom") + f.core(m)
	case Object:
		if f.Code == FaultNoTarget {
			return "invalid object metric source: neither a value target nor an average value target was set"
		}
		before := fmt.Sprintf("unable to get metric %s on %s %s/%s: ", m.Name, m.Object.Kind, id.Namespace, m.Object.Name)
		if f.Code == FaultNothingListed {
			return before + fmt.Sprintf(
				"unable to fetch metrics from custom metrics API: the server could not find the metric %s for %s %s",
				m.Name,
				strings.ToLower(m.Object.Kind),
				m.Object.Name,
			)
		}
		return f.api(before, "custom") + f.core(m)
	case External:
		if f.Code == FaultNoTarget {
			return "invalid external metric source: neither a value target nor an average value target was set"
		}
		return f.api(
			fmt.Sprintf("unable to get external metric %s/%s/%s: ", id.Namespace, m.Name, m.selectorString()),
			"external",
		) + f.core(
			m,
		)
	}
	return fmt.Sprintf("unknown metric source type %q", m.Source)
}

// outer is the error of the whole computation.
func (m *Metric) outer(f *Fault) string {
	inner := m.inner(f)
	average := m.Target.AverageMilli != 0 && f.Code != FaultNoTarget
	switch m.Source {
	case Resource:
		return "failed to get " + m.Name + " resource metric value: " + inner
	case ContainerResource:
		return "failed to get " + m.Container + " container metric value: " + inner
	case Pods:
		return "failed to get pods metric value: " + inner
	case Object:
		if average && m.Target.Type == AverageValue && f.Code != FaultSelector {
			inner = "failed to get " + m.Name + " object metric: " + inner
		}
		return "failed to get object metric value: " + inner
	case External:
		if average {
			inner = "failed to get " + m.Name + " external metric: " + inner
		} else if f.Code != FaultNoTarget {
			inner = "failed to get external metric " + m.Name + ": " + inner
		}
		return "failed to get " + m.Name + " external metric value: " + inner
	}
	return inner
}

// api is the error of the request to the metrics API, "" if it succeeded.
func (f *Fault) api(before, name string) string {
	switch f.Code {
	case FaultAPI:
		return before + "unable to fetch metrics from " + name + " metrics API: " + f.Err.Error()
	case FaultNothingListed:
		return before + "no metrics returned from " + name + " metrics API"
	}
	return ""
}

// core is the error of the computation with the values that the API returned.
func (f *Fault) core(m *Metric) string {
	switch f.Code {
	case FaultNoPods:
		s := "no pods returned by selector while calculating replica count"
		if m.Source == Object || m.Source == External {
			s = "unable to calculate ready pods: " + s
		}
		return s
	case FaultNoSamples:
		return "did not receive metrics for targeted pods (pods might be unready)"
	case FaultNoRequest:
		return fmt.Sprintf("missing request for %s in container %s of Pod %s", m.Name, f.Container, f.Pod)
	case FaultNoContainer:
		return fmt.Sprintf("container %s not found in Pod %s", f.Container, f.Pod)
	case FaultNoPodRequest:
		return fmt.Sprintf("missing pod-level request for %s in Pod %s", m.Name, f.Pod)
	case FaultNothingMatched:
		return "no metrics returned matched known pods"
	}
	return ""
}
