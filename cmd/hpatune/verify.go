package main

import (
	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/predict"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/tuner"
)

func newVerifyCmd(s streams) *cobra.Command {
	var (
		ask    predict.Ask
		output format
	)
	c := &cobra.Command{
		Use:  "verify ADVICE_DIR RUN",
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			_, err := s.runVerify(ask, args[0], args[1], output)
			return err
		},
	}
	c.Flags().StringVarP(&ask.Filename, "filename", "f", "", "")
	bindNodes(c.Flags(), &ask.Nodes)
	ask.Given = c.Flags().Changed
	outputFlag(c.Flags(), &output, "", asJSON)
	return c
}

// runVerify verifies the advice in dir by a run.
func (s streams) runVerify(ask predict.Ask, dir, runDir string, output format) (*tuner.Agreement, error) {
	a, trust, err := s.askOf(ask).Verify(dir, runDir)
	switch {
	case err != nil:
		return nil, err
	case output == asJSON:
		return a, s.json(a)
	}
	if err := s.line("%s\n", trust.Line()); err != nil {
		return nil, err
	}
	return a, report.VerifyText(s.out, report.VerifiedOf(a))
}
