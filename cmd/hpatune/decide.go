package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/predict"
	"github.com/hpatune/hpatune/tuner/recorded"
	"github.com/hpatune/hpatune/tuner/scenario"
)

func newDecideCmd(s streams) *cobra.Command {
	var (
		filename, release string
		print             bool
	)
	c := &cobra.Command{
		Use:  "decide FILE | - | RUN",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			minor, err := scenario.ParseRelease(release)
			if err != nil {
				return usagef("--kubernetes-version %w", err)
			}
			if info, err := os.Stat(args[0]); err == nil && info.IsDir() {
				return s.decideRun(args[0], filename, minor, print)
			}
			if print {
				return usagef("--print-scenario needs a run folder; %s is already a scenario", args[0])
			}
			return s.decideFile(args[0], filename, minor)
		},
	}
	c.Flags().StringVarP(&filename, "filename", "f", "", "")
	c.Flags().StringVar(&release, "kubernetes-version", "", "")
	c.Flags().BoolVar(&print, "print-scenario", false, "")
	return c
}

// decideFile runs the scenarios of a file. For one that is invalid, an error is printed in
// its place, and the others still run. hpaFile is the HPA to decide with; "" = each
// scenario's own.
func (s streams) decideFile(name, hpaFile string, minor int) error {
	given, err := predict.GivenHPA(s.in, hpaFile, s.say)
	if err != nil {
		return err
	}
	o := scenario.Options{Release: minor}
	if given != nil {
		o.Spec = &given.Config
	}
	r := s.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return usagef("scenario: %w", err)
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() == 0 {
			return usagef("scenario %s: the file is empty\nTry: hpatune decide RUN --print-scenario", name)
		}
		r = f
	}
	failed, err := scenario.Decide(r, s.out, o)
	switch {
	case quietPipe(err) == nil && err != nil:
		return nil
	case err != nil:
		return usagef("scenario %s: %w", name, err)
	case failed > 0:
		if failed == 1 {
			return usagef("one scenario is invalid; see scenarioError in the output")
		}
		return usagef("%d scenarios are invalid; see scenarioError in the output", failed)
	}
	return nil
}

// decideRun runs the reconciles of a recorded run through the core. As long as the decided
// size equals the recorded one, the recorded observations apply; after that they belong to
// a cluster of another size, and the lines are marked. file is the HPA to decide with; "" =
// the recorded one.
func (s streams) decideRun(dir, file string, minor int, print bool) error {
	run, err := predict.OpenRun(dir, "")
	if err != nil {
		return err
	}
	if print {
		file = "" // what was recorded is printed
	}
	given, err := predict.GivenHPA(s.in, file, s.say)
	if err != nil {
		return err
	}
	sc, sizes, err := recorded.Scenario(run, given)
	if err != nil {
		return fmt.Errorf("run %s: %w", dir, err)
	}
	sc.Follow(minor)
	if print {
		return quietPipe(scenario.Format(s.out, sc))
	}
	return quietPipe(scenario.RunRecorded(sc, sizes, scenario.Encode(s.out)))
}
