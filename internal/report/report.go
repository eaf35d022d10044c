// Package report renders results: one offline page, text for terminals, Markdown
// for pull requests, and JUnit. It only renders: figures and verdicts are its input,
// and all it computes are sums for the charts.
package report

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
)

//go:embed templates/*.html templates/page.css templates/page/*.js
var files embed.FS

// Assets are uPlot's script and style sheet, which are embedded in the page.
type Assets struct{ Script, Style []byte }

// Page is what the HTML page shows. Empty parts are left out, except for a run's trust
// line.
type Page struct {
	Title   string // "demo"
	Version string // of hpatune
	Command string // the command that made it
	Runs    []Run  // one, or two to compare

	Advice   *tuner.Recommendation
	Manifest string    // advice/hpa.yaml
	Next     []string  // commands to go on with
	Verify   *Verified // predicted beside actual
	Note     string    // what is circular, or else to be known first
}

// Run is a recorded run on the page.
type Run struct {
	Summary results.Summary
	Chart   *Chart
	Facts   []Fact // what was run: target, profile, speed, seed, …
}

// RunOf makes the chart and the facts of a run. The latency limits are those of its
// objectives.
func RunOf(run *results.Run, s results.Summary, objectives []results.Objective) Run {
	return Run{Summary: s, Chart: ChartOf(run, results.LimitsOf(objectives)), Facts: factsOf(&run.Meta)}
}

// Fact is a line of "what was run".
type Fact struct{ Name, Value string }

// Verified is predicted beside actual.
type Verified struct {
	Figures []VerifiedFigure
	// Difference in replicas over time, predicted against actual; nil = not compared.
	MeanAbsReplicas, MaxAbsReplicas *float64
}

// VerifiedOf is an agreement to be shown.
func VerifiedOf(a *tuner.Agreement) Verified {
	v := Verified{MeanAbsReplicas: &a.Replicas.MeanAbs, MaxAbsReplicas: &a.Replicas.MaxAbs}
	for _, f := range a.Figures {
		v.Figures = append(
			v.Figures,
			VerifiedFigure{
				Name:      strings.TrimSuffix(f.Name, "_s"),
				Unit:      string(f.Unit),
				Predicted: f.Predicted,
				Actual:    f.Actual,
				Error:     f.Error,
				Within:    f.Within,
			},
		)
	}
	return v
}

// VerifiedFigure is one figure, predicted and actual.
type VerifiedFigure struct {
	Name, Unit string
	Predicted  *tuner.Interval
	Actual     *float64
	Error      *float64 // ratio of predicted
	Within     *bool    // the actual figure lies in the predicted interval; nil = not known
}

// pageScript puts the page's scripts together: one function around all of them, so
// that nothing is global.
func pageScript() ([]byte, error) {
	b := bytes.NewBufferString("\"use strict\";\n(() => {\n")
	for _, name := range []string{"base", "time", "front", "frame"} {
		js, err := files.ReadFile("templates/page/" + name + ".js")
		if err != nil {
			return nil, err
		}
		b.Write(js)
	}
	b.WriteString("})();\n")
	return b.Bytes(), nil
}

// HTML writes the page: one file that needs neither network nor other files.
func HTML(w io.Writer, p Page, a Assets) error {
	t, err := template.New("page.html").Funcs(funcsOf(p.currency())).ParseFS(files, "templates/*.html")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	css, err := files.ReadFile("templates/page.css")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	js, err := pageScript()
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	var b bytes.Buffer // so that a failing template leaves no half page
	err = t.Execute(&b, struct {
		Page
		Data               data
		Style, PageStyle   template.CSS
		Script, PageScript template.JS
		Sentence, Lead     string
		Compare            bool
		Rows               []compared
	}{
		Page: p,
		Data: dataOf(p),
		Style: template.CSS(
			a.Style,
		),
		PageStyle:  template.CSS(css), //nolint:gosec // our own files, and the chart library that the caller chose
		Script:     template.JS(a.Script),
		PageScript: template.JS(js), //nolint:gosec // likewise
		Sentence:   sentence(p),
		Lead:       lead(p),
		Compare:    len(p.Runs) == 2,
		Rows:       compare(p.Runs),
	})
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err = b.WriteTo(w)
	return err
}

// currency is that of the price behind the page; "" = it contains no money.
func (p Page) currency() string {
	if p.Advice == nil {
		return ""
	}
	return p.Advice.Price.Currency
}

// data is what the page's script draws.
type data struct {
	Charts []*Chart `json:"charts"`
	Front  []front  `json:"front"`
	Money  string   `json:"money"` // what stands before an amount: "$"
}

type front struct {
	Cost       float64    `json:"cost"`
	Attainment float64    `json:"attainment"`
	Feasible   bool       `json:"feasible"`
	Mark       tuner.Mark `json:"mark"`
	Text       string     `json:"text"`
}

func dataOf(p Page) data {
	d := data{Charts: []*Chart{}, Front: []front{}, Money: figure.Sign(p.currency())}
	for _, r := range p.Runs {
		if r.Chart != nil {
			d.Charts = append(d.Charts, r.Chart)
		}
	}
	if p.Advice != nil {
		for _, f := range p.Advice.Front {
			d.Front = append(d.Front, front{f.USDHour, f.Attainment, f.Feasible, f.Mark, f.Text})
		}
	}
	return d
}

// whyNot says in a few words why there is no recommendation: it is not always the run.
func whyNot(refusal []tuner.Refusal) string {
	if len(refusal) == 1 {
		switch refusal[0].ID {
		case "service", "infeasible":
			return "no settings meet the objectives"
		case "limits":
			return "no settings are within your limits"
		case "objectives":
			return "a replay cannot judge these objectives"
		}
	}
	return "this run is not enough"
}

// sentence is the page's headline.
func sentence(p Page) string {
	switch {
	case p.Advice == nil && len(p.Runs) == 2:
		return p.Runs[0].Summary.Run + " compared with " + p.Runs[1].Summary.Run
	case p.Advice == nil:
		return objectivesSentence(p.Runs)
	case p.Advice.Verdict == tuner.Refuse:
		return "No recommendation: " + whyNot(p.Advice.Refusal)
	case p.Advice.Verdict == tuner.Keep:
		return keptSentence(p)
	}
	n := len(p.Advice.Changes)
	if n == 1 {
		return "Change one setting"
	}
	return fmt.Sprintf("Change %d settings", n)
}

// keptSentence is the headline of a configuration that stays: because its run met the
// objectives, or because the search found it again.
func keptSentence(p Page) string {
	if m := p.Advice.Measured; m != nil && m.Met != nil && *m.Met {
		return "Keep the configuration: it met its objectives, and nothing is cheaper beyond noise"
	}
	return "Keep the configuration: the search found nothing better"
}

func objectivesSentence(runs []Run) string {
	if len(runs) == 0 || len(runs[0].Summary.Objectives) == 0 {
		return "Run report"
	}
	met, all := 0, len(runs[0].Summary.Objectives)
	for _, o := range runs[0].Summary.Objectives {
		if o.Verdict == results.Pass {
			met++
		}
	}
	switch {
	case met == all && all == 1:
		return "The objective was met"
	case met == all:
		return fmt.Sprintf("All %d objectives were met", all)
	case all == 1:
		return "The objective was not met"
	}
	return fmt.Sprintf("%d of %d objectives met", met, all)
}

// lead is the sentence under the headline: what was measured next to what the
// recommendation is predicted to do, or what the run missed.
func lead(p Page) string {
	if p.Advice == nil && len(p.Runs) == 1 {
		return missed(p.Runs[0].Summary.Objectives)
	}
	if p.Advice == nil || p.Advice.Recommended == nil {
		return ""
	}
	to := p.Advice.Recommended.Predicted
	var parts []string
	add := func(name, unit string, measured *float64, predicted *tuner.Interval) {
		switch {
		case predicted == nil:
		case measured == nil:
			parts = append(parts, fmt.Sprintf("%s: predicted %s.", name, number(predicted.Value, unit)))
		default:
			parts = append(
				parts,
				fmt.Sprintf("%s: measured %s, predicted %s.", name, number(*measured, unit), number(predicted.Value, unit)),
			)
		}
	}
	m := p.Advice.Measured
	if m == nil {
		m = &tuner.Measured{}
	}
	add("Within limits", "ratio", m.Attainment, to.Attainment)
	add("Hourly cost", p.currency(), m.USDHour, to.USDHour)
	return strings.Join(parts, " ")
}

// missed lists the objectives that were not met, with what was measured.
func missed(os []results.Judgement) string {
	var out []string
	for _, o := range os {
		if o.Verdict != results.Fail {
			continue
		}
		s := o.Text + " was missed"
		if o.Value != nil {
			s += ": " + quantity(o.Value, unitOf(o))
		}
		if o.Attainment != nil {
			s += ", " + percent(*o.Attainment) + " within it"
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return ""
	}
	return strings.Join(out, "; ") + "."
}
