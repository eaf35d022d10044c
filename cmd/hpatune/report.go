package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/predict"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/results"
)

func newReportCmd(s streams) *cobra.Command {
	var (
		f    tuneFlags
		html string
	)
	c := &cobra.Command{
		Use:  "report RUN [RUN]",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error { return s.runReport(args, f, html) },
	}
	fl := c.Flags()
	fl.StringArrayVar(&f.ask.Objectives, "objective", nil, "")
	fl.StringVar(&f.ask.Price, "price", "", "")
	outputFlag(fl, &f.output, "", asJSON, asMarkdown, asJUnit)
	fl.StringVar(&html, "html", "", "")
	return c
}

func (s streams) runReport(dirs []string, f tuneFlags, html string) error {
	page, sums, err := s.askOf(f.ask).Report(dirs)
	if err != nil {
		return err
	}
	page.Command = "hpatune report " + strings.Join(dirs, " ")
	if html != "" {
		if err := predict.WritePage(html, page); err != nil {
			return err
		}
		s.warnf("page: %s", html)
		if f.output == asText {
			return nil
		}
	}
	return s.printSummaries(sums, page, f.output)
}

func (s streams) printSummaries(sums []results.Summary, page report.Page, output format) error {
	for i, sum := range sums {
		var err error
		switch output {
		default:
			if i > 0 {
				fmt.Fprintln(s.out)
			}
			err = report.RunText(s.out, sum)
		case asJSON:
			err = s.json(sum)
		case asJUnit:
			err = report.JUnit(s.out, sum)
		case asMarkdown:
			return report.Markdown(s.out, page)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// printRun prints one run's summary.
func (s streams) printRun(run *results.Run, objectives []results.Objective, output format) error {
	sum := results.Summarize(run, objectives)
	return s.printSummaries(
		[]results.Summary{sum},
		report.Page{Runs: []report.Run{report.RunOf(run, sum, objectives)}},
		output,
	)
}
