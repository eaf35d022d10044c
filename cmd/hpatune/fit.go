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
		Short: "How a replica serves, as a law, and how well the law predicts",
		Long: `fit finds the law by which a server of language models served RUN, from outside:
an iteration takes alpha + beta per answer + gamma per prompt token + delta per token
of context, with limits on tokens and requests in it. It says how sure each number is,
what this log cannot tell apart, and which simpler law would explain less.

Then it holds the law to account: it fits the first two thirds of the requests, replays
all of them from an empty server, and prints what it predicts beside what was measured.
Of the last third it uses arrival times and token counts, nothing that was measured.

A log without token counts gets a law of slots: so many requests at once, each of which
takes what those of its class took. See hpatune import for logs.`,
		Example: `  hpatune fit results/RUN
  hpatune fit results/RUN -o json
  hpatune fit results/RUN --max-num-seqs 128 --max-num-batched-tokens 2048`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return s.runFit(args[0], o, output) },
	}
	fl := c.Flags()
	fl.IntVar(&o.Seqs, "max-num-seqs", 0, "requests at once, where known (default: find it)")
	fl.IntVar(&o.Batch, "max-num-batched-tokens", 0, "tokens in an iteration, where known (default: find it)")
	fl.IntVar(&o.KV, "kv-tokens", 0, "tokens of context that fit, where known (default: find it)")
	outputFlag(fl, &output, "", "json")
	return c
}

func (s streams) runFit(dir string, o fit.LawOptions, output string) error {
	if o.Seqs < 0 || o.Batch < 0 || o.KV < 0 {
		return usagef("limits are positive numbers: --max-num-seqs %d, --max-num-batched-tokens %d, --kv-tokens %d", o.Seqs, o.Batch, o.KV)
	}
	run, err := openRun(dir)
	if err != nil {
		return err
	}
	law, err := fit.FitLaw(run, o)
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
