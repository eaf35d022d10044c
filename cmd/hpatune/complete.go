package main

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/record"
)

// complete gives every command of the tree its shell completions: profiles, runs and the
// values of -o.
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
		// It fails only for flags that do not exist, or that already have completions.
		_ = c.RegisterFlagCompletionFunc(name, do)
	}
	if f := c.Flags().Lookup("output"); f != nil {
		if o, is := f.Value.(*outputValue); is {
			flag("output", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
				return o.words(), cobra.ShellCompDirectiveNoFileComp
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

// runFolders are the runs in the default folder, the newest first.
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
