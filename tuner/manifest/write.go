package manifest

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// Handwritten is the commonly copied configuration (testdata/handwritten.yaml) with which
// the demo starts.
//
//go:embed testdata/handwritten.yaml
var Handwritten string

// Note is a comment in a written manifest: above the field that Path names, as
// hpa.Knobs names it; "" = at the head of the file. Long texts are wrapped;
// line breaks in them are kept.
type Note struct{ Path, Text string }

// V2 writes an autoscaling/v2 manifest as a person would: fields in the usual
// order, a comment above each one that a note names, and behavior, where the
// Config has it, in full: both directions, windows, policies and selectPolicy.
//
// Policies that can never bind between min and max (DeadPolicies) are left out,
// with a comment that says so; but for these, Decode gives the Config back.
func V2(c *hpa.Config, meta Meta, notes []Note) []byte {
	w := newWriter(notes)
	w.comment("", 0)
	w.line(0, "apiVersion: autoscaling/v2")
	w.line(0, "kind: HorizontalPodAutoscaler")
	w.line(0, "metadata:")
	if meta.Namespace != "" {
		w.line(1, "namespace: "+text(meta.Namespace))
	}
	w.line(1, "name: "+text(meta.Name))
	w.strings(1, "labels", meta.Labels)
	w.strings(1, "annotations", meta.Annotations)
	w.line(0, "spec:")
	w.line(1, "scaleTargetRef:")
	if meta.Target.APIVersion != "" {
		w.line(2, "apiVersion: "+text(meta.Target.APIVersion))
	}
	w.line(2, "kind: "+text(meta.Target.Kind))
	w.line(2, "name: "+text(meta.Target.Name))
	w.field(1, "spec.minReplicas", "minReplicas: "+strconv.Itoa(int(c.MinReplicas)))
	w.field(1, "spec.maxReplicas", "maxReplicas: "+strconv.Itoa(int(c.MaxReplicas)))
	w.comment("spec.metrics", 1)
	spec := ToV2(c, meta.Target)
	if len(spec.Metrics) > 0 {
		w.line(1, "metrics:")
	}
	names := metricNames(c)
	for i := range spec.Metrics {
		w.metric(&spec.Metrics[i], names[i])
	}
	w.behavior(c, &spec)
	return []byte(w.b.String())
}

func (w *writer) behavior(c *hpa.Config, spec *autoscalingv2.HorizontalPodAutoscalerSpec) {
	w.comment("spec.behavior", 1)
	if !c.Behavior {
		return
	}
	dead := DeadPolicies(c)
	w.line(1, "behavior:")
	w.rules("scaleUp", &c.ScaleUp, spec.Behavior.ScaleUp, dead)
	w.rules("scaleDown", &c.ScaleDown, spec.Behavior.ScaleDown, dead)
}

// metricNames are the names that hpa.Knobs gives metrics: "spec.metrics[cpu]".
func metricNames(c *hpa.Config) []string {
	var names []string
	seen := map[string]int{}
	for i := range c.Metrics {
		key := c.Metrics[i].Key()
		n := seen[key]
		seen[key]++
		if n > 0 {
			key += "#" + strconv.Itoa(n)
		}
		names = append(names, "spec.metrics["+key+"]")
	}
	return names
}

type writer struct {
	b      strings.Builder
	notes  map[string][]string
	indent int // added to every depth: behavior is deeper in other objects
}

func newWriter(notes []Note) *writer {
	w := &writer{notes: map[string][]string{}}
	for _, n := range notes {
		w.notes[n.Path] = append(w.notes[n.Path], n.Text)
	}
	return w
}

func (w *writer) line(depth int, s string) {
	w.b.WriteString(strings.Repeat("  ", w.indent+depth) + s + "\n")
}

// comment writes the notes of a path, wrapped to a hundred columns.
func (w *writer) comment(path string, depth int) {
	for _, note := range w.notes[path] {
		w.remark(depth, note)
	}
}

func (w *writer) remark(depth int, note string) {
	for para := range strings.Lines(note) {
		para = strings.TrimRight(para, "\r\n")
		// Any other line break of YAML would end the comment.
		para = strings.Map(func(r rune) rune {
			if r == '\t' || r >= ' ' && r != 0x7f && r != 0x85 && r != 0x2028 && r != 0x2029 && r != 0xfeff && r != 0xfffd {
				return r
			}
			return ' '
		}, strings.ToValidUTF8(para, "?"))
		line := "#"
		for _, word := range strings.Fields(para) {
			if len(line) > 1 && 2*(w.indent+depth)+len(line)+1+len(word) > 100 {
				w.line(depth, line)
				line = "#"
			}
			line += " " + word
		}
		w.line(depth, line)
	}
}

func (w *writer) field(depth int, path, s string) {
	w.comment(path, depth)
	w.line(depth, s)
}

func (w *writer) strings(depth int, name string, m map[string]string) {
	if len(m) == 0 {
		return
	}
	w.line(depth, name+":")
	for _, k := range slices.Sorted(maps.Keys(m)) {
		w.line(depth+1, text(k)+": "+text(m[k]))
	}
}

func (w *writer) metric(m *autoscalingv2.MetricSpec, path string) {
	w.comment(path, 2)
	w.line(2, "- type: "+string(m.Type))
	var t *autoscalingv2.MetricTarget
	switch {
	case m.Resource != nil:
		w.line(3, "resource:")
		w.line(4, "name: "+text(string(m.Resource.Name)))
		t = &m.Resource.Target
	case m.ContainerResource != nil:
		w.line(3, "containerResource:")
		w.line(4, "name: "+text(string(m.ContainerResource.Name)))
		w.line(4, "container: "+text(m.ContainerResource.Container))
		t = &m.ContainerResource.Target
	case m.Pods != nil:
		w.line(3, "pods:")
		w.identifier(&m.Pods.Metric)
		t = &m.Pods.Target
	case m.Object != nil:
		w.line(3, "object:")
		w.line(4, "describedObject:")
		if d := m.Object.DescribedObject; true {
			if d.APIVersion != "" {
				w.line(5, "apiVersion: "+text(d.APIVersion))
			}
			w.line(5, "kind: "+text(d.Kind))
			w.line(5, "name: "+text(d.Name))
		}
		w.identifier(&m.Object.Metric)
		t = &m.Object.Target
	case m.External != nil:
		w.line(3, "external:")
		w.identifier(&m.External.Metric)
		t = &m.External.Target
	default:
		return
	}
	w.comment(path+".target", 4)
	w.line(4, "target:")
	w.line(5, "type: "+string(t.Type))
	if t.Value != nil {
		w.field(5, path+".target.value", "value: "+text(t.Value.String()))
	}
	if t.AverageValue != nil {
		w.field(5, path+".target.averageValue", "averageValue: "+text(t.AverageValue.String()))
	}
	if t.AverageUtilization != nil {
		w.field(5, path+".target.averageUtilization", "averageUtilization: "+strconv.Itoa(int(*t.AverageUtilization)))
	}
}

func (w *writer) identifier(id *autoscalingv2.MetricIdentifier) {
	w.line(4, "metric:")
	w.line(5, "name: "+text(id.Name))
	if id.Selector == nil {
		return
	}
	if len(id.Selector.MatchLabels)+len(id.Selector.MatchExpressions) == 0 {
		w.line(5, "selector: {}")
		return
	}
	w.line(5, "selector:")
	w.strings(6, "matchLabels", id.Selector.MatchLabels)
	if len(id.Selector.MatchExpressions) > 0 {
		w.line(6, "matchExpressions:")
	}
	for _, e := range id.Selector.MatchExpressions {
		w.line(7, "- key: "+text(e.Key))
		w.line(8, "operator: "+text(string(e.Operator)))
		if e.Operator == metav1.LabelSelectorOpIn || e.Operator == metav1.LabelSelectorOpNotIn {
			var values []string
			for _, v := range e.Values {
				values = append(values, text(v))
			}
			w.line(8, "values: ["+strings.Join(values, ", ")+"]")
		}
	}
}

func (w *writer) rules(name string, r *hpa.Rules, s *autoscalingv2.HPAScalingRules, dead []Dead) {
	path := "spec.behavior." + name
	w.comment(path, 2)
	w.line(2, name+":")
	w.comment(path+".stabilizationWindowSeconds", 3)
	if s.StabilizationWindowSeconds != nil {
		w.line(3, "stabilizationWindowSeconds: "+strconv.Itoa(int(*s.StabilizationWindowSeconds)))
	} else if name == "scaleDown" {
		w.remark(
			3,
			"stabilizationWindowSeconds is not set; the controller's flag "+
				"--horizontal-pod-autoscaler-downscale-stabilization applies (default 300)",
		)
	}
	w.comment(path+".selectPolicy", 3)
	w.line(3, "selectPolicy: "+string(*s.SelectPolicy))
	w.comment(path+".policies", 3)
	var lines []string
	for i, p := range s.Policies {
		at := slices.IndexFunc(dead, func(d Dead) bool { return d.Up == (name == "scaleUp") && d.Index == i })
		if at >= 0 {
			w.remark(3, "Left out, since it never takes effect: "+dead[at].Why+".")
			continue
		}
		lines = append(
			lines,
			"- type: "+string(p.Type),
			"  value: "+strconv.Itoa(int(p.Value)),
			"  periodSeconds: "+strconv.Itoa(int(p.PeriodSeconds)),
		)
	}
	if len(lines) == 0 {
		w.line(3, "policies: []")
	} else {
		w.line(3, "policies:")
	}
	for _, l := range lines {
		w.line(4, l)
	}
	w.comment(path+".tolerance", 3)
	if s.Tolerance != nil {
		w.line(3, "tolerance: "+text(ratio(r.Tolerance)))
	}
}

// text writes a string as a YAML scalar, quoted where it must be.
func text(s string) string {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./", r))
	}) && s[0] != '-' && s[0] != '.'
	if plain {
		var v any
		if err := yaml.Unmarshal([]byte(s), &v); err == nil && v == any(s) {
			return s // not a number, a truth value or null
		}
	}
	return strconv.QuoteToASCII(strings.ToValidUTF8(s, "\ufffd"))
}

// Diff lists the changes from a to b, one line per setting, in the manifest's order:
// "spec.minReplicas: 2 → 3". "" = none.
func Diff(a, b *hpa.Config) string {
	var out strings.Builder
	before := map[string]any{}
	for _, k := range hpa.Knobs(a) {
		before[k.Path] = k.Get(a)
	}
	line := func(path string, x, y any) {
		if s, t := hpa.FormatValue(x), hpa.FormatValue(y); s != t {
			fmt.Fprintf(&out, "%s: %s → %s\n", path, s, t)
		}
	}
	kept := map[string]bool{}
	for _, k := range hpa.Knobs(b) {
		kept[k.Path] = true
		line(k.Path, before[k.Path], k.Get(b))
	}
	for _, k := range hpa.Knobs(a) {
		if !kept[k.Path] {
			line(k.Path, k.Get(a), nil)
		}
	}
	return out.String()
}
