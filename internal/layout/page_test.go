package layout

import (
	"strings"
	"testing"
)

func TestPage(t *testing.T) {
	long := strings.Repeat("word ", 20)
	for _, tt := range []struct{ name, page, want string }{
		{"a short line stays", "a b\n", "a b\n"},
		{"a long line is broken at a space", long + "end\n", strings.TrimSpace(strings.Repeat("word ", 16)) + "\nword word word word end\n"},
		{"what follows an item is indented", "- " + strings.TrimSpace(long) + "\n", "- " + strings.TrimSpace(strings.Repeat("word ", 15)) + "\n  word word word word word\n"},
		{"what has no spaces is broken after a comma", strings.Repeat("abcdefghi,", 9) + "\n", strings.Repeat("abcdefghi,", 8) + "\nabcdefghi,\n"},
		{"a long word stays whole", strings.Repeat("x", 90) + "\n", strings.Repeat("x", 90) + "\n"},
	} {
		if got := Page(tt.page); got != tt.want {
			t.Errorf("%s: Page(%q) =\n%s want\n%s", tt.name, tt.page, got, tt.want)
		}
	}
}
