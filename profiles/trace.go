package profiles

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/hpatune/hpatune/internal/source"
	"github.com/klauspost/compress/zstd"
)

// row is one recorded arrival: 16 bytes, since a trace is kept in memory.
type row struct {
	at      time.Duration
	in, out int32 // tokens; unrecorded = not recorded, 0 = none
}

// unrecorded is a token count that a trace does not have.
const unrecorded = -1

// recording is a trace file as read.
type recording struct {
	said struct { // by the profile
		columns Columns
		time    string
	}
	layout   layout
	names    []string  // the columns that the file has
	skipped  []string  // columns that seem to count tokens, but are not read
	start    time.Time // the first row's date, where times are dates
	rows     []row
	problems source.Problems
}

// Limits of a trace: a day at 200/s is 17 million rows, 280 MB.
const (
	maxRows       = 20_000_000
	maxTraceBytes = 2 << 30 // after decompression
	maxReported   = 20      // bad rows named; the rest is counted
)

func asPath(err error, to **fs.PathError) bool { return errors.As(err, to) }

// sent maps a recorded time to the stage's own.
func (t *Trace) sent(at time.Duration) time.Duration {
	if t.ScaleTime == 1 {
		return at - t.From
	}
	return time.Duration(math.Round(float64(at-t.From) * t.ScaleTime))
}

// count returns how many rows are sent in [from, to) of the stage's own time.
func (t *Trace) count(from, to time.Duration) int {
	first := func(at time.Duration) int {
		return sort.Search(len(t.rows), func(i int) bool { return t.sent(t.rows[i].at) >= at })
	}
	return first(to) - first(from)
}

// trace reads the file of a stage, cuts its slice out and sets the duration.
func (c *checker) trace(at string, s *Stage) {
	t := new(*s.Trace)
	s.Trace = t
	fill(&t.ScaleRate, 1)
	fill(&t.ScaleTime, 1)
	if !(t.ScaleRate > 0 && t.ScaleRate <= 1000) {
		c.say(at+".scale_rate", fmt.Sprintf("%g is not above 0 and at most 1000", t.ScaleRate), "1")
		return
	}
	if !(t.ScaleTime > 0 && t.ScaleTime <= 1e6) {
		c.say(at+".scale_time", fmt.Sprintf("%g is not above 0", t.ScaleTime), "1")
		return
	}
	if t.From < 0 || t.To < 0 || (t.To != 0 && t.To <= t.From) {
		c.say(at, fmt.Sprintf("from %v to %v is not a valid slice", t.From, t.To), "from: 10m, to: 40m")
		return
	}
	switch {
	case t.File == "":
		c.say(at, "has no file", "file: trace.csv.gz")
		return
	case c.fsys == nil:
		c.say(at+".file", fmt.Sprintf("%s: the profile has no folder to read it from", t.File), "give the profile as a file")
		return
	}
	if t.Time != "" && !slices.Contains(TraceTimes, t.Time) {
		c.say(at+".time", fmt.Sprintf("%q is unknown", short(t.Time)), strings.Join(TraceTimes, ", "))
		return
	}
	key := fmt.Sprintf("%q %q %q", t.File, t.Columns, t.Time)
	rec := c.traces[key]
	if rec == nil {
		rec = &recording{}
		rec.said.columns, rec.said.time = t.Columns, t.Time
		c.traces[key] = rec
		if err := rec.open(c.fsys, t.File); err != nil {
			try := "a CSV (or .gz, .zst), JSONL or Parquet file with the columns t_s, input_tokens, output_tokens, named " +
				"relative to the profile"
			var h *source.Hint
			if errors.As(err, &h) {
				try = h.Try
			}
			c.say(at+".file", unreadable(t.File, err), try)
			return
		}
		c.problems = append(c.problems, rec.problems...)
	}
	if len(rec.rows) == 0 {
		if len(rec.problems) == 0 {
			c.say(at+".file", t.File+" has no arrivals", "rows below the header")
		}
		return
	}
	if t.To == 0 {
		t.To = rec.rows[len(rec.rows)-1].at.Truncate(time.Second) + time.Second
	}
	lo := sort.Search(len(rec.rows), func(i int) bool { return rec.rows[i].at >= t.From })
	hi := sort.Search(len(rec.rows), func(i int) bool { return rec.rows[i].at >= t.To })
	if lo >= hi {
		c.say(
			at,
			fmt.Sprintf(
				"%s has no arrivals from %v to %v; its last is at %v",
				t.File,
				t.From,
				t.To,
				rec.rows[len(rec.rows)-1].at,
			),
			"another slice",
		)
		return
	}
	t.rows = rec.rows[lo:hi:hi]
	c.noteTrace(t, rec)
	length := float64(t.To-t.From) * t.ScaleTime
	if length > float64(maxDuration) {
		c.say(at+".scale_time", "the slice becomes longer than a year", "1")
		return
	}
	given := s.Duration
	s.Duration = max(1, time.Duration(math.Round(length)))
	if given != 0 && given != s.Duration {
		c.say(
			strings.TrimSuffix(at, ".trace")+".duration",
			fmt.Sprintf("duration %v differs from the slice's, %v", given, s.Duration),
			"remove it; from and to set the duration",
		)
	}
}

// read are the columns that were read: those of the layout that the file has.
func (r *recording) read() (out []string) {
	for _, c := range r.layout.columns {
		if slices.Contains(r.names, c) {
			out = append(out, c)
		}
	}
	return out
}

// noteTrace says how a trace was read, if that is not obvious.
func (c *checker) noteTrace(t *Trace, rec *recording) {
	if l := rec.layout; l.name != own.name {
		from := ""
		if !rec.start.IsZero() {
			from = ", counted from the first row"
		}
		who := "as the profile says"
		if l.name != "" {
			who = "as a trace of " + l.name
		}
		c.note("%s: read %s: columns %s, times in %s%s", t.File, who, strings.Join(rec.read(), ", "), l.time, from)
	}
	if len(rec.skipped) > 0 {
		c.note(
			"%s: columns not read: %s; the token counts of the class are sent instead. To read one, name it in the "+
				"profile: columns: {input: …, output: …}",
			t.File,
			strings.Join(rec.skipped, ", "),
		)
	}
	none := 0
	for _, r := range t.rows {
		if r.in == 0 || r.out == 0 {
			none++
		}
	}
	if none > 0 {
		c.note(
			"%s: %d of %d rows have 0 tokens; they are sent with 1 token, since no server accepts 0",
			t.File,
			none,
			len(t.rows),
		)
	}
}

// open reads a file, unpacked according to its first bytes, in the format that its content
// or name indicates.
func (r *recording) open(fsys fs.FS, name string) error {
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil {
		return err
	} else if info.IsDir() {
		return errors.New("is a folder")
	}
	buf := bufio.NewReaderSize(f, 1<<16)
	magic, _ := buf.Peek(4) // a shorter file is none of them
	var in io.Reader = buf
	switch {
	case string(magic) == "PAR1":
		return r.parquet(name, f, buf)
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(buf)
		if err != nil {
			return err
		}
		in = z
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(buf, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return err
		}
		defer z.Close()
		in = z
	}
	text := bufio.NewReaderSize(&limited{in, maxTraceBytes}, 1<<16)
	base := strings.TrimSuffix(strings.TrimSuffix(path.Base(name), ".gz"), ".zst")
	first, _ := text.Peek(1)
	if string(first) == "[" {
		return &source.Hint{
			Text: "is one JSON list",
			Try:  "one object per line: jq -c '.[]' " + path.Base(name) + " > trace.jsonl",
		}
	}
	if strings.HasSuffix(base, ".jsonl") || strings.HasSuffix(base, ".ndjson") || string(first) == "{" {
		return r.jsonl(name, text)
	}
	return r.csv(name, text)
}

// limited fails where io.LimitReader would end quietly.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("more than %d bytes when unpacked", int64(maxTraceBytes))
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// bad reports a row; the first maxReported are listed.
func (r *recording) bad(file string, line int, column, text, try string) {
	switch n := len(r.problems); {
	case n < maxReported:
		r.problems = append(r.problems, source.Problem{File: file, Line: line, Path: column, Text: text, Try: try})
	case n == maxReported:
		r.problems = append(
			r.problems,
			source.Problem{File: file, Line: line, Text: fmt.Sprintf("and more; only the first %d are listed", maxReported)},
		)
	}
}

// A tally is a token count of a row; the zero value means that there is none.
type tally struct {
	n    float64
	said bool
}

// tokens is the count as a row stores it.
func (t tally) tokens() int32 {
	if !t.said {
		return unrecorded
	}
	return int32(t.n)
}

// add checks one row and keeps it. Bad rows are reported and skipped. t is in seconds.
func (r *recording) add(file string, line int, t float64, in, out tally) error {
	if len(r.rows) >= maxRows {
		return fmt.Errorf("more than %d rows", maxRows)
	}
	column := r.layout.columns
	switch {
	case math.IsNaN(t) || math.IsInf(t, 0):
		r.bad(file, line, column[0], fmt.Sprintf("time %v is not a finite number", t), "seconds from the recording's start")
		return nil
	case t < 0 && r.start.IsZero():
		r.bad(file, line, column[0], fmt.Sprintf("time %v is negative", t), "seconds from the recording's start")
		return nil
	case t > maxDuration.Seconds():
		r.bad(file, line, column[0], fmt.Sprintf("time %v is beyond a year", t), "seconds from the recording's start")
		return nil
	}
	for i, c := range []tally{in, out} {
		if c.said && (!(c.n >= 0 && c.n <= maxTokens) || c.n != math.Trunc(c.n)) {
			r.bad(
				file,
				line,
				column[i+1],
				fmt.Sprintf("%v is not a whole number from 0 to %d", c.n, maxTokens),
				"leave it empty if it is unknown",
			)
			return nil
		}
	}
	at := time.Duration(math.Round(t * 1e9))
	if n := len(r.rows); n > 0 && at < r.rows[n-1].at {
		r.bad(
			file,
			line,
			column[0],
			fmt.Sprintf("time %v is before the row above, at %v", t, r.rows[n-1].at.Seconds()),
			"sort the file by "+column[0],
		)
		return nil
	}
	r.rows = append(r.rows, row{at, in.tokens(), out.tokens()})
	return nil
}
