package scenario

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// cutSetting splits "key=value" at the last = that is not inside braces.
func cutSetting(s string) (key, value string, ok bool) {
	depth := 0
	for i := len(s) - 1; i >= 0; i-- {
		switch s[i] {
		case '}':
			depth++
		case '{':
			depth--
		case '=':
			if depth == 0 {
				return s[:i], s[i+1:], true
			}
		}
	}
	return s, "", false
}

// setSpec applies one setting of an `hpa` or `edit` line to c. It reports whether it knows the key.
func setSpec(c *hpa.Config, word string) (known bool, err error) {
	key, value, _ := cutSetting(word)
	switch key {
	case "min":
		c.MinReplicas, err = count(value)
		return true, err
	case "max":
		c.MaxReplicas, err = count(value)
		return true, err
	case "behavior":
		c.EnsureBehavior()
		return true, nil
	case "no-behavior":
		c.Behavior, c.ScaleUp, c.ScaleDown = false, hpa.Rules{}, hpa.Rules{}
		return true, nil
	}
	if rest, ok := strings.CutPrefix(key, "up."); ok {
		c.EnsureBehavior()
		return true, setRule(&c.ScaleUp, rest, value)
	}
	if rest, ok := strings.CutPrefix(key, "down."); ok {
		c.EnsureBehavior()
		return true, setRule(&c.ScaleDown, rest, value)
	}
	m, ok, err := metric(key, value)
	if !ok || err != nil {
		return ok, err
	}
	for i := range c.Metrics {
		if name(&c.Metrics[i]) == name(&m) {
			c.Metrics[i] = m
			return true, nil
		}
	}
	c.Metrics = append(c.Metrics, m)
	return true, nil
}

func setRule(r *hpa.Rules, key, value string) (err error) {
	switch key {
	case "window":
		r.Window, err = time.ParseDuration(value)
		r.WindowSet = true
		if err == nil && (r.Window < 0 || r.Window > time.Hour || r.Window%time.Second != 0) {
			err = fmt.Errorf("window %s: want whole seconds, 0s to 3600s", value)
		}
	case "select":
		var ok bool
		if r.Select, ok = hpa.ParseSelect(value); !ok {
			err = fmt.Errorf("select %q: want Max, Min or Disabled", value)
		}
	case "tolerance":
		r.Tolerance, err = ratio(value)
		r.ToleranceSet = true
	case "policy":
		r.Policies = nil
		for _, word := range strings.Split(value, ",") {
			p, perr := policy(word)
			err = errors.Join(err, perr)
			r.Policies = append(r.Policies, p)
		}
	default:
		err = fmt.Errorf("setting %q: want window, policy, select or tolerance", key)
	}
	return err
}

// policy reads "4pods/15s" or "100%/60s".
func policy(s string) (p hpa.Policy, err error) {
	amount, period, ok := strings.Cut(s, "/")
	number, percent := strings.CutSuffix(amount, "%")
	if percent {
		p.Type = hpa.PercentPolicy
	} else {
		number = strings.TrimSuffix(strings.TrimSuffix(number, "s"), "pod")
	}
	p.Value, err = count(number)
	if err == nil {
		p.Period, err = time.ParseDuration(period)
	}
	if !ok || err != nil || p.Value < 1 || p.Period < time.Second || p.Period > 30*time.Minute ||
		p.Period%time.Second != 0 {
		return p, fmt.Errorf("policy %q: want 4pods/15s or 100%%/60s, with whole seconds from 1s to 1800s", s)
	}
	return p, nil
}

func count(s string) (int32, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("number %q: want 0 to %d", s, math.MaxInt32)
	}
	return int32(n), nil
}

func ratio(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0) || math.IsInf(f, 0) {
		return 0, fmt.Errorf("tolerance %q: want a ratio such as 0.1", s)
	}
	return f, nil
}

// metric reads a metric and its target: cpu=70%, memory=512Mi, cpu@app=70%, pods.rps=100,
// object.hits@Ingress/main=100 or avg:100, external.queue{a=b}=avg:30.
func metric(key, value string) (m hpa.Metric, known bool, err error) {
	if i := strings.IndexByte(key, '{'); i >= 0 && strings.HasSuffix(key, "}") {
		m.Selector, m.SelectorSet, key = key[i+1:len(key)-1], true, key[:i]
	}
	source, rest, dotted := strings.Cut(key, ".")
	switch {
	case dotted && source == "pods":
		m.Source, m.Name, m.Target.Type = hpa.Pods, rest, hpa.AverageValue
		m.Target.AverageMilli, err = target(strings.TrimPrefix(value, "avg:"))
	case dotted && source == "external":
		m.Source, m.Name = hpa.External, rest
		err = total(&m, value)
	case dotted && source == "object":
		name, object, ok := strings.Cut(rest, "@")
		kind, of, ok2 := strings.Cut(object, "/")
		if !ok || !ok2 {
			return m, true, fmt.Errorf("metric %q: want object.METRIC@KIND/NAME", key)
		}
		m.Source, m.Name, m.Object = hpa.Object, name, hpa.ObjectRef{Kind: kind, Name: of}
		err = total(&m, value)
	case dotted:
		return m, false, nil
	default:
		name, container, of := strings.Cut(key, "@")
		if name != "cpu" && name != "memory" {
			return m, false, nil
		}
		m.Source, m.Name, m.Container = hpa.Resource, name, container
		if of {
			m.Source = hpa.ContainerResource
		}
		if percent, ok := strings.CutSuffix(value, "%"); ok {
			m.Target.Utilization, err = count(percent)
			if err == nil && m.Target.Utilization == 0 {
				err = errors.New("target 0%: want at least 1%")
			}
		} else {
			m.Target.Type = hpa.AverageValue
			m.Target.AverageMilli, err = target(strings.TrimPrefix(value, "avg:"))
		}
	}
	if m.Name == "" && err == nil {
		err = fmt.Errorf("metric %q has no name", key)
	}
	return m, true, err
}

func total(m *hpa.Metric, value string) (err error) {
	if average, ok := strings.CutPrefix(value, "avg:"); ok {
		m.Target.Type = hpa.AverageValue
		m.Target.AverageMilli, err = target(average)
		return err
	}
	m.Target.Type = hpa.Value
	m.Target.ValueMilli, err = target(value)
	return err
}

func target(s string) (int64, error) {
	n, err := milli(s)
	if err == nil && n <= 0 {
		err = fmt.Errorf("target %q: want more than 0", s)
	}
	return n, err
}

// name is how a script names a metric's values.
func name(m *hpa.Metric) string {
	var s string
	switch m.Source {
	case hpa.Resource:
		s = m.Name
	case hpa.ContainerResource:
		s = m.Name + "@" + m.Container
	case hpa.Pods:
		s = "pods." + m.Name
	case hpa.Object:
		s = "object." + m.Name + "@" + m.Object.Kind + "/" + m.Object.Name
	case hpa.External:
		s = "external." + m.Name
	}
	if m.SelectorSet {
		s += "{" + m.Selector + "}"
	}
	return s
}

// setController applies one setting of a `controller` line.
func setController(p *hpa.Params, word string) (err error) {
	key, value, _ := cutSetting(word)
	on := func(b *bool) {
		if *b, err = strconv.ParseBool(value); err != nil {
			err = fmt.Errorf("gate %s=%q: want true or false", key, value)
		}
	}
	switch key {
	case "tolerance":
		p.Tolerance, err = ratio(value)
	case "downscale-stabilization":
		p.DownscaleStabilization, err = time.ParseDuration(value)
	case "cpu-initialization-period":
		p.CPUInitializationPeriod, err = time.ParseDuration(value)
	case "initial-readiness-delay":
		p.InitialReadinessDelay, err = time.ParseDuration(value)
	case "HPAScaleToZero":
		on(&p.Gates.ScaleToZero)
	case "HPAConfigurableTolerance":
		on(&p.Gates.ConfigurableTolerance)
	case "PodLevelResources":
		on(&p.Gates.PodLevelResources)
	case "release":
		minor, perr := strconv.Atoi(strings.TrimPrefix(value, "1."))
		if perr != nil || minor < hpa.Oldest || minor > hpa.Latest {
			return fmt.Errorf("release %q: want 1.%d to 1.%d", value, hpa.Oldest, hpa.Latest)
		}
		*p = hpa.ParamsFor(minor)
	default:
		known := []string{
			"release",
			"tolerance",
			"downscale-stabilization",
			"cpu-initialization-period",
			"initial-readiness-delay",
			"HPAScaleToZero",
			"HPAConfigurableTolerance",
			"PodLevelResources",
		}
		err = fmt.Errorf("setting %q: want one of %s", key, strings.Join(slices.Sorted(slices.Values(known)), ", "))
	}
	return err
}
