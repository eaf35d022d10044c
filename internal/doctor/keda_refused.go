package doctor

import (
	"cmp"
	"slices"

	"github.com/hpatune/hpatune/tuner/manifest"
)

// refusedID is the check of what KEDA or the API server would refuse.
const refusedID = "keda-refused"

// refusedHPA is what is known about a ScaledObject that would be refused: it has no HPA to
// judge.
func refusedHPA(d *manifest.Doc) HPA {
	target := d.Scaled.Target()
	h := HPA{
		Name: key(d), Target: target.Kind + "/" + target.Name, Min: d.Scaled.Min(), Max: d.Scaled.Max(),
		Judged: []string{refusedID},
	}
	c := Checks[slices.IndexFunc(Checks, func(c Check) bool { return c.ID == refusedID })]
	for _, p := range d.Refused {
		why := p.Text
		if p.Path != "" {
			why = p.Path + ": " + why
		}
		h.Findings = append(h.Findings, Finding{
			ID: c.ID, Severity: c.Severity, HPA: key(d), File: p.File, Line: p.Line, Object: object(d), Why: why,
			Fix: cmp.Or(p.Try, c.Fix), Link: c.Link,
		})
	}
	return h
}

// accepted reports nothing about a ScaledObject that could be read; refusedHPA is about the
// others.
func accepted(s *subject) ([]hit, bool) { return nil, s.keda != nil }

// doubtful finds what KEDA accepts and a person should know: unknown fields, a formula that
// divides by zero for some values, a fallback that is ignored.
func doubtful(s *subject) (hits []hit, ok bool) {
	if s.keda == nil {
		return nil, false
	}
	for _, p := range s.keda.Warnings {
		why := p.Text
		if p.Path != "" {
			why = p.Path + ": " + why
		}
		hits = append(hits, hit{doc: s.keda, path: p.Path, why: why, fix: p.Try})
	}
	return hits, true
}
