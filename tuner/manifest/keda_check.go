package manifest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/hpatune/hpatune/internal/promql"
	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/tuner/keda"
)

// fault is what KEDA or the API server refuses, or what goes wrong once it runs.
type fault struct{ path, text, try string }

type checker struct {
	o              *ScaledObject
	faults, doubts []fault
}

func (c *checker) refuse(path, try, format string, args ...any) {
	c.faults = append(c.faults, fault{path, fmt.Sprintf(format, args...), try})
}

func (c *checker) doubt(path, try, format string, args ...any) {
	c.doubts = append(c.doubts, fault{path, fmt.Sprintf(format, args...), try})
}

// check returns everything that the CRD's schema, KEDA's admission webhook and its scalers
// refuse (faults), and what they accept although it does not do what it says (doubts).
//
// Source: kedacore/keda v2.21.0 config/crd/bases/keda.sh_scaledobjects.yaml,
// apis/keda/v1alpha1 (scaledobject_webhook.go, CheckReplicaCountBoundsAreValid,
// CheckFallbackValid, ValidateTriggers), pkg/scalers.
func (o *ScaledObject) check() (faults, doubts []fault) {
	c := &checker{o: o}
	c.bounds()
	c.names()
	c.triggers()
	c.formula()
	c.fallback()
	if a := o.Spec.Advanced; a != nil && a.HorizontalPodAutoscalerConfig != nil &&
		a.HorizontalPodAutoscalerConfig.Behavior != nil {
		spec := autoscalingv2.HorizontalPodAutoscalerSpec{
			MaxReplicas: 1,
			Behavior:    a.HorizontalPodAutoscalerConfig.Behavior.DeepCopy(),
		}
		Default(&spec)
		for _, e := range validateSpec(&spec) {
			if rest, ok := strings.CutPrefix(e.Field, "spec."); ok && strings.HasPrefix(rest, "behavior") {
				c.refuse(kedaBehavior+strings.TrimPrefix(rest, "behavior"), hint(e), "%s", e.ErrorBody())
			}
		}
	}
	return c.faults, c.doubts
}

func (c *checker) bounds() {
	s := &c.o.Spec
	for _, f := range []struct {
		name  string
		value *int32
		least int32
	}{
		{"pollingInterval", s.PollingInterval, 1}, {"initialCooldownPeriod", s.InitialCooldownPeriod, 0},
		{"cooldownPeriod", s.CooldownPeriod, 0},
		{"idleReplicaCount", s.IdleReplicaCount, 0}, {"minReplicaCount", s.MinReplicaCount, 0}, {"maxReplicaCount",
			s.MaxReplicaCount, 1},
	} {
		if f.value != nil && *f.value < f.least {
			c.refuse("spec."+f.name, fmt.Sprint(f.least), "%d is below %d", *f.value, f.least)
		}
	}
	if lo, hi := c.o.Min(), c.o.Max(); lo > hi {
		c.refuse("spec.minReplicaCount", fmt.Sprintf("minReplicaCount: %d, or maxReplicaCount: %d", hi, lo),
			"minReplicaCount %d is above maxReplicaCount %d", lo, hi)
	}
	if i := s.IdleReplicaCount; i != nil {
		switch {
		case *i >= c.o.Min():
			c.refuse(
				"spec.idleReplicaCount",
				idleFix(*i),
				"idleReplicaCount %d is not below minReplicaCount %d",
				*i,
				c.o.Min(),
			)
		case *i != 0:
			c.doubt(
				"spec.idleReplicaCount",
				"idleReplicaCount: 0",
				"idleReplicaCount %d: the HPA restores minReplicaCount; only 0 works, because an HPA does nothing at 0 replicas",
				*i,
			)
		}
	}
	if s.ScaleTargetRef.Name == "" {
		c.refuse("spec.scaleTargetRef.name", "the name of the Deployment", "is missing")
	}
}

// idleFix says what to write instead of an idle size that is not below the minimum.
func idleFix(idle int32) string {
	if idle == 0 {
		return "remove idleReplicaCount (minReplicaCount 0 already scales to 0), or set minReplicaCount: 1 or more"
	}
	return "idleReplicaCount: 0, with minReplicaCount: 1 or more"
}

func (c *checker) names() {
	if c.o.Name == "" {
		c.refuse("metadata.name", "", "is missing")
	}
	if n := len(c.o.Name); n > longestLabel {
		c.refuse(
			"metadata.name",
			fmt.Sprintf("a name of at most %d characters", longestLabel),
			"the name has %d characters; KEDA allows %d, because it becomes the value of a label",
			n,
			longestLabel,
		)
	} else if n := len(c.o.HPAName()); n > longestLabel {
		c.refuse(
			"metadata.name",
			"spec.advanced.horizontalPodAutoscalerConfig.name: a shorter one",
			"the HPA's name, %s, has %d characters; KEDA allows %d",
			c.o.HPAName(),
			n,
			longestLabel,
		)
	}
}

func (c *checker) triggers() {
	list := c.o.Spec.Triggers
	if len(list) == 0 {
		c.refuse("spec.triggers", "- type: prometheus", "has no trigger")
	}
	first := map[string]int{}
	resources := 0
	for i := range list {
		t := &list[i]
		at := fmt.Sprintf("spec.triggers[%d]", i)
		if t.Name != "" {
			if j, twice := first[t.Name]; twice {
				c.refuse(at+".name", t.Name+"-2", "%q is also the name of triggers[%d]; names must be unique", t.Name, j)
			}
			first[t.Name] = i
		}
		if t.Type == "cpu" || t.Type == "memory" {
			resources++
		}
		if t.UseCachedMetrics && (t.Type == "cpu" || t.Type == "memory" || t.Type == "cron") {
			c.refuse(at+".useCachedMetrics", "remove it", "a %s trigger has no cached metrics", t.Type)
		}
		c.trigger(t, i, at)
	}
	if resources > 0 && resources == len(list) && c.o.Min() == 0 {
		c.refuse(
			"spec.minReplicaCount",
			"minReplicaCount: 1",
			"cpu and memory cannot be measured at 0 replicas, so with only these triggers KEDA rejects minReplicaCount 0 "+
				"(the default)",
		)
	}
}

func (c *checker) trigger(t *Trigger, i int, at string) {
	if _, known := scalerOf(t.Type); !known {
		what := fmt.Sprintf("%q is not a trigger type of KEDA %s", t.Type, KEDAVersion)
		if t.Type == "" {
			what = "is missing"
		}
		c.refuse(at+".type", source.Nearest(t.Type, triggerTypes()), "%s", what)
		return
	}
	before := len(c.faults)
	switch t.Type {
	case "cpu", "memory":
		if _, old := t.Metadata["type"]; old {
			c.refuse(at+".metadata.type", "metricType: "+t.Metadata["type"]+", beside metadata", "was removed in KEDA 2.18")
		}
	case "prometheus":
		for _, f := range []string{"serverAddress", "query"} {
			if strings.TrimSpace(t.Metadata[f]) == "" && (f != "serverAddress" || t.AuthenticationRef == nil) {
				c.refuse(at+".metadata."+f, "", "is missing")
			}
		}
		if err := promql.Check(t.Metadata["query"]); err != nil && t.Metadata["query"] != "" {
			c.doubt(at+".metadata.query", "", "Prometheus rejects this query: %s", err)
		}
		c.number(t, at, "activationThreshold")
		if v, has := t.Metadata["ignoreNullValues"]; has && v != "true" && v != "false" {
			c.refuse(at+".metadata.ignoreNullValues", `"false"`, "%q is neither true nor false", v)
		}
	case "metrics-api":
		for _, f := range []string{"url", "valueLocation"} {
			if t.Metadata[f] == "" {
				c.refuse(at+".metadata."+f, "", "is missing")
			}
		}
	case "cron":
		c.cron(t, at)
	}
	spec, err := t.metric(i)
	if err != nil {
		if len(c.faults) == before {
			path, text := at, err.Error()
			if rest, ok := strings.CutPrefix(text, "metadata."); ok {
				field, why, _ := strings.Cut(rest, ": ")
				if why == "" {
					field, why, _ = strings.Cut(rest, " ")
				}
				path, text = at+".metadata."+field, why
			} else if strings.HasPrefix(text, "metricType") {
				path = at + ".metricType"
			}
			c.refuse(path, tryFor(t, text), "%s", text)
		}
		return
	}
	if e := spec.External; e != nil {
		s, _ := scalerOf(t.Type)
		if q := quantityOf(e.Target); q != nil && q.Sign() != 1 {
			field := s.fields[0]
			c.refuse(
				at+".metadata."+field,
				field+`: "5"`,
				"%q: the API server rejects an HPA whose target is not above 0",
				t.Metadata[field],
			)
		}
	}
	if u := spec.Resource; u != nil && u.Target.AverageUtilization != nil && *u.Target.AverageUtilization < 1 {
		c.refuse(at+".metadata.value", `value: "70"`, "%q: the target must be above 0", t.Metadata["value"])
	}
}

func tryFor(t *Trigger, text string) string {
	if strings.Contains(text, "metricType") {
		if t.Type == "cpu" || t.Type == "memory" {
			return "metricType: Utilization"
		}
		return "metricType: AverageValue"
	}
	return ""
}

func quantityOf(t autoscalingv2.MetricTarget) *resource.Quantity {
	if t.AverageValue != nil {
		return t.AverageValue
	}
	return t.Value
}

func (c *checker) number(t *Trigger, at, field string) {
	if text, has := t.Metadata[field]; has {
		if _, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err != nil {
			c.refuse(at+".metadata."+field, "", "%q is not a number", text)
		}
	}
}

func (c *checker) cron(t *Trigger, at string) {
	for _, f := range []string{"timezone", "start", "end", "desiredReplicas"} {
		if t.Metadata[f] == "" {
			c.refuse(at+".metadata."+f, "", "is missing")
			return
		}
	}
	if zone := t.Metadata["timezone"]; !isZone(zone) {
		c.refuse(at+".metadata.timezone", "UTC, or a name such as Europe/Berlin", "%q is not a time zone", zone)
	}
	for _, f := range []string{"start", "end"} {
		text := t.Metadata[f]
		if n := len(strings.Fields(text)); n != 5 {
			c.refuse(at+".metadata."+f, "0 8 * * *", "%q has %s; a schedule has 5: minute hour day month weekday", text,
				map[bool]string{true: "1 field", false: fmt.Sprintf("%d fields", n)}[n == 1])
		} else if err := keda.CheckSchedule(text); err != nil {
			c.refuse(at+".metadata."+f, "0 8 * * *", "%q is not a schedule: %s", text, err)
		}
	}
	if t.Metadata["start"] == t.Metadata["end"] {
		c.refuse(at+".metadata.end", "a later end", "start and end are the same")
	}
	if n, err := strconv.ParseInt(t.Metadata["desiredReplicas"], 10, 64); err != nil || n == 0 {
		c.refuse(at+".metadata.desiredReplicas", `"5"`, "%q is not a number above 0", t.Metadata["desiredReplicas"])
	}
}

// isZone reports whether a name is one of the time zone database, as cron triggers need.
func isZone(name string) bool {
	_, err := time.LoadLocation(name)
	return err == nil && name != "Local"
}

func (c *checker) formula() {
	m := c.o.modifiers()
	if m == nil {
		return
	}
	const at = "spec.advanced.scalingModifiers"
	if v, err := number(m.Target); m.Target == "" {
		c.refuse(at+".target", `target: "5"`, "is missing: a formula needs a target per replica")
	} else if err != nil || v <= 0 {
		c.refuse(at+".target", `target: "5"`, "%q is not a number above 0", m.Target)
	}
	if t := m.MetricType; t != "" && t != autoscalingv2.AverageValueMetricType && t != autoscalingv2.ValueMetricType {
		c.refuse(at+".metricType", "AverageValue", "%q: with a formula, use AverageValue or Value", t)
	}
	for i, t := range c.o.Spec.Triggers {
		if t.Name == "" && t.Type != "cpu" && t.Type != "memory" {
			c.refuse(
				fmt.Sprintf("spec.triggers[%d]", i),
				"name: "+strings.ReplaceAll(t.Type, "-", "_"),
				"has no name; with a formula every trigger except cpu and memory needs one",
			)
		}
	}
	f, err := c.o.Formula()
	if err != nil {
		c.refuse(at+".formula", "the names of the triggers: "+strings.Join(c.triggerNames(), ", "), "%s", err)
		return
	}
	switch where, always := divides(f); {
	case always:
		c.refuse(at+".formula", "a divisor that is not 0", "it divides by zero for any value of its triggers")
	case where != "":
		c.doubt(
			at+".formula",
			"a condition: "+strings.Join(f.Names[:min(1, len(f.Names))], "")+" > 0 ? … : 0",
			"it divides by zero when %s",
			where,
		)
	}
}

func (c *checker) triggerNames() (out []string) {
	for _, t := range c.o.Spec.Triggers {
		if t.Name != "" {
			out = append(out, t.Name)
		}
	}
	return out
}

func number(text string) (float64, error) { return strconv.ParseFloat(text, 64) }

var fallbackBehaviors = []string{
	"static",
	"currentReplicas",
	"currentReplicasIfHigher",
	"currentReplicasIfLower",
	"scalingModifiers",
}

func (c *checker) fallback() {
	f := c.o.Spec.Fallback
	if f == nil {
		return
	}
	if f.FailureThreshold < 0 || f.Replicas < 0 {
		c.refuse(
			"spec.fallback",
			"fallback: {failureThreshold: 3, replicas: 6}",
			"failureThreshold %d and replicas %d must not be below 0",
			f.FailureThreshold,
			f.Replicas,
		)
	}
	if f.Behavior != "" && !slices.Contains(fallbackBehaviors, f.Behavior) {
		c.refuse("spec.fallback.behavior", source.Nearest(f.Behavior, fallbackBehaviors), "%q is unknown", f.Behavior)
	}
	if f.Behavior == "scalingModifiers" && c.o.modifiers() == nil {
		c.doubt(
			"spec.fallback.behavior",
			"static",
			"scalingModifiers needs a formula; without one the fallback has no effect",
		)
	}
	m := c.o.modifiers()
	if m == nil {
		if !slices.ContainsFunc(c.o.Spec.Triggers, func(t Trigger) bool { return t.Type != "cpu" && t.Type != "memory" }) {
			c.refuse("spec.fallback", "remove it", "cpu and memory triggers have no fallback")
		}
		return
	}
	if v, err := strconv.ParseInt(m.Target, 10, 64); err != nil || v <= 0 {
		c.doubt(
			"spec.fallback",
			"a whole target",
			"KEDA ignores the fallback of a formula whose target (%q) is not a whole number",
			m.Target,
		)
	}
}
