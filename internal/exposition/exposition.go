// Package exposition parses the metrics pages of servers, in the Prometheus text
// format or in OpenMetrics.
package exposition

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// ErrNoMetrics means that a page has no sample: HTML, JSON, nothing.
var ErrNoMetrics = errors.New("not a page of metrics")

// Read returns the families of a page that are wanted, by name; want is asked for
// the name before _bucket, _sum and _count, too, and nil wants all.
//
// It is more lenient than the format: HELP and UNIT are left out, exemplars and
// time stamps, and types that Prometheus' format lacks (info, unknown, stateset,
// gaugehistogram) count as none. What is no sample is skipped, as long as another
// line is one; a page without any is ErrNoMetrics.
//
// NaN is kept: whether a value is one is the caller's question.
//
// Source: prometheus.io/docs/instrumenting/exposition_formats, and the OpenMetrics
// specification 1.0.
func Read(page []byte, want func(family string) bool) (map[string]*dto.MetricFamily, error) {
	var kept bytes.Buffer
	typed, samples := map[string]bool{}, 0
	for raw := range strings.Lines(string(page)) {
		line := strings.TrimSpace(raw)
		if line == "" {
			continue
		}
		if line[0] == '#' {
			if name, kind, ok := typeOf(line); ok && !typed[name] && (want == nil || want(name)) {
				typed[name] = true
				fmt.Fprintf(&kept, "# TYPE %s %s\n", name, kind)
			}
			continue
		}
		name, rest, ok := cut(line)
		if !ok {
			continue
		}
		samples++
		if want == nil || want(name) || want(Family(name)) {
			fmt.Fprintf(&kept, "%s %s\n", line[:len(line)-len(rest)], strings.Fields(rest)[0])
		}
	}
	if samples == 0 {
		return nil, fmt.Errorf("%w: it begins with %q", ErrNoMetrics, beginning(page))
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(&kept)
}

// beginning is the first words of a page, for a message.
func beginning(page []byte) string {
	const most = 40
	text := strings.Join(strings.Fields(string(page[:min(len(page), 400)])), " ")
	return text[:min(len(text), most)]
}

// typeOf reads a TYPE line; ok is false for other comments, and for types that
// the text format does not have.
func typeOf(line string) (name, kind string, ok bool) {
	f := strings.Fields(line)
	if len(f) != 4 || f[0] != "#" || f[1] != "TYPE" {
		return "", "", false
	}
	switch f[3] {
	case "counter", "gauge", "histogram", "summary", "untyped":
		return f[2], f[3], true
	}
	return "", "", false
}

// cut splits a sample into its name and what follows its labels. ok is false
// where the line is no sample: there must be a number after the labels.
func cut(line string) (name, rest string, ok bool) {
	end := strings.IndexAny(line, "{ \t")
	if end < 0 {
		return "", "", false
	}
	name = line[:end]
	if line[end] == '{' {
		length := labels(line[end:])
		if length == 0 {
			return "", "", false
		}
		if end == 0 { // {"a name in quotes", label="…"}
			name, _, _ = strings.Cut(strings.TrimLeft(line[1:length], ` "`), `"`)
		}
		end += length
	}
	rest = line[end:]
	f := strings.Fields(rest)
	if len(f) == 0 || name == "" || !model.LegacyValidation.IsValidMetricName(name) && line[0] != '{' {
		return "", "", false
	}
	_, err := strconv.ParseFloat(f[0], 64)
	return name, rest, err == nil
}

// labels is the length of the braces that text begins with; 0 = they do not close.
func labels(text string) int {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '}' && !quoted:
			return i + 1
		}
	}
	return 0
}

// Family is the name of the histogram or summary to which a sample's name belongs: without
// _bucket, _sum or _count; or the name itself.
func Family(name string) string {
	for _, end := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, end); ok {
			return base
		}
	}
	return name
}

// Value is the value of a metric that is not a histogram; for a summary or a histogram, the
// number of observations. It may be NaN.
func Value(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.GetCounter().GetValue()
	case m.Gauge != nil:
		return m.GetGauge().GetValue()
	case m.Untyped != nil:
		return m.GetUntyped().GetValue()
	case m.Histogram != nil:
		return float64(m.GetHistogram().GetSampleCount())
	case m.Summary != nil:
		return float64(m.GetSummary().GetSampleCount())
	}
	return math.NaN()
}

// Label is the value of a metric's label; "" = it has none of the name.
func Label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
