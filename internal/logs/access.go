package logs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What gateways log where nobody said otherwise.
const (
	nginxDefault = `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent ` +
		`"$http_referer" "$http_user_agent"`
	envoyDefault = `[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" ` +
		`%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ` +
		`%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" ` +
		`"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"`
)

var (
	stampStart = regexp.MustCompile(`^\[\d{4}-\d\d-\d\dT`)
	nginxStart = regexp.MustCompile(`^\S+ - \S+ \[\d\d/[A-Z][a-z]{2}/\d{4}:`)
	variable   = regexp.MustCompile(`\$\{?[a-z][a-z0-9_]*\}?|%[A-Z][A-Z0-9_]*(?:\([^)]*\))?(?::\d+)?%`)
)

func stamped(line []byte) bool { return stampStart.Match(line) }

// defaultFormat is the format that a line is recognised as; "" = none.
func defaultFormat(line string) string {
	switch {
	case stampStart.MatchString(line):
		return "envoy"
	case nginxStart.MatchString(line):
		return "nginx"
	}
	return ""
}

// accessFormat is a format string, compiled.
type accessFormat struct {
	names []string // of the variables, in order: request_time, DURATION, RESP(X-A)
	match *regexp.Regexp
	envoy bool
}

func compileFormat(text string) (accessFormat, error) {
	switch text {
	case "nginx":
		text = nginxDefault
	case "envoy":
		text = envoyDefault
	}
	var f accessFormat
	text = strings.TrimRight(text, "\n")
	text = strings.TrimSuffix(text, `\n`)
	at := variable.FindAllStringIndex(text, -1)
	if len(at) == 0 {
		return f, fmt.Errorf("--format %q: has no variables; try nginx's $msec $request_time $status, or Envoy's "+
			"%%START_TIME%% %%DURATION%% %%RESPONSE_CODE%%", short(text))
	}
	var re strings.Builder
	re.WriteString(`^\s*`)
	end := 0
	for i, span := range at {
		literal := text[end:span[0]]
		if i > 0 && literal == "" {
			return f, fmt.Errorf("--format: there is no separator between %s and %s, so lines cannot be parsed",
				text[at[i-1][0]:at[i-1][1]], text[span[0]:span[1]])
		}
		re.WriteString(regexp.QuoteMeta(literal))
		re.WriteString(`(.*?)`)
		v := text[span[0]:span[1]]
		f.envoy = f.envoy || v[0] == '%'
		name := strings.Trim(v, "$%{}")
		if i := strings.LastIndexByte(name, ':'); i > 0 && !strings.ContainsRune(name[i:], ')') {
			name = name[:i] // %REQ(X):10% is cut at ten
		}
		f.names = append(f.names, name)
		end = span[1]
	}
	re.WriteString(regexp.QuoteMeta(text[end:]) + `\s*$`)
	var err error
	f.match, err = regexp.Compile(re.String())
	return f, err
}

type accessRow struct {
	names, values []string
}

func (r accessRow) get(column string) (string, bool) {
	i := slices.IndexFunc(r.names, func(n string) bool { return strings.EqualFold(n, column) })
	if i < 0 {
		return "", false
	}
	return r.values[i], true
}

// access reads a gateway's log, one line per request. nginx writes a line when a request
// has ended; Envoy records when it started.
func (l *Log) access(b *bufio.Reader, o Options) error {
	f, err := compileFormat(o.Format)
	if err != nil {
		return err
	}
	l.Format = "nginx access log"
	if f.envoy {
		l.Format = "Envoy access log"
	}
	told := map[string]source{}
	for field, name := range o.Columns {
		s, err := toldSource(name, f.names)
		if err != nil {
			return err
		}
		told[field] = s
	}
	if !f.timed(told) {
		return fmt.Errorf("--format: has no time; nginx has $msec, $time_iso8601 and $time_local, Envoy %%START_TIME%%")
	}
	coarse := false
	for line := 1; ; line++ {
		text, err := b.ReadString('\n')
		if t := strings.TrimRight(text, "\r\n"); strings.TrimSpace(t) != "" {
			v := f.match.FindStringSubmatch(t)
			if v == nil {
				l.bad(line, "does not match the format: %s", short(t))
			} else {
				coarse = l.accessLine(line, &f, accessRow{f.names, v[1:]}, told) || coarse
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if coarse {
		l.Warnings = append(l.Warnings, "times are whole seconds ($time_local), so bursts within a second are lost; "+
			"log $msec")
	}
	return nil
}

func (f *accessFormat) timed(told map[string]source) bool {
	if _, ok := told["t"]; ok {
		return true
	}
	for _, n := range f.names {
		if slices.Contains([]string{"msec", "time_iso8601", "time_local"}, n) || strings.HasPrefix(n, "START_TIME") {
			return true
		}
	}
	return false
}

// accessLine reads one line, and reports whether its time is a whole second.
func (l *Log) accessLine(line int, f *accessFormat, r accessRow, told map[string]source) bool {
	m := mapping{}
	for field, s := range told {
		m[field] = s
	}
	set := func(field, column string, since bool, scale float64) {
		if _, ok := m[field]; !ok && slices.Contains(f.names, column) {
			m[field] = source{column: column, since: since, scale: scale}
		}
	}
	for field, names := range map[string][]string{
		"input":  {"DYNAMIC_METADATA(io.envoy.ai_gateway:llm_input_token)"},
		"output": {"DYNAMIC_METADATA(io.envoy.ai_gateway:llm_output_token)"},
		"status": {"status", "RESPONSE_CODE"}, "backend": {"upstream_addr", "UPSTREAM_HOST"},
	} {
		for _, n := range names {
			set(field, n, false, 1)
		}
	}
	coarse, ended := false, false
	if _, ok := m["t"]; !ok {
		for _, n := range []string{"msec", "time_iso8601", "time_local"} {
			if !slices.Contains(f.names, n) {
				continue
			}
			set("t", n, false, 0)
			ended = true
			coarse = m["t"].column != "msec"
		}
		for _, n := range f.names {
			if strings.HasPrefix(n, "START_TIME") {
				set("t", n, false, 0)
			}
		}
	}
	set("done", "request_time", true, 1)
	set("done", "DURATION", true, 1e-3)
	e, reason := m.entry(line, r)
	if reason != "" {
		l.bad(line, "%s", reason)
		return false
	}
	if ended {
		took := 0.0
		if !math.IsNaN(e.Done) {
			took = e.Done - e.At
		}
		for _, t := range []*float64{&e.At, &e.First, &e.Last, &e.Done} {
			*t -= took
		}
	}
	if flags, ok := r.get("RESPONSE_FLAGS"); ok && !nothing(flags) && e.Status == 0 {
		e.Failed = flags
	}
	if e.Status == 499 { // nginx: the client closed the connection
		e.Failed = "client closed the connection"
	}
	if i := strings.LastIndexAny(e.Backend, ","); i >= 0 { // the last that was tried
		e.Backend = strings.TrimSpace(e.Backend[i+1:])
	}
	if _, err := strconv.Atoi(e.Backend); err == nil {
		e.Backend = ""
	}
	l.add(e)
	return coarse
}
