package manifest

import (
	"fmt"
	"strconv"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// Rewrite returns the ScaledObject of d with what makes its HPA c: only what c
// changes is changed, each change with the notes of its path (as hpa.Knobs has
// it); the head of the file is the note of "". Everything else, authenticationRef
// and unknown fields too, stays as it was written. rest names what of c a
// ScaledObject cannot say, a sentence each.
//
// c's minimum is the ScaledObject's: 0 where KEDA's own loop goes to zero.
func (d *Doc) Rewrite(c *hpa.Config, notes []Note) (text []byte, rest []string, err error) {
	now, _, err := d.Config()
	if err != nil {
		return nil, nil, err
	}
	now.MinReplicas = d.Scaled.Min()
	said := map[string][]string{}
	for _, n := range notes {
		said[n.Path] = append(said[n.Path], n.Text)
	}
	r := rewriting{d: d, now: &now, want: c, said: said}
	r.bounds()
	r.targets()
	r.behavior()
	for _, n := range notes { // reasons for settings that have no field of their own
		if strings.HasPrefix(n.Path, "spec.metrics") && !r.noted[n.Path] {
			if at := d.SourcePath(n.Path); at != "" {
				r.edits = append(r.edits, source.Edit{Path: at, Note: wrapped(n.Text)})
			}
		}
	}
	for _, path := range ServerFields {
		r.edits = append(r.edits, source.Edit{Path: path, Drop: true})
	}
	text, err = d.doc.Edited(wrapped(strings.Join(said[""], "\n")), r.edits)
	if err != nil {
		return nil, nil, err
	}
	return text, r.rest, nil
}

// ServerFields are the fields of a live object that its API server and its operator set. A file
// that keeps them conflicts with the object once that has changed: kubectl apply refuses an old
// resourceVersion and another uid.
var ServerFields = []string{"status", "metadata.managedFields", "metadata.uid", "metadata.resourceVersion",
	"metadata.generation", "metadata.creationTimestamp", "metadata.finalizers"}

type rewriting struct {
	d         *Doc
	now, want *hpa.Config
	said      map[string][]string
	edits     []source.Edit
	noted     map[string]bool
	rest      []string
}

// set writes a value at the place of the HPA's path in the ScaledObject.
func (r *rewriting) set(path, value string) {
	at := r.d.SourcePath(path)
	if at == "" {
		r.rest = append(r.rest, path+" cannot be set in a ScaledObject: "+value)
		return
	}
	if r.noted == nil {
		r.noted = map[string]bool{}
	}
	r.noted[path] = true
	r.edits = append(r.edits, source.Edit{Path: at, Value: []byte(value), Note: wrapped(strings.Join(r.said[path], "\n"))})
}

func (r *rewriting) bounds() {
	if r.want.MinReplicas != r.now.MinReplicas {
		r.set("spec.minReplicas", strconv.Itoa(int(r.want.MinReplicas)))
	}
	if r.want.MaxReplicas != r.now.MaxReplicas {
		r.set("spec.maxReplicas", strconv.Itoa(int(r.want.MaxReplicas)))
	}
}

// targets writes the thresholds of metrics that both have, by name.
func (r *rewriting) targets() {
	names, wanted := metricNames(r.now), metricNames(r.want)
	at := map[string]int{}
	for i, n := range names {
		at[n] = i
	}
	for j := range r.want.Metrics {
		m := &r.want.Metrics[j]
		i, has := at[wanted[j]]
		if !has {
			r.rest = append(r.rest, fmt.Sprintf("a trigger for the metric %s (%v %s)", m.Name, m.Target.Type, targetText(m)))
			continue
		}
		delete(at, wanted[j])
		was := &r.now.Metrics[i]
		if was.Target == m.Target {
			continue
		}
		if was.Target.Type != m.Target.Type {
			r.set(wanted[j]+".target.type", strconv.Quote(m.Target.Type.String()))
		}
		r.set(targetPath(wanted, m, j), strconv.Quote(plainNumber(m)))
	}
	for _, n := range names {
		if _, left := at[n]; left {
			r.rest = append(r.rest, "without the trigger "+r.d.SourcePath(n))
		}
	}
}

// plainNumber is a target as it is in a trigger's metadata: scalers read a number instead
// of a quantity, except for cpu and memory.
func plainNumber(m *hpa.Metric) string {
	if m.Source == hpa.Resource || m.Source == hpa.ContainerResource {
		return targetText(m)
	}
	milli := m.Target.AverageMilli
	if milli == 0 {
		milli = m.Target.ValueMilli
	}
	return strconv.FormatFloat(float64(milli)/1000, 'f', -1, 64)
}

// behavior is written completely if anything in it changes.
func (r *rewriting) behavior() {
	if r.want.Behavior == r.now.Behavior && r.want.ScaleUp.Equal(&r.now.ScaleUp) &&
		r.want.ScaleDown.Equal(&r.now.ScaleDown) {
		return
	}
	if !r.want.Behavior {
		r.rest = append(r.rest, "without "+kedaBehavior)
		return
	}
	var notes []Note
	for path, texts := range r.said {
		if strings.HasPrefix(path, "spec.behavior.") {
			notes = append(notes, Note{path, strings.Join(texts, "\n")})
		}
	}
	// What an annotation disables is not a setting: the written policy stays.
	want := *r.want
	for _, x := range []struct {
		paused bool
		rules  *hpa.Rules
	}{{r.d.Scaled.switched(kedaPausedIn), &want.ScaleDown}, {r.d.Scaled.switched(kedaPausedOut), &want.ScaleUp}} {
		if x.paused && x.rules.Select == hpa.Disabled {
			x.rules.Select = hpa.Max
		}
	}
	w := newWriter(notes)
	w.indent = -2 // the two directions, at the margin
	spec := ToV2(&want, autoscalingv2.CrossVersionObjectReference{})
	dead := DeadPolicies(&want)
	w.rules("scaleUp", &want.ScaleUp, spec.Behavior.ScaleUp, dead)
	w.rules("scaleDown", &want.ScaleDown, spec.Behavior.ScaleDown, dead)
	r.set("spec.behavior", w.b.String())
}

// wrapped breaks a note into lines of at most a hundred columns.
func wrapped(text string) string {
	w := newWriter(nil)
	if text == "" {
		return ""
	}
	w.remark(0, text)
	var lines []string
	for line := range strings.Lines(w.b.String()) {
		lines = append(lines, strings.TrimPrefix(strings.TrimPrefix(strings.TrimRight(line, "\n"), "#"), " "))
	}
	return strings.Join(lines, "\n")
}
