package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/hpatune/hpatune/tuner/scenario"
)

// TestResult is a unit test of an HPA, and its failed expectations.
type TestResult struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Name     string   `json:"name"`
	Failures []string `json:"failures"`
}

// TestResultOf runs a test and takes its name, or else its first comment. trace takes
// every decision, a line each; nil = nobody asked.
func TestResultOf(t *scenario.Test, trace io.Writer) TestResult {
	var visit func(*scenario.Line)
	if trace != nil {
		visit = func(l *scenario.Line) {
			fmt.Fprintf(trace, "%s:%d: tick %d: %d → %d: %s\n", t.File, t.Line, l.Tick, l.CurrentReplicas, l.Replicas,
				l.Explanation)
		}
	}
	r := TestResult{File: t.File, Line: t.Line, Name: t.Name, Failures: []string{}}
	if r.Name == "" && len(t.Comment) > 0 {
		r.Name = t.Comment[0]
	}
	for _, m := range t.Run(visit) {
		r.Failures = append(r.Failures, m.String())
	}
	return r
}

// TestReport is what `hpatune test -o json` prints.
type TestReport struct {
	Tests  []TestResult `json:"tests"`
	Passed int          `json:"passed"`
	Failed int          `json:"failed"`
}

// TestReportOf counts tests.
func TestReportOf(tests []TestResult) TestReport {
	out := TestReport{Tests: append([]TestResult{}, tests...)} // none is [], not null
	for _, t := range tests {
		if len(t.Failures) > 0 {
			out.Failed++
		} else {
			out.Passed++
		}
	}
	return out
}

// TestsText writes the failed expectations, and how many tests passed.
func TestsText(w io.Writer, r TestReport) error {
	p := printerTo(w)
	for _, t := range r.Tests {
		for _, f := range t.Failures {
			p.line("%s", f)
		}
	}
	p.line("%d passed, %d failed", r.Passed, r.Failed)
	return p.err
}

// TestsJUnit writes unit tests as a test suite.
func TestsJUnit(w io.Writer, name string, r TestReport) error {
	out := suite{Name: name}
	for _, t := range r.Tests {
		c := suiteCase{Class: t.File, Name: fmt.Sprintf("%d: %s", t.Line, t.Name)}
		if len(t.Failures) > 0 {
			c.Failure = &message{Message: t.Failures[0], Text: strings.Join(t.Failures, "\n")}
			out.Failures++
		}
		out.Cases = append(out.Cases, c)
	}
	return out.write(w)
}
