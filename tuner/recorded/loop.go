package recorded

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/promql"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// Loop returns KEDA's own loop beside an HPA that a ScaledObject makes, nil for others, and
// finds what its triggers read in a run. KEDA names a metric by its trigger's place
// (s0-prometheus), so a name says nothing about the query behind it. A trigger whose query
// the run did not record is computed from metrics of the pods that it did record
// (keda.Trigger.From); a formula that the run did not record is computed from its triggers.
//
// The error, of kind Evidence, names the file and line of a query that the run cannot
// answer, and what the run would have to record.
func Loop(
	run *results.Run,
	h manifest.HPA,
	ofPods func(*manifest.Trigger) (reads string, is bool),
) (*keda.Loop, error) {
	if h.Scaled == nil {
		return nil, nil
	}
	l := h.Scaled.Scaled.Loop(ofPods)
	a := archiveOf(run, ofPods)
	for i := range l.Triggers {
		t := &l.Triggers[i]
		t.Asks = timeOf(t.Query)
		if t.Query == "" || a.ran != nil && a.recorded(t.Metric) && a.asked(t) ||
			a.ran == nil && a.recorded(t.Metric) { // nobody knows what its query was
			continue
		}
		// What ran and was not sampled is left to the model, which refuses it by name.
		if err := a.derive(t); err != nil && !(a.ran != nil && a.asked(t)) {
			field := "query"
			if h.Scaled.Scaled.Spec.Triggers[i].Type != "prometheus" {
				field = "valueLocation"
			}
			if !t.Resource && (l.Formula == nil || !a.sameFormula(l)) {
				return nil, failure.As(failure.Evidence, fmt.Errorf("cannot replay %s\nTry: a run that records it: "+
					"hpatune run --scrape :8000/metrics (of the pods), or --prometheus URL --promql NAME=QUERY",
					h.Scaled.Problem(fmt.Sprintf("spec.triggers[%d].metadata.%s", i, field), err.Error(), "")))
			}
		}
	}
	if f := l.Formula; f != nil {
		scheduled := slices.ContainsFunc(l.Triggers, func(t keda.Trigger) bool { return t.Cron != nil })
		f.Computed = a.readable(l) && (scheduled || !a.recorded(keda.Composite) || !a.sameFormula(l))
		if !f.Computed && a.recorded(keda.Composite) && !a.sameFormula(l) {
			return nil, failure.Evidencef("cannot replay %s", h.Scaled.Problem("spec.advanced.scalingModifiers.formula",
				fmt.Sprintf("the run recorded the value of another formula (%s), and not what this one reads", a.ran.Formula.Text),
				""))
		}
	}
	return l, nil
}

// AsksTheSame reports whether a ScaledObject reads what the one that ran did: the same queries,
// and the same formula of them. An HPA without a ScaledObject does; where nobody knows what
// ran, one of the same metric names does.
func AsksTheSame(run *results.Run, h manifest.HPA) bool {
	if h.Scaled == nil {
		return true
	}
	ofPods := func(*manifest.Trigger) (string, bool) { return "", false }
	l, a := h.Scaled.Scaled.Loop(ofPods), archiveOf(run, ofPods)
	if a.ran == nil {
		return true
	}
	return (l.Formula == nil || a.sameFormula(l)) &&
		!slices.ContainsFunc(l.Triggers, func(t keda.Trigger) bool { return t.Query != "" && !a.asked(&t) })
}

// archive is what a run recorded, by the queries that lead to it.
type archive struct {
	run     *results.Run
	ran     *keda.Loop                     // of the ScaledObject that ran; nil = not recorded
	queries map[string]string              // a query as Prometheus prints it → the name of its samples
	samples map[string]bool                // by name: whether they are those of single pods
	pods    map[string][]string            // by name: the pods that have samples of it
	series  map[string][]map[string]string // by metric: the labels of its series on the pods' pages
	noted   map[string]bool                // series, by their whole name
}

func archiveOf(run *results.Run, ofPods func(*manifest.Trigger) (reads string, is bool)) *archive {
	a := &archive{run: run, queries: map[string]string{}, samples: map[string]bool{}, pods: map[string][]string{},
		series: map[string][]map[string]string{}, noted: map[string]bool{}}
	for i := range run.Samples {
		s := &run.Samples[i]
		a.samples[s.Name] = a.samples[s.Name] || s.Pod != ""
		a.note(s.Name, s.Pod)
	}
	for name, query := range run.Meta.Queries {
		if a.recorded(name) {
			a.queries[promql.Same(query)] = name
		}
	}
	if data, has := run.Cluster[scaledFile]; has {
		if h, err := manifest.One("cluster/"+scaledFile, data); err == nil && h.Scaled != nil {
			a.ran = h.Scaled.Scaled.Loop(ofPods)
		}
	} else if h, err := HPA(run); err == nil && h.Scaled != nil {
		a.ran = h.Scaled.Scaled.Loop(ofPods)
	}
	if a.ran != nil {
		for _, t := range a.ran.Triggers {
			if t.Query != "" && a.recorded(t.Metric) {
				a.queries[promql.Same(t.Query)] = t.Metric
			}
		}
	}
	return a
}

func (a *archive) recorded(name string) bool { _, ok := a.samples[name]; return ok }

// asked reports whether the trigger of the same name that ran asked the same query.
func (a *archive) asked(t *keda.Trigger) bool {
	return slices.ContainsFunc(a.ran.Triggers, func(o keda.Trigger) bool {
		return o.Metric == t.Metric && promql.Same(o.Query) == promql.Same(t.Query)
	})
}

// sameFormula reports whether the formula that ran has the same text over the same triggers.
func (a *archive) sameFormula(l *keda.Loop) bool {
	if a.ran == nil {
		return true // not known
	}
	if a.ran.Formula == nil || a.ran.Formula.Text != l.Formula.Text || len(a.ran.Triggers) != len(l.Triggers) {
		return false
	}
	for i, t := range l.Triggers {
		if o := a.ran.Triggers[i]; o.Name != t.Name || o.Metric != t.Metric || promql.Same(o.Query) != promql.Same(t.Query) {
			return false
		}
	}
	return true
}

// readable reports whether the value of every trigger that a formula reads can be replayed.
func (a *archive) readable(l *keda.Loop) bool {
	return !slices.ContainsFunc(l.Triggers, func(t keda.Trigger) bool {
		return !t.Resource && t.Cron == nil && t.From == nil && !a.recorded(t.Metric)
	})
}

// derive finds how a trigger's value follows from what was recorded.
func (a *archive) derive(t *keda.Trigger) error {
	plan, err := promql.PlanOf(t.Query, func(query string) (string, bool) {
		name, ok := a.queries[query]
		return name, ok
	})
	if err != nil {
		return fmt.Errorf("the run did not record %s; %w", t.Query, err)
	}
	from := &keda.Derived{Text: plan.Text}
	var missing []string
	for _, p := range plan.Parts {
		name, ok := a.named(p.Metric)
		if p.Times { // the requests themselves were recorded, if it is known which of their times this is
			name, ok = p.Metric, results.RequestTimeOf(p.Metric) != ""
			p.Pool = ""
		}
		why, unseen := a.selects(name, p.Select)
		switch {
		case (ok || p.Times) && why != "":
			return fmt.Errorf("the run did not record %s; %s", t.Query, why)
		case !ok:
			missing = append(missing, p.Metric)
		case p.Pool != "" && !a.samples[name]:
			missing = append(missing, p.Metric+" of each pod")
		}
		part := partOf(p, name)
		part.Unseen = unseen
		from.Parts = append(from.Parts, part)
	}
	if len(missing) > 0 {
		what := fmt.Sprintf("the run did not record %s, and not %s either", t.Query, strings.Join(missing, " and "))
		if a.ran != nil && a.recorded(t.Metric) {
			i := slices.IndexFunc(a.ran.Triggers, func(o keda.Trigger) bool { return o.Metric == t.Metric })
			if i >= 0 {
				what += fmt.Sprintf(" (its %s was %s)", t.Metric, cmp.Or(a.ran.Triggers[i].Query, "another trigger"))
			}
		}
		return fmt.Errorf("%s", what)
	}
	t.From = from
	return nil
}

// partOf is a part of a plan, by the name under which its metric was recorded.
func partOf(p promql.Part, name string) keda.Part {
	return keda.Part{Name: p.Name, Metric: name, Pool: p.Pool, Over: p.Over, Rate: p.Rate, Times: p.Times,
		Quantile: p.Quantile}
}

// timeOf returns the time of requests that a query reads; nil = it reads something else, too.
func timeOf(query string) *keda.Part {
	if query == "" {
		return nil
	}
	plan, err := promql.PlanOf(query, func(string) (string, bool) { return "", false })
	if err != nil || len(plan.Parts) != 1 || !plan.Parts[0].Times || plan.Text != "v0" {
		return nil
	}
	p := partOf(plan.Parts[0], plan.Parts[0].Metric)
	return &p
}

// named returns the name under which a server's metric was recorded.
func (a *archive) named(metric string) (string, bool) {
	if a.recorded(metric) {
		return metric, true
	}
	for name := range a.samples {
		if strings.ReplaceAll(name, ":", "_") == metric || strings.ReplaceAll(metric, ":", "_") == name {
			return name, true
		}
	}
	return "", false
}
