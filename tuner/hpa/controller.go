package hpa

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Controller is one HPA in the memory of kube-controller-manager, together with the status that
// the API keeps for it. It is not safe for concurrent use; make one per worker.
type Controller struct {
	params Params
	id     *Identity
	spec   *Config

	recs      recommendations
	ups       changes
	downs     changes
	remembers bool // the recommendation list exists

	status status
	moved  bool // a condition changed its status within this reconcile, and so its transition time
	saved  status
	one    Reading // an empty reading, for metrics that the observation has none for
}

// conflictStep is how long the controller waits between two tries to write the scale.
// Source: client-go/util/retry, DefaultRetry: 5 tries, 10 ms (and up to a tenth more) apart.
const (
	conflictStep  = 10 * time.Millisecond
	conflictTries = 5
)

// New returns a controller that has just started and an HPA without a status.
func New(p Params) *Controller {
	c := &Controller{}
	c.Reset(p)
	return c
}

// Reset makes the controller as New does, keeping its buffers.
func (c *Controller) Reset(p Params) {
	if p.Release == 0 {
		p.Release = Latest
	}
	id := c.id
	if id == nil {
		d := Identity{}.orDefault()
		id = &d
	}
	*c = Controller{params: p, id: id, recs: c.recs, ups: c.ups, downs: c.downs,
		status: status{metrics: c.status.metrics[:0]}, saved: status{metrics: c.saved.metrics[:0]}}
	c.Restart()
}

// Params returns what the controller was made with.
func (c *Controller) Params() Params { return c.params }

// Name sets the names that appear in texts.
func (c *Controller) Name(id Identity) {
	id = id.orDefault()
	c.id = &id
}

// Restart forgets recommendations and events, as a restarted kube-controller-manager does. The
// status survives, because it is stored in the API. The current size then counts as a
// recommendation for a whole scale-down window.
func (c *Controller) Restart() {
	c.remembers = false
	c.recs.n, c.recs.t = c.recs.n[:0], c.recs.t[:0]
	c.ups, c.downs = c.ups[:0], c.downs[:0]
}

// Remember puts the controller into a given state. Conditions keep their order.
func (c *Controller) Remember(m Memory) error {
	if len(m.Conditions) > len(c.status.conditions) {
		return fmt.Errorf("conditions: %d given, an HPA has at most %d", len(m.Conditions), len(c.status.conditions))
	}
	var seen [5]bool
	for _, s := range m.Conditions {
		if s.Type == None || int(s.Type) >= len(seen) || seen[s.Type] {
			return fmt.Errorf("conditions: %q is unknown or given twice", s.Type)
		}
		seen[s.Type] = true
	}
	c.Restart()
	for _, r := range m.Recommendations {
		c.recs.add(r.At, r.Replicas, -1)
	}
	c.remembers = len(m.Recommendations) > 0
	c.ups, c.downs = append(c.ups, m.ScaleUp...), append(c.downs, m.ScaleDown...)
	c.status.current, c.status.desired = m.CurrentReplicas, m.DesiredReplicas
	c.status.conditions = [4]Condition{}
	for i, s := range m.Conditions {
		c.status.conditions[i] = Condition{Type: s.Type, Status: s.Status, seeded: &seedText{s.Reason, s.Message}}
	}
	return nil
}

// Memory returns the controller's current state, in upstream's list order.
func (c *Controller) Memory() Memory {
	m := Memory{CurrentReplicas: c.status.current, DesiredReplicas: c.status.desired,
		ScaleUp: append([]ScaleEvent(nil), c.ups...), ScaleDown: append([]ScaleEvent(nil), c.downs...)}
	for i, n := range c.recs.n {
		m.Recommendations = append(m.Recommendations, Recommendation{c.recs.t[i], n})
	}
	for _, k := range c.status.conditions {
		if k.Type != None {
			m.Conditions = append(m.Conditions, StatusCondition{k.Type, k.Status, k.ReasonText(), k.Message()})
		}
	}
	return m
}

var errNoSpec = errors.New("no spec: the first observation needs one, with at least one metric")

// Step is one reconcile: it decides from o and fills d, reusing its slices.
//
// Once d and the lists have grown, Step allocates nothing unless a metric or the API fails. Texts
// are built when Condition.Message, Event.Message, Err.Error or Explain is called.
//
// Source: horizontal.go, reconcileAutoscaler.
func (c *Controller) Step(o *Observation, d *Decision) {
	if o.Spec != nil && o.Spec != c.spec {
		if c.spec == nil || !o.Spec.Equal(c.spec) {
			c.status.latest++
		}
		c.spec = o.Spec
	}
	*d = Decision{
		At:       o.At,
		From:     o.SpecReplicas,
		Status:   o.StatusReplicas,
		Replicas: o.SpecReplicas,
		Limit:    NoLimit,
		Policy:   -1,
		Per:      d.Per[:0],
		Events:   d.Events[:0],
		spec:     c.spec,
	}
	if c.spec == nil || len(c.spec.Metrics) == 0 {
		d.Path, d.Err = NoScale, errNoSpec
		return
	}
	c.moved = false
	if o.StatusErr != nil {
		metrics := append(c.saved.metrics[:0], c.status.metrics...)
		c.saved = c.status
		c.saved.metrics = metrics
	}
	c.reconcile(o, d)
	d.Desired = c.status.desired
	d.Conditions = c.status.conditions
}

func (c *Controller) reconcile(o *Observation, d *Decision) {
	if o.ScaleGetErr != nil {
		d.Path = NoScale
		d.event(FailedGetScale, text{form: formErr, err: o.ScaleGetErr})
		c.set(AbleToScale, False, FailedGetScale, text{form: formGetScale, err: o.ScaleGetErr})
		_ = c.write(o, d) // the reconcile fails already; its own error is what is reported
		d.fail(text{form: formQueryFailed, err: o.ScaleGetErr}, c.id)
		return
	}
	c.set(AbleToScale, True, SucceededGetScale, text{form: formReason})
	current, spec := o.SpecReplicas, c.spec
	if !c.remembers {
		c.recs.add(o.At, current, -1)
		c.remembers = true
	}
	byHPA := c.zeroByHPA()
	desired := int32(0)
	rescale := true
	var invalid text
	switch {
	case current == 0 && !c.leavesZero(byHPA):
		d.Path, rescale = AtZero, false
		c.set(ScalingActive, False, ScalingDisabled, text{form: formReason})
		if !c.params.Gates.ScaleToZero {
			c.remove(ScaledToZero)
		}
	case current > spec.MaxReplicas:
		d.Path, d.Reason, desired = AboveMax, AboveMaxReplicas, spec.MaxReplicas
	case current < spec.MinReplicas && current != 0:
		d.Path, d.Reason, desired = BelowMin, BelowMinReplicas, spec.MinReplicas
	default:
		var ok bool
		if invalid, ok = c.byMetrics(o, d); !ok {
			d.Path = NoComputation
			c.describe(current, c.status.desired, d.Per)
			_ = c.write(o, d) // the reconcile fails already; its own error is what is reported
			d.event(FailedComputeMetricsReplicas, invalid)
			d.fail(
				text{
					form:   formComputeFailed,
					n:      invalid.n,
					m:      invalid.m,
					metric: invalid.metric,
					fault:  invalid.fault,
					err:    invalid.err,
					of:     invalid.form,
				},
				c.id,
			)
			return
		}
		desired = max(0, d.Proposal.Replicas)
		if desired > current {
			d.Reason = AboveTarget
		} else if desired < current {
			d.Reason = BelowTarget
		}
		if spec.Behavior {
			desired = c.normalizeWithBehavior(o.At, current, desired, d)
		} else {
			desired = c.normalize(o.At, current, desired, d)
		}
		d.Limited = desired
		if current == 0 && byHPA && desired < spec.MinReplicas {
			desired = spec.MinReplicas
			if d.Reason == NoReason {
				d.Reason = BelowMinReplicas
			}
		}
		rescale = desired != current
	}
	if d.Path != ByMetrics {
		d.Stable, d.Limited, d.StableFrom = desired, desired, o.At
	}
	d.rescale = text{form: formNewSize, n: desired, m: int32(d.Reason), metric: d.Proposal.Metric}
	at := o.At
	if rescale {
		err := c.writeScale(o, &at)
		if err != nil {
			d.rescale.form, d.rescale.err = formNewSizeFailed, err
			d.event(FailedRescale, d.rescale)
			c.set(AbleToScale, False, FailedUpdateScale, text{form: formUpdateScale, err: err})
			c.describe(current, c.status.desired, d.Per)
			_ = c.write(o, d) // the reconcile fails already; its own error is what is reported
			d.fail(text{form: formRescaleFailed, err: err}, c.id)
			return
		}
		d.Scaled, d.Replicas = true, desired
		c.set(AbleToScale, True, SucceededRescale, text{form: formRescaled, n: desired})
		d.event(SuccessfulRescale, d.rescale)
		if spec.Behavior && desired > current {
			c.ups.store(at, desired-current, spec.ScaleUp.longest())
		} else if spec.Behavior {
			c.downs.store(at, current-desired, spec.ScaleDown.longest())
		}
		switch {
		case !c.params.Gates.ScaleToZero || c.params.Release < 36:
			c.remove(ScaledToZero)
		case desired == 0 && spec.MinReplicas == 0 && spec.Outside():
			c.set(ScaledToZero, True, ScaledToZeroReason, text{form: formReason})
		default:
			c.set(ScaledToZero, False, NotScaledToZero, text{form: formReason})
		}
	} else {
		desired = current
	}
	c.describe(current, desired, d.Per)
	if err := c.write(o, d); err != nil {
		d.fail(text{form: formStatusFailed, err: err}, c.id)
		return
	}
	if invalid.form != formNone {
		d.fail(invalid, c.id)
	}
}

// zeroByHPA reports whether the HPA itself scaled the target to zero, by the HPA's condition
// ScaledToZero.
func (c *Controller) zeroByHPA() bool {
	if !c.params.Gates.ScaleToZero || c.params.Release < 36 {
		return false
	}
	for i := range c.status.conditions {
		if k := &c.status.conditions[i]; k.Type == ScaledToZero {
			return k.Status == True
		}
	}
	return false
}

// leavesZero reports whether an HPA whose target has zero replicas reads its metrics. A zero set by
// hand switches it off; before 1.36 minReplicas 0 was enough to stay on.
func (c *Controller) leavesZero(byHPA bool) bool {
	if c.params.Release < 36 {
		return c.spec.MinReplicas == 0
	}
	return byHPA && (c.spec.MinReplicas != 0 || c.spec.Outside())
}

// byMetrics computes every metric and takes the largest proposal. ok is false if all metrics fail,
// or if one does and the others would scale down. If the text has a form other than formNone, it
// says what failed. Source: horizontal.go, computeReplicasForMetrics, validateAndParseSelector.
func (c *Controller) byMetrics(o *Observation, d *Decision) (invalid text, ok bool) {
	if t, bad := c.badSelector(o, d); bad {
		return t, false
	}
	spec, tol := c.spec, c.tolerances()
	if n := len(spec.Metrics); cap(d.Per) < n {
		d.Per = make([]Proposal, n)
	} else {
		d.Per = d.Per[:n]
	}
	best, failed, first := -1, 0, -1
	var replicas int32
	for i := range spec.Metrics {
		r, p := &c.one, &d.Per[i]
		if i < len(o.Metrics) {
			r = &o.Metrics[i]
		}
		c.propose(o, &spec.Metrics[i], r, tol, p)
		if p.Fault.Code != OK {
			p.Fault.id = c.id
			if first < 0 {
				first = i
			}
			failed++
			fault := p.Fault
			d.event(failedGet(p.Metric.Source), text{form: formFault, metric: p.Metric, fault: &fault})
			continue
		}
		// As upstream does: a second proposal replaces 0 even if it is not larger.
		if replicas == 0 || p.Replicas > replicas {
			replicas, best = p.Replicas, i
		}
	}
	if failed > 0 {
		p := &d.Per[first]
		fault := p.Fault
		invalid = text{form: formInvalid, n: int32(failed), m: int32(len(spec.Metrics)), metric: p.Metric, fault: &fault}
		if failed == len(spec.Metrics) || replicas < o.SpecReplicas {
			c.set(ScalingActive, False, failedGet(p.Metric.Source), text{form: formUnable, metric: p.Metric, fault: &fault})
			if best >= 0 {
				d.HasProposal, d.Proposal = true, d.Per[best]
			}
			return invalid, false
		}
	}
	d.HasProposal, d.Proposal = true, d.Per[best]
	c.set(ScalingActive, True, ValidMetricFound, text{form: formValid, metric: d.Proposal.Metric})
	return invalid, true
}

func (c *Controller) badSelector(o *Observation, d *Decision) (text, bool) {
	if o.Selector == "" && o.SelectorErr == nil {
		t := text{form: formNoSelector}
		d.event(SelectorRequired, t)
		c.set(ScalingActive, False, InvalidSelector, text{form: formReason})
		return t, true
	}
	if o.SelectorErr == nil {
		return text{}, false
	}
	reason, err := InvalidSelector, o.SelectorErr
	if many := (*AmbiguousError)(nil); errors.As(err, &many) {
		reason, err = AmbiguousSelector, fmt.Errorf("pods by selector %s are %w", o.Selector, many)
	} else {
		err = fmt.Errorf("couldn't convert selector into a corresponding internal selector object: %w", err)
	}
	t := text{form: formErr, err: err}
	d.event(reason, t)
	c.set(ScalingActive, False, reason, t)
	return t, true
}

// writeScale returns the result of writing the scale; at advances with every try that met a
// conflict.
func (c *Controller) writeScale(o *Observation, at *time.Duration) error {
	tries := conflictTries
	if c.params.Release < 34 {
		tries = 1
	}
	if o.Conflicts >= tries {
		*at += time.Duration(tries-1) * conflictStep
		return &conflict{strings.ToLower(c.id.Kind) + "s.apps", c.id.Target}
	}
	*at += time.Duration(max(o.Conflicts, 0)) * conflictStep
	return o.ScaleUpdateErr
}

// conflict is the API server's answer, in its own words, to a write of an outdated object.
type conflict struct{ resource, name string }

func (e *conflict) Error() string {
	return fmt.Sprintf(
		"Operation cannot be fulfilled on %s %q: the object has been modified; please apply your changes to the latest "+
			"version and try again",
		e.resource,
		e.name,
	)
}

func failedGet(s Source) Reason {
	switch s {
	case Resource:
		return FailedGetResourceMetric
	case ContainerResource:
		return FailedGetContainerResourceMetric
	case Pods:
		return FailedGetPodsMetric
	case Object:
		return FailedGetObjectMetric
	case External:
		return FailedGetExternalMetric
	}
	return InvalidMetricSourceType
}

func (d *Decision) event(r Reason, t text) { d.Events = append(d.Events, Event{r, t}) }

func (d *Decision) fail(t text, id *Identity) {
	d.fault = returned{t, id}
	d.Err = &d.fault
}
