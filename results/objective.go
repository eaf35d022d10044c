package results

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Objective is a limit on a figure: "ttft.p95 < 500ms each 1m for 99%".
type Objective struct {
	Text   string // as written, spaces folded
	Metric string // a key of Metrics
	// Stat is what is taken of a latency: a quantile as 0..1, or StatMean.
	// StatNone for metrics that are one number already.
	Stat  float64
	Op    string  // < <= > >=
	Limit float64 // in Unit
	Unit  Unit
	// Window and For judge stretches: a share For (0..1) of the windows must
	// meet the limit each by itself. Window 0 = the whole run at once.
	Window time.Duration
	For    float64
}

// What Stat holds where it is no quantile.
const (
	StatNone = -1.0
	StatMean = -2.0
)

// ParseObjectives parses several objectives and reports all problems at once. One that says the
// same as an earlier one is left out.
func ParseObjectives(texts []string) ([]Objective, error) {
	var os []Objective
	var errs []error
	for _, text := range texts {
		o, err := ParseObjective(text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !slices.ContainsFunc(os, o.same) {
			os = append(os, o)
		}
	}
	return os, errors.Join(errs...)
}

// same reports whether two objectives differ at most in how they are written.
func (o Objective) same(p Objective) bool {
	o.Text, p.Text = "", ""
	return o == p
}

// ParseObjective parses METRIC[.STAT] OP LIMIT [each WINDOW for PERCENT%].
//
// STAT is p0 to p100 (p99.9), mean or max, and is required for latencies. A
// limit on a latency or time_to_capacity is a duration (500ms, 2s); one on
// error_rate and goodput a percentage or a ratio; replica_hours, usd_month and
// flaps take a number.
func ParseObjective(text string) (Objective, error) {
	text = strings.Join(strings.Fields(text), " ")
	fail := func(try, format string, args ...any) (Objective, error) {
		return Objective{}, fmt.Errorf("objective %q: %s; try %q", text, fmt.Sprintf(format, args...), try)
	}
	const someTry = "ttft.p95 < 500ms"

	// Operators may stand without spaces.
	at := strings.IndexAny(text, "<>=")
	if at < 0 {
		if text == "" {
			return fail(someTry, "empty")
		}
		return fail(someTry, "missing operator")
	}
	left, rest := strings.TrimSpace(text[:at]), text[at:]
	opLen := len(rest) - len(strings.TrimLeft(rest, "<>="))
	o := Objective{Text: text, Op: rest[:opLen], Stat: StatNone}
	rest = strings.TrimSpace(rest[opLen:])

	name, stat, hasStat := strings.Cut(left, ".")
	m := MetricOf(name)
	if m == nil {
		return fail(someTry, "unknown metric %q (there are %s)", name, metricNames())
	}
	o.Metric, o.Unit = m.Name, m.Unit
	switch {
	case m.Latency() && !hasStat:
		return fail(m.Example, "missing statistic")
	case !m.Latency() && hasStat:
		return fail(m.Example, "%s has no statistics, but found %q", name, stat)
	case m.Latency():
		var ok bool
		if o.Stat, ok = parseStat(stat); !ok {
			return fail(m.Example, "unknown statistic %q (p50, p95, p99.9, mean, max)", stat)
		}
	}
	if !slices.Contains([]string{"<", "<=", ">", ">="}, o.Op) {
		return fail(m.Example, "unknown operator %q (<, <=, > or >=)", o.Op)
	}

	fields := strings.Fields(rest)
	if len(fields) == 0 || fields[0] == "each" || fields[0] == "for" {
		return fail(m.Example, "missing limit")
	}
	limit, err := parseLimit(fields[0], m)
	if err != nil {
		return fail(m.Example, "limit %q: %v", fields[0], err)
	}
	o.Limit = limit
	if why, try := o.decidesNothing(m, left, fields[0]); why != "" {
		return fail(try, "%s", why)
	}

	switch fields = fields[1:]; {
	case len(fields) == 0:
		return o, nil
	case len(fields) != 4 || fields[0] != "each" || fields[2] != "for":
		return fail(
			m.Example+" each 1m for 99%",
			"after the limit comes \"each WINDOW for PERCENT%%\" or nothing, but found %q",
			strings.Join(fields, " "),
		)
	case !m.ByWindow():
		return fail(m.Example, "%s is one number of the whole run: no \"each\"", name)
	}
	if o.Window, err = time.ParseDuration(fields[1]); err != nil || o.Window < time.Second {
		return fail(m.Example+" each 1m for 99%", "window %q is not a duration of at least 1s", fields[1])
	}
	percent, isPercent := strings.CutSuffix(fields[3], "%")
	if o.For, err = parseNumber(percent); err != nil || !isPercent || o.For <= 0 || o.For > 100 {
		return fail(m.Example+" each 1m for 99%", "%q is not a percentage over 0%% up to 100%%", fields[3])
	}
	o.For = hundredth(o.For)
	return o, nil
}

func parseStat(s string) (float64, bool) {
	switch s {
	case "mean":
		return StatMean, true
	case "max":
		return 1, true
	}
	digits, ok := strings.CutPrefix(s, "p")
	if !ok {
		return 0, false
	}
	p, err := parseNumber(digits)
	// p999 is three nines everywhere, and no percentile is above 100.
	if err == nil && p > 100 && strings.Trim(digits, "9") == "" {
		p, err = parseNumber(digits[:2] + "." + digits[2:])
	}
	return hundredth(p), err == nil && p <= 100
}

// hundredth returns p/100 as its decimal digits say: 99.9 / 100 is not 0.999.
func hundredth(p float64) float64 { return math.Round(p*1e10) / 1e12 }

// parseNumber reads a finite number that is not negative, in digits: no signs,
// exponents, hexadecimals, NaN.
func parseNumber(s string) (float64, error) {
	if s == "" ||
		strings.ContainsFunc(s, func(r rune) bool { return r != '.' && (r > unicode.MaxASCII || !unicode.IsDigit(r)) }) {
		return 0, errors.New("not a number")
	}
	return strconv.ParseFloat(s, 64)
}

func parseLimit(s string, m *Metric) (float64, error) {
	switch m.Unit {
	case Seconds:
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			return 0, errors.New("not a duration above 0 (500ms, 2s)")
		}
		return d.Seconds(), nil
	case Ratio:
		digits, percent := strings.CutSuffix(s, "%")
		v, err := parseNumber(digits)
		if percent {
			v = hundredth(v)
		}
		if err != nil || v > 1 {
			return 0, errors.New("not a percentage up to 100% or a ratio up to 1")
		}
		return v, nil
	case Money:
		s = strings.TrimLeft(s, "$€£¥") // the amount is in the price's currency, whatever that is
	case Hours:
		s = strings.TrimSuffix(s, "h")
	}
	v, err := parseNumber(s)
	if err != nil {
		return 0, errors.New("not a number in digits (12, 0.5)")
	}
	return v, nil
}

func (o Objective) String() string { return o.Text }

// Name is the figure that the objective is about: "ttft.p95".
func (o Objective) Name() string {
	if i := strings.IndexAny(o.Text, "<>= "); i >= 0 {
		return o.Text[:i]
	}
	return o.Metric
}

// Latency reports whether the objective is about a latency.
func (o Objective) Latency() bool {
	m := o.Of()
	return m != nil && m.Latency()
}

// Met reports whether a value satisfies the limit. NaN does not.
func (o Objective) Met(v float64) bool {
	switch o.Op {
	case "<":
		return v < o.Limit
	case "<=":
		return v <= o.Limit
	case ">":
		return v > o.Limit
	}
	return v >= o.Limit
}

// upper reports whether the limit is one that values must stay below.
func (o Objective) upper() bool { return o.Op == "<" || o.Op == "<=" }

// decidesNothing says why an objective would pass, or fail, whatever is measured,
// and what was probably meant; "" where it decides something. left and limit are
// its words as written.
func (o Objective) decidesNothing(m *Metric, left, limit string) (why, try string) {
	other := map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<="}[o.Op]
	percent := m.Example
	if !strings.HasSuffix(limit, "%") && o.Limit > 0 {
		percent = left + " " + o.Op + " " + limit + "%"
	}
	switch {
	case m.LargerIsWorse && !o.upper():
		return fmt.Sprintf("it passes if %s is bad", m.Name), left + " " + other + " " + limit
	case !m.LargerIsWorse && o.upper():
		return fmt.Sprintf("it passes if %s is bad", m.Name), left + " " + other + " " + limit
	case m.LargerIsWorse && m.Unit == Ratio && o.Limit >= 1:
		return fmt.Sprintf("it always passes: %s is all requests", limit), percent
	case !m.LargerIsWorse && m.Unit == Ratio && o.Limit == 0:
		return "it always passes: no share is below 0", m.Example
	case !m.LargerIsWorse && m.Unit == Ratio && o.Limit >= 1 && o.Op == ">":
		return fmt.Sprintf("it can never pass: %s is all requests", limit), left + " >= 100%"
	case m.LargerIsWorse && o.Limit == 0 && o.Op == "<":
		return fmt.Sprintf("it can never pass: no %s is below 0", m.Name), left + " <= " + limit
	}
	return "", ""
}

// Figure is a number with its uncertainty. Lo and Hi bound a 90 % interval;
// NaN = not known, for each of the three.
type Figure struct {
	Name          string // "ttft.p95", as in an objective
	Value, Lo, Hi float64
	N             int // how many requests, windows or events it rests on
	Unit          Unit
	Currency      string // of an amount of money: EUR; "" = not said
}

// Exactly returns a figure without uncertainty.
func Exactly(name string, value float64, n int, unit Unit) Figure {
	return Figure{Name: name, Value: value, Lo: math.NaN(), Hi: math.NaN(), N: n, Unit: unit}
}
