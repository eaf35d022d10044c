package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/hpatune/hpatune/results"
)

// Markdown writes a page as a comment for a pull request: the trust line,
// objectives, latencies, changes and cost.
func Markdown(w io.Writer, page Page) error {
	p := printer{w: w}
	p.line("## hpatune: %s", sentence(page))
	if l := lead(page); l != "" {
		p.line("\n%s", cell(l))
	}
	for _, r := range page.Runs {
		s := r.Summary
		p.line("\n**%s** %s\n", cell(s.Run), cell(s.Trust.Line()))
		if len(s.Objectives) > 0 {
			rows := [][]string{{"objective", "verdict", "measured", "within", "n"}}
			for _, o := range s.Objectives {
				rows = append(
					rows,
					[]string{"`" + o.Text + "`", badge(o.Verdict), measured(o), quantity(o.Attainment, "ratio"), fmt.Sprint(o.N)},
				)
			}
			p.markdownTable(rows)
		}
		rows := [][]string{{"latency", "n", "p50", "p95", "p99"}}
		for _, l := range latencyRows(s.LatencyS)[:2] {
			if l.Q != nil {
				rows = append(rows, []string{l.Name, fmt.Sprint(l.Q.N), seconds(l.Q.P50), seconds(l.Q.P95), seconds(l.Q.P99)})
			}
		}
		p.markdownTable(rows)
		if len(s.Servers) > 0 {
			p.line("%s:\n", serversTitle(s.Servers))
			p.markdownTable(serverRows(s.Servers))
			p.line("%s\n", serversNote(s.Servers))
		}
	}
	if a := page.Advice; a != nil && len(a.Changes) > 0 {
		rows := [][]string{{"setting", "from", "to", "effect on monthly cost", "effect on within limits", "why"}}
		for _, c := range a.Changes {
			usd, attainment := dash, dash
			if c.Effect != nil {
				usd, attainment = delta(c.Effect.USDMonth, a.Price.Currency).Value, delta(c.Effect.Attainment, "ratio").Value
			}
			rows = append(rows, []string{"`" + c.Path + "`", c.From, "**" + c.To + "**", usd, attainment, remark(c)})
		}
		p.markdownTable(rows)
	}
	if a := page.Advice; a != nil {
		for _, x := range a.NotCovered {
			p.line("Not covered by the prediction: `%s` (%s).\n", x.Objective, cell(x.Why))
		}
	}
	if page.Manifest != "" {
		p.line(
			"<details><summary>hpa.yaml</summary>\n\n```yaml\n%s```\n</details>",
			strings.ReplaceAll(page.Manifest, "```", "` ` `"),
		)
	}
	if v := page.Verify; v != nil {
		rows := [][]string{{"", "predicted", "actual", "error", "within its interval"}}
		for _, f := range v.Figures {
			rows = append(
				rows,
				[]string{f.Name, interval(f.Predicted, f.Unit).String(), quantity(f.Actual, f.Unit), off(f), yesNo(f.Within)},
			)
		}
		p.markdownTable(rows)
	}
	return p.err
}

func badge(v results.Verdict) string {
	switch v {
	case results.Pass:
		return "✅ pass"
	case results.Fail:
		return "❌ fail"
	}
	return "❔ " + string(v)
}

// markdownTable writes a table; the first row is its head.
func (p *printer) markdownTable(rows [][]string) {
	if len(rows) < 2 {
		return
	}
	for i, r := range rows {
		for k := range r {
			r[k] = cell(r[k])
		}
		p.line("| %s |", strings.Join(r, " | "))
		if i == 0 {
			p.line("|%s", strings.Repeat(" --- |", len(r)))
		}
	}
	p.line("")
}

// cell keeps a text from ending its cell, its line, or being read as HTML,
// which code in backticks is not.
func cell(s string) string {
	if strings.HasPrefix(s, "`") {
		return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s)
	}
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(s)
}
