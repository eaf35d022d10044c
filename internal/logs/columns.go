package logs

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A row is one record of a log: the value of a column as text, and whether
// there is one.
type row interface {
	get(column string) (string, bool)
}

// named are the names of a field in logs, without unit and without "_time", "_at", "_ts";
// since marks those that count from the arrival. The first match is used.
var named = map[string][]spelling{
	"t": {{name: "t"}, {name: "arrival"}, {name: "arrived"}, {name: "info.timings.request_start"},
		{name: "metadata.request_start"}, {name: "request_start"},
		{name: "scheduled_send"}, {name: "start"}, {name: "started"}, {name: "sent"}, {name: "send"}, {name: "timestamp"},
		{name: "time"}, {name: "ts"}, {name: "created"}, {name: "date"}},
	"input": {{name: "input_tokens"}, {name: "prompt_tokens"}, {name: "input_len"}, {name: "prompt_len"},
		{name: "input_length"}, {name: "num_prompt_tokens"},
		{name: "input_sequence_length"}, {name: "metrics.input_sequence_length.value"}, {name: "contexttokens"},
		{name: "usage.prompt_tokens"}, {name: "prefill_tokens"},
		{name: "info.input_tokens"}, {name: "info.request_metrics.text.input_tokens"}, {name: "input_metrics.total_tokens"},
		{name: "prompt_token_count"},
		{name: "dynamic_metadata(io.envoy.ai_gateway:llm_input_token)"}},
	"output": {{name: "output_tokens"}, {name: "completion_tokens"}, {name: "output_len"}, {name: "actual_output_len"},
		{name: "num_generation_tokens"}, {name: "generated_tokens"},
		{name: "generation_tokens"}, {name: "output_length"}, {name: "metrics.output_sequence_length.value"},
		{name: "metrics.output_token_count.value"},
		{name: "output_sequence_length"}, {name: "generatedtokens"}, {name: "usage.completion_tokens"},
		{name: "decode_tokens"}, {name: "info.output_tokens"},
		{name: "info.response_metrics.output_tokens"}, {name: "output_metrics.total_tokens"},
		{name: "dynamic_metadata(io.envoy.ai_gateway:llm_output_token)"}},
	"queued": {{name: "queued"}, {name: "enqueued"}},
	"first": {{name: "first_token"}, {name: "info.timings.first_token_iteration"}, {name: "first_token_iteration"},
		{name: "first"}, {name: "ttft", since: true},
		{name: "time_to_first_token", since: true}, {name: "metrics.time_to_first_token.value", since: true,
			unit: "metrics.time_to_first_token.unit"}},
	"last": {{name: "last_token"}, {name: "info.timings.last_token_iteration"}, {name: "last_token_iteration"},
		{name: "last"}},
	"done": {{name: "end"}, {name: "ended"}, {name: "finished"}, {name: "finish"}, {name: "done"}, {name: "completed"},
		{name: "request_end"}, {name: "info.timings.request_end"},
		{name: "metadata.request_end"}, {name: "metrics.request_latency.value", since: true,
			unit: "metrics.request_latency.unit"}, {name: "e2e", since: true}, {name: "e2el", since: true},
		{name: "e2e_latency", since: true}, {name: "request_latency", since: true}, {name: "latency",
			since: true}, {name: "response", since: true}, {name: "duration", since: true},
		{name: "elapsed", since: true}, {name: "total", since: true}},
	"status": {{name: "status"}, {name: "status_code"}, {name: "http_status"}, {name: "response_code"}, {name: "code"},
		{name: "error.code"}},
	"backend": {{name: "backend"}, {name: "upstream"}, {name: "upstream_host"}, {name: "upstream_addr"}, {name: "pod"},
		{name: "server"}},
	"class": {{name: "class"}, {name: "workload"}},
}

type spelling struct {
	name  string
	since bool   // counts from the arrival
	unit  string // the column that has the unit
}

// units are seconds by the ends of names.
var units = []struct {
	end     string
	seconds float64
}{{"_seconds", 1}, {"_secs", 1}, {"_sec", 1}, {"_s", 1}, {"_milliseconds", 1e-3}, {"_millis", 1e-3}, {"_msec",
	1e-3}, {"_ms", 1e-3},
	{"_micros", 1e-6}, {"_us", 1e-6}, {"_nanos", 1e-9}, {"_ns", 1e-9}}

// plain is a column's name without unit and filling, and the unit; 0 = not said.
func plain(column string) (string, float64) {
	s := strings.ToLower(strings.TrimSpace(column))
	s = strings.NewReplacer("-", "_", " ", "_").Replace(s)
	unit := 0.0
	for _, u := range units {
		if base, ok := strings.CutSuffix(s, u.end); ok && base != "" {
			s, unit = base, u.seconds
			break
		}
	}
	for _, end := range []string{"_timestamp", "_time", "_at", "_ts"} {
		if base, ok := strings.CutSuffix(s, end); ok && base != "" {
			s = base
			break
		}
	}
	return s, unit
}

// source is where a field comes from in one log.
type source struct {
	column string
	since  bool
	scale  float64 // seconds; 0 = by size
	unit   string  // the column that has the unit
}

// mapping is where all fields come from.
type mapping map[string]source

// mapped finds each field among the columns, explicit ones first.
func mapped(columns []string, told map[string]string) (mapping, error) {
	m := mapping{}
	bases := make([]string, len(columns))
	scales := make([]float64, len(columns))
	for i, c := range columns {
		bases[i], scales[i] = plain(c)
	}
	for field, names := range named {
		if t, ok := told[field]; ok {
			s, err := toldSource(t, columns)
			if err != nil {
				return nil, err
			}
			m[field] = s
			continue
		}
		for _, n := range names {
			want, _ := plain(n.name)
			i := slices.IndexFunc(bases, func(b string) bool { return b == n.name || b == want })
			if i < 0 {
				continue
			}
			m[field] = source{columns[i], n.since, scales[i], n.unit}
			break
		}
	}
	return m, nil
}

// toldSource reads "+ttft:ms".
func toldSource(t string, columns []string) (source, error) {
	s := source{column: t}
	s.column, s.since = strings.CutPrefix(t, "+")
	for _, u := range []struct {
		end   string
		scale float64
	}{{":s", 1}, {":ms", 1e-3}, {":us", 1e-6}, {":ns", 1e-9}} {
		if base, ok := strings.CutSuffix(s.column, u.end); ok {
			s.column, s.scale = base, u.scale
			break
		}
	}
	if i := slices.IndexFunc(columns, func(c string) bool {
		return strings.EqualFold(strings.TrimSpace(c),
			s.column)
	}); i >= 0 {
		s.column = columns[i]
	} else if len(columns) > 0 {
		return s, fmt.Errorf("no column %q; the log has %s", s.column, strings.Join(columns, ", "))
	}
	base, scale := plain(s.column)
	if s.scale == 0 {
		s.scale = scale
	}
	for _, names := range named {
		for _, n := range names {
			if n.since && n.name == base {
				s.since = true
			}
		}
	}
	return s, nil
}

// entry reads one row. A reason says why it is not an entry.
func (m mapping) entry(line int, r row) (e Entry, reason string) {
	e = blank(line)
	at := func(field string, since float64) float64 {
		s, ok := m[field]
		if !ok || reason != "" {
			return math.NaN()
		}
		text, ok := r.get(s.column)
		if text = strings.TrimSpace(text); !ok || nothing(text) {
			return math.NaN()
		}
		scale := s.scale
		if u, ok := r.get(s.unit); ok && s.unit != "" {
			scale = unitOf(u)
		}
		v, err := instant(text, scale, !s.since)
		if err != nil {
			reason = fmt.Sprintf("%s %q: %v", s.column, short(text), err)
			return math.NaN()
		}
		if s.since {
			return since + v
		}
		return v
	}
	e.At = at("t", 0)
	e.Queued = at("queued", e.At)
	e.First, e.Last, e.Done = at("first", e.At), at("last", e.At), at("done", e.At)
	e.Prompt, e.Output = m.count(r, "input", &reason), m.count(r, "output", &reason)
	text := func(field string) string {
		s, ok := m[field]
		if !ok {
			return ""
		}
		t, _ := r.get(s.column)
		if nothing(t) {
			return ""
		}
		return strings.TrimSpace(t)
	}
	if t := text("status"); t != "" {
		if code, err := strconv.Atoi(t); err == nil && code >= 0 && code < 1000 {
			e.Status = code
		} else if !slices.Contains([]string{"ok", "success", "successful", "completed", "true", "stop",
			"length"}, strings.ToLower(t)) {
			e.Failed = t
		}
	}
	e.Backend, e.Class = text("backend"), text("class")
	e.oneClock()
	if reason == "" && math.IsNaN(e.At) {
		reason = "no arrival time"
	}
	return e, reason
}

// oneClock corrects vLLM's own statistics: the arrival is in wall time, everything else in
// time since the machine's start.
func (e *Entry) oneClock() {
	const epoch = 1e8 // 1973: no machine has been up for so long
	if e.At > epoch && e.Queued < epoch || math.IsNaN(e.At) {
		e.At = e.Queued
	}
}

func (m mapping) count(r row, field string, reason *string) int {
	s, ok := m[field]
	if !ok || *reason != "" {
		return 0
	}
	text, ok := r.get(s.column)
	if text = strings.TrimSpace(text); !ok || nothing(text) {
		return 0
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.Abs(v) > 1e9 || v != math.Trunc(v) {
		*reason = fmt.Sprintf("%s %q is not a number of tokens", s.column, short(text))
		return 0
	}
	return int(v)
}

// nothing reports whether a log uses s for "no value".
func nothing(text string) bool {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "", "-", "null", "none", "nan", "n/a":
		return true
	}
	return false
}

func unitOf(text string) float64 {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "ms", "milliseconds":
		return 1e-3
	case "us", "µs", "microseconds":
		return 1e-6
	case "ns", "nanoseconds":
		return 1e-9
	case "s", "sec", "seconds":
		return 1
	}
	return 0
}

// layouts are the time formats of logs; the zone is UTC if none is written.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999", "02/Jan/2006:15:04:05 -0700"}

// instant reads a time in seconds: a number times scale, or by its size where
// scale is 0 (seconds, or a wall clock's milli-, micro- or nanoseconds), or a date.
func instant(text string, scale float64, dates bool) (float64, error) {
	if v, err := strconv.ParseFloat(text, 64); err == nil {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return 0, fmt.Errorf("not a time")
		}
		if scale == 0 {
			scale = 1
			if dates {
				switch a := math.Abs(v); {
				case a >= 1e17:
					scale = 1e-9
				case a >= 1e14:
					scale = 1e-6
				case a >= 1e11:
					scale = 1e-3
				}
			}
		}
		return v * scale, nil
	}
	if d, err := time.ParseDuration(text); err == nil && !dates {
		return d.Seconds(), nil
	}
	if dates {
		for _, layout := range layouts {
			if t, err := time.Parse(layout, text); err == nil {
				return float64(t.Unix()) + float64(t.Nanosecond())/1e9, nil
			}
		}
	}
	return 0, fmt.Errorf("neither a number of seconds nor a time (RFC 3339)")
}

// short cuts a value for an error.
func short(s string) string {
	if len(s) > 60 {
		return s[:57] + "…"
	}
	return s
}
