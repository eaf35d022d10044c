package scenario

import (
	"fmt"
	"io/fs"
	"strings"
)

// BeliefsPage makes a page of the scripts (*.hpa) in fsys, sorted by name. The first comment line
// of a script is a belief, the next ones say what is true, and the rest proves it. A script that
// fails is an error, so the page is always true.
func BeliefsPage(fsys fs.FS) (string, error) {
	names, err := fs.Glob(fsys, "*.hpa")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(
		"# What people believe about the HPA, and what it does\n\n" +
			"Each belief has a script that `hpatune test` runs; this page is generated from the scripts.\n",
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
			return "", fmt.Errorf("%s: begins without two comment lines: the belief, and what is true", name)
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

// lead splits a script into the comment at its top and the rest.
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
