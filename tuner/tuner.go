// Package tuner recommends a configuration from recorded runs. It fits a model of the
// pods to the recording, replays the offered load under many configurations, and picks
// the cheapest that meets the objectives, with reasons and confidence.
package tuner

import (
	"context"
	"fmt"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
)

// Options is what Recommend needs beside the runs.
type Options struct {
	Current hpa.Config // what is to be improved: where the search begins, and what the pick is compared with
	// Recorded is the configuration that ran, if that is not Current; nil = Current ran.
	Recorded *hpa.Config
	// Loop is KEDA's own loop next to Current, if a ScaledObject makes it; nil = none.
	// Fit.Loop is that of what ran.
	Loop       *keda.Loop
	First      bool // no HPA ran, and Current is only there to compare with
	Objectives []results.Objective
	Fit        FitOptions // what is stated and not measured
	Price      Price
	Space      Space // MinFloor and MaxLimit; the rest is filled from the fit
	// Replicates is the minimum number of days of the exact plant for every configuration
	// that is shown; 0 = 20. Configurations that must be told apart get up to 200.
	Replicates int
	// Nodes is what pods run on, and what is paid for; nil = there is always room, and
	// replicas are paid for.
	Nodes *Nodes
	// WhatIf asks what would change the bill or the attainment most, and OtherPrices are
	// additional price lists for it.
	WhatIf      bool
	OtherPrices []Price
	Seed        int64
	Version     string
	// Progress is called with what is being done and how far it is; nil = not.
	Progress func(stage string, done, total int)
}

// ran is the configuration under which the run was recorded.
func (o *Options) ran() hpa.Config {
	if o.Recorded != nil {
		return *o.Recorded
	}
	return o.Current
}

// Recommend goes from evidence to fit, bench, ranking and advice. Each stage returns what
// the next one needs, or a Refusal. Runs of one workload at fixed sizes are joined: the
// first gives the offered load, all of them the model of the pods. Of runs under an
// autoscaler, only the first is used.
//
// A refusal is a recommendation whose verdict is Refuse; an error means that something
// could not be computed. The model is what was fitted, nil if nothing could be.
func Recommend(ctx context.Context, runs []*results.Run, o Options) (Recommendation, *Model, error) {
	if o.Replicates == 0 {
		o.Replicates = 20
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	o.Space.MaxLimit = places(o.Nodes, o.Space.MaxLimit)
	quota := o.admitted(runs[0])
	r := blank(runs, o)
	r.Notes = append(r.Notes, quota...)
	o.Objectives, r.NotCovered = cover(runs[0], o)
	refuse := func(m *Model, no *Refusal, err error) (Recommendation, *Model, error) {
		if err == nil {
			r.Verdict = Refuse
			r.Refusal = append(r.Refusal, *no)
		}
		return r, m, err
	}

	seen, no, err := gather(runs, o)
	r.Trust = seen.trust
	if no != nil || err != nil {
		return refuse(nil, no, err)
	}
	r.Warnings = append(r.Warnings, seen.warnings...)

	o.Progress("fit", 0, 1)
	f, model, no, err := learn(seen, o, r.NotCovered)
	r.tell(f, o)
	if no != nil || err != nil {
		return refuse(model, no, err)
	}
	o.Progress("fit", 1, 1)

	r.Notes = append(r.Notes, o.resumed()...)
	o = o.asScaled()
	b, err := newBench(seen.run, f, newGoals(o.Objectives), o)
	if err != nil {
		return r, model, err
	}
	if no := b.hopeless(); no != nil {
		return refuse(model, no, nil)
	}
	notes, no := b.undefined(o.Current)
	if no != nil {
		return refuse(model, no, nil)
	}
	r.Warnings = append(r.Warnings, notes...)
	own, err := b.itself(ctx, seen.run, o.ran(), o.Replicates)
	if err != nil {
		return r, model, err
	}
	f.SelfReplay = within(f.SelfReplay, seen.run, b, own)
	r.SelfReplay, r.Measured = f.SelfReplay, b.measured(seen.run, o.Objectives)
	b.world.Doubt.Off = offOf(r.Measured, own)
	model.Fitted.Doubt = b.world.Doubt
	if no, bad := unfit(&f); bad {
		return refuse(model, &no, nil)
	}
	r.Assumed = append(r.Assumed, b.onNodes(o.Nodes)...)
	model.Fitted.Nodes, model.Fitted.Start = b.world.Nodes, b.world.Start // verify plays them
	if o.Nodes != nil && r.Measured != nil {
		r.Measured.USDHour = nil // what the run's own nodes cost is not known
	}
	if b.space.Peak, err = b.resampled(ctx, o.Replicates); err != nil {
		return r, model, err
	}

	ranked, err := b.rank(ctx, o)
	if err != nil {
		return r, model, err
	}
	no, err = b.advise(ctx, &r, ranked, o)
	if no != nil || err != nil {
		return refuse(model, no, err)
	}
	return r, model, nil
}

// blank is a recommendation that only says what it is about.
func blank(runs []*results.Run, o Options) Recommendation {
	r := Recommendation{
		Schema:     RecommendationSchema,
		Version:    o.Version,
		Seed:       o.Seed,
		Price:      o.Price,
		Objectives: []string{},
		Refusal:    []Refusal{},
		Assumed:    []string{},
		Changes:    []Changed{},
		Worst:      []Worst{},
		Warnings:   []string{},
		Notes:      []string{},
		Front:      []Point{},
		Equals:     []*Pick{},
	}
	for _, run := range runs {
		r.Runs = append(r.Runs, run.Meta.Run)
	}
	for _, ob := range o.Objectives {
		r.Objectives = append(r.Objectives, ob.String())
	}
	return r
}

// tell copies the messages of the fit, also if it refuses.
func (r *Recommendation) tell(f Fitted, o Options) {
	r.Warnings = append(r.Warnings, f.Warnings...)
	if o.First {
		r.Assumed = append(
			r.Assumed,
			fmt.Sprintf(
				"there is no HPA yet, so the recommendation is compared with what kubectl autoscale would create: %s",
				Describe(o.Current),
			),
		)
	}
	r.Assumed = append(r.Assumed, f.Assumed...)
	for i := range f.Signals {
		var law *plant.Law
		if f.World != nil {
			law = &f.World.Service
		}
		r.Signals = append(r.Signals, signalRow(&f.Signals[i], law))
	}
	r.SelfReplay, r.Shadow, r.Unpriced = f.SelfReplay, f.Shadow, o.Price.Missing(f.Replica)
}
