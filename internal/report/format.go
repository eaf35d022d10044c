package report

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
)

// dash stands for what was not measured.
const dash = figure.Dash

// How figures are printed is decided in internal/figure; these are its names here.
var (
	number  = figure.Of
	seconds = figure.Time
	clock   = figure.Clock
	percent = figure.Percent
	digits  = figure.Digits
	money   = figure.Money
)

// funcsOf are the template's functions; amounts are of the currency.
func funcsOf(currency string) template.FuncMap {
	in := func(unit string) string {
		if unit == figure.USD {
			return currency
		}
		return unit
	}
	return template.FuncMap{
		"quantity":  func(x any, unit string) string { return quantityOf(x, in(unit)) },
		"seconds":   seconds,
		"digits":    digits,
		"readyAt":   readyAt,
		"selfClass": func(v any) string { return map[string]string{"pass": "pass", "fail": "fail"}[fmt.Sprint(v)] },
		"zeroHead":  zeroHead,
		"zeroFacts": zeroFacts,
		"zeroMet":   met,
		"interval":  func(i *tuner.Interval, unit string) span { return interval(i, in(unit)) },
		"delta":     func(i *tuner.Interval, unit string) span { return delta(i, in(unit)) },
		"percent":   percent,
		"clock":     clock,
		"money":     func(x float64) string { return money(x, currency) },
		"price":     func(x float64) string { return figure.Sign(currency) + strconv.FormatFloat(x, 'g', 4, 64) },
		"upper":     strings.ToUpper,
		"mark":      func(v any) string { return strings.ReplaceAll(fmt.Sprint(v), "_", " ") },
		"lines":     manifestLines,
		"verdict":   func(v any) string { return fmt.Sprint(v) },
		"unit":      unitOf,
		"latency":   latencyRows,
		"figures":   figuresOf,
		"off":       off,
		"within":    yesNo,
		"remark":    remark,
		"points":    func(x *float64) string { return delta(point(x), "ratio").Value },
		"service":   servicePicked,
		"costs":     costPicked,
		"whatif":    whatIfRows,
		"signals":   signalRows,
		"nocost":    noCost,
		"servers": func(list []results.ServerTime) serverTable {
			return serverTable{serversTitle(list), serversNote(list), serverRows(list)}
		},
	}
}

// quantity prints a number in its unit, "—" for nil.
func quantity(x *float64, unit string) string {
	if x == nil || math.IsNaN(*x) {
		return dash
	}
	return number(*x, unit)
}

// quantityOf is quantity for templates, where figures are pointers or plain.
func quantityOf(x any, unit string) string {
	switch x := x.(type) {
	case *float64:
		return quantity(x, unit)
	case float64:
		return quantity(&x, unit)
	}
	return dash
}

// readyAt prints when a backend became ready.
func readyAt(s *float64) string {
	switch {
	case s == nil:
		return dash
	case *s < 0:
		return "before the run"
	}
	return clock(*s)
}

// span is a figure and its interval, for printing; Range is "" if there is none.
type span struct {
	Value, Range string
	Zero         bool // the interval contains 0: of a difference, there may be none
}

func (s span) String() string {
	if s.Range == "" {
		return s.Value
	}
	return s.Value + " (" + s.Range + ")"
}

// short is the figure, and its interval only if a difference of 0 is in it.
func (s span) short() string {
	if s.Zero {
		return s.String()
	}
	return s.Value
}

// interval prints a figure with its 90 % interval where it has one.
func interval(i *tuner.Interval, unit string) span {
	return spanOf(i, func(x float64) string { return number(x, unit) }, " – ")
}

// delta prints a difference with its sign; attainment's in percentage points.
func delta(i *tuner.Interval, unit string) span {
	return spanOf(i, func(x float64) string { return figure.Difference(x, unit) }, " … ")
}

func spanOf(i *tuner.Interval, print func(float64) string, to string) span {
	if i == nil {
		return span{Value: dash}
	}
	s := span{Value: print(i.Value), Zero: !i.BeyondZero()}
	if i.Lo != nil && i.Hi != nil {
		if lo, hi := print(*i.Lo), print(*i.Hi); lo != hi {
			s.Range = lo + to + hi
		}
	}
	return s
}

// change prints b against a, in percent; "" where it cannot be said.
func change(a, b *float64) string {
	if a == nil || b == nil || *a == 0 || math.IsInf(*a, 0) || math.IsInf(*b, 0) {
		return ""
	}
	d := *b / *a - 1
	switch {
	case math.Abs(d) < 0.005:
		return "same"
	case d > 0:
		return "+" + percent(d)
	}
	return percent(d)
}

// manifestLine is a line of YAML, code and comment apart.
type manifestLine struct{ Code, Comment string }

// manifestLines splits a manifest for drawing. A # inside a word is not a comment.
func manifestLines(s string) []manifestLine {
	var out []manifestLine
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, "\n")
		at := strings.Index(line, " #")
		switch {
		case strings.HasPrefix(line, "#"):
			out = append(out, manifestLine{Comment: line})
		case at >= 0:
			out = append(out, manifestLine{line[:at+1], line[at+1:]})
		default:
			out = append(out, manifestLine{Code: line})
		}
	}
	return out
}
