package layout

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for _, tt := range []struct {
		sentence, text string
		width          int
		want           string
	}{
		{"a line that fits stays as it is, blanks too", "a   b\n", 20, "a   b\n"},
		{"a line is broken between words, and its rest indented", "one two three four", 9, "one two\n  three\n  four"},
		{"the rest keeps the indent of its line", "    one two three\n", 12, "    one two\n      three\n"},
		{"a word that is too wide stays whole", "see https://example.org/a/long/path now", 10,
			"see\n  https://example.org/a/long/path\n  now"},
		{"a number stays with its unit", "it took 39.6 % of all", 13, "it took\n  39.6 % of\n  all"},
		{"a time of two units stays whole", "ready after 2 m 05 s then", 16, "ready after\n  2 m 05 s then"},
		{"a range stays whole", "p95 of 50.5 s (49.8 s – 51.0 s)", 18, "p95 of 50.5 s\n  (49.8 s – 51.0 s)"},
		{"a dash between words is a place to break", "one – two three", 7, "one –\n  two\n  three"},
		{"nothing is nothing", "", 10, ""},
	} {
		if got := Text(tt.text, tt.width); got != tt.want {
			t.Errorf("%s: Text(%q, %d) =\n%q, want\n%q", tt.sentence, tt.text, tt.width, got, tt.want)
		}
	}
}

func TestHang(t *testing.T) {
	if got, want := Hang("  10s  ", "stays at 2: cpu 66 % of 70 %", 20), "  10s  stays at 2:\n       cpu 66 % of\n       70 %"; got != want {
		t.Errorf("Hang = %q, want %q", got, want)
	}
}

func TestCommand(t *testing.T) {
	for _, tt := range []struct{ sentence, line, want string }{
		{"a command that fits stays whole", "  kubectl apply -f hpa.yaml", "  kubectl apply -f hpa.yaml"},
		{"an option stays with its value", "  hpatune run --sandbox -p profile.yaml -f hpa.yaml",
			"  hpatune run --sandbox \\\n      -p profile.yaml \\\n      -f hpa.yaml"},
		{"a comment stays a comment", "  # then, by hand: edit the repository", "  # then, by hand: edit the\n  #   repository"},
		{"what is quoted stays whole", `hpatune tune results/RUN --objective "ttft.p95 < 4s"`,
			"hpatune tune results/RUN \\\n    --objective \"ttft.p95 < 4s\""},
	} {
		if got := Command(tt.line, 30); got != tt.want {
			t.Errorf("%s: Command(%q) =\n%s\nwant\n%s", tt.sentence, tt.line, got, tt.want)
		}
	}
}

func TestTable(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		rows     [][]string
		width    int
		want     string
	}{
		{"columns are three blanks apart", [][]string{{"", "n"}, {"a", "1"}}, 80, "      n\n  a   1\n"},
		{"two where three do not fit", [][]string{{"ab", "cd"}, {"a", "1"}}, 8, "  ab  cd\n  a   1\n"},
		{"the widest column is broken between words", [][]string{{"name", "pods created"}, {"a", "5"}}, 16,
			"  name  pods\n        created\n  a     5\n"},
		{"a figure keeps its interval in one line", [][]string{{"", "cost"}, {"a", "$0.18 ($0.16 – $0.20)"}}, 22,
			"     cost\n  a  $0.18\n     ($0.16 – $0.20)\n"},
		{"columns that do not fit follow below", [][]string{{"", "abcd", "efgh"}, {"row", "1", "2"}}, 12,
			"        abcd\n  row   1\n\n        efgh\n  row   2\n"},
		{"a note that fits stands beside its row", [][]string{{"a"}, {"b", "note"}}, 80, "  a\n  b   note\n"},
		{"one that does not stands below", [][]string{{"a"}, {"b", "one two three"}}, 14, "  a\n  b\n      one two\n      three\n"},
		{"a row without its last cells", [][]string{{"", "n", "mean"}, {"a", "—"}}, 80, "      n   mean\n  a   —\n"},
		{"no rows", nil, 80, ""},
	} {
		if got := Table(tt.rows, tt.width); got != tt.want {
			t.Errorf("%s: Table(%q, %d) =\n%s\nwant\n%s", tt.sentence, tt.rows, tt.width, got, tt.want)
		}
	}
}

type narrow struct{ bytes.Buffer }

func (*narrow) Width() int { return 132 }

func TestWidth(t *testing.T) {
	if got := Width(&bytes.Buffer{}); got != Columns {
		t.Errorf("Width of a buffer = %d, want %d", got, Columns)
	}
	if got := Width(&narrow{}); got != 132 {
		t.Errorf("Width of a terminal = %d, want 132", got)
	}
}

// No word is lost or broken, and no line is too wide unless it is a single piece.
func FuzzText(f *testing.F) {
	f.Add("one two 39.6 % of 2 m 05 s\n  – and (1 – 2)", 10)
	f.Fuzz(func(t *testing.T, text string, width int) {
		if width < 3 || width > 200 || !utf8.ValidString(text) {
			return
		}
		got := Text(text, width)
		if a, b := strings.Fields(text), strings.Fields(got); strings.Join(a, " ") != strings.Join(b, " ") {
			t.Fatalf("Text(%q, %d) = %q: words changed", text, width, got)
		}
		for line := range strings.Lines(got) {
			if line = strings.TrimRight(line, "\n"); utf8.RuneCountInString(line) > width && len(pieces(line)) > 1 {
				t.Fatalf("Text(%q, %d): line %q is too wide", text, width, line)
			}
		}
	})
}
