package main

import (
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/tuner/scenario"
)

func newExplainCmd(s streams) *cobra.Command {
	var (
		from, to time.Duration
		output   string
	)
	c := &cobra.Command{
		Use:   "explain RUN",
		Short: "What the HPA decided at each reconcile, and why",
		Long: `explain goes through the recorded reconciles of a run and says in a sentence each
what was decided and why: what the metrics asked for, which window or policy held it
back, which pods were not counted. Only reconciles that rescaled, or that differ from
the one before, are shown; --all shows every one.`,
		Example: `  hpatune explain results/RUN
  hpatune explain results/RUN --from 3m --to 5m`,
		Args: cobra.ExactArgs(1),
	}
	all := c.Flags().Bool("all", false, "every reconcile")
	c.Flags().DurationVar(&from, "from", 0, "from this run time on")
	c.Flags().DurationVar(&to, "to", math.MaxInt64, "up to this run time")
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
		emit := s.explainLines(*all)
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

// explainLines prints a decision a line; a quiet one only where its explanation
// is new.
func (s streams) explainLines(all bool) func(*scenario.Line) error {
	last := ""
	return func(l *scenario.Line) error {
		if !all && !l.Scaled && l.Explanation == last {
			return nil
		}
		last = l.Explanation
		size := fmt.Sprintf("%d", l.Replicas)
		if l.Scaled {
			size = fmt.Sprintf("%d → %d", l.CurrentReplicas, l.Replicas)
		}
		note := ""
		if l.Diverged {
			note = "  (recorded otherwise)"
		}
		_, err := fmt.Fprintf(s.out, "%8s  %-8s %s%s\n", secs(math.Round(l.T)), size, l.Explanation, note)
		return err
	}
}
