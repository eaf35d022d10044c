// Package help adds help texts to a tree of commands. The texts are pages in files;
// the help command and its topics print them in layout.Columns columns.
package help

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/layout"
	"github.com/hpatune/hpatune/internal/source"
)

// Command is `help` for a command or a topic. Any other word is a usage error.
func Command() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND | TOPIC]",
		RunE: func(c *cobra.Command, args []string) error {
			found, rest, err := c.Root().Find(args)
			switch {
			case err != nil || found == nil:
				return unknownWord(c.Root(), "help topic", args[0])
			case len(rest) > 0:
				return unknownWord(found, "help topic", rest[0])
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			at, _, err := c.Root().Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return wordsBelow(at), cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// Wrap has cobra print the flags of every command below root in
// layout.Columns columns.
func Wrap(root *cobra.Command) {
	cobra.AddTemplateFunc("wrapped", func(f *pflag.FlagSet) string { return f.FlagUsagesWrapped(layout.Columns) })
	t := root.UsageTemplate()
	for _, flags := range []string{".LocalFlags", ".InheritedFlags"} {
		t = strings.ReplaceAll(t, flags+".FlagUsages", "wrapped "+flags)
	}
	root.SetUsageTemplate(t)
}

// Group makes a command that only has subcommands reject unknown words, instead of printing
// its help as if nothing were wrong.
func Group(c *cobra.Command) {
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownWord(c, "command", args[0])
		}
		return c.Usage()
	}
}

// unknownWord is the usage error of a word that is no command or topic below c.
func unknownWord(c *cobra.Command, what, word string) error {
	near := source.Nearest(word, wordsBelow(c))
	switch {
	case near != "":
	case what == "command" && len(wordsBelow(c)) == 1: // a word that was meant for the only one
		near = c.CommandPath() + " " + wordsBelow(c)[0] + " " + word
	case len(wordsBelow(c)) == 0:
		near = c.CommandPath() + " --help"
	default:
		near = "one of " + strings.Join(wordsBelow(c), ", ")
	}
	return failure.Inputf("unknown %s %q for %q\nTry: %s", what, word, c.CommandPath(), near)
}

// wordsBelow are the names of the commands and topics below a command.
func wordsBelow(c *cobra.Command) (names []string) {
	for _, below := range c.Commands() {
		if !below.Hidden {
			names = append(names, below.Name())
		}
	}
	return names
}

// numberError is strconv's message that a flag's value is not a number.
var numberError = regexp.MustCompile(`strconv\.Parse(Int|Uint|Float|Bool): parsing ".*": (.*)$`)

// FlagError is pflag's error without the names of Go's functions.
func FlagError(err error) string {
	return numberError.ReplaceAllStringFunc(err.Error(), func(found string) string {
		m := numberError.FindStringSubmatch(found)
		want := map[string]string{"Int": "a whole number", "Uint": "a whole number from 0", "Float": "a number",
			"Bool": "true or false"}[m[1]]
		if strings.Contains(m[2], "out of range") {
			want = "a smaller one"
		}
		return "want " + want
	})
}

// Topic makes a help topic of a page whose first line is "# name: what it is about".
func Topic(text string) *cobra.Command {
	head, body, _ := strings.Cut(text, "\n")
	name, short, _ := strings.Cut(strings.TrimPrefix(head, "# "), ": ")
	return Made(name, strings.ToUpper(short[:1])+short[1:], func() string { return strings.TrimSpace(body) })
}

// Made makes a help topic whose page is generated on demand.
func Made(name, short string, page func() string) *cobra.Command {
	// A command without a run is a help topic only if it has some help.
	c := &cobra.Command{Use: name, Short: short, Long: short}
	c.SetHelpFunc(func(c *cobra.Command, _ []string) { fmt.Fprint(c.OutOrStdout(), layout.Page(page())) })
	return c
}
