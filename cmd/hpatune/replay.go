package main

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/doctor"
	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/manifest"
	"github.com/hpatune/hpatune/tuner/recorded"
)

// replayFlags are the flags of `replay` and of `gate --recording`.
type replayFlags struct {
	tune  tuneFlags
	ticks bool
}

func newReplayCmd(s streams) *cobra.Command {
	var f replayFlags
	c := &cobra.Command{
		Use:  "replay RUN -f hpa.yaml",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return s.runReplay(cmd.Context(), args[0], f) },
	}
	f.bind(c, "json")
	c.Flags().BoolVar(&f.ticks, "ticks", false, "")
	return c
}

func (f *replayFlags) bind(c *cobra.Command, outputs ...string) {
	fl := c.Flags()
	fl.StringVarP(&f.tune.filename, "filename", "f", "", "")
	fl.StringArrayVar(&f.tune.objectives, "objective", nil, "")
	fl.Int64Var(&f.tune.seed, "seed", 1, "")
	fl.StringVar(&f.tune.price, "price", "", "")
	fl.IntVar(&f.tune.replicates, "replicates", 20, "")
	f.tune.bindStated(fl)
	outputFlag(fl, &f.tune.output, "", outputs...)
}

// replayed is one HPA replayed over a run.
type replayed struct {
	run        *results.Run
	objectives []results.Objective
	hpa        manifest.HPA
	outcome    tuner.Replayed
	replicates int
	price      tuner.Price
}

// replayOver fits the run and replays it under f's HPA.
func (s streams) replayOver(ctx context.Context, dir string, f tuneFlags) (*replayed, error) {
	run, err := openRun(dir, f.controller)
	if err != nil {
		return nil, err
	}
	if err := f.observed(run); err != nil {
		return nil, err
	}
	if f.replicates < 5 {
		return nil, usagef("--replicates %d: want at least 5", f.replicates)
	}
	r := &replayed{run: run, replicates: f.replicates}
	if r.objectives, err = s.objectivesOf(run, f.objectives); err != nil {
		return nil, err
	}
	if r.hpa, err = s.currentHPA(run, f.filename); err != nil {
		return nil, err
	}
	ran, err := recorded.HPA(run)
	if err != nil {
		ran = r.hpa // nothing was recorded: the world is fitted as under the given one
	}
	if r.price, err = readPrice("price", f.price); err != nil {
		return nil, err
	}
	o := tuner.Options{
		Current:    ran.Config,
		Loop:       loopOf(r.hpa),
		Objectives: r.objectives,
		Price:      r.price,
		Seed:       f.seed,
		Version:    version,
		Replicates: f.replicates,
	}
	if err := f.assume(&o); err != nil {
		return nil, err
	}
	o.Fit.Loop, o.Fit.Outside = loopOf(ran), doctor.Outside(&r.hpa.Config)
	r.outcome, err = tuner.Replay(ctx, run, r.hpa.Config, o)
	if err != nil {
		return nil, failure.Evidencef("cannot replay the run: %w", err)
	}
	return r, nil
}

func (s streams) runReplay(ctx context.Context, dir string, f replayFlags) error {
	r, err := s.replayOver(ctx, dir, f.tune)
	if err != nil {
		return err
	}
	if f.ticks {
		if err := report.Ticks(s.out, r.outcome.Timeline); err != nil {
			return quietPipe(err)
		}
	}
	pick := r.outcome.Pick
	spec, err := manifest.SpecJSON(&r.hpa.Config, r.hpa.Meta.Target)
	if err != nil {
		return err
	}
	pick.Spec = spec
	if f.tune.output == "json" {
		e := json.NewEncoder(s.out)
		e.SetEscapeHTML(false)
		return e.Encode(report.ReplayOf(r.run.Meta.Run, pick, r.outcome.Judged))
	}
	s.warnings(r.outcome)
	if self := r.outcome.SelfReplay; self.Verdict == fit.SelfFail {
		s.warnf(
			"warning: the replay does not reproduce the recorded run (%d of %d rescales matched), so its figures are not valid",
			self.RescalesMatched,
			self.Rescales,
		)
	}
	return report.ReplayText(s.out, &pick, tuner.Describe(pick.Config), r.price, r.outcome.SelfReplay, r.outcome.Judged)
}

// warnings says what was assumed and doubted.
func (s streams) warnings(r tuner.Replayed) {
	for _, a := range r.Assumed {
		s.warnf("assumed: %s", a)
	}
	for _, w := range r.Warnings {
		s.warnf("warning: %s", w)
	}
}
