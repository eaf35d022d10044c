package hpa

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Knob is one setting of an HPA: a search changes it, a diff compares it, a comment explains it.
//
// Values are int32 (counts, percents), int64 (thousandths), time.Duration, float64 (ratios),
// Select, []Policy or bool; nil means not set.
type Knob struct {
	Path    string                 // "spec.behavior.scaleUp.stabilizationWindowSeconds"
	Get     func(c *Config) any    // nil when the path does not apply to c
	Set     func(c *Config, v any) // v of the type that Get gives; nil unsets
	Default any                    // what the API server, or else the controller's flag, puts there; nil: none
}

// The paths of the limits of the size.
const (
	MinReplicasPath = "spec.minReplicas"
	MaxReplicasPath = "spec.maxReplicas"
)

// Knobs returns the settings of c, in the order of the manifest. Metric targets are named by
// metric: "spec.metrics[cpu].target.averageUtilization"; a second metric of the same name gets its
// index, "spec.metrics[cpu#1]…". The knobs of behavior are always listed; setting one turns
// spec.behavior on, with the API server's defaults for the rest.
func Knobs(c *Config) []Knob {
	ks := []Knob{
		{
			MinReplicasPath,
			func(c *Config) any { return c.MinReplicas },
			func(c *Config, v any) { c.MinReplicas = orZero[int32](v, 1) },
			int32(1),
		},
		{
			MaxReplicasPath,
			func(c *Config) any { return c.MaxReplicas },
			func(c *Config, v any) { c.MaxReplicas = orZero[int32](v, 1) },
			nil,
		},
	}
	seen := map[string]int{}
	for i := range c.Metrics {
		m := &c.Metrics[i]
		name := m.Key()
		if n := seen[name]; n > 0 {
			seen[name]++
			name += "#" + strconv.Itoa(n)
		} else {
			seen[name] = 1
		}
		ks = append(ks, targetKnob(name, i, m.Target))
	}
	ks = append(ks, Knob{"spec.behavior", func(c *Config) any { return c.Behavior }, func(c *Config, v any) {
		if on := orZero(v, false); on {
			c.EnsureBehavior()
		} else {
			c.Behavior, c.ScaleUp, c.ScaleDown = false, Rules{}, Rules{}
		}
	}, false})
	ks = append(
		ks,
		rulesKnobs("spec.behavior.scaleUp.", func(c *Config) *Rules { return &c.ScaleUp }, DefaultScaleUp())...)
	return append(
		ks,
		rulesKnobs("spec.behavior.scaleDown.", func(c *Config) *Rules { return &c.ScaleDown }, DefaultScaleDown())...)
}

// EnsureBehavior turns spec.behavior on; if it was off, both directions get the API server's
// defaults.
func (c *Config) EnsureBehavior() {
	if !c.Behavior {
		c.Behavior, c.ScaleUp, c.ScaleDown = true, DefaultScaleUp(), DefaultScaleDown()
	}
}

// Key names a metric in paths: the resource or metric name, with the container ("cpu/app"), the
// described object ("Ingress/main/hits") or the selector ("queue{name=a}") where it has one.
func (m *Metric) Key() string {
	var b strings.Builder
	switch m.Source {
	case ContainerResource:
		b.WriteString(m.Name + "/" + m.Container)
	case Object:
		b.WriteString(m.Object.Kind + "/" + m.Object.Name + "/" + m.Name)
	default:
		b.WriteString(m.Name)
	}
	if m.SelectorSet && m.Selector != "" {
		b.WriteString("{" + m.Selector + "}")
	}
	return b.String()
}

func targetKnob(name string, i int, t Target) Knob {
	path := "spec.metrics[" + name + "].target."
	at := func(c *Config) *Target {
		if i < len(c.Metrics) {
			return &c.Metrics[i].Target
		}
		return &Target{}
	}
	switch {
	case t.AverageMilli != 0:
		return Knob{
			path + "averageValue",
			func(c *Config) any { return some(at(c).AverageMilli) },
			func(c *Config, v any) { at(c).AverageMilli = orZero[int64](v, 0) },
			nil,
		}
	case t.ValueMilli != 0:
		return Knob{
			path + "value",
			func(c *Config) any { return some(at(c).ValueMilli) },
			func(c *Config, v any) { at(c).ValueMilli = orZero[int64](v, 0) },
			nil,
		}
	}
	return Knob{
		path + "averageUtilization",
		func(c *Config) any { return some(at(c).Utilization) },
		func(c *Config, v any) { at(c).Utilization = orZero[int32](v, 0) },
		nil,
	}
}

func rulesKnobs(path string, of func(*Config) *Rules, def Rules) []Knob {
	get := func(f func(*Rules) any) func(*Config) any {
		return func(c *Config) any {
			if !c.Behavior {
				return nil
			}
			return f(of(c))
		}
	}
	set := func(f func(*Rules, any)) func(*Config, any) {
		return func(c *Config, v any) {
			if v == nil && !c.Behavior {
				return
			}
			c.EnsureBehavior()
			f(of(c), v)
		}
	}
	var window any
	if def.WindowSet {
		window = def.Window
	}
	return []Knob{
		{path + "stabilizationWindowSeconds", get(func(r *Rules) any {
			if !r.WindowSet {
				return nil
			}
			return r.Window
		}), set(func(r *Rules, v any) {
			r.Window, r.WindowSet = orZero[time.Duration](v, def.Window), v != nil || def.WindowSet
		}), window},
		{
			path + "selectPolicy",
			get(func(r *Rules) any { return r.Select }),
			set(func(r *Rules, v any) { r.Select = orZero(v, Max) }),
			Max,
		},
		{
			path + "policies",
			get(func(r *Rules) any { return r.Policies }),
			set(func(r *Rules, v any) { r.Policies = orZero(v, def.Policies) }),
			def.Policies,
		},
		{path + "tolerance", get(func(r *Rules) any {
			if !r.ToleranceSet {
				return nil
			}
			return r.Tolerance
		}), set(func(r *Rules, v any) { r.Tolerance, r.ToleranceSet = orZero[float64](v, 0), v != nil }), nil},
	}
}

func orZero[T any](v any, absent T) T {
	if t, ok := v.(T); ok {
		return t
	}
	return absent
}

func some[T int32 | int64](v T) any {
	if v == 0 {
		return nil
	}
	return v
}

// FormatValue prints a knob's value for people: "60s", "0.1", "Min", "4 pods/15s, 100 %/15s", "—" for nil.
func FormatValue(v any) string {
	switch v := v.(type) {
	case nil:
		return "—"
	case time.Duration:
		return strconv.FormatFloat(v.Seconds(), 'f', -1, 64) + "s"
	case int64: // a target's amount, in thousandths
		return formatMilli(v)
	case []Policy:
		var parts []string
		for _, p := range v {
			parts = append(parts, p.String())
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(v)
}

// formatMilli prints a target's amount as a manifest may write it: 2, 0.5, 512Mi.
func formatMilli(milli int64) string {
	for _, u := range []struct {
		suffix string
		size   int64
	}{{"Gi", 1000 << 30}, {"Mi", 1000 << 20}} {
		if milli != 0 && milli%u.size == 0 {
			return strconv.FormatInt(milli/u.size, 10) + u.suffix
		}
	}
	return strconv.FormatFloat(float64(milli)/1000, 'f', -1, 64)
}

// String prints a policy for people: "4 pods/15s", "100 %/60s".
func (p Policy) String() string {
	unit := " pods/"
	if p.Type == PercentPolicy {
		unit = " %/"
	} else if p.Value == 1 {
		unit = " pod/"
	}
	return strconv.Itoa(int(p.Value)) + unit + FormatValue(p.Period)
}
