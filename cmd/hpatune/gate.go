package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/predict"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
)

func newGateCmd(s streams) *cobra.Command {
	var (
		f         replayFlags
		recording string
	)
	c := &cobra.Command{
		Use:  "gate {RUN | --recording RUN -f hpa.yaml}",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case recording != "" && len(args) == 0:
				if f.ask.Filename == "" {
					return usagef(
						"--recording needs -f, the manifest to check\nTry: hpatune gate --recording %s -f hpa.yaml",
						recording,
					)
				}
				return s.gateReplay(cmd.Context(), recording, f.tuneFlags)
			case recording == "" && len(args) == 1:
				for _, name := range []string{"filename", "seed", "startup", "requests", "replicates"} {
					if flag := cmd.Flags().Lookup(name); flag.Changed {
						return usagef(
							"--%s is for replays, and gate RUN does not replay\nTry: hpatune gate --recording %s -f hpa.yaml",
							name,
							args[0],
						)
					}
				}
				return s.gateRun(args[0], f.tuneFlags)
			}
			given := "no run"
			if recording != "" {
				given = "both RUN and --recording were given"
			}
			return usagef("%s: pass RUN, or --recording RUN -f hpa.yaml", given)
		},
	}
	f.bind(c, asJSON, asJUnit)
	c.Flags().StringVar(&recording, "recording", "", "")
	return c
}

func (s streams) gateRun(dir string, f tuneFlags) error {
	run, err := predict.OpenRun(dir, "")
	if err != nil {
		return err
	}
	objectives, err := predict.Objectives(run, f.ask.Objectives)
	if err != nil {
		return err
	}
	price, err := predict.PriceOf(f.ask.Price, objectives)
	if err != nil {
		return err
	}
	sum := results.Summarize(run, objectives, tuner.Costs(run, price)...)
	return s.gate(sum, objectives, f.output, "")
}

func (s streams) gateReplay(ctx context.Context, dir string, f tuneFlags) error {
	r, err := s.askOf(f.ask).Replay(ctx, dir)
	if err != nil {
		return err
	}
	s.warnings(r)
	return s.gate(r.Summary(), r.Objectives, f.output, fmt.Sprintf(
		"Predicted, not measured: %s replayed under %s, %d replicates.", r.Run.Meta.Run, r.Filename, r.Replicates))
}

// gate prints the verdict over all objectives and turns it into an exit code. predicted
// names what was replayed; "" = the measurements are judged.
func (s streams) gate(sum results.Summary, objectives []results.Objective, output format, predicted string) error {
	g := report.GateOf(sum, predicted != "")
	var err error
	switch output {
	case asJSON:
		err = s.json(g)
	case asJUnit:
		err = report.JUnit(s.out, sum)
	default:
		if err = s.line("%s", sum.Trust.Line()); err == nil {
			err = report.GateText(s.out, sum.Objectives, g.Verdict, predicted)
		}
	}
	if err != nil {
		return err
	}
	code := map[results.Verdict]int{results.Pass: exitOK, results.Fail: exitMissed,
		results.Inconclusive: exitInconclusive, results.Unknown: exitInconclusive}[g.Verdict]
	if sum.Trust.Spoils(objectives) {
		code = worse(code, exitNotValid)
	}
	return exit(code, nil)
}
