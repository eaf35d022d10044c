package logs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

// fields is an object laid flat: {"a":{"b":1}} has a.b. Lists are left out.
type fields map[string]string

func (f fields) get(column string) (string, bool) {
	v, ok := f[column]
	return v, ok
}

// flat lays an object flat, no deeper than logs go.
func flat(into fields, prefix string, v any, depth int) {
	switch x := v.(type) {
	case map[string]any:
		if depth > 6 {
			return
		}
		for k, y := range x {
			p := k
			if prefix != "" {
				p = prefix + "." + k
			}
			flat(into, p, y, depth+1)
		}
	case json.Number:
		into[prefix] = x.String()
	case string:
		if len(x) <= 200 { // prompts and answers are none of our business
			into[prefix] = x
		}
	case bool:
		into[prefix] = strconv.FormatBool(x)
	}
}

// json reads a document, a list, or one line per request.
func (l *Log) json(b *bufio.Reader, o Options) error {
	if !jsonLines(b) {
		d := json.NewDecoder(b)
		for {
			var raw json.RawMessage
			if err := d.Decode(&raw); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return fmt.Errorf("%w (%w)", ErrFormat, err)
			}
			if err := l.document(raw, 1, o); err != nil {
				return err
			}
		}
	}
	for line := 1; ; line++ {
		text, err := b.ReadBytes('\n')
		if text = bytes.TrimSpace(text); len(text) > 0 {
			if !json.Valid(text) {
				l.bad(line, "not JSON: %s", short(string(text)))
			} else if err := l.document(text, line, o); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// jsonLines reports whether there is one object per line, instead of a document over
// several lines.
func jsonLines(b *bufio.Reader) bool {
	head, _ := b.Peek(b.Size())
	first, rest, more := bytes.Cut(bytes.TrimLeft(head, " \t\r\n"), []byte("\n"))
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return more && (json.Valid(first) && first[0] == '{' || len(rest) > 0 && rest[0] == '{' && bytes.HasPrefix(first,
		[]byte("{\"")))
}

// document reads one JSON value.
func (l *Log) document(raw json.RawMessage, line int, o Options) error {
	raw = bytes.TrimSpace(raw)
	switch raw[0] {
	case '[':
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
		l.Format = "JSON list"
		for i, x := range list {
			l.object(x, i+1, o)
		}
		return nil
	case '{':
	default:
		l.bad(line, "not an object: %s", short(string(raw)))
		return nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		l.bad(line, "not an object")
		return nil
	}
	switch {
	case keys["input_lens"] != nil:
		l.Format = "vllm bench serve"
		return l.vllm(raw)
	case keys["benchmarks"] != nil:
		l.Format = "guidellm"
		return l.guidellm(raw, o)
	case keys["metadata"] != nil && keys["metrics"] != nil:
		l.Format = "aiperf"
	case l.Format == "":
		l.Format = "JSON lines"
	}
	l.object(raw, line, o)
	return nil
}

// object reads one request of a list, or of a line.
func (l *Log) object(raw json.RawMessage, line int, o Options) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		l.bad(line, "not an object")
		return
	}
	if phase, _ := dig(v, "metadata", "benchmark_phase").(string); phase == "warmup" {
		return
	}
	f := fields{}
	flat(f, "", v, 0)
	columns := make([]string, 0, len(f))
	for k := range f {
		columns = append(columns, k)
	}
	slices.Sort(columns)
	m, err := mapped(columns, nil)
	if err == nil && len(o.Columns) > 0 {
		m, err = mapped(columns, present(o.Columns, f))
	}
	if err != nil {
		l.bad(line, "%v", err)
		return
	}
	e, reason := m.entry(line, f)
	if reason != "" {
		l.bad(line, "%s", reason)
		return
	}
	tokenTimes(&e, v)
	failure(&e, v)
	l.add(e)
}

// present keeps the told columns that the object has.
func present(told map[string]string, f fields) map[string]string {
	out := map[string]string{}
	for field, name := range told {
		s, _ := toldSource(name, nil)
		if _, ok := f[s.column]; ok {
			out[field] = name
		}
	}
	return out
}

// dig follows keys into objects; nil where there is none.
func dig(v any, keys ...string) any {
	for _, k := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[k]
	}
	return v
}

// tokenTimes takes first, last and longest gap from a list of the tokens'
// instants, which inference-perf has under info.
func tokenTimes(e *Entry, v map[string]any) {
	list, ok := dig(v, "info", "output_token_times").([]any)
	if !ok {
		list, ok = dig(v, "info", "response_metrics", "output_token_times").([]any)
	}
	if !ok || len(list) == 0 {
		return
	}
	before := math.NaN()
	for i, x := range list {
		n, _ := x.(json.Number)
		t, err := n.Float64()
		if err != nil {
			return
		}
		if i == 0 {
			e.First = t
		} else {
			e.Gap = max(e.Gap, t-before)
		}
		before = t
	}
	e.Last = before
	if e.Output == 0 {
		e.Output = len(list)
	}
}

// failure reads whether a request failed from its "error", as all of them have it.
func failure(e *Entry, v map[string]any) {
	if e.Failed == "" {
		switch x := v["error"].(type) {
		case string:
			e.Failed = short(x)
		case map[string]any:
			e.Failed = "error"
			for _, k := range []string{"type", "error_type", "message", "error_msg"} {
				if s, ok := x[k].(string); ok && s != "" {
					e.Failed = short(s)
					break
				}
			}
		}
	}
	if c, _ := dig(v, "metadata", "was_cancelled").(bool); c {
		e.Failed = "cancelled"
	}
	if ok, is := v["success"].(bool); is && !ok && e.Failed == "" {
		e.Failed = "failed"
	}
}

// vllm reads a result of vllm bench serve --save-detailed: a list a field.
func (l *Log) vllm(raw []byte) error {
	var r struct {
		Input  []int       `json:"input_lens"`
		Output []int       `json:"output_lens"`
		TTFT   []float64   `json:"ttfts"`
		ITL    [][]float64 `json:"itls"`
		Start  []float64   `json:"start_times"`
		E2E    []float64   `json:"e2els"`
		Errors []string    `json:"errors"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("vllm bench serve: %w", err)
	}
	if len(r.Start) == 0 {
		return errors.New("vllm bench serve: no start_times, so the arrival times are unknown; try a newer vLLM " +
			"with --save-result --save-detailed")
	}
	for i := range r.Start {
		e := blank(i + 1)
		e.At = r.Start[i]
		if i < len(r.Input) {
			e.Prompt = r.Input[i]
		}
		if i < len(r.Output) {
			e.Output = r.Output[i]
		}
		if i < len(r.Errors) {
			e.Failed = short(r.Errors[i])
		}
		if e.Failed == "" && i < len(r.TTFT) && r.TTFT[i] > 0 {
			e.First, e.Last = e.At+r.TTFT[i], e.At+r.TTFT[i]
			if i < len(r.ITL) {
				for _, g := range r.ITL[i] {
					e.Last += g
					e.Gap = max(e.Gap, g)
				}
			}
			e.Done = e.Last
		}
		if e.Failed == "" && i < len(r.E2E) && r.E2E[i] > 0 {
			e.Done = e.At + r.E2E[i]
		}
		l.add(e)
	}
	return nil
}

// guidellm reads a report: benchmarks, each with its requests by how they ended.
func (l *Log) guidellm(raw []byte, o Options) error {
	var r struct {
		Benchmarks []struct {
			Requests map[string]json.RawMessage `json:"requests"`
		} `json:"benchmarks"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("guidellm: %w", err)
	}
	n := 0
	for _, b := range r.Benchmarks {
		for _, kind := range []string{"successful", "completed", "errored", "incomplete"} {
			var list []json.RawMessage
			if b.Requests[kind] == nil || json.Unmarshal(b.Requests[kind], &list) != nil {
				continue
			}
			for _, x := range list {
				n++
				before := len(l.Entries)
				l.object(x, n, o)
				if kind != "successful" && kind != "completed" && len(l.Entries) > before {
					e := &l.Entries[len(l.Entries)-1]
					if e.Failed == "" {
						e.Failed = kind
					}
				}
			}
		}
	}
	if n == 0 {
		return errors.New("guidellm: the report does not list requests; use the JSON output instead of CSV, and " +
			"keep the requests (--sample-requests)")
	}
	if len(r.Benchmarks) > 1 {
		l.Warnings = append(l.Warnings, fmt.Sprintf("the report has %d benchmarks at different rates; they are "+
			"read as one log, ordered by time", len(r.Benchmarks)))
	}
	return nil
}
