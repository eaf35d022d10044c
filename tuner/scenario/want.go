package scenario

import (
	"fmt"
	"strings"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// want is one `want` line.
type want struct {
	line        int
	from, until time.Duration
	what        string // condition | event | no | reason | error | explain
	subject     string // the condition's type, the event's reason
	status      string // of the condition; "" = not looked at
	text        string // part of what is said; "" = not looked at
}

// want reads: want TIME[..TIME] TYPE[=STATUS] [REASON [MESSAGE]] | event REASON [MESSAGE] |
// no event | no error | reason TEXT | error TEXT | explain TEXT.
func (p *scriptParser) want(words []string) {
	const usage = "want: give a time, then CONDITION[=STATUS] REASON, event REASON [TEXT], no event, no error, no " +
		"CONDITION, reason TEXT, error TEXT or explain TEXT"
	if len(words) < 2 {
		p.bad(usage)
		return
	}
	from, until, span := strings.Cut(words[0], "..")
	w := want{line: p.line}
	var err error
	w.from, err = instant(from)
	p.check(err)
	w.until = w.from
	if span {
		w.until, err = instant(until)
		p.check(err)
	}
	rest := words[2:]
	at := func(i int) string {
		if i < len(rest) {
			return rest[i]
		}
		return ""
	}
	switch words[1] {
	case "event":
		w.what, w.subject, w.text = "event", at(0), strings.Join(rest[min(1, len(rest)):], " ")
	case "no":
		w.what, w.subject = "no", at(0)
	case "reason", "error", "explain":
		w.what, w.text = words[1], strings.Join(rest, " ")
	default:
		w.what, w.text = "condition", strings.Join(rest[min(1, len(rest)):], " ")
		w.subject, w.status, _ = cutSetting(words[1])
		if _, ok := hpa.ParseConditionType(w.subject); !ok {
			p.bad("want: %q is not a condition; %s", w.subject, usage[len("want: "):])
			return
		}
		if w.status == "" && at(0) == "" {
			p.bad(usage)
		}
		w.status = w.status + "/" + at(0)
	}
	if w.what != "condition" && w.subject == "" && w.text == "" && w.what != "reason" {
		p.bad(usage)
	}
	p.t.wants = append(p.t.wants, w)
}

// check returns what was wanted and what was found, or "" if they agree.
func (w *want) check(l *Line) (wanted, found string) {
	switch w.what {
	case "reason":
		got := "no rescale"
		if l.Reason != nil {
			if got = *l.Reason; got == w.text {
				return "", ""
			}
		}
		return fmt.Sprintf("reason %q", w.text), fmt.Sprintf("%q", got)
	case "error":
		if strings.Contains(l.Error, w.text) {
			return "", ""
		}
		return fmt.Sprintf("error with %q", w.text), fmt.Sprintf("%q", l.Error)
	case "explain":
		if strings.Contains(l.Explanation, w.text) {
			return "", ""
		}
		return fmt.Sprintf("explanation with %q", w.text), fmt.Sprintf("%q", l.Explanation)
	case "event":
		var got []string
		for _, e := range l.Events {
			if e.Reason == w.subject && strings.Contains(e.Message, w.text) {
				return "", ""
			}
			got = append(got, e.Reason+" "+fmt.Sprintf("%q", e.Message))
		}
		return fmt.Sprintf("event %s %q", w.subject, w.text), "events " + strings.Join(got, ", ")
	case "no":
		return w.none(l)
	}
	status, reason, _ := strings.Cut(w.status, "/")
	for _, c := range l.Conditions {
		if c.Type != w.subject {
			continue
		}
		if (status == "" || c.Status == status) && (reason == "" || c.Reason == reason) &&
			strings.Contains(c.Message, w.text) {
			return "", ""
		}
		return strings.TrimSpace(
				fmt.Sprintf("%s=%s %s %s", w.subject, status, reason, w.text),
			), fmt.Sprintf(
				"%s=%s %s (%s)",
				c.Type,
				c.Status,
				c.Reason,
				c.Message,
			)
	}
	return w.subject, "no such condition"
}

func (w *want) none(l *Line) (wanted, found string) {
	switch w.subject {
	case "event":
		if len(l.Events) > 0 {
			return "no event", l.Events[0].Reason + " " + l.Events[0].Message
		}
	case "error":
		if l.Error != "" {
			return "no error", l.Error
		}
	default:
		for _, c := range l.Conditions {
			if c.Type == w.subject {
				return "no condition " + w.subject, c.Type + "=" + c.Status
			}
		}
	}
	return "", ""
}
