package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hpatune/hpatune/internal/doctor"
	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/internal/layout"
)

// Doctor is what doctor found, and how to show it.
type Doctor struct {
	HPAs    []doctor.HPA
	Missed  []string // what was not known, so not judged
	Skipped []string // files that were passed over, and why
	Live    bool     // a cluster was read; else files
	One     bool     // a single HPA was requested: show all of it
	Where   string   // was looked: "in namespace shop"
	Width   int      // columns
	Colour  bool
}

// Findings returns the findings of all HPAs, errors first, else in their order.
func (p *Doctor) Findings() []doctor.Finding {
	findings := []doctor.Finding{}
	for _, h := range p.HPAs {
		findings = append(findings, h.Findings...)
	}
	severities := []doctor.Severity{doctor.Error, doctor.Warning, doctor.Info}
	slices.SortStableFunc(findings, func(a, b doctor.Finding) int {
		return cmp.Compare(slices.Index(severities, a.Severity), slices.Index(severities, b.Severity))
	})
	return findings
}

// Found returns the findings as SARIF and JUnit take them.
func (p *Doctor) Found() []Found {
	level := map[doctor.Severity]string{doctor.Error: "error", doctor.Warning: "warning", doctor.Info: "note"}
	var found []Found
	for _, x := range p.Findings() {
		found = append(
			found,
			Found{
				ID:     x.ID,
				Level:  level[x.Severity],
				File:   x.File,
				Line:   x.Line,
				Object: x.Object,
				Text:   x.Why,
				Help:   x.Fix,
				Link:   x.Link,
			},
		)
	}
	return found
}

// DoctorJSON is the shape of doctor -o json: no list is null, so that
// jq '.hpas[]' works on an empty cluster.
type DoctorJSON struct {
	Findings  []doctor.Finding `json:"findings"`
	HPAs      []doctor.HPA     `json:"hpas"`
	NotJudged []string         `json:"not_judged"`
}

// JSON returns the page for machines.
func (p *Doctor) JSON() DoctorJSON {
	return DoctorJSON{
		Findings:  p.Findings(),
		HPAs:      append([]doctor.HPA{}, p.HPAs...),
		NotJudged: append([]string{}, slices.Concat(p.Missed, p.Skipped)...),
	}
}

// DoctorText writes the page for a person: a cluster as a table with details of
// the worst, files as a list of findings.
func DoctorText(w io.Writer, p *Doctor) error {
	var b strings.Builder
	switch {
	case len(p.HPAs) == 0:
		p.none(&b)
	case p.Live:
		p.table(&b)
		p.details(&b)
		p.sum(&b)
	default:
		p.files(&b)
		for _, m := range p.NotJudged() {
			p.wrap(&b, "", m)
		}
		p.sum(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// NotJudged says what was not judged, and why, one sentence each.
func (p *Doctor) NotJudged() (out []string) {
	for _, m := range p.Missed {
		out = append(out, "not checked: "+m)
	}
	for _, m := range p.Skipped {
		out = append(out, "skipped: "+m)
	}
	return out
}

// none is the page of a cluster without HPAs.
func (p *Doctor) none(b *strings.Builder) {
	fmt.Fprintf(b, "No HorizontalPodAutoscaler %s.\n", p.Where)
	if strings.HasPrefix(p.Where, "in namespace") {
		b.WriteString("To look in all namespaces: hpatune doctor -A\n")
	}
	b.WriteString("To get a first HPA, record a run at fixed sizes and tune it:\n" +
		"  hpatune run --target deployment/NAME --fix-replicas 1,2,4 -p PROFILE\n")
}

var paint = map[string]string{"error": "31", "warning": "33", "info": "36", "ok": "32"}

// word is a severity in its colour, as wide as the widest.
func (p *Doctor) word(severity string) string {
	text := fmt.Sprintf("%-7s", severity)
	if p.Colour {
		return "\x1b[" + paint[severity] + "m" + text + "\x1b[0m"
	}
	return text
}

// worst is an HPA's worst severity, or ok.
func worst(h *doctor.HPA) string {
	if len(h.Findings) == 0 {
		return "ok"
	}
	return string(h.Findings[0].Severity)
}

// target is an HPA's target in few words: its kind, if it has the HPA's name.
func target(h *doctor.HPA) string {
	kind, name, _ := strings.Cut(h.Target, "/")
	if strings.HasSuffix(h.Name, "/"+name) {
		return kind
	}
	return h.Target
}

// table prints one row per HPA, the worst first, including healthy ones.
func (p *Doctor) table(b *strings.Builder) {
	rows := [][]string{{"", "HPA", "TARGET", "MIN–MAX", "NOW", "E W I", "FIRST"}}
	for i := range p.HPAs {
		h := &p.HPAs[i]
		now, first := "–", ""
		if h.Now != nil {
			now = fmt.Sprint(*h.Now)
		}
		if len(h.Findings) > 0 {
			first = h.Findings[0].ID
		}
		rows = append(rows, []string{worst(h), h.Name, target(h), fmt.Sprintf("%d–%d", h.Min, h.Max), now, count(h), first})
	}
	widths, id := make([]int, 7), 0
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
		id = max(id, utf8.RuneCountInString(r[6]))
	}
	widths[0] = 7
	rest := p.Width - 12 // two blanks between columns
	for _, i := range []int{0, 3, 4, 5, 6} {
		rest -= widths[i]
	}
	// Names give way before figures; the HPA's own is what one has to type, and
	// the details name the target as well.
	if widths[2] = min(widths[2], rest-widths[1]); widths[2] < 10 {
		widths[2], rest = 0, rest+2
	}
	widths[1] = min(widths[1], max(16, rest-widths[2]))
	room := rest - widths[1] - widths[2] // for why
	for n, r := range rows {
		if n == 0 {
			r[0] = strings.Repeat(" ", 7)
		} else {
			r[0] = p.word(r[0])
		}
		last := r[6]
		if n > 0 && last != "" && room+id-len(last) > 20 {
			last += ": " + clip(p.HPAs[n-1].Findings[0].Why, room+id-len(last)-2)
		}
		if widths[2] > 0 {
			r[2] = fmt.Sprintf("%-*s  ", widths[2], middle(r[2], widths[2]))
		} else {
			r[2] = ""
		}
		line := fmt.Sprintf(
			"%s  %-*s  %s%*s  %*s  %-*s  %s",
			r[0],
			widths[1],
			middle(r[1], widths[1]),
			r[2],
			widths[3],
			r[3],
			widths[4],
			r[4],
			widths[5],
			r[5],
			last,
		)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// count is how many errors, warnings and notes an HPA has; a dot is none.
func count(h *doctor.HPA) string {
	var out []string
	for _, s := range []doctor.Severity{doctor.Error, doctor.Warning, doctor.Info} {
		if n := h.Count(s); n > 0 {
			out = append(out, fmt.Sprint(n))
		} else {
			out = append(out, "·")
		}
	}
	return strings.Join(out, " ")
}

// detailed is the number of HPAs for which everything is shown, of many.
const detailed = 10

// details prints the findings by HPA: of many HPAs the worst, without notes.
func (p *Doctor) details(b *strings.Builder) {
	shown := 0
	for i := range p.HPAs {
		h := &p.HPAs[i]
		all := p.One || len(p.HPAs) == 1
		if !all && h.Count(doctor.Error)+h.Count(doctor.Warning) == 0 || len(h.Findings) == 0 || shown == detailed {
			continue
		}
		shown++
		fmt.Fprintf(b, "\n%s → %s\n", h.Name, h.Target)
		for _, x := range h.Findings {
			if x.Severity == doctor.Info && !all {
				continue
			}
			on := ""
			if x.Object != "HorizontalPodAutoscaler/"+h.Name {
				kind, rest, _ := strings.Cut(x.Object, "/")
				on = "  on " + kind + "/" + rest[strings.LastIndex(rest, "/")+1:]
			}
			fmt.Fprintf(b, "  %s  %s%s\n", p.word(string(x.Severity)), x.ID, on)
			p.wrap(b, "           ", x.Why)
			p.wrap(b, "           ", "Fix: "+x.Fix)
		}
	}
}

// files prints the findings one by one, each with its file and line.
func (p *Doctor) files(b *strings.Builder) {
	for _, x := range p.Findings() {
		fmt.Fprintf(b, "%s  %-18s  %s:%d\n", p.word(string(x.Severity)), x.ID, x.File, x.Line)
		p.wrap(b, "    ", x.Why)
		p.wrap(b, "    ", "Fix: "+x.Fix)
	}
}

// sum is the last lines: how many there are of what, and how to see the rest.
func (p *Doctor) sum(b *strings.Builder) {
	n, total := map[string]int{}, 0
	for i := range p.HPAs {
		n[worst(&p.HPAs[i])]++
		total += len(p.HPAs[i].Findings)
	}
	if p.Live {
		b.WriteString("\n")
	}
	fmt.Fprintf(b, "%s, %s", figure.Many(len(p.HPAs), "HPA"), figure.Many(total, "finding"))
	var parts []string
	for _, k := range [][2]string{{"error", "with errors"}, {"warning", "with warnings"}, {"info", "with notes only"},
		{"ok", "healthy"}} {
		if n[k[0]] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[k[0]], k[1]))
		}
	}
	if len(p.HPAs) > 1 {
		b.WriteString(": " + strings.Join(parts, ", "))
	}
	b.WriteString("\n")
	if p.Live && !p.One && len(p.HPAs) > 1 && total > 0 {
		if more := n["error"] + n["warning"] - detailed; more > 0 {
			fmt.Fprintf(b, "Details are shown for the %d worst.\n", detailed)
		}
		b.WriteString("One HPA: hpatune doctor -n NAMESPACE NAME\nAll checks: hpatune help checks\n")
	}
}

// wrap prints text in lines within the width, each indented.
func (p *Doctor) wrap(b *strings.Builder, indent, text string) {
	b.WriteString(layout.Hang(indent, text, p.Width) + "\n")
}

// clip cuts text to n columns.
func clip(text string, n int) string {
	r := []rune(text)
	if len(r) <= n {
		return text
	}
	return strings.TrimRight(string(r[:max(n-1, 0)]), " ,:(") + "…"
}

// middle cuts a name in its middle, since both ends distinguish it from others.
func middle(text string, n int) string {
	r := []rune(text)
	if len(r) <= n || n < 3 {
		return text
	}
	head := (n - 1) / 2
	return string(r[:head]) + "…" + string(r[len(r)-(n-1-head):])
}
