package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hpatune/hpatune/tuner/plant"
)

// elsewhere are commands of the pages that other tests run, or that need what a
// test has not.
var elsewhere = map[string]string{
	"hpatune demo":            "make demo, which CI runs",
	"hpatune help":            "help.txtar",
	"--hpa ":                  "needs a cluster: test/cluster",
	"--target ":               "needs a cluster: test/cluster",
	"hpatune doctor -A":       "needs a cluster: test/cluster",
	"hpatune doctor -n ":      "needs a cluster: test/cluster",
	"--price prices.yaml":     "tune.txtar has a price file",
	"hpatune run --sandbox -": "make demo, which CI runs",
}

// TestPagesRun runs every `$ hpatune …` line of README.md and of the help
// topics, in order, in a folder where results/RUN and results/AFTER are the two
// recorded runs.
func TestPagesRun(t *testing.T) {
	if testing.Short() {
		t.Skip("runs tune several times")
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(answer))
	defer server.Close()
	pages, err := filepath.Glob(filepath.Join(root, "cmd", "hpatune", "topics", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append([]string{filepath.Join(root, "README.md")}, pages...) {
		t.Run(filepath.Base(page), func(t *testing.T) {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			lines := commandLines(string(text))
			if len(lines) == 0 {
				return
			}
			dir := t.TempDir()
			pageFolder(t, root, dir)
			t.Chdir(dir)
			for _, line := range lines {
				runPageLine(t, strings.ReplaceAll(line, "http://localhost:8000", server.URL))
			}
		})
	}
}

// commandLines are the "$ hpatune …" lines of a page that are to be run.
func commandLines(text string) []string {
	var out []string
next:
	for line := range strings.Lines(text) {
		line, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
		if !ok || !strings.HasPrefix(line, "hpatune ") {
			continue
		}
		for part := range elsewhere {
			if strings.Contains(line, part) {
				continue next
			}
		}
		out = append(out, line)
	}
	return out
}

// pageFolder lays out what the pages' commands speak of.
func pageFolder(t *testing.T, root, dir string) {
	t.Helper()
	for name, from := range map[string]string{"RUN": "before", "AFTER": "after"} {
		if err := os.CopyFS(filepath.Join(dir, "results", name), os.DirFS(filepath.Join(root, "results", "testdata", from))); err != nil {
			t.Fatal(err)
		}
	}
	hpa, err := os.ReadFile(filepath.Join(root, "results", "testdata", "before", "cluster", "hpa.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"hpa.yaml":       string(hpa),
		"server-log.csv": serverLog(),
		"my-load.yaml":   "name: mine\nstages:\n  - {name: all, rate: 40/s, duration: 3s}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// serverLog is what a server of language models would have written of 120 requests.
func serverLog() string {
	law := plant.Iterations{Alpha: 0.01, Beta: 1e-4, Gamma: 5e-5, Batch: 2048, Seqs: 16}
	calls := make([]plant.Call, 120)
	for i := range calls {
		calls[i] = plant.Call{At: 0.2*float64(i) + 0.1*float64(i%3), Prompt: 100 + 97*(i%11), Output: 50 + 31*(i%7)}
	}
	played, _ := law.Play(calls)
	var b strings.Builder
	b.WriteString("t_s,input_tokens,output_tokens,first_token_s,last_token_s\n")
	for i, c := range calls {
		fmt.Fprintf(&b, "%.6f,%d,%d,%.6f,%.6f\n", c.At, c.Prompt, c.Output, played[i].First, played[i].Last)
	}
	return b.String()
}

// runPageLine runs one command; whatever is missed or refused by it fails,
// except that a page may show a refusal by saying so: "# exit 4".
func runPageLine(t *testing.T, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, " #")
	var out, errs bytes.Buffer
	code := run(context.Background(), words(line)[1:], strings.NewReader(""), &out, &errs)
	if code == exitNotValid && strings.Contains(line, "results/url") {
		t.Logf("%s: this machine stalled: %s", line, out.String()) // a late load is no evidence, and says so
		return
	}
	if code != exitOK {
		t.Errorf("%s: exit code %d\n%s%s", line, code, out.String(), errs.String())
	}
}

// words splits a command line at spaces outside of double quotes.
func words(line string) []string {
	var out []string
	quoted := false
	word, has := strings.Builder{}, false
	for _, r := range line {
		switch {
		case r == '"':
			quoted, has = !quoted, true
		case r == ' ' && !quoted:
			if has {
				out = append(out, word.String())
			}
			word.Reset()
			has = false
		default:
			word.WriteRune(r)
			has = true
		}
	}
	if has {
		out = append(out, word.String())
	}
	return out
}
