package report

import (
	"fmt"
	"strings"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/tuner"
)

// pick is a configuration with the name it goes by.
type pick struct {
	Name string
	*tuner.Pick
}

// picks lists the configurations of a recommendation that are worth a column, each
// once.
func picks(r *tuner.Recommendation) []pick {
	var out []pick
next:
	for _, p := range []pick{
		{"current", r.Current}, {"recommended", r.Recommended}, {"minimal change", r.Alternatives.MinimalChange},
		{"cheapest", r.Alternatives.Cheapest}, {"safest", r.Alternatives.Safest},
	} {
		if p.Pick == nil {
			continue
		}
		for _, q := range out {
			if q.Config.Equal(&p.Config) {
				continue next
			}
		}
		out = append(out, p)
	}
	return out
}

// picked is the figures of a recommendation's configurations, one figure per row: what
// the run measured, if it did, and what each configuration would do on another such day.
type picked struct {
	Head []string
	Rows []pickedRow
}

type pickedRow struct {
	Name  string
	Cells []span
}

// pickedFigure is one figure, as measured and as predicted; a function is nil if that
// side does not know the figure.
type pickedFigure struct {
	name, unit string
	measured   func(*tuner.Measured) *float64
	predicted  func(*tuner.Predicted) *tuner.Interval
	ranged     bool // the interval is shown in text, too
}

func point(x *float64) *tuner.Interval {
	if x == nil {
		return nil
	}
	return &tuner.Interval{Value: *x}
}

var serviceFigures = []pickedFigure{
	{
		"within limits",
		"ratio",
		func(m *tuner.Measured) *float64 { return m.Attainment },
		func(p *tuner.Predicted) *tuner.Interval { return p.Attainment },
		false,
	},
	{
		"all objectives met in",
		"ratio",
		nil,
		func(p *tuner.Predicted) *tuner.Interval { return &tuner.Interval{Value: p.PSLOMet} },
		false,
	},
	{
		"TTFT p95",
		"s",
		func(m *tuner.Measured) *float64 { return m.TTFTP95 },
		func(p *tuner.Predicted) *tuner.Interval { return p.TTFTP95 },
		false,
	},
	{
		"E2E p95",
		"s",
		func(m *tuner.Measured) *float64 { return m.E2EP95 },
		func(p *tuner.Predicted) *tuner.Interval { return p.E2EP95 },
		false,
	},
	{
		"errors",
		"ratio",
		func(m *tuner.Measured) *float64 { return m.ErrorRatio },
		func(p *tuner.Predicted) *tuner.Interval { return p.ErrorRatio },
		false,
	},
	{
		"replica-hours",
		"",
		func(m *tuner.Measured) *float64 { return m.ReplicaHours },
		func(p *tuner.Predicted) *tuner.Interval { return p.ReplicaHours },
		false,
	},
	{
		"node-hours",
		"",
		nil,
		func(p *tuner.Predicted) *tuner.Interval { return p.NodeHours },
		false,
	},
	{
		"most replicas",
		"",
		func(m *tuner.Measured) *float64 { return m.MaxReplicas },
		func(p *tuner.Predicted) *tuner.Interval { return p.MaxReplicas },
		false,
	},
	{
		"time to capacity",
		"s",
		func(m *tuner.Measured) *float64 { return m.TimeToCapacity },
		func(p *tuner.Predicted) *tuner.Interval { return p.TimeToCapacity },
		false,
	},
	{
		"flaps",
		"",
		func(m *tuner.Measured) *float64 { return m.Flaps },
		func(p *tuner.Predicted) *tuner.Interval { return p.Flaps },
		false,
	},
}

var costFigures = []pickedFigure{
	{
		"hourly cost",
		"usd",
		func(m *tuner.Measured) *float64 { return m.USDHour },
		func(p *tuner.Predicted) *tuner.Interval { return p.USDHour },
		true,
	},
	{
		"monthly cost, floor",
		"usd",
		nil,
		func(p *tuner.Predicted) *tuner.Interval { return point(p.USDMonth.Floor) },
		false,
	},
	{"monthly cost, expected", "usd", nil, func(p *tuner.Predicted) *tuner.Interval { return p.USDMonth.Expected }, true},
	{
		"monthly cost, ceiling",
		"usd",
		nil,
		func(p *tuner.Predicted) *tuner.Interval { return point(p.USDMonth.Ceiling) },
		false,
	},
	{"per million requests", "usd", nil, func(p *tuner.Predicted) *tuner.Interval { return p.USDPerMRequest }, false},
	{"per million tokens", "usd", nil, func(p *tuner.Predicted) *tuner.Interval { return p.USDPerMToken }, false},
}

// servicePicked and costPicked are the two tables of a recommendation.
func servicePicked(r *tuner.Recommendation) picked { return pickedOf(r, picks(r), serviceFigures) }
func costPicked(r *tuner.Recommendation) picked    { return pickedOf(r, picks(r), costFigures) }

// pickedOf sets the figures of configurations side by side, with r's measured ones
// and prices.
func pickedOf(r *tuner.Recommendation, ps []pick, figures []pickedFigure) picked {
	var out picked
	if r.Measured != nil {
		out.Head = append(out.Head, "measured")
	}
	for _, p := range ps {
		out.Head = append(out.Head, p.Name+", predicted")
	}
	for _, f := range figures {
		if f.unit == figure.USD {
			f.unit = r.Price.Currency
		}
		row := pickedRow{Name: f.name}
		some := false
		add := func(i *tuner.Interval) {
			some = some || i != nil
			row.Cells = append(row.Cells, interval(i, f.unit))
		}
		if r.Measured != nil {
			var m *float64
			if f.measured != nil {
				m = f.measured(r.Measured)
			}
			add(point(m))
		}
		for _, p := range ps {
			add(f.predicted(&p.Predicted))
		}
		if some {
			out.Rows = append(out.Rows, row)
		}
	}
	return out
}

// picks writes configurations side by side, with r's measured figures and prices.
func (p *printer) picks(r *tuner.Recommendation, ps []pick) {
	if len(ps) == 0 {
		return
	}
	p.line("")
	service := pickedOf(r, ps, serviceFigures)
	rows := [][]string{append([]string{""}, service.Head...)}
	for _, t := range []struct {
		of      picked
		figures []pickedFigure
	}{{service, serviceFigures}, {pickedOf(r, ps, costFigures), costFigures}} {
		for _, row := range t.of.Rows {
			cells := []string{row.Name}
			for _, c := range row.Cells {
				cells = append(cells, c.text(t.figures, row.Name))
			}
			rows = append(rows, cells)
		}
	}
	p.table(rows)
	p.line("  Within limits: requests that met every latency limit. Time to capacity: longest time below what the " +
		"HPA wanted. Flaps: changes of size reversed within 10 min.")
	if r.Price.Name != "" {
		p.line("  Prices: %s, %s", r.Price.Name, r.Price.Date)
	}
	if p0 := ps[0].Predicted; p0.USDHour == nil {
		p.line("  No cost: %s", noCost(r))
	} else if p0.USDMonth.Expected == nil {
		p.line("  No expected monthly cost: the profile does not say what it represents (a day or a week).")
	}
	for _, e := range r.Equals {
		p.line("  Equally good, but a larger change: %s", tuner.Describe(e.Config))
	}
}

// text is a cell as text shows it: with its interval where the figure says so.
func (s span) text(figures []pickedFigure, name string) string {
	for _, f := range figures {
		if f.name == name && f.ranged {
			return s.String()
		}
	}
	return s.Value
}

// noCost says why no cost is shown.
func noCost(r *tuner.Recommendation) string {
	if missing := r.Unpriced; len(missing) > 0 {
		return fmt.Sprintf(
			"price list %s has no price for %s; pass your own with --price FILE",
			r.Price.Name,
			strings.Join(missing, ", "),
		)
	}
	return "the resource requests of the pods are unknown (--requests cpu=1,memory=2Gi)."
}
