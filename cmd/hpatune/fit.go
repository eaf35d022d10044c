package main

import (
	"fmt"
	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/predict"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/tuner/fit"
)

func newFitCmd(s streams) *cobra.Command {
	var (
		o      fit.LawOptions
		output format
	)
	c := &cobra.Command{
		Use:  "fit RUN",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return s.runFit(args[0], o, output) },
	}
	fl := c.Flags()
	fl.IntVar(&o.Seqs, "max-num-seqs", 0, "")
	fl.IntVar(&o.Batch, "max-num-batched-tokens", 0, "")
	fl.IntVar(&o.KV, "kv-tokens", 0, "")
	outputFlag(fl, &output, "", asJSON)
	return c
}

func (s streams) runFit(dir string, o fit.LawOptions, output format) error {
	for _, f := range []struct {
		flag  string
		value int
	}{{"--max-num-seqs", o.Seqs}, {"--max-num-batched-tokens", o.Batch}, {"--kv-tokens", o.KV}} {
		if f.value < 0 {
			return usagef("%s %d: want a positive number", f.flag, f.value)
		}
	}
	run, err := predict.OpenRun(dir, "")
	if err != nil {
		return err
	}
	law, err := fit.LawOf(run, o)
	if err != nil {
		return failure.Evidencef("run %s: %w", dir, err)
	}
	if run.Meta.Partial {
		law.Warnings = append(law.Warnings, fmt.Sprintf("the run is partial (%s)", run.Meta.Why))
	}
	h, err := fit.HoldoutLaw(run, o)
	if err != nil {
		law.Warnings = append(law.Warnings, "no holdout: of the first two thirds, "+err.Error())
	}
	out := report.FittedOf(run.Meta.Run, &law, &h)
	if err != nil {
		out.Holdout = nil
	}
	if output == asJSON {
		return s.json(out)
	}
	for _, w := range out.Warnings {
		s.warnf("warning: %s", w)
	}
	return report.FitText(s.out, out)
}
