package predict

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"slices"

	"github.com/hpatune/hpatune/internal/doctor"
	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/advice"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/manifest"
	"github.com/hpatune/hpatune/tuner/recorded"
)

// Advised is a recommendation and where its files are.
type Advised struct {
	Recommendation tuner.Recommendation
	Dir            string
	Files          advice.Advice
	Next           []string // next commands to run; nil = there is nothing to apply
}

// Tune makes a recommendation from recordings, and writes its files. A refusal is also a
// recommendation. Wrong input is rejected, as Input, before anything is computed. An error
// that wraps context.Canceled means that nothing was written.
func (a *Ask) Tune(ctx context.Context, dirs []string) (*Advised, error) {
	if err := a.bounds(); err != nil {
		return nil, err
	}
	var runs []*results.Run
	for _, dir := range dirs {
		run, err := OpenRun(dir, a.Stated.Controller)
		if err != nil {
			return nil, err
		}
		if err := a.Stated.contradicts(run); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(runs, func(r *results.Run) bool {
			return r.Meta.Run == run.Meta.Run && r.Meta.Start.Equal(run.Meta.Start)
		}) {
			return nil, failure.Inputf("run %s was given twice; a run is evidence once", dir)
		}
		runs = append(runs, run)
	}
	o, current, err := a.options(runs)
	if err != nil {
		return nil, err
	}
	out := a.Out
	if out == "" {
		out = filepath.Join(dirs[0], "advice")
	}
	if err := canWrite(out); err != nil {
		return nil, failure.Inputf("advice %s: %w\nTry: --out FOLDER", out, err)
	}
	r, model, err := tuner.Recommend(ctx, runs, o)
	if err != nil {
		return nil, err
	}
	debug.FreeOSMemory() // what the search took is not needed for the report
	if o.Recorded != nil {
		r.Warnings = append(r.Warnings, fmt.Sprintf("the HPA of %s did not run: \"current\" is what the model predicts for "+
			"it; the HPA that ran is behind the measured figures", a.Filename))
	}
	done := &Advised{Recommendation: r, Dir: out}
	return done, a.write(done, runs[0], dirs[0], current, model, o.Objectives)
}

// options returns the options for tuner, and the HPA that the recommendation is about.
func (a *Ask) options(runs []*results.Run) (tuner.Options, manifest.HPA, error) {
	o := tuner.Options{Seed: a.Seed, Version: a.Version, Space: a.space(), WhatIf: a.WhatIf, Progress: a.Progress}
	var err error
	if o.Objectives, err = Objectives(runs[0], a.Objectives); err != nil {
		return o, manifest.HPA{}, err
	}
	given, err := a.givenHPA()
	if err != nil {
		return o, manifest.HPA{}, err
	}
	current, ran, err := recorded.Improved(runs, given)
	if given == nil {
		warn(a.Say, current.Warnings)
	}
	if err != nil {
		return o, current, err
	}
	o.Current, o.First, o.Recorded = current.Config, current.First, ran
	if o.Loop, err = loopOf(runs[0], current); err != nil {
		return o, current, err
	}
	o.Fit.Loop = o.Loop
	if was, none := recorded.HPA(runs[0]); given != nil && none == nil {
		if o.Fit.Loop, err = loopOf(runs[0], was); err != nil {
			return o, current, err
		}
		if !recorded.AsksTheSame(runs[0], current) { // the same sizes and targets, of another query
			o.Recorded = &was.Config
		}
	}
	if o.Price, err = PriceOf(a.Price, o.Objectives); err != nil {
		return o, current, err
	}
	if o.Nodes, err = a.nodes(); err != nil {
		return o, current, err
	}
	if o.OtherPrices, err = a.otherPrices(o.Price); err != nil {
		return o, current, err
	}
	o.Fit.Signals, o.Fit.Parts, o.Fit.Outside = a.WhatIf, keda.Parts(o.Fit.Loop, o.Loop), doctor.Outside(&current.Config)
	return o, current, a.state(&o)
}

// bounds rejects limits that contradict each other or are not positive.
func (a *Ask) bounds() error {
	switch {
	case a.given("min-floor") && a.MinFloor < 1:
		return failure.Inputf("--min-floor %d: want 1 or more", a.MinFloor)
	case a.given("max-limit") && a.MaxLimit < 1:
		return failure.Inputf("--max-limit %d: want 1 or more", a.MaxLimit)
	case a.given("min-floor") && a.MaxLimit > 0 && a.MinFloor > a.MaxLimit:
		return failure.Inputf("--min-floor %d is greater than --max-limit %d", a.MinFloor, a.MaxLimit)
	}
	return nil
}

// space is where the search goes.
func (a *Ask) space() tuner.Space {
	s := tuner.Space{MinFloor: a.MinFloor, MaxLimit: a.MaxLimit}
	if !a.given("min-floor") {
		s.MinFloor = 0 // its default gives way to a limit of 1
	}
	return s
}
