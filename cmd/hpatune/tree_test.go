package main

import (
	"bytes"
	"context"
	"errors"
	"io"
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
	}{
		{"an unknown command", []string{"tuen"}, exitUsage},
		{"an unknown flag", []string{"tune", "--nosuch"}, exitUsage},
		{"a flag without its value", []string{"tune", "x", "--seed"}, exitUsage},
		{"a flag of the wrong kind", []string{"tune", "x", "--seed", "one"}, exitUsage},
		{"too few arguments", []string{"tune"}, exitUsage},
		{"too many arguments", []string{"report", "a", "b", "c"}, exitUsage},
		{"flags that exclude each other", []string{"run", "--sandbox", "--url", "http://127.0.0.1:1"}, exitUsage},
		{"help is no error", []string{"tune", "--help"}, exitOK},
	} {
		var out, stderr bytes.Buffer
		if code := run(t.Context(), tt.args, strings.NewReader(""), &out, &stderr); code != tt.code {
			t.Errorf("%s: hpatune %s: exit code %d, want %d: %s", tt.sentence, strings.Join(tt.args, " "), code, tt.code, stderr.String())
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
