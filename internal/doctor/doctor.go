// Package doctor judges HorizontalPodAutoscalers by facts: the objects around
// them, from files or from a cluster, and what was measured. It changes nothing
// and asks nothing.
package doctor

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// Severity says how bad a finding is.
type Severity string

// Error: the autoscaler does not work. Warning: it works against its purpose.
// Info: worth knowing.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
)

func (s Severity) rank() int { return slices.Index([]Severity{Error, Warning, Info}, s) }

// Finding is one thing that is wrong with one HPA. File is "" and Line 0 where
// the object was read from a cluster.
type Finding struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Object   string   `json:"object"` // Kind/namespace/name
	Why      string   `json:"why"`
	Fix      string   `json:"fix"`
	Link     string   `json:"link"`
}

// Measured is what no manifest says. Zero values and nil maps are "not known".
type Measured struct {
	Startup       time.Duration      // created to ready
	LongestAnswer time.Duration      // longest answer that must not be cut
	MemoryFalls   bool               // memory was seen to fall with load
	Ceiling       map[string]float64 // highest value that a metric can reach, in the unit of its target (percent for utilization)
	Series        map[string]int     // how many series a metric has; a name that is absent was not asked for
	Usage         map[string]float64 // mean use of a resource at load, as a ratio of its request
}

// Facts are all that is judged. Objects from files and from a cluster fill the
// same struct: Node, Event and APIService are objects among the others.
type Facts struct {
	Docs     []manifest.Doc
	Live     bool // the objects are a cluster's
	Measured Measured
}

// workload is what the checks read of a scale target.
type workload struct {
	metav1.TypeMeta
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		Replicas *int32                 `json:"replicas"`
		Template corev1.PodTemplateSpec `json:"template"`
	} `json:"spec"`
}

// subject is one HPA and what belongs to it.
type subject struct {
	facts  *Facts
	doc    *manifest.Doc
	config hpa.Config
	pods   *workload     // nil = not among the facts
	podDoc *manifest.Doc // nil with pods
	up     hpa.Rules     // what counts, behavior or not
	down   hpa.Rules
	m      Measured
}

// hit is a finding before it has its check's words.
type hit struct {
	doc  *manifest.Doc
	path string
	why  string
	fix  string // "" = the check's
}

// Judge returns the findings, worst first, then by object and id; the error is
// of an object that could not be read. name, if not "", leaves other HPAs out.
func Judge(f Facts, name string) ([]Finding, error) {
	findings, _, err := judge(f, name)
	return findings, err
}

// judge also counts how often each check had what it needs to judge.
func judge(f Facts, name string) ([]Finding, map[string]int, error) {
	var out []Finding
	ran := map[string]int{}
	for i := range f.Docs {
		doc := &f.Docs[i]
		if doc.HPA == nil || name != "" && doc.Name != name {
			continue
		}
		s, err := newSubject(&f, doc)
		if err != nil {
			return nil, nil, err
		}
		silent := ignored(doc.HPA.Annotations)
		for _, c := range Checks {
			hits, ok := c.judge(s)
			if !ok {
				continue
			}
			ran[c.ID]++
			if silent[c.ID] {
				continue
			}
			for _, h := range hits {
				out = append(out, finding(&f, c, h))
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Severity.rank(), b.Severity.rank()), cmp.Compare(a.Object, b.Object), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Line, b.Line))
	})
	return out, ran, nil
}

func finding(f *Facts, c Check, h hit) Finding {
	out := Finding{ID: c.ID, Severity: c.Severity, Object: object(h.doc), Why: h.why, Fix: cmp.Or(h.fix, c.Fix), Link: c.Link}
	if !f.Live {
		out.File, out.Line = h.doc.File, h.doc.LineOf(h.path)
	}
	return out
}

func object(d *manifest.Doc) string {
	return d.Kind + "/" + cmp.Or(d.Namespace, "-") + "/" + d.Name
}

// Ignore is the annotation that silences checks: "ID reason", a line each.
const Ignore = "hpatune.dev/ignore"

func ignored(annotations map[string]string) map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(annotations[Ignore]) {
		// A silence without a reason is none: nobody could tell later why.
		if w := strings.Fields(line); len(w) > 1 {
			out[w[0]] = true
		}
	}
	return out
}

func newSubject(f *Facts, doc *manifest.Doc) (*subject, error) {
	c, _, err := doc.Config()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", object(doc), err)
	}
	s := &subject{facts: f, doc: doc, config: c, up: c.ScaleUp, down: c.ScaleDown, m: f.Measured}
	if !c.Behavior {
		s.up, s.down = hpa.DefaultScaleUp(), hpa.DefaultScaleDown()
	}
	ref := doc.HPA.Spec.ScaleTargetRef
	for d := range f.of(doc.Namespace, ref.Kind) {
		if d.Name == ref.Name {
			w, err := decode[workload](d)
			if err != nil {
				return nil, err
			}
			s.pods, s.podDoc = &w, d
		}
	}
	return s, nil
}

// of yields the objects of a kind that share a namespace; one that is not said
// matches every other.
func (f *Facts) of(namespace, kind string) func(func(*manifest.Doc) bool) {
	return func(yield func(*manifest.Doc) bool) {
		for i := range f.Docs {
			d := &f.Docs[i]
			if d.Kind == kind && (d.Namespace == namespace || d.Namespace == "" || namespace == "") && !yield(d) {
				return
			}
		}
	}
}

func decode[T any](d *manifest.Doc) (T, error) {
	var v T
	data, problems := d.JSON()
	if err := problems.Err(); err != nil {
		return v, err
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("%s: %w", object(d), err)
	}
	return v, nil
}

// containers are those whose requests count: sidecars too.
func (w *workload) containers() []corev1.Container {
	out := slices.Clone(w.Spec.Template.Spec.Containers)
	for _, c := range w.Spec.Template.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			out = append(out, c)
		}
	}
	return out
}

// amount sums a resource over the containers of a pod in base units; ok is
// false if one lacks it.
func (w *workload) amount(container, name string, limits bool) (sum float64, ok bool) {
	ok = true
	for _, c := range w.containers() {
		if container != "" && c.Name != container {
			continue
		}
		list := c.Resources.Requests
		if limits {
			list = c.Resources.Limits
		}
		q, found := list[corev1.ResourceName(name)]
		if !found && !limits { // the API server copies a limit to an absent request
			q, found = c.Resources.Limits[corev1.ResourceName(name)]
		}
		sum += q.AsApproximateFloat64()
		ok = ok && found
	}
	return sum, ok
}

// resources are the metrics that are read from metrics-server.
func (s *subject) resources() (out []int) {
	for i, m := range s.config.Metrics {
		if m.Source == hpa.Resource || m.Source == hpa.ContainerResource {
			out = append(out, i)
		}
	}
	return out
}

func metricPath(i int) string { return fmt.Sprintf("spec.metrics[%d]", i) }

func (s *subject) hit(path, format string, args ...any) hit {
	return hit{doc: s.doc, path: path, why: fmt.Sprintf(format, args...)}
}

// selects says whether a selector matches the subject's pods.
func (s *subject) selects(sel *metav1.LabelSelector) bool {
	l, err := metav1.LabelSelectorAsSelector(sel)
	return err == nil && s.pods != nil && l.Matches(labels.Set(s.pods.Spec.Template.Labels))
}

func scaled(sp *policyv1.PodDisruptionBudget, n int32) (allowed int, ok bool) {
	percent := func(text string) int {
		var p int
		fmt.Sscanf(text, "%d%%", &p)
		return (p*int(n) + 99) / 100
	}
	switch {
	case sp.Spec.MaxUnavailable != nil:
		if sp.Spec.MaxUnavailable.StrVal != "" {
			return percent(sp.Spec.MaxUnavailable.StrVal), true
		}
		return sp.Spec.MaxUnavailable.IntValue(), true
	case sp.Spec.MinAvailable != nil:
		if sp.Spec.MinAvailable.StrVal != "" {
			return int(n) - percent(sp.Spec.MinAvailable.StrVal), true
		}
		return int(n) - sp.Spec.MinAvailable.IntValue(), true
	}
	return 0, false
}

func quantity(q resource.Quantity) float64 { return q.AsApproximateFloat64() }

// Page is the list of checks, for people.
func Page() string {
	var b strings.Builder
	b.WriteString("What hpatune doctor looks for. A check whose facts are not known says nothing.\n")
	for _, c := range Checks {
		fmt.Fprintf(&b, "\n%s (%s)\n  %s\n  Fix: %s\n  %s\n", c.ID, c.Severity, c.Title, c.Fix, c.Link)
	}
	return b.String()
}
