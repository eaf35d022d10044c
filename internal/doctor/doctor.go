// Package doctor checks HorizontalPodAutoscalers against facts: the objects around
// them, from files or a cluster, and measurements. It reads only its arguments.
package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

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

// Finding is one problem of one HPA. File is "" and Line 0 if the object was read from a
// cluster.
type Finding struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	HPA      string   `json:"hpa"` // namespace/name of the HPA that is judged
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Object   string   `json:"object"` // Kind/namespace/name of what is wrong
	Why      string   `json:"why"`
	Fix      string   `json:"fix"`
	Link     string   `json:"link"`
}

// HPA is one autoscaler and what was found.
type HPA struct {
	Name     string    `json:"name"`   // namespace/name; "-" = no namespace said
	Target   string    `json:"target"` // Kind/name
	Min      int32     `json:"min_replicas"`
	Max      int32     `json:"max_replicas"`
	Now      *int32    `json:"current_replicas"` // by its status; nil = no status
	Findings []Finding `json:"-"`                // worst first
	// Judged are the ids of the checks that had the facts they need; the others report
	// nothing.
	Judged []string `json:"-"`
	// NotJudged says what could not be judged, one sentence each.
	NotJudged []string `json:"-"`
}

// Count returns how many findings have a severity.
func (h *HPA) Count(s Severity) (n int) {
	for _, x := range h.Findings {
		if x.Severity == s {
			n++
		}
	}
	return n
}

// hit is a finding without the texts of its check.
type hit struct {
	doc      *manifest.Doc
	path     string
	why      string
	fix      string   // "" = the check's
	severity Severity // "" = the check's
}

// Judge returns the HPAs, including healthy ones: those with the worst findings first, then
// by name. name, if not "", leaves other HPAs out. The error is about objects that could
// not be read; the others are still judged.
func Judge(f Facts, name string) ([]HPA, error) {
	hpas, _, err := judge(f, name)
	return hpas, err
}

// judge also counts how often each check had the facts that it needs.
func judge(f Facts, name string) (out []HPA, ran map[string]int, err error) {
	f.index()
	ran = map[string]int{}
	var errs []error
	for i := range f.Docs {
		doc := &f.Docs[i]
		if len(doc.Refused) > 0 && (name == "" || doc.Name == name) {
			out = append(out, refusedHPA(doc))
			ran[refusedID]++
		}
		if doc.HPA == nil || name != "" && doc.Name != name || f.present(doc) {
			continue
		}
		s, err := newSubject(&f, doc)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ref := doc.HPA.Spec.ScaleTargetRef
		h := HPA{Name: key(doc), Target: ref.Kind + "/" + ref.Name, Min: s.config.MinReplicas, Max: s.config.MaxReplicas}
		h.NotJudged = s.notJudged()
		if len(doc.HPA.Status.Conditions) > 0 {
			h.Now = &doc.HPA.Status.CurrentReplicas
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
			h.Judged = append(h.Judged, c.ID)
			for _, x := range hits {
				h.Findings = append(h.Findings, finding(s, c, x))
			}
		}
		slices.SortStableFunc(h.Findings, func(a, b Finding) int { // then in the order of the checks
			return cmp.Compare(a.Severity.rank(), b.Severity.rank())
		})
		out = append(out, h)
	}
	slices.SortStableFunc(out, func(a, b HPA) int {
		return cmp.Or(-cmp.Compare(a.Count(Error), b.Count(Error)), -cmp.Compare(a.Count(Warning), b.Count(Warning)),
			-cmp.Compare(a.Count(Info), b.Count(Info)), cmp.Compare(a.Name, b.Name))
	})
	return out, ran, errors.Join(errs...)
}

// notJudged says what is unknown about the subject's target, and what cannot be judged
// because of that.
func (s *subject) notJudged() []string {
	ref, r := s.doc.HPA.Spec.ScaleTargetRef, s.target
	const pods = "requests, limits, probes, labels and images"
	switch {
	case s.work != nil:
		return nil
	case r.doc != nil:
		return []string{
			fmt.Sprintf(
				"%s: its target %s has no known pod template, so %s are not checked",
				key(s.doc),
				object(r.doc),
				pods,
			),
		}
	case s.facts.Live:
		return nil // what could not be read is said by who read it
	case r.near != nil:
		return []string{
			fmt.Sprintf(
				"%s: its target %s/%s is not among these files (%s, at %s, %s), so its %s are not checked",
				key(s.doc),
				ref.Kind,
				ref.Name,
				object(r.near),
				place(r.near),
				r.how,
				pods,
			),
		}
	}
	return []string{
		fmt.Sprintf(
			"%s: its target %s/%s is not among these files, so its %s are not checked",
			key(s.doc),
			ref.Kind,
			ref.Name,
			pods,
		),
	}
}

// present reports whether a document is a ScaledObject whose HPA is among the facts. That
// HPA is then judged, with what the ScaledObject says about it.
func (f *Facts) present(d *manifest.Doc) bool {
	return d.Scaled != nil &&
		slices.ContainsFunc(f.beside(d, "HorizontalPodAutoscaler"), func(h *manifest.Doc) bool { return owns(d, h) })
}

func finding(s *subject, c Check, h hit) Finding {
	out := Finding{
		ID:       c.ID,
		Severity: cmp.Or(h.severity, c.Severity),
		HPA:      key(s.doc),
		Object:   object(h.doc),
		Why:      h.why,
		Fix:      cmp.Or(h.fix, c.Fix),
		Link:     c.Link,
	}
	if s.keda != nil {
		out.Why, out.Fix = scaledWords.Replace(out.Why), scaledWords.Replace(out.Fix)
	}
	if !s.facts.Live {
		out.File, out.Line = h.doc.File, h.doc.LineOf(h.path)
	}
	return out
}

// scaledWords turns the fields of an HPA into those of the ScaledObject that a person edits.
var scaledWords = strings.NewReplacer(
	"minReplicas", "minReplicaCount", "maxReplicas", "maxReplicaCount",
	"set behavior,", "set advanced.horizontalPodAutoscalerConfig.behavior,",
)

// key is how an HPA is named in findings and in Facts.Probes.
func key(d *manifest.Doc) string { return cmp.Or(d.Namespace, "-") + "/" + d.Name }

func object(d *manifest.Doc) string { return d.Kind + "/" + key(d) }

// Ignore is the annotation that silences checks: "ID reason", one per line.
const Ignore = "hpatune.dev/ignore"

func ignored(annotations map[string]string) map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(annotations[Ignore]) {
		// A silence needs a reason, since otherwise nobody could tell later why it is
		// there.
		if w := strings.Fields(line); len(w) > 1 {
			out[w[0]] = true
		}
	}
	return out
}

// Page is the list of checks, with the decisions on borderline cases.
func Page() string {
	var b strings.Builder
	b.WriteString("What hpatune doctor checks. A check is skipped if the facts that it needs are not known.\n")
	for _, c := range Checks {
		fmt.Fprintf(&b, "\n%s (%s)\n  %s\n  Fix: %s\n  %s\n", c.ID, c.Severity, c.Title, c.Fix, c.Link)
	}
	b.WriteString("\nHow borderline cases are decided\n" + decisions)
	return b.String()
}

const decisions = `
- The target is not among the files: no finding, since it may be in another
  repository. The text and not_judged list what could not be checked. If an
  object has a similar name, it is a warning (target-missing).
- minReplicas equals maxReplicas: info. If the size is fixed on purpose,
  silence it with the annotation hpatune.dev/ignore.
- type: Utilization beside averageValue, or the like: info. The controller
  uses the field that is set. For an Object metric it uses the type, so there
  it is an error.
- A VPA and an HPA: checked container by container. Mode Off for a sidecar
  leaves the other containers controlled (an error); controlledResources:
  [memory] does not touch a CPU target; a policy for a container that the pods
  do not have has no effect; updateMode Initial changes requests, too.
- minReplicas: 0: info. It needs the feature gate HPAScaleToZero up to
  Kubernetes 1.36.
- A metric whose name ends in _total: a warning, since only the adapter knows
  whether it serves a rate under that name.
- The same HPA in two folders or files (dev/, prod/): two environments, each
  checked on its own. Twice in one file: a warning; the later one is used.
- Files of a folder without Kubernetes objects, templates that are not
  rendered, and kustomize patches: skipped, and listed as skipped. A file that
  you name is never skipped. If a file was meant to hold an HPA and cannot be
  read, the exit code is 2, after the others were checked.
- Byte order marks are ignored at the beginning of a file or document.
`
