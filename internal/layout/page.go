package layout

import (
	"strings"
	"unicode/utf8"
)

// Page breaks the lines of a page that are wider than Columns, at a space
// or after a comma or bar, and indents what follows like the line itself.
// A word that is wider stays whole.
func Page(page string) string {
	var b strings.Builder
	for line := range strings.Lines(page) {
		text := strings.TrimRight(line, "\n")
		indent := text[:len(text)-len(strings.TrimLeft(text, " "))]
		switch body := text[len(indent):]; {
		case strings.HasPrefix(body, "- "):
			indent += "  "
		case indent != "":
			indent += "    "
		}
		for {
			cut := breakAt(text)
			if cut < 0 {
				break
			}
			b.WriteString(strings.TrimRight(text[:cut], " ") + "\n")
			text = indent + strings.TrimLeft(text[cut:], " ")
		}
		b.WriteString(text + "\n")
	}
	return b.String()
}

// breakAt returns the byte at which the next line begins; -1 = text fits, or
// there is no place to break it.
func breakAt(text string) int {
	if utf8.RuneCountInString(text) <= Columns {
		return -1
	}
	start := len(text) - len(strings.TrimLeft(text, " "))
	space, mark, n := -1, -1, 0
	for i, r := range text {
		if n++; n > Columns+1 {
			break
		}
		switch {
		case i <= start:
		case r == ' ':
			space = i
		case (r == ',' || r == '|' || r == '}') && n <= Columns:
			mark = i + 1
		}
	}
	if space > start+Columns/3 || mark < 0 && space > 0 {
		return space
	}
	return mark
}
