package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// Format writes the scenario as SCENARIO.md's JSON, on several lines: what Parse reads gives the
// same decisions. Times are rounded to 1 ms and memory to whole bytes, as in the format.
func Format(w io.Writer, s *Scenario) error {
	if err := s.Validate(); err != nil {
		return err
	}
	spec := s.Spec
	var observations []object
	for i := range s.Steps {
		st := &s.Steps[i]
		o := object{"at": seconds(st.At)}
		if st.Spec != nil && st.Spec != spec {
			spec = st.Spec
			o["hpa"] = manifestOf(spec, s.Name)
		}
		formatTarget(o, st)
		o["pods"] = formatPods(st.Pods)
		if err := formatMetrics(o, spec, st); err != nil {
			return fmt.Errorf("observation %d: %w", i, err)
		}
		observations = append(observations, o)
	}
	p, standard := s.Params, hpa.DefaultParams()
	root := object{
		"id":  s.ID,
		"hpa": manifestOf(s.Spec, s.Name),
		"controller": object{
			"tolerance":               p.Tolerance,
			"downscaleStabilization":  p.DownscaleStabilization.String(),
			"cpuInitializationPeriod": p.CPUInitializationPeriod.String(),
			"initialReadinessDelay":   p.InitialReadinessDelay.String(),
			"syncPeriod":              p.SyncPeriod.String(),
		},
		"start":           s.Start.Format(time.RFC3339Nano),
		"initialReplicas": s.Replicas,
		"observations":    observations,
	}
	if p.Gates != standard.Gates {
		root["featureGates"] = object{
			"HPAScaleToZero":           p.Gates.ScaleToZero,
			"HPAConfigurableTolerance": p.Gates.ConfigurableTolerance,
			"PodLevelResources":        p.Gates.PodLevelResources,
		}
	}
	if m := formatMemory(&s.Memory); len(m) > 0 {
		root["initialState"] = m
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	enc.SetEscapeHTML(false)
	return enc.Encode(root)
}

type object = map[string]any

func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond).Milliseconds()) / 1000
}

func formatMemory(m *hpa.Memory) object {
	o := object{}
	events := func(key string, es []hpa.ScaleEvent) {
		for _, e := range es {
			v := object{"at": seconds(e.At), "change": e.Change}
			if e.Outdated {
				v["outdated"] = true
			}
			list, _ := o[key].([]object)
			o[key] = append(list, v)
		}
	}
	events("scaleUpEvents", m.ScaleUp)
	events("scaleDownEvents", m.ScaleDown)
	var recommended, conditions []object
	for _, r := range m.Recommendations {
		recommended = append(recommended, object{"at": seconds(r.At), "replicas": r.Replicas})
	}
	for _, c := range m.Conditions {
		conditions = append(
			conditions,
			object{"type": c.Type.String(), "status": c.Status.String(), "reason": c.Reason, "message": c.Message},
		)
	}
	if recommended != nil {
		o["recommendations"] = recommended
	}
	if conditions != nil {
		o["conditions"] = conditions
	}
	if m.DesiredReplicas != 0 || m.CurrentReplicas != 0 {
		o["desiredReplicas"], o["currentReplicas"] = m.DesiredReplicas, m.CurrentReplicas
	}
	return o
}

func formatTarget(o object, st *Step) {
	if st.SetReplicas {
		o["specReplicas"] = st.SpecReplicas
	}
	if st.SetStatusReplicas {
		o["statusReplicas"] = st.StatusReplicas
	}
	// The step contains only pods that its selector matches; pods without labels match the default
	// one.
	var twins *hpa.AmbiguousError
	ambiguous := errors.As(st.SelectorErr, &twins)
	switch _, err := manifest.ParseLabels(st.Selector); {
	case st.Selector == "" || err != nil:
		o["selector"] = st.Selector
	case ambiguous:
		o["otherHPAs"] = []object{{"name": "other", "selector": DefaultSelector}}
	case st.SelectorErr != nil:
		o["selector"] = "(" + st.Selector // unusable for whatever reason
	}
	for key, err := range map[string]error{"scaleGetError": st.ScaleGetErr, "scaleUpdateError": st.ScaleUpdateErr,
		"statusError": st.StatusErr} {
		if err != nil {
			o[key] = err.Error()
		}
	}
	if st.Conflicts > 0 {
		o["scaleConflicts"] = st.Conflicts
	}
	if st.Restart {
		o["restart"] = true
	}
}

// names gives each pod its name; if an entry stands for several pods, each gets a number as suffix.
func names(pods []hpa.Pod, each func(i int, name string)) {
	for i := range pods {
		n := max(pods[i].Count, 1)
		for j := range n {
			name := pods[i].Name
			if name == "" {
				name = "pod-" + strconv.Itoa(i)
			}
			if n > 1 {
				name += "-" + strconv.Itoa(int(j))
			}
			each(i, name)
		}
	}
}

func formatPods(pods []hpa.Pod) []object {
	list := []object{}
	names(pods, func(i int, name string) {
		p := &pods[i]
		o := object{
			"name":       name,
			"phase":      p.Phase.String(),
			"ready":      p.Ready.String(),
			"containers": formatContainers(p.Containers),
		}
		if p.Ready != hpa.ReadyAbsent && p.ReadySince > -farthest {
			o["readyTransition"] = seconds(p.ReadySince)
		}
		if !p.NotStarted {
			o["startTime"] = seconds(p.StartTime)
		}
		if p.Deleted {
			o["deleted"] = true
		}
		if l := p.Level; l != nil {
			if l.HasCPU {
				o["podCpuMilli"] = l.CPU
			}
			if l.HasMemory {
				o["podMemoryBytes"] = l.Memory / 1000
			}
		}
		list = append(list, o)
	})
	return list
}

func formatContainers(cs []hpa.Container) []object {
	list := []object{}
	for i := range cs {
		c := &cs[i]
		o := object{"name": c.Name}
		if c.HasCPU {
			o["cpuMilli"] = c.CPU
		}
		if c.HasMemory {
			o["memoryBytes"] = c.Memory / 1000
		}
		if c.Init {
			o["init"] = true
		}
		if c.Sidecar {
			o["sidecar"] = true
		}
		list = append(list, o)
	}
	return list
}

// formatMetrics writes what the metrics APIs answered. Resource metrics share one answer, so the
// samples of one pod must have the same time; an error of one is an error of all.
func formatMetrics(o object, spec *hpa.Config, st *Step) error {
	resource := map[string]object{}
	var order []string
	listed := false
	custom := map[string]object{"podsMetrics": {}, "objectMetrics": {}, "externalMetrics": {}}
	for i := range spec.Metrics {
		if i >= len(st.Metrics) {
			break
		}
		m, r := &spec.Metrics[i], &st.Metrics[i]
		if m.Source <= hpa.ContainerResource {
			if r.Err != nil {
				o["resourceMetrics"] = object{"error": r.Err.Error()}
				continue
			}
			listed = listed || r.Listed || len(r.Ghosts) > 0
			order = collect(resource, order, m, r, st)
			continue
		}
		key, kind := metricKey(m), "externalMetrics"
		answer := object{}
		switch {
		case r.Err != nil:
			answer["error"] = r.Err.Error()
		case m.Source == hpa.Pods:
			var values []object
			names(st.Pods, func(j int, name string) {
				if j < len(r.Samples) && r.Samples[j].OK {
					values = append(values, object{"pod": name, "milli": r.Samples[j].Milli})
				}
			})
			for j, v := range r.Ghosts {
				values = append(values, object{"pod": "ghost-" + strconv.Itoa(j), "milli": v})
			}
			answer["values"] = values
		case len(r.Series) == 0:
			answer = nil
		case m.Source == hpa.Object:
			answer["milli"] = r.Series[0]
		default:
			answer["milli"] = r.Series
		}
		if m.Source == hpa.Pods {
			kind = "podsMetrics"
		} else if m.Source == hpa.Object {
			kind = "objectMetrics"
		}
		if answer != nil {
			custom[kind][key] = answer
		}
	}
	for kind, answers := range custom {
		if len(answers) > 0 {
			o[kind] = answers
		}
	}
	if _, failed := o["resourceMetrics"]; !failed && (listed || len(resource) > 0) {
		pods := []object{}
		for _, name := range order {
			p := resource[name]
			p["containers"] = usageOf(p["containers"].(map[string]object))
			pods = append(pods, p)
		}
		if len(pods) == 0 {
			pods = append(pods, object{"pod": "unlisted"}) // listed, but nothing usable
		}
		o["resourceMetrics"] = object{"pods": pods}
	}
	return nil
}

// whole marks the usage of a whole pod among that of its containers.
const whole = "\x00pod"

func collect(resource map[string]object, order []string, m *hpa.Metric, r *hpa.Reading, st *Step) []string {
	field, unit := "cpuMilli", int64(1)
	if m.Name == "memory" {
		field, unit = "memoryBytes", 1000
	} else if m.Name != "cpu" {
		return order
	}
	put := func(name string, milli int64, s hpa.Sample) {
		p := resource[name]
		if p == nil {
			p = object{
				"pod":           name,
				"timestamp":     seconds(s.At),
				"windowSeconds": seconds(s.Window),
				"containers":    map[string]object{},
			}
			resource[name], order = p, append(order, name)
		}
		of := whole
		if m.Source == hpa.ContainerResource {
			of = m.Container
		}
		cs := p["containers"].(map[string]object)
		if cs[of] == nil {
			cs[of] = object{}
		}
		cs[of][field] = milli / unit
	}
	names(st.Pods, func(j int, name string) {
		if j < len(r.Samples) && r.Samples[j].OK {
			put(name, r.Samples[j].Milli, r.Samples[j])
		}
	})
	for j, v := range r.Ghosts {
		put("ghost-"+strconv.Itoa(j), v, hpa.Sample{At: st.At})
	}
	return order
}

// usageOf returns the usage as containers: the named ones, and one for the rest of the pod. A pod
// in which a container lacks a resource has no value for it, so a named container gets 0 if only
// the usage of the whole pod is known.
func usageOf(known map[string]object) []object {
	list := []object{}
	total := known[whole]
	sums := map[string]int64{}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if name == whole {
			continue
		}
		c := object{"name": name}
		for _, field := range []string{"cpuMilli", "memoryBytes"} {
			if v, ok := known[name][field].(int64); ok {
				c[field] = v
				sums[field] += v
			} else if total != nil && total[field] != nil {
				c[field] = int64(0)
			}
		}
		list = append(list, c)
	}
	if total == nil {
		return list
	}
	rest := object{"name": "rest-of-the-pod"}
	if len(list) == 0 {
		rest["name"] = "app"
	}
	for field, v := range total {
		rest[field] = v.(int64) - sums[field]
	}
	return append(list, rest)
}

func metricKey(m *hpa.Metric) string {
	key := m.Name
	if m.Source == hpa.Object {
		key = m.Object.Kind + "/" + m.Object.Name + "/" + m.Name
	}
	if m.SelectorSet {
		text, err := canonical(m.Selector)
		if err != nil {
			text = m.Selector
		}
		key += "{" + text + "}"
	}
	return key
}
