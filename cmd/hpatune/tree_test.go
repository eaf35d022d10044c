package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command's help has an example that calls that command, and a -o that a
// command does not know is refused before anything is done.
func TestEveryCommandHelps(t *testing.T) {
	json := []string{"run", "tune", "replay", "verify", "gate", "report", "profile check", "profile preview", "test", "explain"}
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
			if code != exitUsage || !strings.Contains(stderr.String(), "give text") {
				t.Errorf("%s -o xml: exit code %d, want %d: %s", c.CommandPath(), code, exitUsage, stderr.String())
			}
		}
	}
	walk(newRoot(streams{strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}}))
	if len(json) > 0 {
		t.Errorf("no such commands: %q", json)
	}
}
