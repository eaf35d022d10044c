package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/tuner/scenario"
)

func newTestCmd(s streams) *cobra.Command {
	var (
		output  string
		verbose bool
	)
	c := &cobra.Command{
		Use:  "test FILE.hpa…",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return s.runTest(args, output, verbose) },
	}
	outputFlag(c.Flags(), &output, "", "json", "junit")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "")
	return c
}

func (s streams) runTest(files []string, output string, verbose bool) error {
	var (
		done []report.TestResult
		bad  error
	)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			bad = err
			s.warnf("hpatune: %v", err)
			continue
		}
		script, err := scenario.ParseScript(file, data, os.DirFS(filepath.Dir(file)))
		if err != nil {
			bad = err
			s.warnf("%v", err)
			continue
		}
		for _, t := range script.Tests {
			var visit func(*scenario.Line)
			if verbose {
				visit = func(l *scenario.Line) {
					fmt.Fprintf(
						s.err,
						"%s:%d: tick %d: %d → %d: %s\n",
						t.File,
						t.Line,
						l.Tick,
						l.CurrentReplicas,
						l.Replicas,
						l.Explanation,
					)
				}
			}
			r := report.TestResult{File: t.File, Line: t.Line, Name: t.Name, Failures: []string{}}
			if r.Name == "" && len(t.Comment) > 0 {
				r.Name = t.Comment[0]
			}
			for _, m := range t.Run(visit) {
				r.Failures = append(r.Failures, m.String())
			}
			done = append(done, r)
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

func (s streams) printTests(r report.TestReport, output string) error {
	switch output {
	case "json":
		return s.json(r)
	case "junit":
		return report.TestsJUnit(s.out, "hpatune test", r)
	}
	return report.TestsText(s.out, r)
}
