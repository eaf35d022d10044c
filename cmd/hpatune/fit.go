package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/tuner/fit"
)

func newFitCmd(s streams) *cobra.Command {
	var (
		o      fit.LawOptions
		output string
	)
	c := &cobra.Command{
		Use:   "fit RUN",
		Short: "Fit a model of a language model server to a run",
		Long: `fit finds out how fast the language model server in RUN serves, from the times
of its requests. In the model, one iteration of the server's loop takes alpha +
beta per running request + gamma per prompt token + delta per token of context,
with limits on tokens and requests per iteration. fit prints each number with
its error, what this run cannot tell apart, and how simpler models compare.

It then tests the model: it fits the first two thirds of the requests, replays
all of them from an empty server, and compares the prediction with what was
measured. Of the last third it uses only arrival times and token counts.

For a run without token counts, fit uses a simpler model: N requests at once,
each taking as long as the requests of its class took. To convert a log:
hpatune import requests --help`,
		Example: `  hpatune fit results/RUN
  hpatune fit results/RUN -o json
  hpatune fit results/RUN --max-num-seqs 128 --max-num-batched-tokens 2048`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return s.runFit(args[0], o, output) },
	}
	fl := c.Flags()
	fl.IntVar(&o.Seqs, "max-num-seqs", 0, "most requests per iteration, if known (default: fitted)")
	fl.IntVar(&o.Batch, "max-num-batched-tokens", 0, "most tokens per iteration, if known (default: fitted)")
	fl.IntVar(&o.KV, "kv-tokens", 0, "KV cache size in tokens, if known (default: fitted)")
	outputFlag(fl, &output, "", "json")
	return c
}

func (s streams) runFit(dir string, o fit.LawOptions, output string) error {
	if o.Seqs < 0 || o.Batch < 0 || o.KV < 0 {
		return usagef("--max-num-seqs %d, --max-num-batched-tokens %d, --kv-tokens %d: want positive numbers", o.Seqs,
			o.Batch, o.KV)
	}
	run, err := openRun(dir)
	if err != nil {
		return err
	}
	law, err := fit.LawOf(run, o)
	if err != nil {
		return exit(exitNotValid, fmt.Errorf("run %s: %w", dir, err))
	}
	h, err := fit.HoldoutLaw(run, o)
	if err != nil {
		law.Warnings = append(law.Warnings, "no holdout: of the first two thirds, "+err.Error())
	}
	out := report.FittedOf(run.Meta.Run, &law, &h)
	if err != nil {
		out.Holdout = nil
	}
	if output == "json" {
		return s.json(out)
	}
	for _, w := range out.Warnings {
		s.warnf("warning: %s", w)
	}
	return report.FitText(s.out, out)
}
