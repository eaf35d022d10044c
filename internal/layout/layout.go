// Package layout fits text and tables into the columns of a terminal. Lines are
// broken between words only: a path, a URL or a number with its unit stays whole,
// even where it is wider than the line.
package layout

import (
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Columns is the width of output whose width is unknown: a pipe, or a file.
const Columns = 80

// Width returns the number of columns of w: what its Width method returns, at least
// half of Columns. It is Columns if w has no such method.
func Width(w io.Writer) int {
	if t, ok := w.(interface{ Width() int }); ok {
		return max(t.Width(), Columns/2)
	}
	return Columns
}

// Text breaks the lines of text that are wider than width columns. What follows a
// break is indented like its line, and by 2 more. The result ends as text does.
func Text(text string, width int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		body := strings.TrimRight(line, "\n")
		indent := body[:len(body)-len(strings.TrimLeft(body, " "))]
		b.WriteString(broken(body, width, indent+"  "))
		b.WriteString(line[len(body):])
	}
	return b.String()
}

// Hang returns prefix and text in lines of at most width columns, the later ones
// indented by the width of prefix. It ends without a newline.
func Hang(prefix, text string, width int) string {
	n := utf8.RuneCountInString(prefix)
	return prefix + strings.Join(fill(pieces(text), width-n, width-n), "\n"+strings.Repeat(" ", n))
}

// broken is a line in lines of at most width columns; those after the first start with
// indent.
func broken(line string, width int, indent string) string {
	if utf8.RuneCountInString(line) <= width {
		return line
	}
	start := line[:len(line)-len(strings.TrimLeft(line, " "))]
	return start + strings.Join(fill(pieces(line), width-len(start), width-len(indent)), "\n"+indent)
}

// Command breaks a shell command before an option or an argument, each line but the
// last ending in a backslash, so that it can be pasted. Quoted arguments stay whole. A
// line that is a comment is broken into comments.
func Command(line string, width int) string {
	if utf8.RuneCountInString(line) <= width {
		return line
	}
	indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
	if strings.HasPrefix(line[len(indent):], "#") {
		return broken(line, width, indent+"#   ")
	}
	var words []string
	quote := rune(0)
	all := strings.FieldsFunc(line, func(r rune) bool {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		}
		return quote == 0 && r == ' '
	})
	for _, w := range all { // an option and its value stay together
		last := len(words) - 1
		if last >= 0 && strings.HasPrefix(words[last], "-") && !strings.ContainsAny(words[last], "= ") &&
			!strings.HasPrefix(w, "-") {
			words[last] += " " + w
			continue
		}
		words = append(words, w)
	}
	lines := fill(words, width-len(indent)-2, width-len(indent)-6)
	return indent + strings.Join(lines, " \\\n"+indent+"    ")
}

// fill joins words to lines of at most first columns, then at most rest.
func fill(words []string, first, rest int) []string {
	lines, room := []string{""}, first
	for _, w := range words {
		at := len(lines) - 1
		switch n := utf8.RuneCountInString(lines[at]); {
		case n == 0:
			lines[at] = w
		case n+1+utf8.RuneCountInString(w) <= room:
			lines[at] += " " + w
		default:
			lines, room = append(lines, w), rest
		}
	}
	return lines
}

// units are what may follow a number after a blank.
var units = []string{"%", "s", "ms", "µs", "ns", "m", "h", "d", "pt", "€", "$"}

// pieces are the words of a line, numbers joined to their units ("2 m 05 s", "39.6 %")
// and the ends of a range to each other ("(1.05 – 1.10)", "2 → 3").
func pieces(line string) []string {
	var out []string
	last := "" // the last word of the last piece
	for _, w := range strings.Fields(line) {
		if len(out) > 0 && glued(last, w) {
			out[len(out)-1] += " " + w
		} else {
			out = append(out, w)
		}
		last = w
	}
	return out
}

// glued reports whether no line may be broken between two words.
func glued(a, b string) bool {
	bare := strings.Trim(b, "(),;.:")
	unit := slices.Contains(units, strings.Trim(a, "(),;.:"))
	switch {
	case endsInDigit(a) && (slices.Contains(units, bare) || strings.HasPrefix(b, "%/")): // 39.6 %, 100 %/30s
		return true
	case (a == "m" || a == "h") && beginsWithDigit(b): // 2 m 05 s
		return true
	case bare == "–" || bare == "→" || bare == "…": // 1.05 – 1.10
		return endsInDigit(a) || unit || a == "—"
	case a == "–" || a == "→" || a == "…":
		return beginsWithDigit(strings.TrimLeft(b, "−+±$€£¥₹"))
	}
	return false
}

func endsInDigit(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return unicode.IsDigit(r)
}

func beginsWithDigit(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsDigit(r)
}
