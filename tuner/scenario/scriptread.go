package scenario

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// ParseScript reads a script. fsys is where `hpa file=…` finds manifests, by paths relative to
// the script; it may be nil. The error lists every problem as file:line.
func ParseScript(file string, data []byte, fsys fs.FS) (*Script, error) {
	p := scriptParser{script: &Script{File: file}, fsys: fsys}
	line := ""
	from := 0
	for i, text := range strings.Split(string(source.Text(data)), "\n") {
		p.line = i + 1
		text = strings.TrimRight(text, " \t\r")
		if line == "" {
			from = p.line
		}
		if rest, more := strings.CutSuffix(text, "\\"); more {
			line += rest + " "
			continue
		}
		text, line, p.line = line+text, "", from
		p.read(text)
		p.line = i + 1
	}
	if line != "" {
		p.bad("the last line ends in \\")
	}
	p.finish()
	if len(p.script.Tests) == 0 && len(p.errs) == 0 {
		p.bad("no test: a test begins with a line such as \"hpa min=1 max=10 from=3 cpu=70%%\"")
	}
	return p.script, errors.Join(p.errs...)
}

type scriptParser struct {
	script  *Script
	fsys    fs.FS
	line    int
	errs    []error
	comment []string
	name    string
	t       *Test
}

func (p *scriptParser) bad(format string, args ...any) { p.badAt(p.line, format, args...) }

func (p *scriptParser) badAt(line int, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("%s:%d: %w", p.script.File, line, fmt.Errorf(format, args...)))
}

func (p *scriptParser) check(err error) {
	if err != nil {
		p.bad("%w", err)
	}
}

func (p *scriptParser) read(text string) {
	words, comment, err := split(text)
	if err != nil {
		p.check(err)
		return
	}
	if len(words) == 0 {
		if comment != nil {
			p.comment = append(p.comment, *comment)
		}
		return
	}
	verb, rest := words[0], words[1:]
	switch verb {
	case "test":
		p.finish()
		p.name = strings.Join(rest, " ")
		return
	case "hpa":
		p.finish()
		p.begin(rest)
		return
	}
	if p.t == nil {
		p.bad("%q comes before the first \"hpa\" line", verb)
		return
	}
	t := p.t
	switch verb {
	case "controller":
		for _, w := range rest {
			p.check(setController(&t.Params, w))
		}
	case "every":
		if len(rest) == 1 {
			t.Every, err = time.ParseDuration(rest[0])
			p.check(err)
		}
		if len(rest) != 1 || t.Every <= 0 || t.Every > farthest/maxTicks {
			p.bad("every: want one duration above 0s")
			t.Every = 15 * time.Second
		}
	case "ticks":
		for _, w := range p.expand(rest) {
			at, err := instant(w)
			p.check(err)
			if n := len(t.times); n > 0 && at <= t.times[n-1] {
				p.bad("ticks: %s does not come after %s", w, t.times[n-1])
			}
			t.times = append(t.times, at)
		}
	case "samples":
		for _, w := range rest {
			key, value, _ := cutSetting(w)
			d, err := time.ParseDuration(value)
			p.check(err)
			switch key {
			case "window":
				t.window = d
			case "age":
				t.age = d
			default:
				p.bad("samples: setting %q: want window or age", key)
			}
		}
	case "container":
		p.container(rest)
	case "pod":
		p.pod(rest)
	case "recommended", "scaled", "condition", "status-was":
		p.memory(verb, rest)
	case "at":
		p.action(rest)
	case "want":
		p.want(rest)
	default:
		if slices.Contains(counts, verb) || slices.Contains(expects, verb) || p.metricOf(verb) != nil {
			p.list(verb, rest)
			return
		}
		p.bad("%q: neither a setting, nor a list, nor a metric of this HPA", verb)
	}
}

// split splits a line into words. Quotes "…" keep spaces in a word; # begins a comment where a word
// could begin.
func split(text string) (words []string, comment *string, err error) {
	for text = strings.TrimLeft(text, " \t"); text != ""; text = strings.TrimLeft(text, " \t") {
		if rest, ok := strings.CutPrefix(text, "#"); ok {
			rest = strings.TrimPrefix(rest, " ")
			return words, &rest, nil
		}
		n := 0
		for n < len(text) && text[n] != ' ' && text[n] != '\t' {
			if text[n] == '"' {
				end := strings.IndexByte(text[n+1:], '"')
				if end < 0 {
					return words, nil, errors.New("a quote is not closed")
				}
				n += end + 1
			}
			n++
		}
		words = append(words, strings.ReplaceAll(text[:n], `"`, ""))
		text = text[n:]
	}
	return words, nil, nil
}

func (p *scriptParser) begin(words []string) {
	t := &Test{
		File:    p.script.File,
		Line:    p.line,
		Comment: p.comment,
		Name:    p.name,
		Params:  hpa.DefaultParams(),
		Every:   15 * time.Second,
		window:  15 * time.Second,
		lists:   map[string]*list{},
		Spec:    hpa.Config{MinReplicas: 1, MaxReplicas: 10},
	}
	p.t, p.comment, p.name = t, nil, ""
	t.From = -1
	for _, w := range words {
		key, value, _ := cutSetting(w)
		var err error
		switch key {
		case "file":
			err = p.file(value)
		case "from":
			t.From, err = count(value)
		case "tolerance":
			t.Params.Tolerance, err = ratio(value)
		default:
			var known bool
			if known, err = setSpec(&t.Spec, w); !known {
				err = fmt.Errorf(
					"hpa: setting %q: want min, max, from, file, tolerance, behavior, up.…, down.… or a metric such as cpu=70%%",
					key,
				)
			}
		}
		p.check(err)
	}
	if len(t.Spec.Metrics) == 0 {
		t.Spec.Metrics = hpa.DefaultMetrics()
	}
	if t.From < 0 {
		t.From = t.Spec.MinReplicas
	}
	if t.Spec.MaxReplicas < max(1, t.Spec.MinReplicas) {
		p.bad("hpa: max=%d is below min=%d or 1", t.Spec.MaxReplicas, t.Spec.MinReplicas)
	}
	t.final = t.Spec.Clone()
	p.script.Tests = append(p.script.Tests, t)
}

func (p *scriptParser) file(name string) error {
	if p.fsys == nil {
		return fmt.Errorf("file=%s: no folder to look in", name)
	}
	data, err := fs.ReadFile(p.fsys, path.Clean(name))
	if err != nil {
		return fmt.Errorf("file=%s: %w", name, err)
	}
	c, _, err := manifest.Decode(data)
	if err != nil {
		return fmt.Errorf("file=%s: %w", name, err)
	}
	p.t.Spec = c
	return nil
}

// metricOf finds a metric of the HPA, before or after its edits, by its name in the script; the
// plain name is enough if only one metric has it.
func (p *scriptParser) metricOf(word string) *hpa.Metric {
	var found *hpa.Metric
	for i := range p.t.final.Metrics {
		m := &p.t.final.Metrics[i]
		if name(m) == word {
			return m
		}
		if m.Name == word {
			if found != nil {
				return nil
			}
			found = m
		}
	}
	return found
}

// expand turns 35x4 into four words.
func (p *scriptParser) expand(words []string) (out []string) {
	for _, w := range words {
		n := 1
		if m := times.FindStringSubmatch(w); m != nil {
			w = m[1]
			var err error
			if n, err = strconv.Atoi(m[2]); err != nil || n < 1 || len(out)+n > maxTicks {
				p.bad("%sx%s: want 1 to %d times", m[1], m[2], maxTicks)
				n = 1
			}
		}
		for range n {
			out = append(out, w)
		}
	}
	return out
}

func (p *scriptParser) list(verb string, words []string) {
	key := verb
	m := p.metricOf(verb)
	if m != nil {
		key = name(m)
	}
	l := p.t.lists[key]
	if l == nil {
		l = &list{line: p.line}
		p.t.lists[key] = l
	}
	for _, w := range p.expand(words) {
		if m != nil {
			p.check(checkValue(m, w))
		} else if w != "_" {
			if _, err := strconv.ParseInt(w, 10, 32); err != nil || (verb != "proposal" && w[0] == '-') {
				p.bad("%s: found %q, want a number, or _", verb, w)
			}
		}
		l.words = append(l.words, w)
	}
}

// verbs are those of `at` lines, with the least number of words that each takes.
var verbs = map[string]int{
	"restart":      0,
	"edit":         1,
	"scale":        1,
	"get-error":    0,
	"update-error": 0,
	"status-error": 0,
	"conflicts":    1,
	"no-selector":  0,
	"bad-selector": 0,
	"ambiguous":    0,
}

func (p *scriptParser) action(words []string) {
	if len(words) < 2 {
		p.bad("at: want a time and what happens then")
		return
	}
	at, err := instant(words[0])
	p.check(err)
	a := action{p.line, at, words[1], words[2:]}
	if n, known := verbs[a.verb]; !known || len(a.words) < n {
		p.bad(
			"at %s: %q: want restart, edit SETTING…, scale N, get-error, update-error, status-error, conflicts N, "+
				"no-selector, bad-selector or ambiguous",
			words[0],
			strings.Join(words[1:], " "),
		)
		return
	}
	switch a.verb {
	case "edit":
		for _, w := range a.words {
			known, err := setSpec(&p.t.final, w)
			if !known {
				err = fmt.Errorf("edit: unknown setting %q", w)
			}
			p.check(err)
		}
	case "scale", "conflicts":
		_, err := count(a.words[0])
		p.check(err)
	}
	p.t.actions = append(p.t.actions, a)
}

// finish checks rules that need the whole test.
func (p *scriptParser) finish() {
	t := p.t
	p.t = nil
	if t == nil {
		return
	}
	t.ticks = len(t.times)
	if t.ticks == 0 {
		t.ticks = 1
		for _, l := range t.lists {
			t.ticks = max(t.ticks, len(l.words))
		}
		for _, a := range t.actions {
			t.ticks = max(t.ticks, t.tickOf(a.at)+1)
		}
		for _, w := range t.wants {
			t.ticks = max(t.ticks, t.tickOf(w.until)+1)
		}
	}
	if t.ticks > maxTicks {
		p.badAt(t.Line, "hpa: %d ticks, want at most %d", t.ticks, maxTicks)
		t.ticks = maxTicks
	}
	for _, key := range slices.Concat(expects, counts) {
		l := t.lists[key]
		if l == nil {
			continue
		}
		if n := len(l.words); n > t.ticks {
			p.badAt(l.line, "%s: %d values for %d ticks", key, n, t.ticks)
		} else if slices.Contains(expects, key) && n < t.ticks {
			p.badAt(l.line, "%s: %d values for %d ticks; write _x%d for those that are not checked", key, n, t.ticks, t.ticks-n)
		}
	}
	for _, a := range t.actions {
		if !t.isTick(a.at) {
			p.badAt(a.line, "at %s: there is no tick at that time", a.at)
		}
	}
	for _, w := range t.wants {
		if !t.isTick(w.from) || !t.isTick(w.until) {
			p.badAt(w.line, "want: there is no tick at %s", w.from)
		}
	}
	if len(t.wants) == 0 && !slices.ContainsFunc(expects, func(k string) bool { return t.lists[k] != nil }) {
		p.badAt(t.Line, "hpa: nothing is expected; add a line such as \"desired 4x4 2\"")
	}
}
