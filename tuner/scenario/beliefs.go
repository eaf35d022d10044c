package scenario

import (
	"fmt"
	"io/fs"
	"strings"
)

// BeliefsPage makes a page of the scripts (*.hpa) in fsys, in the order of their names: the
// first comment line of each is a belief, the others say what is true, the rest shows it.
// It is an error if a script does not pass: the page says nothing that is not so.
func BeliefsPage(fsys fs.FS) (string, error) {
	names, err := fs.Glob(fsys, "*.hpa")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(
		"# What people believe of the HPA, and what it does\n\nEach is a script that `hpatune test` runs; this page is made from them.\n",
	)
	for i, name := range names {
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return "", err
		}
		s, err := ParseScript(name, data, fsys)
		if err != nil {
			return "", err
		}
		if ms := s.Run(); len(ms) > 0 {
			return "", fmt.Errorf("belief does not hold: %s", ms[0])
		}
		comment, body := lead(string(data))
		if len(comment) < 2 {
			return "", fmt.Errorf("%s: it begins without the belief and what is true, a comment line each", name)
		}
		fmt.Fprintf(&b, "\n## %d. %s\n\n%s\n\n", i+1, comment[0], strings.Join(comment[1:], "\n"))
		for line := range strings.Lines(body) {
			if line != "\n" {
				line = "    " + line
			}
			b.WriteString(line)
		}
	}
	return b.String(), nil
}

// lead cuts a script into the comment at its head and the rest.
func lead(text string) (comment []string, body string) {
	for {
		line, rest, _ := strings.Cut(text, "\n")
		said, ok := strings.CutPrefix(line, "#")
		if !ok {
			return comment, text
		}
		comment, text = append(comment, strings.TrimSpace(said)), rest
	}
}
