package main

import (
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/plain"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/tuner/scenario"
)

func newTestCmd(s streams) *cobra.Command {
	var (
		output  format
		verbose bool
	)
	c := &cobra.Command{
		Use:  "test FILE.hpa…",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return s.runTest(args, output, verbose) },
	}
	outputFlag(c.Flags(), &output, "", asJSON, asJUnit)
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "")
	return c
}

func (s streams) runTest(files []string, output format, verbose bool) error {
	var (
		done []report.TestResult
		bad  error
	)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			bad = err
			s.warnf("hpatune: %s", plain.Error(err))
			continue
		}
		script, err := scenario.ParseScript(file, data, os.DirFS(filepath.Dir(file)))
		if err != nil {
			bad = err
			s.warnf("%s", plain.Error(err))
			continue
		}
		for _, t := range script.Tests {
			var trace io.Writer
			if verbose {
				trace = s.err
			}
			done = append(done, report.TestResultOf(t, trace))
		}
	}
	all := report.TestReportOf(done)
	if err := s.printTests(all, output); err != nil {
		return err
	}
	switch {
	case bad != nil:
		return exit(exitUsage, nil) // said above
	case all.Failed > 0:
		return exit(exitMissed, nil)
	}
	return nil
}

func (s streams) printTests(r report.TestReport, output format) error {
	switch output {
	case asJSON:
		return s.json(r)
	case asJUnit:
		return report.TestsJUnit(s.out, "hpatune test", r)
	}
	return report.TestsText(s.out, r)
}
