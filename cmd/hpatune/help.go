package main

import (
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hpatune/hpatune/internal/record"
	"github.com/hpatune/hpatune/internal/source"
)

// newHelpCmd is `help`: of a command or a topic. A word that is neither is a
// usage error, as it is elsewhere.
func newHelpCmd() *cobra.Command {
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

// helpWidth is the number of columns that help fits in.
const helpWidth = 80

// wrapHelp has cobra print the flags of every command below root in helpWidth
// columns.
func wrapHelp(root *cobra.Command) {
	cobra.AddTemplateFunc("wrapped", func(f *pflag.FlagSet) string { return f.FlagUsagesWrapped(helpWidth) })
	t := root.UsageTemplate()
	for _, flags := range []string{".LocalFlags", ".InheritedFlags"} {
		t = strings.ReplaceAll(t, flags+".FlagUsages", "wrapped "+flags)
	}
	root.SetUsageTemplate(t)
}

// wrapPage breaks the lines of a page that are wider than helpWidth, at a space
// or after a comma or bar, and indents what follows like the line itself.
// A word that is wider stays whole.
func wrapPage(page string) string {
	var b strings.Builder
	for line := range strings.Lines(page) {
		text := strings.TrimRight(line, "\n")
		indent := text[:len(text)-len(strings.TrimLeft(text, " "))]
		switch body := text[len(indent):]; {
		case strings.HasPrefix(body, "- "):
			indent += "  "
		case indent != "":
			indent += "    "
		}
		for {
			cut := breakAt(text)
			if cut < 0 {
				break
			}
			b.WriteString(strings.TrimRight(text[:cut], " ") + "\n")
			text = indent + strings.TrimLeft(text[cut:], " ")
		}
		b.WriteString(text + "\n")
	}
	return b.String()
}

// breakAt returns the byte at which the next line begins; -1 = text fits, or
// there is no place to break it.
func breakAt(text string) int {
	if utf8.RuneCountInString(text) <= helpWidth {
		return -1
	}
	start := len(text) - len(strings.TrimLeft(text, " "))
	space, mark, n := -1, -1, 0
	for i, r := range text {
		if n++; n > helpWidth+1 {
			break
		}
		switch {
		case i <= start:
		case r == ' ':
			space = i
		case (r == ',' || r == '|' || r == '}') && n <= helpWidth:
			mark = i + 1
		}
	}
	if space > start+helpWidth/3 || mark < 0 && space > 0 {
		return space
	}
	return mark
}

// withSubcommands makes a command that only holds others refuse words that are
// none of them, instead of printing its help as if nothing were wrong.
func withSubcommands(c *cobra.Command) {
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
	case len(wordsBelow(c)) == 0:
		near = c.CommandPath() + " --help"
	default:
		near = "one of " + strings.Join(wordsBelow(c), ", ")
	}
	return usagef("unknown %s %q for %q\nTry: %s", what, word, c.CommandPath(), near)
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

// complete gives every command of the tree what a shell can complete: profiles,
// runs and the values of -o.
func complete(c *cobra.Command) {
	for _, below := range c.Commands() {
		complete(below)
	}
	suggest := func(list func() []string) cobra.CompletionFunc {
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return list(), cobra.ShellCompDirectiveDefault // files, too
		}
	}
	flag := func(name string, do cobra.CompletionFunc) {
		// It fails only for flags that are not there, or are completed already.
		_ = c.RegisterFlagCompletionFunc(name, do)
	}
	if f := c.Flags().Lookup("output"); f != nil {
		if o, is := f.Value.(*outputValue); is {
			flag("output", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
				return o.of, cobra.ShellCompDirectiveNoFileComp
			})
		}
	}
	if c.Flags().Lookup("profile") != nil {
		flag("profile", suggest(record.ProfileNames))
	}
	if c.Flags().Lookup("recording") != nil {
		flag("recording", suggest(runFolders))
	}
	if c.ValidArgsFunction != nil {
		return
	}
	switch {
	case strings.Contains(c.Use, "PROFILE") && c.Args != nil && c.Name() != "run":
		c.ValidArgsFunction = suggest(record.ProfileNames)
	case strings.Contains(c.Use, "RUN"):
		c.ValidArgsFunction = suggest(runFolders)
	}
}

// runFolders are the runs where runs are made, the newest first.
func runFolders() []string {
	files, err := filepath.Glob(filepath.Join("results", "*", "meta.json"))
	if err != nil {
		return nil // the pattern is a constant
	}
	var runs []string
	for _, f := range files {
		runs = append(runs, filepath.Dir(f))
	}
	slices.Sort(runs)
	slices.Reverse(runs)
	return runs
}
