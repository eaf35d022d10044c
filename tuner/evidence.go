package tuner

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/replay"
)

// evidence is what the recommendation rests on.
type evidence struct {
	runs     []*results.Run // as given
	run      *results.Run   // whose load is replayed: the first
	whole    *results.Run   // what is fitted: the first, or all joined
	trust    string         // valid or unverified: the worst of those used
	warnings []string
}

// gather joins runs at fixed sizes, and takes the first of other runs. It refuses runs that
// are not valid.
func gather(runs []*results.Run, o Options) (evidence, *Refusal, error) {
	e := evidence{runs: runs, run: runs[0], whole: runs[0]}
	used := runs[:1]
	if fixedSizes(runs) && len(runs) > 1 {
		var err error
		if e.whole, err = results.Join(runs...); err != nil {
			return e, nil, err
		}
		used = runs
	} else if len(runs) > 1 {
		e.warnings = append(
			e.warnings,
			fmt.Sprintf("only %s is used: runs under an autoscaler cannot be joined", e.run.Meta.Run),
		)
	}
	for _, run := range used {
		trust := results.Summarize(run, o.Objectives).Trust
		if e.trust == "" || trust.Verdict != results.Valid {
			e.trust = string(trust.Verdict)
		}
		if trust.Verdict == results.Invalid {
			return e, &Refusal{
				"evidence",
				run.Meta.Run + ": " + trust.Line(),
				"a valid run; the trust line says what is wrong with this one",
			}, nil
		}
		for _, r := range trust.Reasons {
			if r.ID == results.ReasonForeign && r.Verdict == results.Unverified {
				e.warnings = append(e.warnings, run.Meta.Run+": the recommendation assumes that nobody else sent requests; "+r.Text)
			}
		}
	}
	return e, nil, nil
}

func fixedSizes(runs []*results.Run) bool {
	for _, r := range runs {
		if r.Meta.Target.Kind != results.OfFixed {
			return false
		}
	}
	return true
}

// learn fits the evidence. It refuses if the fit does not reproduce the evidence, if it
// cannot show what the configurations scale on, or if no objective outside not is left to
// judge. The model is nil if nothing could be fitted.
func learn(e evidence, o Options, not []NotCovered) (Fitted, *Model, *Refusal, error) {
	ran := o.ran()
	o.Fit.Limits = newGoals(o.Objectives).limits()
	o.Fit.Seed = uint64(o.Seed)
	o.Fit.Reads = o.reads(o.Current.Metrics)
	if e.whole != e.run {
		o.Fit.Load = e.run
	}
	f, err := Fit(e.whole, ran, o.Fit)
	if d := (*fit.Doubt)(nil); errors.As(err, &d) {
		no := Refusal(*d)
		return f, nil, &no, nil
	}
	if err != nil {
		return f, nil, &Refusal{
			"fit",
			err.Error(),
			"a run that observes what is missing, or flags that state it: -f hpa.yaml --startup 90s --requests cpu=1,memory=2Gi",
		}, nil
	}
	m := newModel(e.run, f, o)
	if len(o.Objectives) == 0 && len(not) > 0 {
		no := uncovered(not)
		return f, m, &no, nil
	}
	if no, bad := unfit(&f); bad {
		return f, m, &no, nil
	}
	if no := unseenMetrics(&f, &o.Current, o.Loop); no != nil {
		return f, m, no, nil
	}
	no, err := unlike(m, e.runs, o)
	return f, m, no, err
}

// unseenMetrics refuses a configuration that scales on a metric that the run did not
// record, or that nothing in it explains. Simulated as a failing metric, the configuration
// would be judged by a fault that it may not have. The cron triggers of a loop need no
// recording.
func unseenMetrics(f *Fitted, c *hpa.Config, l *keda.Loop) *Refusal {
	world := f.World
	if l != nil {
		world = world.Under(l)
	}
	blind := world.Blind(c)
	if len(blind) == 0 {
		return nil
	}
	for i := range c.Metrics {
		if why := f.Unread[c.Metrics[i].Name]; why != "" {
			return &Refusal{"metric", "the HPA scales on a metric that cannot be replayed: " + why,
				"another metric, or a longer run in which it rises and falls with the load"}
		}
	}
	if l != nil {
		for _, p := range keda.Parts(l) {
			if why := f.Unread[p.Name]; why != "" {
				return &Refusal{"metric", "the HPA scales on a metric that cannot be replayed: " + why,
					"another metric, or a longer run in which it rises and falls with the load"}
			}
		}
	}
	if !slices.ContainsFunc(blind, func(b string) bool { return !strings.HasSuffix(b, replay.NoContainer) }) {
		var names []string
		for _, c := range world.Containers {
			names = append(names, c.Name)
		}
		return &Refusal{"metric", "the HPA scales on " + strings.Join(blind, ", "),
			"a container that the recorded pods have: " + strings.Join(names, ", ")}
	}
	return &Refusal{"metric", "the HPA scales on metrics that this run did not record: " + strings.Join(blind, ", "),
		"a run that records them: hpatune run --scrape :8000/metrics (of the pods), or --prometheus URL --promql " +
			"NAME=QUERY; " +
			"or a run under an HPA with these metrics (--hpa)"}
}

// unlike compares the model with the runs at fixed sizes to which it was fitted. No
// autoscaler decided there, so the share of good requests is what the model must reproduce.
func unlike(m *Model, runs []*results.Run, o Options) (*Refusal, error) {
	for _, run := range runs {
		if run.Meta.Target.Kind != results.OfFixed {
			return nil, nil
		}
		w, err := m.World(run, o.Current)
		if err != nil {
			return nil, err
		}
		size := hpa.DefaultConfig(w.Replicas)
		size.MinReplicas = w.Replicas
		for _, c := range Compare(w, size, run, o.Objectives, o.Seed, 4).Figures {
			if c.Name == "attainment" && c.Error != nil && *c.Error > fit.AttainmentLimit {
				return &Refusal{
					"self-replay",
					fmt.Sprintf(
						"at %d replicas the model predicts %s of the requests within their limits, but %s had %s",
						w.Replicas,
						figure.Percent(c.Predicted.Value),
						run.Meta.Run,
						figure.Percent(*c.Actual),
					),
					"longer runs, on nodes without other load; the model only explains requests that are slow or fail because of load",
				}, nil
			}
		}
	}
	return nil, nil
}
