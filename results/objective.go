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
	Unit  string  // s, ratio, h, usd, or "" for a count
	// Window and For judge stretches: a share For (0..1) of the windows must
	// meet the limit each by itself. Window 0 = the whole run at once.
	Window time.Duration
	For    float64
}

const (
	StatNone = -1.0
	StatMean = -2.0
)

// A metric is something that an objective can be about.
type metric struct {
	name    string
	unit    string
	latency bool   // takes a statistic, is known for each request
	windows bool   // can be judged window by window
	upward  bool   // more is better
	example string // of an objective
}

// metrics lists what objectives can be about, by INTERFACES.md.
var metrics = []metric{
	{"ttft", "s", true, true, false, "ttft.p95 < 500ms"},
	{"itl", "s", true, true, false, "itl.p99 < 100ms"},
	{"tpot", "s", true, true, false, "tpot.p95 < 50ms"},
	{"e2e", "s", true, true, false, "e2e.p99 <= 2s"},
	{"ttft_from_sent", "s", true, true, false, "ttft_from_sent.p95 < 500ms"},
	{"e2e_from_sent", "s", true, true, false, "e2e_from_sent.p99 <= 2s"},
	{"error_rate", "ratio", false, true, false, "error_rate < 0.1%"},
	{"goodput", "ratio", false, true, true, "goodput > 95%"},
	{"replica_hours", "h", false, false, false, "replica_hours < 12"},
	{"ready_hours", "h", false, false, false, "ready_hours < 12"},
	{"usd_hour", "usd", false, false, false, "usd_hour < 2"},
	{"usd_month", "usd", false, false, false, "usd_month < 900"},
	{"flaps", "", false, false, false, "flaps <= 2"},
	{"time_to_capacity", "s", false, false, false, "time_to_capacity < 90s"},
}

func metricOf(name string) (metric, bool) {
	i := slices.IndexFunc(metrics, func(m metric) bool { return m.name == name })
	if i < 0 {
		return metric{}, false
	}
	return metrics[i], true
}

// ParseObjectives parses several objectives and reports all problems at once.
func ParseObjectives(texts []string) ([]Objective, error) {
	var os []Objective
	var errs []error
	for _, text := range texts {
		o, err := ParseObjective(text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		os = append(os, o)
	}
	return os, errors.Join(errs...)
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
	m, ok := metricOf(name)
	if !ok {
		names := make([]string, len(metrics))
		for i, m := range metrics {
			names[i] = m.name
		}
		return fail(someTry, "unknown metric %q (there are %s)", name, strings.Join(names, ", "))
	}
	o.Metric, o.Unit = m.name, m.unit
	switch {
	case m.latency && !hasStat:
		return fail(m.example, "missing statistic")
	case !m.latency && hasStat:
		return fail(m.example, "%s has no statistics, but found %q", name, stat)
	case m.latency:
		if o.Stat, ok = parseStat(stat); !ok {
			return fail(m.example, "unknown statistic %q (p50, p95, p99.9, mean, max)", stat)
		}
	}
	if !slices.Contains([]string{"<", "<=", ">", ">="}, o.Op) {
		return fail(m.example, "unknown operator %q (<, <=, > or >=)", o.Op)
	}

	fields := strings.Fields(rest)
	if len(fields) == 0 || fields[0] == "each" || fields[0] == "for" {
		return fail(m.example, "missing limit")
	}
	limit, err := parseLimit(fields[0], m)
	if err != nil {
		return fail(m.example, "limit %q: %v", fields[0], err)
	}
	o.Limit = limit

	switch fields = fields[1:]; {
	case len(fields) == 0:
		return o, nil
	case len(fields) != 4 || fields[0] != "each" || fields[2] != "for":
		return fail(m.example+" each 1m for 99%", "after the limit comes \"each WINDOW for PERCENT%%\" or nothing, but found %q", strings.Join(fields, " "))
	case !m.windows:
		return fail(m.example, "%s is one number of the whole run: no \"each\"", name)
	}
	if o.Window, err = time.ParseDuration(fields[1]); err != nil || o.Window < time.Second {
		return fail(m.example+" each 1m for 99%", "window %q is not a duration of at least 1s", fields[1])
	}
	percent, isPercent := strings.CutSuffix(fields[3], "%")
	if o.For, err = parseNumber(percent); err != nil || !isPercent || o.For <= 0 || o.For > 100 {
		return fail(m.example+" each 1m for 99%", "%q is not a percentage over 0%% up to 100%%", fields[3])
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
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r != '.' && (r > unicode.MaxASCII || !unicode.IsDigit(r)) }) {
		return 0, errors.New("not a number")
	}
	return strconv.ParseFloat(s, 64)
}

func parseLimit(s string, m metric) (float64, error) {
	switch m.unit {
	case "s":
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			return 0, errors.New("not a duration above 0 (500ms, 2s)")
		}
		return d.Seconds(), nil
	case "ratio":
		digits, percent := strings.CutSuffix(s, "%")
		v, err := parseNumber(digits)
		if percent {
			v = hundredth(v)
		}
		if err != nil || v > 1 {
			return 0, errors.New("not a percentage up to 100% or a ratio up to 1")
		}
		return v, nil
	case "usd":
		s = strings.TrimPrefix(s, "$")
	case "h":
		s = strings.TrimSuffix(s, "h")
	}
	v, err := parseNumber(s)
	if err != nil {
		return 0, errors.New("not a number")
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
	m, ok := metricOf(o.Metric)
	return ok && m.latency
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

// Limits are what one request must meet to be good: the limits of the latency
// objectives, the tightest of each metric; 0 = none. A request is good when it
// was answered well and met all of them at once.
type Limits struct{ TTFT, ITL, TPOT, E2E time.Duration }

// LimitsOf collects the limits of objectives.
func LimitsOf(objectives []Objective) Limits {
	var l Limits
	for _, o := range objectives {
		if o.Op != "<" && o.Op != "<=" {
			continue
		}
		var p *time.Duration
		switch o.Metric {
		case "ttft":
			p = &l.TTFT
		case "itl":
			p = &l.ITL
		case "tpot":
			p = &l.TPOT
		case "e2e":
			p = &l.E2E
		default:
			continue
		}
		if d := time.Duration(o.Limit * float64(time.Second)); *p == 0 || d < *p {
			*p = d
		}
	}
	return l
}

// Tightest returns the smallest limit; 0 = there is none.
func (l Limits) Tightest() time.Duration {
	return positiveMin(positiveMin(l.TTFT, l.ITL), positiveMin(l.TPOT, l.E2E))
}

func positiveMin(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// Good reports whether r was answered well within all limits. A limit that
// does not apply to it (TTFT of an answer in one piece) is met.
func (l Limits) Good(r *Request) bool {
	if r.Outcome != OK {
		return false
	}
	for _, c := range []struct {
		metric string
		limit  time.Duration
	}{{"ttft", l.TTFT}, {"itl", l.ITL}, {"tpot", l.TPOT}, {"e2e", l.E2E}} {
		if c.limit == 0 {
			continue
		}
		if d, ok := r.Latency(c.metric); ok && d > c.limit {
			return false
		}
	}
	return true
}

// Latency returns a latency of an answered request by its metric's name, in
// run time:
//
//	ttft            first content − scheduled
//	e2e             done − scheduled
//	itl             the longest gap between two tokens
//	tpot            (last − first content) / (tokens − 1)
//	ttft_from_sent  first content − sent
//	e2e_from_sent   done − sent
//
// It returns false where the request was not answered well, or has no such
// latency: no TTFT without a stream, no gap with fewer than two tokens.
func (r *Request) Latency(metric string) (time.Duration, bool) {
	if r.Outcome != OK {
		return 0, false
	}
	between := func(from, to time.Duration) (time.Duration, bool) {
		return to - from, Happened(from) && Happened(to)
	}
	switch metric {
	case "ttft":
		return between(r.Scheduled, r.First)
	case "e2e":
		return between(r.Scheduled, r.Done)
	case "ttft_from_sent":
		d, ok := between(r.Sent, r.First)
		return d, ok
	case "e2e_from_sent":
		return between(r.Sent, r.Done)
	case "itl":
		return r.GapMax, r.GapMax > 0
	case "tpot":
		d, ok := between(r.First, r.Last)
		if !ok || r.Tokens < 2 {
			return 0, false
		}
		return d / time.Duration(r.Tokens-1), true
	}
	return 0, false
}

// Figure is a number with its uncertainty. Lo and Hi bound a 90 % interval;
// NaN = not known, for each of the three.
type Figure struct {
	Name          string // "ttft.p95", as in an objective
	Value, Lo, Hi float64
	N             int    // how many requests, windows or events it rests on
	Unit          string // s, ratio, h, usd, or "" for a count
}

// Exactly returns a figure without uncertainty.
func Exactly(name string, value float64, n int, unit string) Figure {
	return Figure{Name: name, Value: value, Lo: math.NaN(), Hi: math.NaN(), N: n, Unit: unit}
}
