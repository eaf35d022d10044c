package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"

	"github.com/hpatune/hpatune/tuner"
)

// dash stands for what was not measured.
const dash = "—"

var funcs = template.FuncMap{
	"quantity":  quantityOf,
	"seconds":   seconds,
	"digits":    digits,
	"readyAt":   readyAt,
	"selfClass": func(v string) string { return map[string]string{"pass": "pass", "fail": "fail"}[v] },
	"interval":  interval,
	"delta":     delta,
	"percent":   percent,
	"clock":     clock,
	"money":     money,
	"upper":     strings.ToUpper,
	"mark":      func(s string) string { return strings.ReplaceAll(s, "_", " ") },
	"lines":     manifestLines,
	"verdict":   func(v any) string { return fmt.Sprint(v) },
	"latency":   latencyRows,
	"figures":   figuresOf,
	"off":       off,
	"picks":     picks,
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

// number prints x in its unit, scaled for people.
func number(x float64, unit string) string {
	if math.IsInf(x, 0) {
		return "never"
	}
	switch unit {
	case "s":
		return seconds(x)
	case "ratio":
		return percent(x)
	case "usd":
		return money(x)
	case "per_s":
		return digits(x) + "/s"
	case "h":
		return digits(x) + " h"
	}
	return digits(x)
}

// seconds prints a duration: 0.4 ms, 412 ms, 1.24 s, 12.4 s, 2 m 05 s.
func seconds(x float64) string {
	sign := ""
	if x < 0 {
		sign, x = "−", -x
	}
	switch {
	case x == 0:
		return "0 s"
	case x < 0.00995:
		return fmt.Sprintf("%s%.2g ms", sign, x*1e3)
	case x < 0.9995:
		return fmt.Sprintf("%s%.0f ms", sign, x*1e3)
	case x < 9.995:
		return fmt.Sprintf("%s%.2f s", sign, x)
	case x < 99.95:
		return fmt.Sprintf("%s%.1f s", sign, x)
	}
	return sign + clock(x)
}

// clock prints an instant of a run: 45 s, 2 m 05 s, 1 h 02 m.
func clock(x float64) string {
	s := int(math.Round(math.Abs(x)))
	sign := ""
	if x < 0 {
		sign = "−"
	}
	switch {
	case s < 60:
		return fmt.Sprintf("%s%d s", sign, s)
	case s < 3600:
		return fmt.Sprintf("%s%d m %02d s", sign, s/60, s%60)
	}
	return fmt.Sprintf("%s%d h %02d m", sign, s/3600, s%3600/60)
}

// percent prints a ratio, with as many digits as tell it from 0 and 100 %.
func percent(x float64) string {
	p := math.Abs(x * 100)
	sign := ""
	if x < 0 {
		sign = "−"
	}
	switch {
	case p == 0 || p == 100:
		return fmt.Sprintf("%s%.0f %%", sign, p)
	case p > 99.99 && p < 100:
		return fmt.Sprintf("%s%.3f %%", sign, math.Floor(p*1000)/1000) // never rounded up to 100 %
	case p < 1 || p > 99 && p < 100:
		return fmt.Sprintf("%s%.2f %%", sign, p)
	case p < 10 || p > 90:
		return fmt.Sprintf("%s%.1f %%", sign, p)
	}
	return fmt.Sprintf("%s%.0f %%", sign, p)
}

// money prints US dollars: $0.0412, $1.24, $511, $12,300.
func money(x float64) string {
	sign := ""
	if x < 0 {
		sign, x = "−", -x
	}
	switch {
	case x == 0:
		return "$0"
	case x < 0.1:
		return fmt.Sprintf("%s$%.4f", sign, x)
	case x < 1000:
		return strings.TrimSuffix(fmt.Sprintf("%s$%.2f", sign, x), ".00")
	}
	return sign + "$" + thousands(x)
}

func thousands(x float64) string {
	s := fmt.Sprintf("%.0f", x)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// digits prints a plain number with three digits that matter.
func digits(x float64) string {
	a := math.Abs(x)
	s := ""
	switch {
	case a == math.Trunc(a) && a < 1000:
		s = fmt.Sprintf("%.0f", a)
	case a < 10:
		s = fmt.Sprintf("%.2f", a)
	case a < 100:
		s = fmt.Sprintf("%.1f", a)
	default:
		s = thousands(a)
	}
	if x < 0 {
		return "−" + s
	}
	return s
}

// span is a figure and the interval it lies in, for printing; Range is "" where
// there is none.
type span struct{ Value, Range string }

func (s span) String() string {
	if s.Range == "" {
		return s.Value
	}
	return s.Value + " (" + s.Range + ")"
}

// interval prints a figure with its 90 % interval where it has one.
func interval(i *tuner.Interval, unit string) span {
	return spanOf(i, func(x float64) string { return number(x, unit) }, " – ")
}

// delta prints a difference with its sign; attainment's in percentage points.
func delta(i *tuner.Interval, unit string) span {
	return spanOf(i, func(x float64) string {
		s := ""
		if unit == "ratio" {
			s = digits(math.Abs(math.Round(x*1e4)/100)) + " pt"
		} else {
			s = number(math.Abs(x), unit)
		}
		switch {
		case strings.Trim(s, "0.$ pts") == "":
			return "±0"
		case x < 0:
			return "−" + s
		}
		return "+" + s
	}, " … ")
}

func spanOf(i *tuner.Interval, print func(float64) string, to string) span {
	if i == nil {
		return span{Value: dash}
	}
	s := span{Value: print(i.Value)}
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
