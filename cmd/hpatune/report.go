package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tsenart/vegeta/v12/lib/plot"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/advice"
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
	fl.StringArrayVar(&f.objectives, "objective", nil, "")
	fl.StringVar(&f.price, "price", "", "")
	outputFlag(fl, &f.output, "", "json", "markdown", "junit")
	fl.StringVar(&html, "html", "", "")
	return c
}

func (s streams) runReport(dirs []string, f tuneFlags, html string) error {
	page := report.Page{Version: version, Command: "hpatune report " + strings.Join(dirs, " ")}
	var sums []results.Summary
	for _, dir := range dirs {
		run, err := openRun(dir)
		if err != nil {
			return err
		}
		texts := f.objectives
		if len(texts) == 0 {
			texts = run.Meta.Objectives
		}
		objectives, err := results.ParseObjectives(texts)
		if err != nil {
			return failure.As(failure.Input, err)
		}
		price, err := readPrice("price", f.price)
		if err != nil {
			return err
		}
		sum := results.Summarize(run, objectives, tuner.Costs(run, price)...)
		sums = append(sums, sum)
		page.Title = run.Meta.Profile
		page.Note = advice.Circular(run)
		page.Runs = append(page.Runs, report.RunOf(run, sum, objectives))
	}
	if html != "" {
		if err := writePage(html, page); err != nil {
			return err
		}
		s.warnf("page: %s", html)
		if f.output == "text" {
			return nil
		}
	}
	return s.printSummaries(sums, page, f.output)
}

func (s streams) printSummaries(sums []results.Summary, page report.Page, output string) error {
	for i, sum := range sums {
		var err error
		switch output {
		default:
			if i > 0 {
				fmt.Fprintln(s.out)
			}
			err = report.RunText(s.out, sum)
		case "json":
			err = s.json(sum)
		case "junit":
			err = report.JUnit(s.out, sum)
		case "markdown":
			return report.Markdown(s.out, page)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// printRun prints one run's summary.
func (s streams) printRun(run *results.Run, objectives []results.Objective, output string) error {
	sum := results.Summarize(run, objectives)
	return s.printSummaries(
		[]results.Summary{sum},
		report.Page{Runs: []report.Run{report.RunOf(run, sum, objectives)}},
		output,
	)
}

// writePage writes the HTML page, whole or not at all.
func writePage(file string, page report.Page) error {
	assets, err := chartAssets()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := report.HTML(&b, page, assets); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}

// compareReport writes the page of a whole demo: both runs, the advice, and
// predicted beside actual.
func (s streams) compareReport(dir string, a advised, dirs []string, agreed *tuner.Agreement) error {
	page := report.Page{Title: "demo", Version: version, Command: "hpatune demo", Advice: &a.recommendation}
	for _, d := range dirs {
		run, err := openRun(d)
		if err != nil {
			return err
		}
		objectives, err := results.ParseObjectives(run.Meta.Objectives)
		if err != nil {
			return err
		}
		page.Runs = append(page.Runs, report.RunOf(run, results.Summarize(run, objectives), objectives))
		page.Note = advice.Circular(run)
	}
	if agreed != nil {
		v := report.VerifiedOf(agreed)
		page.Verify = &v
	}
	yaml, err := os.ReadFile(settingsIn(a.dir))
	if err != nil {
		return err
	}
	page.Manifest = string(yaml)
	return writePage(filepath.Join(dir, "report.html"), page)
}

// chartAssets reads uPlot from vegeta, which carries it.
func chartAssets() (report.Assets, error) {
	read := func(name string) ([]byte, error) {
		f, err := plot.Assets.Open(name)
		if err != nil {
			return nil, fmt.Errorf("chart library: %w", err)
		}
		defer f.Close()
		return io.ReadAll(f)
	}
	script, err := read("uPlot.min.js")
	if err != nil {
		return report.Assets{}, err
	}
	style, err := read("uPlot.min.css")
	return report.Assets{Script: script, Style: style}, err
}
