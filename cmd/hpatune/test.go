package main

import (
	"bytes"
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
		Use:   "test FILE.hpa…",
		Short: "Run unit tests for HPAs",
		Long: `test runs scripts that list what an HPA sees and what it must decide. Keep them
next to your manifests; tune writes one next to its hpa.yaml.

    # Scale-down waits for the window: four syncs of 15s.
    hpa     min=1 max=10 from=4 cpu=70% down.window=60s
    every   15s
    cpu     70 35x4        # percent of request; x4 = four times
    desired 4x4 2          # 35/70·4 = 2, held until the 4 is a window old

tuner/scenario/README.md describes the language. A failure prints the reconcile,
the wanted and the actual size, and the reason.`,
		Example: `  hpatune test hpa-tests/*.hpa
  hpatune test results/RUN/advice/hpa.hpa
  hpatune test -o junit hpa-tests/*.hpa > junit.xml`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return s.runTest(args, output, verbose) },
	}
	outputFlag(c.Flags(), &output, "", "json", "junit")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "print every decision")
	return c
}

// testResult is one test of a script.
type testResult struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Name     string   `json:"name"`
	Failures []string `json:"failures"`
}

func (s streams) runTest(files []string, output string, verbose bool) error {
	var (
		done   []testResult
		failed int
		bad    error
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
					fmt.Fprintf(s.err, "%s:%d: tick %d: %d → %d: %s\n", t.File, t.Line, l.Tick, l.CurrentReplicas, l.Replicas, l.Explanation)
				}
			}
			r := testResult{File: t.File, Line: t.Line, Name: t.Name, Failures: []string{}}
			if r.Name == "" && len(t.Comment) > 0 {
				r.Name = t.Comment[0]
			}
			for _, m := range t.Run(visit) {
				r.Failures = append(r.Failures, m.String())
			}
			if len(r.Failures) > 0 {
				failed++
			}
			done = append(done, r)
		}
	}
	if err := s.printTests(done, failed, output); err != nil {
		return err
	}
	switch {
	case bad != nil:
		return exit(exitUsage, nil) // said above
	case failed > 0:
		return exit(exitMissed, nil)
	}
	return nil
}

func (s streams) printTests(done []testResult, failed int, output string) error {
	switch output {
	case "json":
		if done == nil {
			done = []testResult{}
		}
		return s.json(struct {
			Tests  []testResult `json:"tests"`
			Passed int          `json:"passed"`
			Failed int          `json:"failed"`
		}{done, len(done) - failed, failed})
	case "junit":
		var cases []report.Case
		for _, t := range done {
			cases = append(cases, report.Case{File: t.File, Name: fmt.Sprintf("%d: %s", t.Line, t.Name), Failures: t.Failures})
		}
		var b bytes.Buffer
		if err := report.TestsJUnit(&b, "hpatune test", cases); err != nil {
			return err
		}
		_, err := b.WriteTo(s.out)
		return err
	default:
		for _, t := range done {
			for _, f := range t.Failures {
				fmt.Fprintln(s.out, f)
			}
		}
		_, err := fmt.Fprintf(s.out, "%d passed, %d failed\n", len(done)-failed, failed)
		return err
	}
}
