package manifest

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hpatune/hpatune/tuner/keda"
)

// Loop returns the part of a ScaledObject that is about KEDA's own loop. ofPods says what a
// trigger reads, and whether the target's own pods export it. It is for an object that
// passed its checks; otherwise, numbers that cannot be parsed count as not set.
func (o *ScaledObject) Loop(ofPods func(*Trigger) (reads string, is bool)) *keda.Loop {
	l := &keda.Loop{
		Polling: o.Polling(), Cooldown: o.Cooldown(), Min: o.Min(), Idle: o.Spec.IdleReplicaCount,
		InitialCooldown: time.Duration(deref(o.Spec.InitialCooldownPeriod, 0)) * time.Second,
		PausedIn:        o.switched(kedaPausedIn), PausedOut: o.switched(kedaPausedOut), Forced: o.switched(kedaForced),
	}
	if at, paused := o.Paused(); paused {
		l.Paused, l.PausedAt = true, at
	}
	for i := range o.Spec.Triggers {
		l.Triggers = append(l.Triggers, o.signal(i, ofPods))
	}
	if m := o.modifiers(); m != nil {
		f := &keda.Formula{Value: m.MetricType == "Value", Text: m.Formula, Names: o.formulaNames()}
		f.Target, _ = number(m.Target)
		f.Activation, _ = number(m.ActivationTarget) // "" = 0
		l.Formula = f
	}
	if f := o.Spec.Fallback; f != nil {
		l.Fallback = &keda.Fallback{
			FailureThreshold: f.FailureThreshold, Replicas: f.Replicas, Behavior: keda.Behavior(f.Behavior),
		}
		if m := o.modifiers(); m != nil { // source: pkg/fallback/fallback.go, HasValidFallback
			n, err := strconv.ParseInt(m.Target, 10, 64)
			l.Fallback.Void = err != nil || n <= 0
		}
	}
	return l
}

// Cron returns the schedule of a cron trigger; nil for other triggers.
func (t *Trigger) Cron() *keda.Cron {
	if t.Type != "cron" {
		return nil
	}
	c := &keda.Cron{Start: t.Metadata["start"], End: t.Metadata["end"], Timezone: t.Metadata["timezone"]}
	c.Desired, _ = number(t.Metadata["desiredReplicas"])
	return c
}

// signal is the i-th trigger as the loop uses it.
func (o *ScaledObject) signal(i int, ofPods func(*Trigger) (reads string, is bool)) keda.Trigger {
	t := &o.Spec.Triggers[i]
	s := keda.Trigger{
		Metric: t.Type, Resource: t.Type == "cpu" || t.Type == "memory", Cached: t.UseCachedMetrics,
		Name: t.Name, Activation: t.activation(), EmptyFails: t.Metadata["ignoreNullValues"] == "false",
	}
	if s.Resource {
		return s
	}
	s.Reads, s.OfPods = ofPods(t)
	s.Query = t.query()
	s.Foreign = t.Type == "external" || t.Type == "external-push"
	s.Cron = t.Cron()
	spec, err := t.metric(i)
	if err != nil || spec.External == nil {
		return s
	}
	s.Metric = spec.External.Metric.Name
	if t.Guessed() {
		s.Metric = o.recorded(i, s.Metric)
	}
	s.Value = spec.External.Target.Value != nil
	if q := quantityOf(spec.External.Target); q != nil {
		s.Target = q.AsApproximateFloat64()
	}
	return s
}

// query is what a trigger reads as PromQL: a query, or the aggregate that metrics-api makes of
// the pods' pages; "" = neither.
//
// Source: pkg/scalers/metrics_api_scaler.go (aggregateMetricsFromMultipleEndpoints).
func (t *Trigger) query() string {
	switch {
	case t.Type == "prometheus":
		return t.Metadata["query"]
	case t.Type == "metrics-api" && t.Metadata["format"] == "prometheus" &&
		t.Metadata["aggregateFromKubeServiceEndpoints"] == "true":
		kinds := map[string]string{"": "avg", "average": "avg", "sum": "sum", "max": "max", "min": "min"}
		if op := kinds[t.Metadata["aggregationType"]]; op != "" {
			return op + "(" + t.Metadata["valueLocation"] + ")"
		}
	}
	return ""
}

// activation is the value above which a trigger is active. Each scaler has its own name for
// it (activationThreshold, activationTargetValue, …). 0 if it is not set.
func (t *Trigger) activation() float64 {
	fields := make([]string, 0, 1)
	for field := range t.Metadata {
		if strings.HasPrefix(field, "activation") {
			fields = append(fields, field)
		}
	}
	if len(fields) == 0 {
		return 0
	}
	v, _ := strconv.ParseFloat(strings.TrimSpace(t.Metadata[slices.Min(fields)]), 64)
	return v
}
