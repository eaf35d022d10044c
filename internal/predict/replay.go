package predict

import (
	"context"
	"fmt"

	"github.com/hpatune/hpatune/internal/doctor"
	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/manifest"
	"github.com/hpatune/hpatune/tuner/recorded"
)

// Replayed is one HPA replayed over a run.
type Replayed struct {
	tuner.Replayed
	Run        *results.Run
	Objectives []results.Objective
	Price      tuner.Price
	Filename   string // of the HPA; "" = the recorded one
	Replicates int
}

// Replay fits a model to the run in dir and replays it under the requested HPA. Its error
// is of kind Evidence if the run cannot be replayed.
func (a *Ask) Replay(ctx context.Context, dir string) (*Replayed, error) {
	run, err := OpenRun(dir, a.Stated.Controller)
	if err != nil {
		return nil, err
	}
	if err := a.Stated.contradicts(run); err != nil {
		return nil, err
	}
	if a.Replicates < 5 {
		return nil, failure.Inputf("--replicates %d: want at least 5", a.Replicates)
	}
	r := &Replayed{Run: run, Filename: a.Filename, Replicates: a.Replicates}
	if r.Objectives, err = Objectives(run, a.Objectives); err != nil {
		return nil, err
	}
	asked, err := a.currentHPA(run)
	if err != nil {
		return nil, err
	}
	ran, err := recorded.HPA(run)
	if err != nil {
		ran = asked // nothing was recorded: the model is fitted as if the given HPA had run
	}
	if r.Price, err = PriceOf(a.Price, r.Objectives); err != nil {
		return nil, err
	}
	loop, err := loopOf(run, asked)
	if err != nil {
		return nil, err
	}
	o := tuner.Options{
		Current:    asked.Config,
		Recorded:   &ran.Config,
		Loop:       loop,
		Objectives: r.Objectives,
		Price:      r.Price,
		Seed:       a.Seed,
		Version:    a.Version,
		Replicates: a.Replicates,
	}
	if err := a.state(&o); err != nil {
		return nil, err
	}
	if o.Fit.Loop, err = loopOf(run, ran); err != nil {
		return nil, err
	}
	o.Fit.Parts, o.Fit.Outside = keda.Parts(o.Fit.Loop, loop), doctor.Outside(&asked.Config)
	if r.Replayed, err = tuner.Replay(ctx, run, asked.Config, o); err != nil {
		return nil, failure.Evidencef("cannot replay the run: %w", err)
	}
	r.Pick.Spec, err = manifest.SpecJSON(&asked.Config, asked.Meta.Target)
	return r, err
}

// Doubt is why the figures of a replay are not valid; "" = they are.
func (r *Replayed) Doubt() string {
	if r.SelfReplay.Verdict != fit.SelfFail {
		return ""
	}
	return fmt.Sprintf("the replay does not reproduce the recorded run (%d of %d rescales matched)",
		r.SelfReplay.RescalesMatched, r.SelfReplay.Rescales)
}

// Summary is the run's summary with the objectives as the replay judged them.
func (r *Replayed) Summary() results.Summary {
	sum := results.Summarize(r.Run, r.Objectives)
	sum.Run += " replayed under " + r.Filename
	sum.Objectives = r.Judged
	if doubt := r.Doubt(); doubt != "" {
		sum.Trust.Doubt(results.ReasonSelfReplay, doubt)
	}
	return sum
}
