package main

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hpatune/hpatune/internal/live"
	"github.com/hpatune/hpatune/internal/predict"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/tuner"
)

// tuneFlags are the flags of `tune`.
type tuneFlags struct {
	ask    predict.Ask
	output format
}

func newTuneCmd(s streams) *cobra.Command {
	var f tuneFlags
	c := &cobra.Command{
		Use:  "tune RUN…",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := s.runTune(cmd.Context(), args, f)
			return err
		},
	}
	f.bind(c)
	return c
}

func (f *tuneFlags) bind(c *cobra.Command) {
	fl, a := c.Flags(), &f.ask
	bindPredicted(fl, a)
	fl.Lookup("price").Usage = "prices: a YAML file (see hpatune help cost), or one of " +
		strings.Join(tuner.PriceNames(), ", ")
	fl.StringVar(&a.Out, "out", "", "")
	fl.StringArrayVar(&a.OtherPrices, "other-price", nil, "")
	fl.BoolVar(&a.WhatIf, "what-if", true, "")
	bindNodes(fl, &a.Nodes)
	fl.Int32Var(&a.MinFloor, "min-floor", 2, "")
	fl.Int32Var(&a.MaxLimit, "max-limit", 0, "")
	outputFlag(fl, &f.output, " (recommendation.json)", asJSON)
}

// bindNodes binds the flags that describe nodes.
func bindNodes(fl *pflag.FlagSet, n *predict.Nodes) {
	fl.IntVar(&n.Kept, "nodes", 0, "")
	fl.IntVar(&n.PerNode, "pods-per-node", 0, "")
	fl.DurationVar(&n.Startup, "node-startup", 4*time.Minute, "")
	fl.DurationVar(&n.Idle, "node-idle", 10*time.Minute, "")
	fl.IntVar(&n.Most, "max-nodes", 0, "")
}

// bindPredicted binds the flags of every command that predicts: which HPA, which
// objectives, and what the run could not observe.
func bindPredicted(fl *pflag.FlagSet, a *predict.Ask) {
	fl.StringVarP(&a.Filename, "filename", "f", "", "")
	fl.StringArrayVar(&a.Objectives, "objective", nil, "")
	fl.Int64Var(&a.Seed, "seed", 1, "")
	fl.StringVar(&a.Price, "price", "", "")
	fl.DurationVar(&a.Stated.Startup, "startup", 0, "")
	fl.StringVar(&a.Stated.Requests, "requests", "", "")
	fl.StringVar(&a.Stated.Controller, "controller", "", "")
	fl.Int32Var(&a.Stated.Replicas, "replicas", 0, "")
	a.Given = fl.Changed
}

// askOf gives an Ask the terminal.
func (s streams) askOf(a predict.Ask) *predict.Ask {
	a.Version, a.Stdin, a.Say = version, s.in, s.say
	return &a
}

func (s streams) runTune(ctx context.Context, dirs []string, f tuneFlags) (*predict.Advised, error) {
	ask := s.askOf(f.ask)
	var finish func()
	ask.Progress, finish = live.Progress(s.err, live.On(s.err))
	if os.Getenv("GOGC") == "" {
		// The search makes little garbage beside the recording that it keeps: collecting it
		// more often takes two fifths off the largest resident memory, and no measurable CPU.
		defer debug.SetGCPercent(debug.SetGCPercent(25))
	}
	a, err := ask.Tune(ctx, dirs)
	finish()
	switch {
	case errors.Is(err, context.Canceled):
		return nil, exit(exitInterrupted, errors.New("interrupted; no recommendation was written"))
	case err != nil:
		return nil, err
	}
	r := &a.Recommendation
	if f.output == asJSON {
		err = s.json(r)
	} else if err = report.TuneText(s.out, r, a.Next); err == nil {
		s.warnf("Wrote to %s: %s, report.html", a.Dir, a.Files.Names())
	}
	if err == nil && r.Verdict == tuner.Refuse {
		err = exit(exitNotValid, nil)
	}
	return a, err
}
