package predict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tsenart/vegeta/v12/lib/plot"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/advice"
)

// Report is the page of recorded runs, without a prediction. A run without objectives is
// reported without verdicts.
func (a *Ask) Report(dirs []string) (report.Page, []results.Summary, error) {
	page := report.Page{Version: a.Version}
	var sums []results.Summary
	for _, dir := range dirs {
		run, err := OpenRun(dir, "")
		if err != nil {
			return page, nil, err
		}
		objectives, err := parseObjectives(run, a.Objectives)
		if err != nil {
			return page, nil, err
		}
		price, err := PriceOf(a.Price, objectives)
		if err != nil {
			return page, nil, err
		}
		sum := results.Summarize(run, objectives, tuner.Costs(run, price)...)
		sums = append(sums, sum)
		page.Title = run.Meta.Profile
		page.Note = advice.Circular(run)
		page.Runs = append(page.Runs, report.RunOf(run, sum, objectives))
	}
	return page, sums, nil
}

// WriteComparison writes the page of a whole demo: the runs before and after, the advice
// between them, and predicted next to actual; nil = not compared.
func (a *Ask) WriteComparison(file string, to *Advised, dirs []string, agreed *tuner.Agreement) error {
	page := report.Page{Title: "demo", Version: a.Version, Command: "hpatune demo", Advice: &to.Recommendation}
	for _, dir := range dirs {
		run, err := OpenRun(dir, "")
		if err != nil {
			return err
		}
		objectives, err := parseObjectives(run, nil)
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
	yaml, err := os.ReadFile(Settings(to.Dir))
	if err != nil {
		return err
	}
	page.Manifest = string(yaml)
	return WritePage(file, page)
}

// WritePage writes the HTML page completely or not at all.
func WritePage(file string, page report.Page) error {
	assets, err := chartAssets()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := report.HTML(&b, page, assets); err != nil {
		return err
	}
	err = os.WriteFile(file, b.Bytes(), 0o644)
	if dir := filepath.Dir(file); errors.Is(err, fs.ErrNotExist) {
		return failure.Inputf("page %s: there is no folder %s\nTry: mkdir -p %s", file, dir, dir)
	}
	return err
}

// chartAssets reads uPlot from vegeta, which embeds it.
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
