package report

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
)

// signals is the table of recorded metrics that the HPA does not scale on.
type signals struct {
	Cost     string
	Searched bool // the best target of each was searched for
	Rows     []signalRow
	Dropped  []string
	Advised  string
}

type signalRow struct {
	Name, Follows, Noise, Ceiling, Target, Lead string
	Cost, Attainment                            span
}

// signalRows makes the table of a recommendation; nil = there are no such metrics, or the
// run was refused, so that nothing was computed for them.
func signalRows(r *tuner.Recommendation) *signals {
	if len(r.Signals) == 0 || r.Verdict == tuner.Refuse {
		return nil
	}
	out := &signals{Cost: "replica-hours"}
	for i := range r.Signals {
		if r.Signals[i].USDMonth != nil {
			out.Cost = "monthly cost"
		}
	}
	for i := range r.Signals {
		g := &r.Signals[i]
		if g.Dropped != "" {
			out.Dropped = append(out.Dropped, g.Name+": "+g.Dropped)
			continue
		}
		row := signalRow{
			Name:    shortName(g.Name),
			Follows: g.Follows,
			Noise:   quantity(g.Noise, figure.Ratio),
			Ceiling: "none",
			Target: quantity(
				g.Target,
				"",
			),
			Lead:       dash,
			Cost:       delta(g.ReplicaHours, ""),
			Attainment: delta(g.Attainment, figure.Ratio),
		}
		if out.Cost != "replica-hours" {
			row.Cost = delta(g.USDMonth, r.Price.Currency)
		}
		if g.Ceiling != nil {
			if row.Ceiling = digits(*g.Ceiling); g.Reaches != nil && !*g.Reaches {
				row.Ceiling += ", too low"
			}
		}
		if g.LeadS != nil {
			row.Lead = figure.Difference(*g.LeadS, figure.Seconds)
		}
		switch g.Verdict {
		case tuner.Missed:
			row.Cost = span{Value: "missed"}
		case "":
			row.Cost = span{Value: dash}
		}
		out.Searched = out.Searched || g.Verdict != tuner.NotSearched
		out.Rows = append(out.Rows, row)
		if g.Advised {
			out.Advised = fmt.Sprintf(
				"Scaling on %s would meet the same objectives at a lower cost; to try it, see signal.yaml.",
				g.Name,
			)
		}
	}
	return out
}

// narrow shortens what a signal follows to one word, for a table of 80 columns.
var narrow = strings.NewReplacer("requests waiting per request in service", "ratio", "requests in service", "running",
	"requests waiting", "waiting", "requests in flight", "in flight", "completions per second", "completions",
	"age of the longest waiting", "age", " of the time to the first token", " TTFT", "time to the first token", "TTFT",
	" of the time to the end of the answer", " E2E", "time to the end of the answer", "E2E", " of the time in the queue",
	" queue time", "time in the queue", "queue time")

// composedName matches the names of computed signals, which are PromQL (tuner).
var composedName = struct{ rate, share, ratio *regexp.Regexp }{
	regexp.MustCompile(`^sum\(rate\((?:\w+:)?(\w+?)(?:_total)?\[(\w+)\]\)\)$`),
	regexp.MustCompile(`^sum\((\S+)\) / count\(\S+\) / (\d+)$`),
	regexp.MustCompile(`^sum\((\S+)\) / sum\((\S+)\)$`),
}

// shortName shortens the name of a computed signal for a table of 80 columns; signal.yaml and
// the JSON have the whole query.
func shortName(name string) string {
	if rest, both := strings.CutPrefix(name, "max of "); both {
		a, b, _ := strings.Cut(rest, " and ")
		return "max of " + shortName(a) + " and " + shortName(b)
	}
	bare := func(metric string) string { return metric[strings.LastIndex(metric, ":")+1:] }
	if m := composedName.rate.FindStringSubmatch(name); m != nil {
		return "rate of " + m[1]
	}
	if m := composedName.share.FindStringSubmatch(name); m != nil {
		return bare(m[1]) + " / slots"
	}
	if m := composedName.ratio.FindStringSubmatch(name); m != nil {
		return bare(m[1]) + " / " + bare(m[2])
	}
	if parts := strings.Split(name, tuner.SumSign); len(parts) > 1 {
		for i := range parts {
			parts[i] = bare(parts[i])
		}
		return strings.Join(parts, " + ")
	}
	if strings.HasSuffix(name, results.MeanSuffix) {
		return "mean of " + bare(strings.TrimSuffix(name, results.MeanSuffix))
	}
	return name
}

// signals writes the table of recorded metrics that the HPA does not scale on.
func (p *printer) signals(r *tuner.Recommendation) {
	s := signalRows(r)
	if s == nil {
		return
	}
	title := "Recorded metrics that the HPA does not use"
	if s.Searched {
		title += ", each at the best target found"
	}
	p.line("\n%s:", title)
	if len(s.Rows) > 0 {
		rows := [][]string{{"", "follows", "noise", "ceiling", "target", "lead", s.Cost}}
		for _, x := range s.Rows {
			follows := narrow.Replace(x.Follows)
			rows = append(rows, []string{x.Name, follows, x.Noise, x.Ceiling, x.Target, x.Lead, x.Cost.short()})
		}
		p.table(rows)
		p.line(
			"  Ceiling: the highest value per replica. Lead: how long before the objectives are missed the metric asks for " +
				"more replicas.",
		)
	}
	for _, x := range s.Dropped {
		p.line("  Not usable: %s", x)
	}
	if s.Advised != "" {
		p.line("  %s", s.Advised)
	}
}
