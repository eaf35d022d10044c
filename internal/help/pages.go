package help

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hpatune/hpatune/internal/layout"
)

// page is what help/NAME.md says.
type page struct {
	short, long, example string
	flags                map[string]string // usage by flag
}

// Describe sets the help texts of a command and those below it from their pages. The
// command's own texts stay: its Long comes after the page's, and a flag's usage replaces
// the page's.
func Describe(c *cobra.Command, pages fs.FS) {
	for _, below := range c.Commands() {
		Describe(below, pages)
	}
	p, shared := readPage(pages, pageName(c)), readPage(pages, "flags")
	c.Short, c.Example = p.short, p.example
	c.Long = strings.TrimSpace(layout.Page(strings.TrimSpace(p.long + "\n\n" + c.Long)))
	c.Flags().VisitAll(func(f *pflag.Flag) {
		f.Usage = cmp.Or(f.Usage, p.flags[f.Name], shared.flags[f.Name])
	})
}

// pageName is the name of a command's page, without its ending.
func pageName(c *cobra.Command) string {
	if p := c.Parent(); p != nil && p.HasParent() {
		return pageName(p) + "-" + c.Name()
	}
	return c.Name()
}

// readPage reads help/NAME.md:
//
//	# NAME: what the command does, in a line
//
//	what it does, in full
//
//	## Examples
//
//	  hpatune NAME
//
//	## Flags
//
//	FLAG: what it means
func readPage(pages fs.FS, name string) page {
	data, err := fs.ReadFile(pages, path.Join("help", name+".md"))
	if err != nil {
		panic(err) // pages are embedded, and every command is made by a test
	}
	head, body, _ := strings.Cut(string(data), "\n")
	body, flags, _ := strings.Cut(body, "\n## Flags\n")
	long, example, _ := strings.Cut(body, "\n## Examples\n")
	_, short, _ := strings.Cut(head, ": ")
	p := page{short, strings.TrimSpace(long), strings.Trim(example, "\n"), map[string]string{}}
	for line := range strings.Lines(flags) {
		if flag, usage, ok := strings.Cut(line, ": "); ok {
			p.flags[flag] = strings.TrimSpace(usage)
		}
	}
	return p
}

// Problems lists commands and flags below root without a text, and texts for commands and
// flags that do not exist.
func Problems(root *cobra.Command, pages fs.FS) (problems []string) {
	files, err := fs.Glob(pages, "help/*.md")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	unused := map[string]bool{} // "PAGE" or "PAGE --FLAG"
	for _, f := range files {
		name := strings.TrimSuffix(path.Base(f), ".md")
		unused[name] = true
		for flag := range readPage(pages, name).flags {
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
			problems = append(problems, fmt.Sprintf("help/%s.md: %q: want one line without a full stop", name, c.Short))
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				problems = append(problems, fmt.Sprintf("help/%s.md: no words of --%s", name, f.Name))
			}
			own := unused[name+" --"+f.Name]
			delete(unused, name+" --"+f.Name)
			if !own {
				delete(unused, "flags --"+f.Name)
			}
		})
	}
	root.InitDefaultHelpCmd()
	visit(root)
	for _, what := range slices.Sorted(maps.Keys(unused)) {
		problems = append(problems, "help/*.md: words of what is not there: "+what)
	}
	return problems
}
