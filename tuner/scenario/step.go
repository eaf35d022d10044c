package scenario

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// step reads one observation. current is the HPA as edited so far.
func (p *parser) step(i int, v value, current **hpa.Config) Step {
	st := Step{Label: fmt.Sprintf("observations[%d]", i)}
	st.At, st.Selector = time.Duration(i)*p.tick, DefaultSelector
	fields := map[string]value{}
	v.object(func(key string, m value) bool {
		switch key {
		case "at",
			"specReplicas",
			"statusReplicas",
			"selector",
			"pods",
			"resourceMetrics",
			"podsMetrics",
			"objectMetrics",
			"externalMetrics",
			"scaleGetError",
			"scaleUpdateError",
			"scaleConflicts",
			"statusError",
			"hpa",
			"restart",
			"otherHPAs":
			if !m.null() {
				fields[key] = m
			}
			return true
		}
		return false
	})
	if m, ok := fields["at"]; ok {
		st.At = m.instant(p.s.Start)
	}
	if m, ok := fields["specReplicas"]; ok {
		st.SpecReplicas, st.SetReplicas = m.replicas(), true
	}
	if m, ok := fields["statusReplicas"]; ok {
		st.StatusReplicas, st.SetStatusReplicas = m.replicas(), true
	}
	if m, ok := fields["selector"]; ok {
		st.Selector = m.text()
	}
	st.Restart = fields["restart"].flag()
	failure := func(key string) error {
		if s := fields[key].text(); s != "" {
			return errors.New(s)
		}
		return nil
	}
	st.ScaleGetErr, st.ScaleUpdateErr, st.StatusErr = failure(
		"scaleGetError",
	), failure(
		"scaleUpdateError",
	), failure(
		"statusError",
	)
	st.Conflicts = int(fields["scaleConflicts"].whole(0, 1000))
	if m, ok := fields["hpa"]; ok && p.spec == nil {
		if c, _ := readHPA(m); c != nil {
			*current = c
			st.Spec = c
		}
	}
	if i == 0 {
		st.Spec = *current
	}
	if m, ok := fields["pods"]; ok {
		p.pods = p.readPods(m)
	}
	names := p.selectPods(&st, fields["otherHPAs"])
	usage := readUsage(fields["resourceMetrics"], st.At, p.s.Start)
	pods := readSeries(fields["podsMetrics"], readPodValues)
	objects := readSeries(fields["objectMetrics"], readObjectValue)
	externals := readSeries(fields["externalMetrics"], readExternalValues)
	for j := range (*current).Metrics {
		m := &(*current).Metrics[j]
		var r hpa.Reading
		switch m.Source {
		case hpa.Resource, hpa.ContainerResource:
			r = usage.reading(m, names, len(st.Pods))
		case hpa.Pods:
			if s := pods.find(m, p.s.Name.Namespace); s != nil {
				r = s.podReading(names, len(st.Pods))
			}
		case hpa.Object:
			if s := objects.find(m, p.s.Name.Namespace); s != nil {
				r = hpa.Reading{Err: s.err, Series: s.milli}
			}
		case hpa.External:
			if s := externals.find(m, p.s.Name.Namespace); s != nil {
				r = hpa.Reading{Err: s.err, Series: s.milli}
			}
		}
		st.Metrics = append(st.Metrics, r)
	}
	return st
}

func (p *parser) readPods(v value) (pods []listed) {
	seen := map[string]bool{}
	v.list(func(_ int, m value) {
		pod := listed{
			labels: defaultLabels,
			pod:    hpa.Pod{Containers: p.containers, Ready: hpa.ReadyAbsent, NotStarted: true, ReadySince: -farthest},
		}
		var level hpa.PodLevel
		m.object(func(key string, m value) bool {
			if m.null() {
				return slices.Contains(
					[]string{
						"name",
						"phase",
						"ready",
						"readyTransition",
						"startTime",
						"deleted",
						"labels",
						"containers",
						"podCpuMilli",
						"podMemoryBytes",
					},
					key,
				)
			}
			ok := true
			switch key {
			case "name":
				pod.pod.Name = m.text()
			case "phase":
				if pod.pod.Phase, ok = hpa.ParsePhase(m.text()); !ok {
					m.bad("found %s, want Running, Pending, Succeeded, Failed or Unknown", short(m.raw))
				}
			case "ready":
				if pod.pod.Ready, ok = hpa.ParseReady(m.text()); !ok {
					m.bad("found %s, want \"True\", \"False\", \"Unknown\" or \"\"", short(m.raw))
				}
			case "readyTransition":
				pod.pod.ReadySince = wholeSecond(p.s.Start, m.instant(p.s.Start))
			case "startTime":
				pod.pod.StartTime, pod.pod.NotStarted = wholeSecond(p.s.Start, m.instant(p.s.Start)), false
			case "deleted":
				pod.pod.Deleted = m.flag()
			case "labels":
				pod.labels = map[string]string{}
				m.object(func(key string, m value) bool {
					pod.labels[key] = m.text()
					return true
				})
			case "containers":
				pod.pod.Containers = readContainers(m)
			case "podCpuMilli":
				level.CPU, level.HasCPU = m.whole(0, math.MaxInt64), true
			case "podMemoryBytes":
				level.Memory, level.HasMemory = milliBytes(m), true
			default:
				return false
			}
			return true
		})
		if level.HasCPU || level.HasMemory {
			pod.pod.Level = &level
		}
		if seen[pod.pod.Name] {
			m.bad("a second pod %q", pod.pod.Name)
		}
		seen[pod.pod.Name] = true
		pods = append(pods, pod)
	})
	return pods
}

// selectPods puts the pods that the selector matches into the step, and returns their indices by
// name.
func (p *parser) selectPods(st *Step, others value) map[string]int {
	names := map[string]int{}
	selected, err := manifest.ParseLabels(st.Selector)
	if st.Selector == "" {
		return names
	}
	if err != nil {
		st.SelectorErr = err
		return names
	}
	var keys []string
	namespace := cmp.Or(p.s.Name.Namespace, "default")
	match := func(m value, name, selector string) {
		s, err := manifest.ParseLabels(selector)
		if err != nil {
			m.bad("selector %q: %w", selector, err)
			return
		}
		if slices.ContainsFunc(p.pods, func(l listed) bool { return selected.Matches(l.labels) && s.Matches(l.labels) }) {
			keys = append(keys, "{"+name+" "+namespace+"}")
		}
	}
	others.list(func(_ int, m value) {
		var name, selector string
		m.object(func(key string, m value) bool {
			switch key {
			case "name":
				name = m.text()
			case "selector":
				selector = m.text()
			default:
				return false
			}
			return true
		})
		match(m, name, selector)
	})
	if len(keys) > 0 {
		own := cmp.Or(p.s.Name.Name, "web")
		st.SelectorErr = &hpa.AmbiguousError{Keys: "[{" + own + " " + namespace + "} " + keys[0] + "]"}
	}
	for _, l := range p.pods {
		if selected.Matches(l.labels) {
			names[l.pod.Name] = len(st.Pods)
			st.Pods = append(st.Pods, l.pod)
		}
	}
	return names
}

// usage is the resource metrics API's answer.
type usage struct {
	err  error
	pods []podUsage
}

type podUsage struct {
	pod        string
	at, window time.Duration
	containers []hpa.Container // usage in the fields of requests
}

func readUsage(v value, now time.Duration, start time.Time) (u usage) {
	v.object(func(key string, m value) bool {
		switch key {
		case "error":
			if s := m.text(); s != "" {
				u.err = errors.New(s)
			}
		case "pods":
			m.list(func(_ int, m value) {
				p := podUsage{at: now}
				m.object(func(key string, m value) bool {
					switch key {
					case "pod":
						p.pod = m.text()
					case "timestamp":
						if !m.null() {
							p.at = m.instant(start)
						}
					case "windowSeconds":
						p.window = m.seconds()
					case "containers":
						p.containers = readContainers(m)
					default:
						return false
					}
					return true
				})
				u.pods = append(u.pods, p)
			})
		default:
			return false
		}
		return true
	})
	return u
}

// reading converts the answer for one metric as the controller's client does. A pod that is listed
// twice counts with its last usable sample. Source: metrics/client.go, getPodMetrics,
// getContainerMetrics.
func (u *usage) reading(m *hpa.Metric, names map[string]int, n int) hpa.Reading {
	r := hpa.Reading{Err: u.err, Listed: len(u.pods) > 0, Samples: make([]hpa.Sample, n)}
	var ghosts, order = map[string]int64{}, []string{}
	for i := range u.pods {
		p := &u.pods[i]
		milli, ok := p.of(m)
		if !ok {
			continue
		}
		if j, known := names[p.pod]; known {
			r.Samples[j] = hpa.Sample{Milli: milli, At: p.at, Window: p.window, OK: true}
			continue
		}
		if _, twice := ghosts[p.pod]; !twice {
			order = append(order, p.pod)
		}
		ghosts[p.pod] = milli
	}
	for _, name := range order {
		r.Ghosts = append(r.Ghosts, ghosts[name])
	}
	return r
}

func (p *podUsage) of(m *hpa.Metric) (milli int64, ok bool) {
	for i := range p.containers {
		c := &p.containers[i]
		v, has := c.CPU, c.HasCPU
		if m.Name == "memory" {
			v, has = c.Memory, c.HasMemory
		} else if m.Name != "cpu" {
			has = false
		}
		if m.Source == hpa.ContainerResource {
			if c.Name == m.Container {
				return v, has
			}
			continue
		}
		if !has {
			return 0, false
		}
		milli += v
	}
	return milli, m.Source == hpa.Resource && len(p.containers) > 0
}

// series is the answer for one custom or external metric.
type series struct {
	err    error
	milli  []int64
	values []podValue
}

type podValue struct {
	pod   string
	milli int64
}

// answers maps METRIC, METRIC{selector} or KIND/NAME/METRIC to its answer.
type answers map[string]*series

func readSeries(v value, read func(*series, string, value) bool) answers {
	a := answers{}
	v.object(func(name string, m value) bool {
		s := &series{}
		m.object(func(key string, m value) bool {
			if key == "error" {
				if t := m.text(); t != "" {
					s.err = errors.New(t)
				}
				return true
			}
			return read(s, key, m)
		})
		if s.err == nil && s.milli == nil {
			s.milli = []int64{}
		}
		metric, selector, ok := strings.Cut(name, "{")
		if ok {
			text, err := canonical(strings.TrimSuffix(selector, "}"))
			if err != nil {
				m.bad("%w", err)
			}
			name = metric + "{" + text + "}"
		}
		a[name] = s
		return true
	})
	return a
}

func canonical(selector string) (string, error) {
	l, err := manifest.ParseLabels(selector)
	if err != nil {
		return "", err
	}
	return l.String(), nil
}

// find returns the answer with the most specific key for m, nil if there is none. An Object metric
// of kind Namespace is queried with the HPA's own namespace, whatever the object's name. Source:
// metrics/client.go, GetObjectMetric.
func (a answers) find(m *hpa.Metric, namespace string) *series {
	text := ""
	if m.SelectorSet {
		var err error
		if text, err = canonical(m.Selector); err != nil {
			text = m.Selector
		}
	}
	var names []string
	if m.Source == hpa.Object {
		if m.Object.Kind == "Namespace" && !strings.Contains(m.Object.APIVersion, "/") {
			names = append(names, "Namespace/"+cmp.Or(namespace, "default")+"/"+m.Name)
		}
		names = append(names, m.Object.Kind+"/"+m.Object.Name+"/"+m.Name)
	}
	for _, name := range append(names, m.Name) {
		for _, key := range [...]string{name + "{" + text + "}", name} {
			if s := a[key]; s != nil {
				return s
			}
		}
	}
	return nil
}

func readPodValues(s *series, key string, v value) bool {
	if key != "values" {
		return false
	}
	v.list(func(_ int, m value) {
		var p podValue
		m.object(func(key string, m value) bool {
			switch key {
			case "pod":
				p.pod = m.text()
			case "milli":
				p.milli = m.whole(math.MinInt64, math.MaxInt64)
			case "windowSeconds", "timestamp":
				// Pods metrics have no readiness rule, so neither changes a decision.
			default:
				return false
			}
			return true
		})
		s.values = append(s.values, p)
	})
	return true
}

func (s *series) podReading(names map[string]int, n int) hpa.Reading {
	r := hpa.Reading{Err: s.err, Listed: len(s.values) > 0, Samples: make([]hpa.Sample, n)}
	places := map[string]int{}
	for _, v := range s.values {
		if j, known := names[v.pod]; known {
			r.Samples[j] = hpa.Sample{Milli: v.milli, OK: true}
		} else if j, twice := places[v.pod]; twice {
			r.Ghosts[j] = v.milli
		} else {
			places[v.pod] = len(r.Ghosts)
			r.Ghosts = append(r.Ghosts, v.milli)
		}
	}
	return r
}

func readObjectValue(s *series, key string, v value) bool {
	if key != "milli" {
		return false
	}
	s.milli = []int64{v.whole(math.MinInt64, math.MaxInt64)}
	return true
}

func readExternalValues(s *series, key string, v value) bool {
	if key != "milli" {
		return false
	}
	s.milli = []int64{}
	v.list(func(_ int, m value) { s.milli = append(s.milli, m.whole(math.MinInt64, math.MaxInt64)) })
	return true
}
