package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// value is a piece of JSON that knows its path, so that errors can name the field. It appends
// problems to a list, so all of them are reported at once.
type value struct {
	path string
	raw  json.RawMessage
	errs *[]error
}

func (v value) bad(format string, args ...any) {
	at := strings.TrimPrefix(v.path, ".")
	if at == "" {
		at = "scenario"
	}
	*v.errs = append(*v.errs, fmt.Errorf("%s: %w", at, fmt.Errorf(format, args...)))
}

// null reports whether the field is absent or null.
func (v value) null() bool { return len(v.raw) == 0 || string(v.raw) == "null" }

// object calls field for each member, in order. A member that field does not know, or that occurs
// twice, is an error.
func (v value) object(field func(key string, m value) (known bool)) {
	if v.null() {
		return
	}
	dec := json.NewDecoder(bytes.NewReader(v.raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		v.bad("found %s, want an object", short(v.raw))
		return
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			v.bad("%w", err)
			return
		}
		key, _ := t.(string)
		m := value{path: v.path + "." + key, errs: v.errs}
		if err := dec.Decode(&m.raw); err != nil {
			m.bad("%w", err)
			return
		}
		if seen[key] {
			m.bad("given twice")
		}
		seen[key] = true
		if !field(key, m) {
			m.bad("unknown field")
		}
	}
}

// list calls item for each element.
func (v value) list(item func(i int, m value)) {
	if v.null() {
		return
	}
	var raws []json.RawMessage
	if err := json.Unmarshal(v.raw, &raws); err != nil {
		v.bad("found %s, want a list", short(v.raw))
		return
	}
	for i, raw := range raws {
		item(i, value{v.path + "[" + strconv.Itoa(i) + "]", raw, v.errs})
	}
}

func (v value) text() (s string) {
	if !v.null() && json.Unmarshal(v.raw, &s) != nil {
		v.bad("found %s, want a string", short(v.raw))
	}
	return s
}

func (v value) flag() (b bool) {
	if !v.null() && json.Unmarshal(v.raw, &b) != nil {
		v.bad("found %s, want true or false", short(v.raw))
	}
	return b
}

// whole reads a whole number between low and high; null is 0. 1e3 and 2.0 are whole.
func (v value) whole(low, high int64) int64 {
	if v.null() {
		return 0
	}
	n, err := strconv.ParseInt(string(v.raw), 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(string(v.raw), 64)
		if ferr != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			v.bad("found %s, want a whole number", short(v.raw))
			return 0
		}
		n = int64(f)
	}
	if n < low || n > high {
		v.bad("found %d, want %d to %d", n, low, high)
	}
	return n
}

func (v value) replicas() int32 { return int32(v.whole(0, math.MaxInt32)) }

func (v value) number() (f float64) {
	if !v.null() && json.Unmarshal(v.raw, &f) != nil {
		v.bad("found %s, want a number", short(v.raw))
	}
	return f
}

// farthest is the largest time span that is accepted: a sum of three still fits a time.Duration.
const farthest = 90 * 365 * 24 * time.Hour

// seconds reads a number of seconds, rounded to 1 ms.
func (v value) seconds() time.Duration {
	f := v.number()
	if math.IsNaN(f) || math.Abs(f) > farthest.Seconds() {
		v.bad("found %s, want at most %.0f seconds", short(v.raw), farthest.Seconds())
		return 0
	}
	return time.Duration(math.Round(f*1000)) * time.Millisecond
}

// duration reads "5m" or seconds.
func (v value) duration() time.Duration {
	if len(v.raw) == 0 || v.raw[0] != '"' {
		return v.seconds()
	}
	d, err := time.ParseDuration(v.text())
	if err != nil || d > farthest || d < -farthest {
		v.bad("found %s, want a duration such as \"5m\", or seconds", short(v.raw))
	}
	return d
}

// instant reads seconds since start, or an RFC 3339 time.
func (v value) instant(start time.Time) time.Duration {
	if len(v.raw) == 0 || v.raw[0] != '"' {
		return v.seconds()
	}
	t, err := time.Parse(time.RFC3339Nano, v.text())
	d := t.Sub(start)
	if err != nil || d > farthest || d < -farthest {
		v.bad("found %s, want seconds since start or an RFC 3339 time near it", short(v.raw))
		return 0
	}
	return d.Round(time.Millisecond)
}

// wholeSecond truncates the instant d after start to a whole second. API objects store a pod's
// startTime and the transition times of its conditions that way, and the controller reads nothing
// more precise.
//
// Source: k8s.io/apimachinery/pkg/apis/meta/v1.Time is written as RFC 3339 without a fraction.
func wholeSecond(start time.Time, d time.Duration) time.Duration {
	return start.Add(d).Truncate(time.Second).Sub(start)
}

func short(raw []byte) string {
	if len(raw) == 0 {
		return "nothing"
	}
	if len(raw) > 40 {
		return string(raw[:37]) + "…"
	}
	return string(raw)
}

// parseFailure describes data that is not JSON as a syntax error.
func parseFailure(data []byte) error {
	var v any
	err := json.Unmarshal(data, &v)
	if s := (*json.SyntaxError)(nil); errors.As(err, &s) {
		return fmt.Errorf("line %d: not JSON: %w", 1+bytes.Count(data[:min(int(s.Offset), len(data))], []byte("\n")), err)
	}
	return fmt.Errorf("not JSON: %w", err)
}
