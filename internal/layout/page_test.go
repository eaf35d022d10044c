package layout

import (
	"strings"
	"testing"
)

func TestPage(t *testing.T) {
	word := func(n int) string { return strings.TrimSpace(strings.Repeat("word ", n)) }
	for _, tt := range []struct{ sentence, page, want string }{
		{"a short line stays", "a b\n", "a b\n"},
		{"a long line is broken at a space", word(20) + "\n", word(16) + "\n" + word(4) + "\n"},
		{"the lines of a paragraph are joined first", word(12) + "\n" + word(1) + "\n" + word(7) + "\n", word(16) + "\n" + word(4) + "\n"},
		{"paragraphs stay apart", "a\n\nb\n", "a\n\nb\n"},
		{"a number stays with its unit", word(15) + " 9000\n% x\n", word(15) + "\n9000 % x\n"},
		{"an item goes on below its text", "- " + word(20) + "\n  " + word(2) + "\n- b\n", "- " + word(15) + "\n  " + word(7) + "\n- b\n"},
		{"an item may go on without an indent", "- a\nb\n\nc\n", "- a b\n\nc\n"},
		{"code is never broken", "a:\n\n    " + word(20) + "\n    b\n", "a:\n\n    " + word(20) + "\n    b\n"},
		{"code below an item is kept", "- a\n\n      b\n      c\n", "- a\n\n      b\n      c\n"},
		{"a line laid out by hand is broken if it must be", "  " + word(17) + "\n", "  " + word(15) + "\n    " + word(2) + "\n"},
		{"what is indented below a line is kept", "term\n    what it means\n    at length\n", "term\n    what it means\n    at length\n"},
		{"a heading is not joined", "## A\nb\nc\n", "## A\nb c\n"},
		{"a long word stays whole", strings.Repeat("x", 90) + "\n", strings.Repeat("x", 90) + "\n"},
		{"a table is aligned", "a\n\n| x | means |\n|---|---|\n| `long` | 1 |\n| y | 2 \\| 3 |\n", "a\n\n  x        means\n  `long`   1\n  y        2 | 3\n"},
	} {
		if got := Page(tt.page); got != tt.want {
			t.Errorf("%s: Page(%q) =\n%s want\n%s", tt.sentence, tt.page, got, tt.want)
		}
	}
}
