package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hpatune/hpatune/internal/layout"
)

// TestOutputFitsTheTerminal runs the commands that print for people, and refuses lines
// of more than layout.Columns that have a place to break.
func TestOutputFitsTheTerminal(t *testing.T) {
	if testing.Short() {
		t.Skip("runs tune")
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	pageFolder(t, root, dir)
	t.Chdir(dir)
	for _, tt := range []struct {
		line string
		code int
	}{
		{"profile list", exitOK},
		{"profile preview demo", exitOK},
		{"profile check my-load.yaml", exitOK},
		{"report results/RUN", exitOK},
		{"report results/RUN results/AFTER", exitOK},
		{"gate results/RUN", exitMissed},
		{"explain results/RUN", exitOK},
		{"tune results/RUN", exitOK},
		{"tune results/AFTER --max-limit 1", exitNotValid},
		{"replay results/RUN --replicates 5", exitOK},
		{"gate --recording results/RUN -f results/RUN/advice/hpa.yaml --replicates 5", exitOK},
		{"verify results/RUN/advice results/AFTER -f results/AFTER/cluster/hpa.yaml", exitOK},
		{"test results/RUN/advice/hpa.hpa", exitOK},
		{"doctor -f hpa.yaml", exitOK},
		{"import requests server-log.csv --out results/log", exitOK},
		{"fit results/log", exitOK},
		{"report results/log", exitOK},
	} {
		var out, stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(tt.line), strings.NewReader(""), &out, &stderr); code != tt.code {
			t.Errorf("hpatune %s: exit code %d, want %d: %s", tt.line, code, tt.code, stderr.String())
		}
		if out.Len() == 0 {
			t.Errorf("hpatune %s prints nothing", tt.line)
		}
		for line := range strings.Lines(out.String()) {
			line = strings.TrimRight(line, "\n")
			if n := utf8.RuneCountInString(line); n > layout.Columns && layout.Text(line, layout.Columns) != line {
				t.Errorf("hpatune %s: %d columns: %s", tt.line, n, line)
			}
		}
	}
}
