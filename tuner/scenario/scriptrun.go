package scenario

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// Mismatch is an expectation that was not met.
type Mismatch struct {
	File   string
	Line   int    // of the expectation
	Test   string // name of the test, if it has one
	Tick   int
	At     time.Duration
	Wanted string
	Found  string
	Why    string // the decision, explained
}

// String describes the mismatch in one line: file:line: tick, wanted, decided, why.
func (m Mismatch) String() string {
	name := ""
	if m.Test != "" {
		name = m.Test + ": "
	}
	return fmt.Sprintf(
		"%s:%d: %stick %d (%s): want %s, decided %s: %s",
		m.File,
		m.Line,
		name,
		m.Tick,
		m.At,
		m.Wanted,
		m.Found,
		m.Why,
	)
}

// Run runs every test of the script.
func (s *Script) Run() (ms []Mismatch) {
	for _, t := range s.Tests {
		ms = append(ms, t.Run(nil)...)
	}
	return ms
}

// Run decides tick by tick, with the target following each decision, and returns the expectations
// that were not met. visit, if not nil, gets every line.
func (t *Test) Run(visit func(*Line)) (ms []Mismatch) {
	r, err := (&Scenario{Params: t.Params, Memory: t.Memory, Replicas: t.From}).Runner()
	if err != nil {
		return []Mismatch{{File: t.File, Line: t.Line, Test: t.Name, Wanted: "a state that can be", Found: err.Error()}}
	}
	spec := t.Spec.Clone()
	current := &spec
	for i := range t.ticks {
		st := t.step(i, r.Replicas, &current)
		if i == 0 {
			st.Spec = current
		}
		r.Step(&st, false)
		line := NewLine(t.Name, i, &r.Decision)
		if visit != nil {
			visit(line)
		}
		miss := func(at int, wanted, found string) {
			ms = append(ms, Mismatch{t.File, at, t.Name, i, st.At, wanted, found, line.Explanation})
		}
		for _, key := range expects {
			l := t.lists[key]
			word := l.exactly(i)
			if word == "_" {
				continue
			}
			got := "none"
			switch {
			case key == "desired":
				got = strconv.Itoa(int(line.DesiredReplicas))
			case key == "replicas":
				got = strconv.Itoa(int(line.Replicas))
			case line.Proposal != nil:
				got = strconv.Itoa(int(*line.Proposal.Replicas))
			}
			if got != strings.TrimPrefix(word, "+") {
				miss(l.line, key+" "+word, got)
			}
		}
		for j := range t.wants {
			w := &t.wants[j]
			if st.At < w.from || st.At > w.until {
				continue
			}
			if wanted, found := w.check(line); wanted != "" {
				miss(w.line, wanted, found)
			}
		}
	}
	return ms
}

// step makes tick i's observation for a target of the given size.
func (t *Test) step(i int, size int32, current **hpa.Config) Step {
	st := Step{}
	st.At, st.Selector = t.time(i), DefaultSelector
	scale := func(word string) {
		if n, err := count(word); err == nil {
			st.SpecReplicas, st.SetReplicas, size = n, true, n
		}
	}
	scale(t.lists["scale"].exactly(i))
	for _, a := range t.actions {
		if a.at != st.At {
			continue
		}
		said := func(or string) error {
			if len(a.words) > 0 {
				or = strings.Join(a.words, " ")
			}
			return errors.New(or)
		}
		switch a.verb {
		case "restart":
			st.Restart = true
		case "edit":
			c := (*current).Clone()
			for _, w := range a.words {
				_, _ = setSpec(&c, w) // checked when the script was read
			}
			*current, st.Spec = &c, &c
		case "scale":
			scale(a.words[0])
		case "conflicts":
			n, _ := count(a.words[0]) // checked when the script was read
			st.Conflicts = int(n)
		case "get-error":
			st.ScaleGetErr = said("the server is currently unable to handle the request")
		case "update-error":
			st.ScaleUpdateErr = said("the server is currently unable to handle the request")
		case "status-error":
			st.StatusErr = said("the server is currently unable to handle the request")
		case "no-selector":
			st.Selector = ""
		case "bad-selector":
			st.SelectorErr = said("unable to parse requirement")
		case "ambiguous":
			st.SelectorErr = &hpa.AmbiguousError{Keys: "[{web default} {other default}]"}
		}
	}
	if n, err := count(t.lists["status"].at(i)); err == nil {
		st.StatusReplicas, st.SetStatusReplicas = n, true
	}
	st.Pods = t.podsAt(i, size, st.At)
	for j := range (*current).Metrics {
		st.Metrics = append(st.Metrics, t.reading(i, &(*current).Metrics[j], st.Pods, st.At))
	}
	return st
}

// number returns a count list's value at tick i, or the default.
func (t *Test) number(key string, i int, absent int) int {
	n, err := count(t.lists[key].at(i))
	if err != nil {
		return absent
	}
	return int(n)
}

// podsAt lists the pods. With `pod` lines it lists those. Otherwise it lists as many as the
// target's size, the last of which are pending, unready or missing, and adds failed and terminating
// ones.
func (t *Test) podsAt(i int, size int32, now time.Duration) (pods []hpa.Pod) {
	if len(t.pods) > 0 {
		for _, l := range t.pods {
			p := l.pod
			if p.Containers == nil {
				p.Containers = t.template()
			}
			pods = append(pods, p)
		}
		return pods
	}
	containers := t.template()
	n := min(t.number("pods", i, int(size)), maxTicks)
	pending, unready := t.number("pending", i, 0), t.number("unready", i, 0)
	for j := range n {
		p := hpa.Pod{
			Name:       fmt.Sprintf("web-%d", j),
			Containers: containers,
			StartTime:  now - time.Hour,
			ReadySince: now - time.Hour,
		}
		switch back := n - j; {
		case back <= pending:
			p.Phase, p.Ready = hpa.Pending, hpa.ReadyFalse
		case back <= pending+unready:
			p.Ready, p.StartTime, p.ReadySince = hpa.ReadyFalse, now, now
		}
		pods = append(pods, p)
	}
	for j := range min(t.number("failed", i, 0), maxTicks) {
		pods = append(
			pods,
			hpa.Pod{
				Name:       fmt.Sprintf("failed-%d", j),
				Containers: containers,
				Phase:      hpa.Failed,
				Ready:      hpa.ReadyFalse,
				StartTime:  now - time.Hour,
				ReadySince: now,
			},
		)
	}
	for j := range min(t.number("terminating", i, 0), maxTicks) {
		pods = append(
			pods,
			hpa.Pod{
				Name:       fmt.Sprintf("terminating-%d", j),
				Containers: containers,
				Deleted:    true,
				StartTime:  now - time.Hour,
				ReadySince: now - time.Hour,
			},
		)
	}
	return pods
}

// checkValue returns why a metric's word is invalid.
func checkValue(m *hpa.Metric, word string) error {
	if word == "_" || strings.HasPrefix(word, "!") {
		return nil
	}
	cut := ","
	if m.Source >= hpa.Object {
		cut = "+"
	}
	for _, w := range strings.Split(word, cut) {
		if w == "_" && m.Source < hpa.Object {
			continue
		}
		if _, err := valueOf(m, w, nil); err != nil {
			return err
		}
	}
	return nil
}

// valueOf reads one value in thousandths: a percentage of the pod's request for utilization targets
// and values with %, otherwise a quantity.
func valueOf(m *hpa.Metric, word string, p *hpa.Pod) (int64, error) {
	percent := m.Source <= hpa.ContainerResource && (m.Target.AverageMilli == 0 || strings.HasSuffix(word, "%"))
	if _, err := rational(strings.TrimSuffix(word, "%")); err == nil && percent && !strings.HasSuffix(word, "m") {
		return percentOf(word, requestOf(m, p))
	}
	return milli(word)
}

func requestOf(m *hpa.Metric, p *hpa.Pod) (sum int64) {
	if p != nil {
		for i := range p.Containers {
			c := &p.Containers[i]
			if c.Init && !c.Sidecar || m.Source == hpa.ContainerResource && c.Name != m.Container {
				continue
			}
			if m.Name == "memory" {
				sum += c.Memory
			} else {
				sum += c.CPU
			}
		}
	}
	if sum == 0 {
		return 1000 // a core, where nothing is requested
	}
	return sum
}

// reading makes the metrics API's answer for one metric at tick i.
func (t *Test) reading(i int, m *hpa.Metric, pods []hpa.Pod, now time.Duration) (r hpa.Reading) {
	key := name(m)
	word := t.lists[key].at(i)
	if said, ok := strings.CutPrefix(word, "!"); ok {
		if said == "" {
			said = "the metrics API is not available"
		}
		return hpa.Reading{Err: errors.New(said)}
	}
	if m.Source >= hpa.Object {
		if word == "_" {
			return r
		}
		for _, w := range strings.Split(word, "+") {
			v, _ := valueOf(m, w, nil) // checked when the script was read
			r.Series = append(r.Series, v)
		}
		return r
	}
	words := strings.Split(word, ",")
	missing := t.number("missing", i, 0) + t.number("pending", i, 0) + t.number("unready", i, 0)
	listed := 0
	for j := range pods {
		if strings.HasPrefix(pods[j].Name, "web-") {
			listed++
		}
	}
	r.Samples = make([]hpa.Sample, len(pods))
	for j := range pods {
		p := &pods[j]
		w := words[min(j, len(words)-1)]
		s := hpa.Sample{At: now - t.age, Window: t.window, OK: true}
		if len(t.pods) > 0 {
			l := t.pods[j]
			if own, ok := l.samples[key]; ok {
				w = own
			}
			if l.age >= 0 {
				s.At = now - l.age
			}
			if l.window >= 0 {
				s.Window = l.window
			}
		} else {
			unready := t.number("unready", i, 0)
			back := listed - j
			pending := t.number("pending", i, 0)
			if j < listed && (back <= pending || back > pending+unready && back <= missing) || p.Phase == hpa.Failed {
				w = "_"
			}
		}
		if w == "_" {
			continue
		}
		s.Milli, _ = valueOf(m, w, p) // checked when the script was read
		r.Samples[j] = s
		r.Listed = true
	}
	for range min(t.number("ghosts", i, 0), maxTicks) {
		if v, err := valueOf(m, words[0], nil); err == nil {
			r.Ghosts = append(r.Ghosts, v)
		}
	}
	return r
}
