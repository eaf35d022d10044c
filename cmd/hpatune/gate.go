package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
)

// gateSchema is the version of `gate -o json`.
const gateSchema = "hpatune.gate/v1"

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
				if f.tune.filename == "" {
					return usagef(
						"--recording needs -f, the manifest to check\nTry: hpatune gate --recording %s -f hpa.yaml",
						recording,
					)
				}
				return s.gateReplay(cmd.Context(), recording, f.tune)
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
				return s.gateRun(args[0], f.tune)
			}
			return usagef("no run: pass RUN, or --recording RUN -f hpa.yaml")
		},
	}
	f.bind(c, "json", "junit")
	c.Flags().StringVar(&recording, "recording", "", "")
	return c
}

func (s streams) gateRun(dir string, f tuneFlags) error {
	run, err := openRun(dir)
	if err != nil {
		return err
	}
	objectives, err := s.objectivesOf(run, f.objectives)
	if err != nil {
		return err
	}
	figures, err := costFigures(run, f)
	if err != nil {
		return err
	}
	sum := results.Summarize(run, objectives, figures...)
	return s.gate(sum, objectives, f.output, "")
}

// costFigures are the figures that a run does not know by itself: what its
// replicas cost.
func costFigures(run *results.Run, f tuneFlags) ([]results.Figure, error) {
	price, err := readPrice(f.price)
	if err != nil {
		return nil, err
	}
	w := run.Meta.Workload
	replica := tuner.Replica{
		CPUCores: float64(w.CPUMilli) / 1000,
		MemoryGB: float64(w.MemoryBytes) / (1 << 30),
		GPUs:     float64(w.GPUs),
	}
	hours, span := run.Replicas().Hours, run.End().Hours()
	if !replica.Known() || hours == nil || span <= 0 {
		return nil, nil
	}
	hour := *hours / span * price.PerReplicaHour(replica)
	perHour := results.Exactly("usd_hour", hour, len(run.Pods), "usd")
	perMonth := results.Exactly("usd_month", hour*tuner.HoursPerMonth, len(run.Pods), "usd")
	perHour.Currency, perMonth.Currency = price.Currency, price.Currency
	return []results.Figure{perHour, perMonth}, nil
}

func (s streams) gateReplay(ctx context.Context, dir string, f tuneFlags) error {
	r, err := s.replayOver(ctx, dir, f)
	if err != nil {
		return err
	}
	s.warnings(r.outcome)
	sum := results.Summarize(r.run, r.objectives)
	sum.Run += " replayed under " + f.filename
	sum.Objectives = r.outcome.Judged
	if self := r.outcome.SelfReplay; self.Verdict == "fail" {
		s.warnf(
			"the replay does not reproduce the recorded run (%d of %d rescales matched), so its verdict is not valid",
			self.RescalesMatched,
			self.Rescales,
		)
		sum.Trust.Doubt("self-replay", "the replay does not reproduce the recorded run")
	}
	return s.gate(
		sum,
		r.objectives,
		f.output,
		fmt.Sprintf(
			"Predicted, not measured: %s replayed under %s, %d replicates.",
			r.run.Meta.Run,
			f.filename,
			r.replicates,
		),
	)
}

// gate prints the verdict over all objectives and makes it an exit code. predicted
// says what was replayed; "" = what was measured is judged.
func (s streams) gate(sum results.Summary, objectives []results.Objective, output, predicted string) error {
	verdict := overall(sum.Objectives)
	var err error
	switch output {
	case "json":
		err = s.json(struct {
			Schema     string              `json:"schema"`
			Verdict    results.Verdict     `json:"verdict"`
			Predicted  bool                `json:"predicted"`
			Trust      results.Trust       `json:"trust"`
			Objectives []results.Judgement `json:"objectives"`
		}{gateSchema, verdict, predicted != "", sum.Trust, sum.Objectives})
	case "junit":
		err = report.JUnit(s.out, sum)
	default:
		if err = s.line("%s", sum.Trust.Line()); err == nil {
			err = report.GateText(s.out, sum.Objectives, verdict, predicted)
		}
	}
	if err != nil {
		return exit(exitFailed, err)
	}
	code := map[results.Verdict]int{results.Pass: exitOK, results.Fail: exitMissed,
		results.Inconclusive: exitInconclusive, results.Unknown: exitInconclusive}[verdict]
	if sum.Trust.Spoils(objectives) {
		code = worse(code, exitNotValid)
	}
	return exit(code, nil)
}

// overall is the verdict over all objectives: one miss is a miss, else one
// doubt is a doubt.
func overall(js []results.Judgement) results.Verdict {
	verdict := results.Pass
	for _, j := range js {
		switch j.Verdict {
		case results.Fail:
			return results.Fail
		case results.Inconclusive, results.Unknown:
			verdict = results.Inconclusive
		}
	}
	return verdict
}
