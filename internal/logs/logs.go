// Package logs reads request logs with one request per line and makes a run of
// them: files of load generators and servers, tables, and access logs of
// gateways. It takes bytes and opens no files.
//
// A line that cannot be read is not a failure: it is counted, with its number and
// the reason. What a log does not contain stays unknown.
package logs

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/hpatune/hpatune/internal/figure"
)

// Entry is one request of a log. Times are seconds on the log's own clock, which starts at
// 1970 or anywhere; NaN = not in the log.
type Entry struct {
	Line           int // where it stands, from 1; the index in its list, from 1, where it has no line
	At             float64
	Prompt, Output int // tokens; 0 = unknown
	Queued         float64
	First, Last    float64 // first and last token out
	Done           float64 // end of the answer, good or bad
	Gap            float64 // longest time between two tokens
	Status         int     // HTTP; 0 = unknown
	Failed         string  // why it failed; "" = it did not, unless Status says so
	Backend, Class string
}

// Bad is a line that is no request.
type Bad struct {
	File string
	Line int
	Text string
}

func (b Bad) String() string { return fmt.Sprintf("%s:%d: %s", b.File, b.Line, b.Text) }

// Log is one file as it was read.
type Log struct {
	Name     string
	Format   string // what it was recognised as, for people
	Entries  []Entry
	Bad      []Bad
	Warnings []string
}

// Options is what a log's header does not contain.
type Options struct {
	// Columns name what a field is called in the log: t, input, output, queued,
	// first, last, done, status, backend, class → the log's name for it, with
	// ":s", ":ms", ":us" or ":ns" where the unit is not in the name, and with a
	// "+" before it where it counts from the arrival.
	Columns map[string]string
	// Format is an access log's format string in the words of nginx ($request_time)
	// or Envoy (%DURATION%), or "nginx", "envoy" for what they use by default.
	Format string
}

// Fields are the keys of Options.Columns.
var Fields = []string{"t", "input", "output", "queued", "first", "last", "done", "status", "backend", "class"}

// ParseColumns reads "t=arrival,first=+ttft:ms".
func ParseColumns(text string) (map[string]string, error) {
	out := map[string]string{}
	if strings.TrimSpace(text) == "" {
		return out, nil
	}
	for _, part := range strings.Split(text, ",") {
		k, v, ok := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case !ok || v == "":
			return nil, fmt.Errorf("--columns %q: no column name for %q; try t=arrival,input=prompt_tokens", text, k)
		case !known(k):
			return nil, fmt.Errorf("--columns %q: unknown field %q; use one of %s", text, k, strings.Join(Fields, ", "))
		}
		out[k] = v
	}
	return out, nil
}

func known(field string) bool {
	for _, f := range Fields {
		if f == field {
			return true
		}
	}
	return false
}

// ErrFormat means that a file has none of the known formats.
var ErrFormat = errors.New("not a log that can be read: expected a table with a header " +
	"(t_s,input_tokens,output_tokens,first_token_s,last_token_s), " +
	"JSON lines, a result of vllm bench serve --save-detailed, guidellm, aiperf (profile_export.jsonl) or " +
	"inference-perf (per_request_lifecycle_metrics.json), " +
	"or an access log with --format")

// Read reads one log; name is its name in messages. A gzipped log is unpacked. It returns
// an error if nothing of it can be read.
func Read(in io.Reader, name string, o Options) (Log, error) {
	b := bufio.NewReaderSize(in, 1<<20)
	if magic, _ := b.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(b)
		if err != nil {
			return Log{}, fmt.Errorf("%s: %w", name, err)
		}
		b = bufio.NewReaderSize(z, 1<<20)
	}
	l := Log{Name: name}
	err := l.read(b, o)
	if err != nil {
		return l, fmt.Errorf("%s: %w", name, err)
	}
	if len(l.Entries) == 0 {
		if len(l.Bad) > 0 {
			return l, fmt.Errorf("%s: no request in %s; the first, line %d: %s", name, figure.Many(len(l.Bad), "line"),
				l.Bad[0].Line, l.Bad[0].Text)
		}
		return l, fmt.Errorf("%s: contains no requests", name)
	}
	return l, nil
}

func (l *Log) read(b *bufio.Reader, o Options) error {
	if bom, _ := b.Peek(3); bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		_, _ = b.Discard(3)
	}
	head, err := b.Peek(1 << 15)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return err
	}
	text := bytes.TrimLeft(head, " \t\r\n")
	first, _, _ := bytes.Cut(text, []byte("\n"))
	switch {
	case len(text) == 0:
		return errors.New("empty")
	case o.Format != "":
		return l.access(b, o)
	case text[0] == '{' || text[0] == '[' && !stamped(first):
		return l.json(b, o)
	case defaultFormat(string(first)) != "":
		o.Format = defaultFormat(string(first))
		return l.access(b, o)
	}
	return l.table(b, string(first), o)
}

// bad counts a line that is no request.
func (l *Log) bad(line int, format string, args ...any) {
	l.Bad = append(l.Bad, Bad{l.Name, line, fmt.Sprintf(format, args...)})
}

// add adds an entry if it is plausible.
func (l *Log) add(e Entry) {
	switch {
	case math.IsNaN(e.At) || math.IsInf(e.At, 0):
		l.bad(e.Line, "no arrival time")
		return
	case e.Prompt < 0 || e.Output < 0:
		l.bad(e.Line, "negative token count (%d, %d)", e.Prompt, e.Output)
		return
	}
	// A millisecond is what clocks of two processes may differ by.
	const slack = 1e-3
	for _, x := range []struct {
		what string
		at   *float64
	}{{"queued", &e.Queued}, {"first token", &e.First}, {"last token", &e.Last}, {"end", &e.Done}} {
		if math.IsNaN(*x.at) {
			continue
		}
		if *x.at < e.At-slack {
			l.bad(e.Line, "%s is %.3f s before the arrival", x.what, e.At-*x.at)
			return
		}
		*x.at = max(*x.at, e.At)
	}
	if e.Last < e.First-slack || e.Done < e.First-slack {
		l.bad(e.Line, "the last token is before the first")
		return
	}
	e.Last = max(e.Last, e.First)
	l.Entries = append(l.Entries, e)
}

// blank is an entry of which nothing is known.
func blank(line int) Entry {
	nan := math.NaN()
	return Entry{Line: line, At: nan, Queued: nan, First: nan, Last: nan, Done: nan}
}
