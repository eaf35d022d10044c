package main

import (
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/internal/predict"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/tuner/recorded"
	"github.com/hpatune/hpatune/tuner/scenario"
)

func newExplainCmd(s streams) *cobra.Command {
	var (
		from, to time.Duration
		output   format
	)
	c := &cobra.Command{
		Use:  "explain RUN",
		Args: cobra.ExactArgs(1),
	}
	all := c.Flags().Bool("all", false, "")
	c.Flags().DurationVar(&from, "from", 0, "")
	c.Flags().DurationVar(&to, "to", math.MaxInt64, "")
	c.Flags().Lookup("to").DefValue = "0s" // the help says what the default is
	outputFlag(c.Flags(), &output, " (the lines of hpatune decide)", asJSON)
	c.RunE = func(_ *cobra.Command, args []string) error {
		if to < from {
			return usagef("--from %s is after --to %s", figure.Duration(from), figure.Duration(to))
		}
		run, err := predict.OpenRun(args[0], "")
		if err != nil {
			return err
		}
		sc, sizes, err := recorded.Scenario(run, nil)
		if err != nil {
			return fmt.Errorf("run %s: %w", args[0], err)
		}
		emit := report.ExplainText(s.out, *all)
		if output == asJSON {
			emit = scenario.Encode(s.out)
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
