package main

import (
	"cmp"
	"embed"
	"path"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// pages are the words of the commands and their flags: help/COMMAND.md, and
// help/PROFILE-LIST.md for a command below another. help/flags.md is of the
// flags that several commands have.
//
//go:embed help/*.md
var pages embed.FS

// page is what help/NAME.md says.
type page struct {
	short, long, example string
	flags                map[string]string // usage by flag
}

// describe gives a command and those below it the words of their pages. What a
// command says itself stays: a Long comes after the page's, and a flag's usage
// in place of it.
func describe(c *cobra.Command) {
	for _, below := range c.Commands() {
		describe(below)
	}
	p, shared := readPage(pageName(c)), readPage("flags")
	c.Short, c.Example = p.short, p.example
	c.Long = strings.TrimSpace(p.long + "\n\n" + c.Long)
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
func readPage(name string) page {
	data, err := pages.ReadFile(path.Join("help", name+".md"))
	if err != nil {
		panic(err) // embedded, and every command is made by a test
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
