package main

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"
)

// topics are pages for people, shown by `hpatune help TOPIC`.
//
//go:embed topics/*.md
var topics embed.FS

// newTopicCmds makes a help topic of each page: its first line is
// "# name: what it is about".
func newTopicCmds() []*cobra.Command {
	pages, err := fs.Glob(topics, "topics/*.md")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	var cmds []*cobra.Command
	for _, page := range pages {
		text, err := fs.ReadFile(topics, page)
		if err != nil {
			panic(err) // embedded
		}
		cmds = append(cmds, topicCmd(string(text)))
	}
	return cmds
}

func topicCmd(text string) *cobra.Command {
	head, body, _ := strings.Cut(text, "\n")
	name, short, _ := strings.Cut(strings.TrimPrefix(head, "# "), ": ")
	c := &cobra.Command{Use: name, Short: strings.ToUpper(short[:1]) + short[1:], Long: strings.TrimSpace(body)}
	c.SetHelpFunc(func(c *cobra.Command, _ []string) { fmt.Fprintln(c.OutOrStdout(), c.Long) })
	return c
}
