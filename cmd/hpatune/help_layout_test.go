package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hpatune/hpatune/internal/layout"
)

// TestHelpIsLaidOutOnce prints every topic and every command's help: no line is wider
// than layout.Columns, and no line of a paragraph is short before its end, as if it had been
// broken twice.
func TestHelpIsLaidOutOnce(t *testing.T) {
	root := newRoot(streams{strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}})
	var lines []string
	for _, c := range root.Commands() {
		lines = append(lines, c.Name())
		for _, below := range c.Commands() {
			lines = append(lines, c.Name()+" "+below.Name())
		}
	}
	for _, line := range lines {
		var out, stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields("help "+line), strings.NewReader(""), &out, &stderr); code != exitOK {
			t.Errorf("hpatune help %s: exit code %d: %s", line, code, stderr.String())
		}
		for _, p := range layoutProblems(out.String()) {
			t.Errorf("hpatune help %s: %s", line, p)
		}
	}
}

// escaped is a line break that was written as \n.
var escaped = regexp.MustCompile(`[a-z,.;]\\n[ a-z]`)

// layoutProblems are the lines of a page that are too wide, or too short within a
// paragraph: lines that are not indented, up to an empty one or a heading.
func layoutProblems(page string) (problems []string) {
	const short = layout.Columns / 2
	lines := strings.Split(page, "\n")
	paragraph := func(i int) bool {
		return i < len(lines) && lines[i] != "" && !strings.HasPrefix(lines[i], " ") &&
			!strings.HasPrefix(lines[i], "- ") && !strings.HasPrefix(lines[i], "#") && !strings.HasSuffix(lines[i], ":")
	}
	for i, l := range lines {
		n := utf8.RuneCountInString(l)
		switch {
		case n > layout.Columns && strings.Contains(strings.TrimSpace(l), " "):
			problems = append(problems, "too wide: "+l)
		case n < short && paragraph(i) && paragraph(i+1):
			problems = append(problems, "short within a paragraph: "+l)
		case escaped.MatchString(l):
			problems = append(problems, `a line break written as \n: `+l)
		}
	}
	return problems
}

func TestLayoutProblems(t *testing.T) {
	long := strings.Repeat("word ", 14)
	for _, tt := range []struct {
		sentence, page string
		n              int
	}{
		{"a paragraph broken once", long + "\n" + long + "\nend\n", 0},
		{"a paragraph broken twice", long + "\nstray\n" + long + "\n", 1},
		{"short lines that end their paragraphs", "a\n\nb\n", 0},
		{"code that is wide", "    " + long + long + "\n", 1},
		{"an address that has no place to break", "  " + strings.Repeat("x", 90) + "\n", 0},
		{"a break that was written out", "Pods\\nare\n", 1},
	} {
		if got := layoutProblems(tt.page); len(got) != tt.n {
			t.Errorf("%s: problems = %q, want %d", tt.sentence, got, tt.n)
		}
	}
}
