package main

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/predict"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/tuner"
)

// replayFlags are the flags of `replay` and of `gate --recording`.
type replayFlags struct {
	tuneFlags
	ticks bool
}

func newReplayCmd(s streams) *cobra.Command {
	var f replayFlags
	c := &cobra.Command{
		Use:  "replay RUN -f hpa.yaml",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return s.runReplay(cmd.Context(), args[0], f) },
	}
	f.bind(c, asJSON)
	c.Flags().BoolVar(&f.ticks, "ticks", false, "")
	return c
}

func (f *replayFlags) bind(c *cobra.Command, outputs ...format) {
	bindPredicted(c.Flags(), &f.ask)
	c.Flags().IntVar(&f.ask.Replicates, "replicates", 20, "")
	outputFlag(c.Flags(), &f.output, "", outputs...)
}

func (s streams) runReplay(ctx context.Context, dir string, f replayFlags) error {
	r, err := s.askOf(f.ask).Replay(ctx, dir)
	if err != nil {
		return err
	}
	if f.ticks {
		if err := report.Ticks(s.out, r.Timeline); err != nil {
			return quietPipe(err)
		}
	}
	trust := r.Summary().Trust
	if f.output == asJSON {
		e := json.NewEncoder(s.out)
		e.SetEscapeHTML(false)
		err = e.Encode(report.ReplayOf(r.Run.Meta.Run, trust, r.Pick, r.Judged))
	} else {
		s.warnings(r)
		if err = s.line("%s\n", trust.Line()); err == nil {
			err = report.ReplayText(s.out, &r.Pick, tuner.Describe(r.Pick.Config), r.Price, r.SelfReplay, r.Judged)
		}
	}
	if err == nil && trust.Spoils(r.Objectives) {
		return exit(exitNotValid, nil)
	}
	return err
}

// warnings prints what was assumed, and the warnings of a replay.
func (s streams) warnings(r *predict.Replayed) {
	for _, a := range r.Assumed {
		s.warnf("assumed: %s", a)
	}
	for _, w := range r.Warnings {
		s.warnf("warning: %s", w)
	}
}
