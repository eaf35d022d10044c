package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
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
			shown := shownOutput(string(text))
			dir := t.TempDir()
			pageFolder(t, root, dir)
			t.Chdir(dir)
			for _, line := range lines {
				out := runPageLine(t, strings.ReplaceAll(line, "http://localhost:8000", server.URL))
				if want := shown[line]; want != nil {
					if at, ok := shows(out, want); !ok {
						t.Errorf("%s does not print what %s shows:\n  %s\nIt prints:\n%s", line, filepath.Base(page), at, out)
					}
				}
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
		"scaledobject.yaml": `apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: llm, namespace: ml-serving}
spec:
  scaleTargetRef: {name: llm}
  maxReplicaCount: 12
  triggers:
    - type: prometheus
      name: waiting
      metadata:
        serverAddress: http://prometheus.monitoring:9090
        query: sum(vllm:num_requests_waiting{namespace="ml-serving"})
        threshold: "5"
  # no trigger measures in front of the pods
  minReplicaCount: 0
`,
		"my-load.yaml": "name: mine\nstages:\n  - {name: all, rate: 40/s, duration: 3s}\n",
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

// shownOutput are the lines that a page shows below a command, by that command: up to the
// next command, an empty line before one, or the end of the code block.
func shownOutput(text string) map[string][]string {
	shown, command, fenced := map[string][]string{}, "", false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch rest, ok := strings.CutPrefix(line, "$ "); {
		case strings.HasPrefix(line, "```"):
			fenced, command = !fenced, ""
		case fenced && ok:
			command = rest
		case fenced && command != "" && strings.TrimSpace(line) != "":
			shown[command] = append(shown[command], line)
		}
	}
	return shown
}

// number is what is masked: the figures of two runs of a command may differ.
var number = regexp.MustCompile(`[0-9][0-9.,]*`)

// masked is a line with its numbers, signs and runs of blanks made equal.
func masked(line string) string {
	line = number.ReplaceAllString(line, "0")
	line = strings.NewReplacer("−", "", "+", "", "±", "", "-", "").Replace(line)
	return strings.Join(strings.Fields(line), " ")
}

// shows reports whether the wanted lines are in the output, in their order. A line
// "…" stands for any lines, and one that ends in "…" for any end; other lines
// follow each other. It returns the first wanted line that is not there.
func shows(out string, want []string) (missing string, ok bool) {
	var got []string
	for line := range strings.Lines(out) {
		if strings.TrimSpace(line) != "" {
			got = append(got, masked(line))
		}
	}
	at, skip := 0, true
	for _, w := range want {
		if strings.TrimSpace(w) == "…" {
			skip = true
			continue
		}
		begin, cut := strings.CutSuffix(masked(w), "…")
		begin = strings.TrimSpace(begin)
		same := func(line string) bool { return line == begin || cut && strings.HasPrefix(line, begin) }
		for skip && at < len(got) && !same(got[at]) {
			at++
		}
		if at >= len(got) || !same(got[at]) {
			return w, false
		}
		at, skip = at+1, false
	}
	return "", true
}

func TestShows(t *testing.T) {
	const out = "VALID: all 3\n\n  a   1.5 s\n  b   −2 %\n  c   4\n"
	for _, tt := range []struct {
		sentence, want string
		ok             bool
	}{
		{"numbers and blanks may differ", "VALID: all 17\n a 2 s\n b +3 %", true},
		{"a line that is not printed", "VALID: all 3\n a 1 s\n d 3", false},
		{"a word that differs", "INVALID: all 3", false},
		{"a unit that differs", "VALID: all 3\n a 1.5 ms", false},
		{"lines left out in silence", "VALID: all 3\n c 4", false},
		{"lines left out with an ellipsis", "VALID: all 3\n…\n c 4", true},
		{"an end left out", "VALID: …\n a 1 s", true},
		{"the order counts", "…\n c 4\n a 1.5 s", false},
	} {
		if at, ok := shows(out, strings.Split(tt.want, "\n")); ok != tt.ok {
			t.Errorf("%s: shows = %q, %v, want %v", tt.sentence, at, ok, tt.ok)
		}
	}
}

// runPageLine runs one command and returns what it printed on stdout; whatever is
// missed or refused by it fails.
func runPageLine(t *testing.T, line string) string {
	t.Helper()
	line, comment, _ := strings.Cut(line, " # ")
	var out, errs bytes.Buffer
	code := run(context.Background(), words(line)[1:], strings.NewReader(""), &out, &errs)
	if code == exitNotValid && strings.Contains(line, "results/url") {
		t.Logf("%s: this machine stalled: %s", line, out.String()) // a late load is no evidence, and says so
		return out.String()
	}
	want := exitOK
	if _, note, ok := strings.Cut(comment, "exit "); ok {
		fmt.Sscan(note, &want)
	}
	if code != want {
		t.Errorf("%s: exit code %d, want %d\n%s%s", line, code, want, out.String(), errs.String())
	}
	return out.String()
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

// TestReadmeShowsWhatCommandsPrint fails where README names one of the main
// commands without showing what it prints.
func TestReadmeShowsWhatCommandsPrint(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]bool{}
	for line, shown := range shownOutput(string(text)) {
		commands[words(line)[1]] = len(shown) > 0
	}
	for _, name := range []string{"tune", "replay", "verify", "gate", "report", "doctor", "decide", "test"} {
		if !commands[name] {
			t.Errorf("README shows nothing that hpatune %s prints", name)
		}
	}
}
