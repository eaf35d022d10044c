package main

import (
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/tuner/scenario"
)

func newExplainCmd(s streams) *cobra.Command {
	var (
		from, to time.Duration
		output   string
	)
	c := &cobra.Command{
		Use:   "explain RUN",
		Short: "Explain each recorded decision of the HPA",
		Long: `explain prints what the HPA decided at each recorded reconcile of a run, and
why: the size that the metrics proposed, the window or policy that limited it,
and the pods that were not counted.

By default it prints only the reconciles that changed the size or that differ
from the one before; --all prints all of them.`,
		Example: `  hpatune explain results/RUN
  hpatune explain results/RUN --from 3m --to 5m`,
		Args: cobra.ExactArgs(1),
	}
	all := c.Flags().Bool("all", false, "every reconcile")
	c.Flags().DurationVar(&from, "from", 0, "start at this time of the run")
	c.Flags().DurationVar(&to, "to", math.MaxInt64, "stop at this time of the run")
	outputFlag(c.Flags(), &output, " (the lines of hpatune decide)", "json")
	c.RunE = func(_ *cobra.Command, args []string) error {
		run, err := openRun(args[0])
		if err != nil {
			return err
		}
		recorded, err := s.currentHPA(run, "")
		if err != nil {
			return err
		}
		sc, sizes, err := runScenario(run, recorded)
		if err != nil {
			return exit(exitNotValid, fmt.Errorf("run %s: %w", args[0], err))
		}
		emit := report.ExplainText(s.out, *all)
		if output == "json" {
			emit = s.lines()
		}
		return quietPipe(scenario.RunRecorded(sc, sizes, func(l *scenario.Line) error {
			if at := time.Duration(l.T * float64(time.Second)); at < from || at > to {
				return nil
			}
			return emit(l)
		}))
	}
	return c
}
