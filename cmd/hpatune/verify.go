package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/advice"
	"github.com/hpatune/hpatune/tuner/recorded"
)

// verifyReplicates is how many draws of luck a prediction is made of.
const verifyReplicates = 20

func newVerifyCmd(s streams) *cobra.Command {
	var output, filename string
	c := &cobra.Command{
		Use:  "verify ADVICE_DIR RUN",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := s.runVerify(cmd.Context(), args[0], args[1], filename, output)
			return err
		},
	}
	c.Flags().StringVarP(&filename, "filename", "f", "", "")
	outputFlag(c.Flags(), &output, "", "json")
	return c
}

// settingsIn is the file of an advice folder that holds the recommended settings.
func settingsIn(dir string) string {
	return filepath.Join(dir, advice.FileIn(func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}))
}

// runVerify verifies the advice in dir by a run under filename's HPA; "" = the
// recommended one.
func (s streams) runVerify(_ context.Context, dir, runDir, filename, output string) (*tuner.Agreement, error) {
	model, err := readModel(dir)
	if err != nil {
		return nil, err
	}
	advised, err := s.given(cmp.Or(filename, settingsIn(dir)))
	if err != nil {
		return nil, err
	}
	run, err := openRun(runDir)
	if err != nil {
		return nil, err
	}
	diff, err := recorded.Differs(run, &advised.Config)
	if err != nil {
		return nil, err
	}
	if diff != "" {
		return nil, failure.Evidencef(
			"%s did not run under %s, so it cannot verify it:\n  %s\nTry: apply it and run again, or pass what ran: -f %s",
			runDir, cmp.Or(filename, "the recommended configuration"),
			strings.ReplaceAll(strings.TrimSpace(diff), "\n", "\n  "), filepath.Join(runDir, "cluster/hpa.yaml"))
	}
	objectives, err := results.ParseObjectives(model.Objectives)
	if err != nil {
		return nil, usagef("model %s: %w", dir, err)
	}
	trust := results.Summarize(run, objectives).Trust
	if trust.Verdict == results.Invalid {
		return nil, failure.Evidencef("%s: %s", runDir, trust.Line())
	}
	w, err := model.World(run, advised.Config)
	if err != nil {
		return nil, err
	}
	if l := loopOf(advised.HPA); l != nil && run.Meta.Target.Kind != results.OfSandbox { // where none runs
		w = w.Under(l)
	}
	a := tuner.Compare(w, advised.Config, run, objectives, model.Seed, verifyReplicates)
	if output == "json" {
		return &a, s.json(a)
	}
	if err := s.line("%s\n", trust.Line()); err != nil {
		return nil, err
	}
	return &a, report.VerifyText(s.out, report.VerifiedOf(&a))
}

// readModel reads model.json of an advice folder.
func readModel(dir string) (*tuner.Model, error) {
	data, err := os.ReadFile(filepath.Join(dir, "model.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, usagef("advice %s: no model.json in it\nTry: hpatune tune RUN", dir)
	}
	if err != nil {
		return nil, failure.As(failure.Input, err)
	}
	var m tuner.Model
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, usagef("advice %s: model.json: %w", dir, err)
	}
	return &m, nil
}
