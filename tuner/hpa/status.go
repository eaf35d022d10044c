package hpa

// status is the HPA's status as the API keeps it.
type status struct {
	current, desired int32
	conditions       [4]Condition
	metrics          []metricStatus
	metricsOf        *Config
	generation       int // of the spec that it was written for
	latest           int // of the spec
}

type metricStatus struct {
	ok          bool
	usage       int64
	utilization int32
}

// set overwrites the condition of the same type, or appends it. Source: horizontal.go,
// setConditionInList.
func (c *Controller) set(t ConditionType, s Status, r Reason, msg text) {
	for i := range c.status.conditions {
		k := &c.status.conditions[i]
		if k.Type == None {
			c.moved = true
			*k = Condition{Type: t, Status: s, Reason: r, msg: msg}
			return
		}
		if k.Type == t {
			if k.Status != s {
				c.moved = true
				k.Status = s
			}
			k.Reason, k.msg, k.seeded = r, msg, nil
			return
		}
	}
}

func (c *Controller) remove(t ConditionType) {
	ks := &c.status.conditions
	n := 0
	for i := range ks {
		if ks[i].Type != t {
			ks[n] = ks[i]
			n++
		}
	}
	for ; n < len(ks); n++ {
		ks[n] = Condition{}
	}
}

// describe rewrites the status except its conditions. Source: horizontal.go, setStatus.
func (c *Controller) describe(current, desired int32, per []Proposal) {
	s := &c.status
	s.current, s.desired, s.metricsOf, s.generation = current, desired, c.spec, s.latest
	s.metrics = s.metrics[:0]
	for i := range per {
		var m metricStatus // an empty entry for a metric that failed, whatever it was at
		if p := &per[i]; p.Fault.Code == OK {
			m = metricStatus{true, p.UsageMilli, p.Utilization}
		}
		s.metrics = append(s.metrics, m)
	}
}

// write writes the status to the API if it differs from what was read; a failure leaves the old one.
// Source: horizontal.go, updateStatusIfNeeded.
func (c *Controller) write(o *Observation, d *Decision) error {
	if o.StatusErr == nil || !d.Scaled && !c.moved && c.status.same(&c.saved, c.params.Release) {
		return nil
	}
	metrics := append(c.status.metrics[:0], c.saved.metrics...)
	latest := c.status.latest
	c.status = c.saved
	c.status.metrics, c.status.latest = metrics, latest
	d.event(FailedUpdateStatus, text{form: formErr, err: o.StatusErr})
	return o.StatusErr
}

func (s *status) same(t *status, release int) bool {
	if s.current != t.current || s.desired != t.desired || len(s.metrics) != len(t.metrics) ||
		release >= 37 && s.generation != t.generation {
		return false
	}
	for i := range s.metrics {
		if s.metrics[i] != t.metrics[i] || s.metrics[i].ok && !sameMetric(&s.metricsOf.Metrics[i], &t.metricsOf.Metrics[i]) {
			return false
		}
	}
	for i := range s.conditions {
		a, b := &s.conditions[i], &t.conditions[i]
		if a.Type != b.Type || a.Status != b.Status || a.ReasonText() != b.ReasonText() || a.Message() != b.Message() {
			return false
		}
	}
	return true
}

// sameMetric reports whether both name the same value in the status.
func sameMetric(a, b *Metric) bool {
	x, y := *a, *b
	x.Target, y.Target = Target{Type: a.statusKind()}, Target{Type: b.statusKind()}
	return x == y
}

func (m *Metric) statusKind() TargetType {
	switch {
	case m.Source == Object && m.Target.Type == Value, m.Source == External && m.Target.AverageMilli == 0:
		return Value
	case m.Source <= ContainerResource && m.Target.AverageMilli == 0:
		return Utilization
	}
	return AverageValue
}
