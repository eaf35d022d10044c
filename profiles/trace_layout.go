package profiles

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hpatune/hpatune/internal/source"
)

// Columns names the columns of a trace (in JSONL, its fields), if they are not those of a
// known layout. "" = as in the layout.
type Columns struct {
	T      string `json:"t"`      // when
	Input  string `json:"input"`  // prompt tokens
	Output string `json:"output"` // answered tokens
}

// TraceTimes are the values of Trace.Time: seconds, milliseconds, or dates as
// RFC 3339 has them (a blank for the T, and no zone, are read too; no zone is UTC).
var TraceTimes = []string{"s", "ms", "rfc3339"}

// A layout is how a trace is written: its columns t, input and output, and the format of
// its times.
type layout struct {
	name    string // who publishes traces like that; "" = the profile says so
	columns [3]string
	time    string // of TraceTimes
	beside  string // a further column by which it is recognised; "" = none
}

// own is hpatune's own layout.
var own = layout{name: "hpatune", columns: [3]string{"t_s", "input_tokens", "output_tokens"}, time: "s"}

// layouts are those of traces that are published, the most telling first.
//
//	Azure/AzurePublicDataset, AzureLLMInferenceTrace 2023 and 2024 (the latter with zones)
//	HPMLL/BurstGPT: seconds from the first request
//	alibaba/ServeGen: seconds
//	alibaba-edu/qwen-bailian-usagetraces-anon: seconds
//	kvcache-ai/Mooncake: milliseconds
//	guidellm's replay: Mooncake's fields in seconds, without hash_ids
var layouts = []layout{
	own,
	{"Azure LLM inference", [3]string{"TIMESTAMP", "ContextTokens", "GeneratedTokens"}, "rfc3339", ""},
	{"BurstGPT", [3]string{"Timestamp", "Request tokens", "Response tokens"}, "s", ""},
	{"ServeGen", [3]string{"timestamp", "input_tokens", "output_tokens"}, "s", ""},
	{"Bailian", [3]string{"timestamp", "input_length", "output_length"}, "s", "chat_id"},
	{"Mooncake", [3]string{"timestamp", "input_length", "output_length"}, "ms", "hash_ids"},
	{"guidellm", [3]string{"timestamp", "input_length", "output_length"}, "s", ""},
}

// has reports whether the named columns are the layout's.
func (l layout) has(names []string) bool {
	need := l.columns[:]
	if l.name == own.name {
		need = l.columns[:1] // its token columns may be missing
	}
	for _, c := range append(slices.Clone(need), l.beside) {
		if c != "" && !slices.Contains(names, c) {
			return false
		}
	}
	return true
}

// recognise finds the layout of a file by its columns, and applies what the profile says
// about it. ok is false if there is no column of times.
func (r *recording) recognise(names []string) (ok bool) {
	known := false
	for _, l := range layouts {
		if l.has(names) {
			r.layout, known = l, true
			break
		}
	}
	c := r.said.columns
	if !known {
		r.layout = layout{columns: own.columns, time: "s"}
	}
	if c != (Columns{}) {
		r.layout.name = ""
		for i, name := range []string{c.T, c.Input, c.Output} {
			if name != "" {
				r.layout.columns[i] = name
			}
		}
	}
	if r.said.time != "" {
		r.layout.time = r.said.time
	}
	r.names, r.skipped = names, r.layout.skipped(names)
	return slices.Contains(names, r.layout.columns[0])
}

// skipped returns the columns that seem to count tokens and are not read, if the layout has
// a token column that the file lacks.
func (l layout) skipped(names []string) (out []string) {
	if slices.Contains(names, l.columns[1]) && slices.Contains(names, l.columns[2]) {
		return nil
	}
	for _, n := range names {
		if strings.Contains(strings.ToLower(n), "token") && !slices.Contains(l.columns[:], n) {
			out = append(out, n)
		}
	}
	return out
}

// columnsOf is what to try instead of a column that a file lacks.
func columnsOf(names []string) string {
	return "a column that the file has: " + short(strings.Join(names, ", "))
}

// noTime is the problem of a file without a column of times.
func (r *recording) noTime(names []string) (text, try string) {
	text = fmt.Sprintf("no column %s in the header %q", r.layout.columns[0], short(strings.Join(names, ",")))
	try = "a first line of t_s,input_tokens,output_tokens; or name the columns in the profile: columns: {t: …, " +
		"input: …, output: …}"
	if r.mapped(0) {
		return fmt.Sprintf("no column %s in the header", r.layout.columns[0]), columnsOf(names)
	}
	for _, mark := range []string{";", "\t"} {
		if len(names) == 1 && strings.Contains(names[0], mark) {
			return text, fmt.Sprintf("commas between the columns instead of %q, and points in numbers", mark)
		}
	}
	for _, h := range names {
		if near := source.Nearest(h, []string{r.layout.columns[0]}); near != "" {
			try = "rename " + h + " to " + near
		}
	}
	return text, try
}

// instant reads a time of the layout, in seconds from the recording's start: as it is
// written or, for a date or more than a year, from the first row.
func (r *recording) instant(text string) (float64, error) {
	if r.layout.time == "rfc3339" {
		at, err := parseDate(text)
		if err != nil {
			return 0, err
		}
		return r.since(at), nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		try := ""
		if _, derr := parseDate(text); derr == nil {
			try = "time: rfc3339 in the profile"
		}
		return 0, &source.Hint{Text: fmt.Sprintf("%q is not a number", short(text)), Try: try}
	}
	return r.number(v), nil
}

// number is a time that is written as a number, in seconds from the start.
func (r *recording) number(v float64) float64 {
	if r.layout.time == "ms" {
		v /= 1000
	}
	// Our own layout counts from its start, so an epoch there is a mistake.
	if r.layout.name == own.name || r.start.IsZero() && !(v > maxDuration.Seconds()) {
		return v
	}
	sec, frac := math.Modf(v)
	return r.since(time.Unix(int64(sec), int64(math.Round(frac*1e9))))
}

// since is a date in seconds from the first row's.
func (r *recording) since(at time.Time) float64 {
	if r.start.IsZero() {
		r.start = at
	}
	return at.Sub(r.start).Seconds()
}

// parseDate reads RFC 3339 as traces have it: "2023-11-16 18:17:03.9799600",
// "2024-05-10 00:00:00.009930+00:00", "2024-05-10T00:00:00Z".
func parseDate(text string) (time.Time, error) {
	norm := strings.TrimSpace(text)
	if len(norm) > 10 && (norm[10] == ' ' || norm[10] == 't') {
		norm = norm[:10] + "T" + norm[11:]
	}
	norm = strings.ReplaceAll(strings.TrimSuffix(strings.TrimSuffix(norm, " UTC"), "z"), " ", "")
	for _, form := range []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07",
		"2006-01-02T15:04:05"} {
		if at, err := time.Parse(form, norm); err == nil {
			return at, nil
		}
	}
	return time.Time{}, &source.Hint{Text: fmt.Sprintf("%q is not a date", short(text)), Try: "2024-05-10T00:00:00.5Z"}
}
