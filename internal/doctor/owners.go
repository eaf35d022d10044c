package doctor

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// The checks of which pods an HPA sees: it finds them by labels only.

// selectorTemplate finds a selector does not select the pods of its own template.
func selectorTemplate(s *subject) ([]hit, bool) {
	if s.work == nil || group(s.workDoc.APIVersion) != "apps" || s.facts.Live {
		return nil, s.work != nil
	}
	w := s.work
	switch {
	case w.selector == nil:
		return []hit{
			{
				doc:  s.workDoc,
				path: "spec",
				why:  fmt.Sprintf("%s has no spec.selector, so the API server rejects it", object(s.workDoc)),
				fix:  "add selector: {matchLabels: …} with the labels of its template",
			},
		}, true
	case !w.picks(w.template.Labels):
		return []hit{
			{
				doc:  s.workDoc,
				path: "spec.selector",
				why: fmt.Sprintf(
					"the selector (%s) does not select the pods of its own template (labels %s), so the API server rejects it, "+
						"and an HPA would find no pods",
					metav1.FormatLabelSelector(w.selector),
					labelsText(w.template.Labels),
				),
			},
		}, true
	}
	return nil, true
}

func labelsText(set map[string]string) string {
	var out []string
	for k, v := range set {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ",")
}

// strangers finds pods of other workloads that the target's selector also selects.
func strangers(s *subject) (hits []hit, ok bool) {
	if s.work == nil || s.work.selector == nil {
		return nil, false
	}
	reads := slices.ContainsFunc(
		s.config.Metrics,
		func(m hpa.Metric) bool { return m.Source != hpa.External && m.Source != hpa.Object },
	)
	if !reads {
		return nil, true
	}
	for _, kind := range makers {
		if kind == "Pod" && s.facts.Live {
			continue // there, every pod is one: strangersLive looks at their owners
		}
		for _, d := range s.of(kind) {
			w, err := s.facts.workload(d)
			if err != nil || w == nil || d == s.workDoc || d == s.work.doc || same(d, s.workDoc) ||
				!s.work.picks(w.template.Labels) {
				continue
			}
			if kind == "ReplicaSet" && len(w.meta.OwnerReferences) > 0 {
				continue
			}
			hits = append(hits, s.stranger(object(d), w.template.Spec, kind == "Job" || kind == "CronJob"))
		}
	}
	return append(hits, s.strangersLive()...), true
}

// strangersLive looks at the owners of the running pods. A pod without one may be adopted
// at any time, and belongs to nobody.
func (s *subject) strangersLive() (hits []hit) {
	if !s.facts.Live || group(s.workDoc.APIVersion) != "apps" {
		return nil
	}
	seen := map[string]bool{}
	for _, p := range s.pods {
		c := metav1.GetControllerOf(p)
		if c == nil {
			continue
		}
		whose := c.Kind + "/" + c.Name
		if c.Kind == "ReplicaSet" { // NAME-HASH, of the Deployment NAME
			if i := strings.LastIndexByte(c.Name, '-'); i > 0 {
				whose = "Deployment/" + c.Name[:i]
			}
		}
		if mine := s.workDoc.Kind + "/" + s.workDoc.Name; seen[whose] || whose == mine || c.Kind+"/"+c.Name == mine {
			continue
		}
		seen[whose] = true
		hits = append(hits, s.stranger(whose, p.Spec, false))
	}
	return hits
}

func (s *subject) stranger(whose string, spec corev1.PodSpec, ends bool) hit {
	h := hit{doc: s.workDoc, path: "spec.selector", severity: Warning}
	h.why = fmt.Sprintf("the selector of %s (%s) selects the pods of %s, too: the HPA averages its metrics over both",
		object(s.workDoc), metav1.FormatLabelSelector(s.work.selector), whose)
	other := subject{facts: s.facts, doc: s.doc, spec: spec}
	other.fill()
	for _, i := range s.resources() {
		m := s.config.Metrics[i]
		_, has := other.amount(m.Container, m.Name, false)
		if m.Target.AverageMilli == 0 && !has {
			h.severity = Error
			h.why += fmt.Sprintf(
				", and these have no %s request, so the metric always fails: FailedGet%sMetric",
				m.Name,
				m.Source,
			)
			break
		}
	}
	if ends && h.severity != Error {
		h.why += "; completed pods count as pods without metrics, which delays scaling down"
	}
	return h
}

// rival is another HPA that selects pods which this one selects.
func rivals(s *subject) (hits []hit, ok bool) {
	for _, d := range s.autoscalers() {
		if d == s.doc || d.HPA == nil || same(d, s.doc) || owns(d, s.doc) || owns(s.doc, d) {
			continue
		}
		if d.Kind != s.doc.Kind && d.HPA.Name == s.doc.HPA.Name && d.Scaled == nil && s.doc.Scaled == nil {
			continue // KServe's own, and the InferenceService that it is made of
		}
		if sameTarget(d, s.doc) {
			if (d.Scaled == nil) != (s.doc.Scaled == nil) {
				continue // kedaBeside
			}
			h := s.hit(
				"spec.scaleTargetRef",
				"%s (%s) has the same target: both stop with AmbiguousSelector",
				object(d),
				place(d),
			)
			if s.facts.Live {
				h.why = fmt.Sprintf("%s has the same target: both stop with AmbiguousSelector", object(d))
			} else if dir(s.doc.File) != dir(d.File) && s.doc.Namespace == "" && d.Namespace == "" {
				h.severity = Warning
				h.why = fmt.Sprintf(
					"%s (%s) has the same target; in one namespace both stop with AmbiguousSelector",
					object(d),
					place(d),
				)
			}
			hits = append(hits, h)
			continue
		}
		o, err := newTarget(s.facts, d)
		if err != nil || o.work == nil || s.work == nil {
			continue
		}
		if s.work.picks(o.work.template.Labels) || o.work.picks(s.work.template.Labels) {
			hits = append(
				hits,
				s.hit(
					"spec.scaleTargetRef",
					"%s selects pods of the same labels (its target is %s): both stop with AmbiguousSelector",
					object(d),
					o.work.doc.Kind+"/"+o.work.doc.Name,
				),
			)
		}
	}
	return hits, true
}

func dir(file string) string { return file[:strings.LastIndexAny(file, `/\`)+1] }

// twice finds an HPA that is in one file twice: the later one counts.
func twice(s *subject) (hits []hit, ok bool) {
	if s.facts.Live {
		return nil, true
	}
	for _, d := range s.facts.of(s.doc.Namespace, s.doc.Kind) {
		if d.File == s.doc.File && same(d, s.doc) && d.Line < s.doc.Line {
			hits = append(
				hits,
				s.hit("metadata.name", "%s is already in this file, on line %d; this one replaces it", object(d), d.Line),
			)
		}
	}
	return hits, true
}

// newTarget is the part of a subject that identifies its pods; it is computed once.
func newTarget(f *Facts, doc *manifest.Doc) (*subject, error) {
	if s := f.targets[doc]; s != nil {
		return s, nil
	}
	s := &subject{facts: f, doc: doc}
	f.targets[doc] = s
	s.target = s.resolve(doc.HPA.Spec.ScaleTargetRef)
	if s.target.doc == nil {
		return s, nil
	}
	w, err := f.workload(s.target.doc)
	if err != nil {
		delete(f.targets, doc)
	}
	if err != nil || w == nil {
		return s, err
	}
	s.work, s.workDoc, s.spec, s.labels = w, s.target.doc, w.template.Spec, w.template.Labels
	return s, nil
}
