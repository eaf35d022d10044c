package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/layout"
)

// Every command's help has an example that calls that command, and a -o that a
// command does not know is refused before anything is done.
func TestEveryCommandHelps(t *testing.T) {
	json := []string{"run", "tune", "replay", "verify", "gate", "report", "profile check", "profile preview", "test", "explain", "fit"}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if !c.Runnable() || c.IsAdditionalHelpTopicCommand() {
			return
		}
		if !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s: no example in its help: %q", c.CommandPath(), c.Example)
		}
		path := strings.TrimPrefix(c.CommandPath(), "hpatune ")
		if i := slices.Index(json, path); i >= 0 {
			json = slices.Delete(json, i, i+1)
			if f := c.Flags().Lookup("output"); f == nil || !strings.Contains(f.Usage, "json") {
				t.Errorf("%s: no -o json", c.CommandPath())
			}
		}
		if c.Flags().Lookup("output") != nil {
			var out, stderr bytes.Buffer
			code := run(context.Background(), append(strings.Fields(path), "-o", "xml"), strings.NewReader(""), &out, &stderr)
			if code != exitUsage || !strings.Contains(stderr.String(), "want text") {
				t.Errorf("%s -o xml: exit code %d, want %d: %s", c.CommandPath(), code, exitUsage, stderr.String())
			}
		}
	}
	walk(newRoot(streams{strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}}))
	if len(json) > 0 {
		t.Errorf("no such commands: %q", json)
	}
}

// Whatever cobra says of the command line is exit code 2, however it words it;
// what a command says of its own work is not, even in cobra's words.
func TestTheCommandLinesOwnErrors(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		args     []string
		code     int
		says     string
	}{
		{"an unknown command", []string{"tuen"}, exitUsage, "tune"},
		{"an unknown flag", []string{"tune", "--nosuch"}, exitUsage, "unknown flag"},
		{"a flag without its value", []string{"tune", "x", "--seed"}, exitUsage, "--seed"},
		{"a flag of the wrong kind", []string{"tune", "x", "--seed", "one"}, exitUsage, "want a whole number"},
		{"too few arguments", []string{"tune"}, exitUsage, "needs an argument"},
		{"too many arguments", []string{"report", "a", "b", "c"}, exitUsage, "was given 3 arguments"},
		{"arguments of a command that takes none", []string{"demo", "now"}, exitUsage, "hpatune demo takes no arguments, but was given now"},
		{"a value that was meant for a flag", []string{"run", "--find-capacity", "30s"}, exitUsage, "Try: --find-capacity=30s"},
		{"a file for a command's only kind", []string{"import", "log.csv"}, exitUsage, "Try: hpatune import requests log.csv"},
		{"an unknown command of several", []string{"profile", "lits"}, exitUsage, "Try: list"},
		{"flags that exclude each other", []string{"run", "--sandbox", "--url", "http://127.0.0.1:1"}, exitUsage,
			"--sandbox and --url cannot be used together"},
		{"subjects that exclude each other", []string{"rbac", "run", "--user", "a", "--group", "b"}, exitUsage,
			"--group and --user cannot be used together"},
		{"rights for a flag that is none", []string{"rbac", "run --sraper :8000"}, exitUsage, "run has no flag --sraper"},
		{"a log given twice", []string{"import", "requests", "tree_test.go", "./tree_test.go"}, exitUsage, "tree_test.go"},
		{"a number that is none", []string{"run", "--sandbox", "--speed", "NaN"}, exitUsage, "--speed NaN: want a number"},
		{"a ratio that is none", []string{"replay", filepath.Join("..", "..", "results", "testdata", "before"), "--controller", "tolerance=NaN"},
			exitUsage, "--controller"},
		{"a duration below 0", []string{"doctor", "-f", "x", "--startup", "-3s"}, exitUsage, "--startup -3s: want a duration of 0 or more"},
		{"a time that ends before it begins", []string{"explain", "x", "--from", "5m", "--to", "1m"}, exitUsage, "--from 5m is after --to 1m"},
		{"a word that the flag does not know", []string{"run", "--url", "http://127.0.0.1:1", "--http2", "yes"}, exitUsage, "want h2c or off"},
		{"both ways of gate", []string{"gate", "--recording", "x", "y"}, exitUsage, "both RUN and --recording were given"},
		{"one of two arguments", []string{"verify", "x"}, exitUsage, "was given one argument"},
		{"a script that is not there", []string{"test", "nosuch.hpa"}, exitUsage, "nosuch.hpa: no such file or folder"},
		{"a folder for a script", []string{"test", "testdata"}, exitUsage, "testdata: is a folder, not a file"},
		{"help is no error", []string{"tune", "--help"}, exitOK, ""},
	} {
		var out, stderr bytes.Buffer
		if code := run(t.Context(), tt.args, strings.NewReader(""), &out, &stderr); code != tt.code {
			t.Errorf("%s: hpatune %s: exit code %d, want %d: %s", tt.sentence, strings.Join(tt.args, " "), code, tt.code, stderr.String())
		}
		if text := stderr.String(); !strings.Contains(text, tt.says) || strings.Contains(text, "if any flags in the group") {
			t.Errorf("%s: hpatune %s: %q, want %q in it", tt.sentence, strings.Join(tt.args, " "), text, tt.says)
		}
	}
	root := &cobra.Command{RunE: func(*cobra.Command, []string) error { return errors.New("unknown command \"x\" of the server") }, SilenceErrors: true, SilenceUsage: true}
	root.SetArgs(nil)
	answering(root)
	var ee *exitError
	if err := root.Execute(); !errors.As(err, &ee) || ee.code != exitFailed {
		t.Errorf("a command's own error in cobra's words: %v, want exit code %d", err, exitFailed)
	}
}

// Ctrl-C is exit code 130 in every command that replays, and not that of a run that is no evidence.
func TestCtrlCIsNoEvidence(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := filepath.Join("..", "..", "results", "testdata", "before")
	hpa := filepath.Join(dir, "cluster", "hpa.yaml")
	for _, args := range [][]string{
		{"replay", dir}, {"gate", "--recording", dir, "-f", hpa}, {"tune", dir, "--out", t.TempDir()},
	} {
		var out bytes.Buffer
		if code := run(ctx, args, strings.NewReader(""), &out, &out); code != exitInterrupted || !strings.Contains(out.String(), "interrupted") {
			t.Errorf("%q after Ctrl-C: exit code %d, want %d: %s", args, code, exitInterrupted, out.String())
		}
	}
}

// TestHelpFitsTheTerminal prints the help of every command and topic, and
// refuses lines that are wider than layout.Columns, unless they have no place to break.
func TestHelpFitsTheTerminal(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		path := strings.Fields(c.CommandPath())[1:]
		var out bytes.Buffer
		if code := run(t.Context(), append([]string{"help"}, path...), strings.NewReader(""), &out, &out); code != exitOK {
			t.Errorf("hpatune help %s: exit code %d: %s", strings.Join(path, " "), code, out.String())
		}
		for line := range strings.Lines(out.String()) {
			line = strings.TrimRight(line, "\n")
			if utf8.RuneCountInString(line) > layout.Columns && layout.Page(line) != line+"\n" {
				t.Errorf("hpatune help %s: %d columns: %s", strings.Join(path, " "), utf8.RuneCountInString(line), line)
			}
		}
		for _, below := range c.Commands() {
			if !below.Hidden {
				visit(below)
			}
		}
	}
	visit(newRoot(streams{strings.NewReader(""), io.Discard, io.Discard}))
}
