package main

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestPagesAreOfWhatThereIs holds help/*.md against the tree: every command and
// flag has its words, and there are none of a command or flag that is gone.
func TestPagesAreOfWhatThereIs(t *testing.T) {
	files, err := fs.Glob(pages, "help/*.md")
	if err != nil {
		t.Fatal(err)
	}
	unused := map[string]bool{} // "PAGE" or "PAGE --FLAG"
	for _, f := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(f, "help/"), ".md")
		unused[name] = true
		for flag := range readPage(name).flags {
			unused[name+" --"+flag] = true
		}
	}
	delete(unused, "flags")
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, below := range c.Commands() {
			visit(below)
		}
		name := pageName(c)
		if !unused[name] { // a topic, or cobra's own
			return
		}
		delete(unused, name)
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("help/%s.md: short text %q: want one line without a full stop", name, c.Short)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("hpatune %s --%s has no usage: add a line to help/%s.md", name, f.Name, name)
			}
			own := unused[name+" --"+f.Name]
			delete(unused, name+" --"+f.Name)
			if !own {
				delete(unused, "flags --"+f.Name)
			}
		})
	}
	root := newRoot(streams{strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}})
	root.InitDefaultHelpCmd()
	visit(root)
	for what := range unused {
		t.Errorf("help/*.md has words of what is not there: %s", what)
	}
}
