package main

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/scenario"
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
	return append(cmds, newBeliefsCmd(), newChecksCmd())
}

// newBeliefsCmd is the page of false beliefs, made when it is asked for from the
// scripts that show each of them.
func newBeliefsCmd() *cobra.Command {
	c := &cobra.Command{Use: "beliefs", Short: "Common beliefs about the HPA, and what it does"}
	c.SetHelpFunc(func(c *cobra.Command, _ []string) {
		dir, err := fs.Sub(hpa.Beliefs, "testdata/beliefs")
		if err != nil {
			panic(err) // the path is a constant
		}
		page, err := scenario.BeliefsPage(dir)
		if err != nil {
			panic(err) // embedded, and run by a test
		}
		fmt.Fprint(c.OutOrStdout(), wrapPage(page))
	})
	// A command without a run is a help topic only if it has some help.
	c.Long = c.Short
	return c
}

func topicCmd(text string) *cobra.Command {
	head, body, _ := strings.Cut(text, "\n")
	name, short, _ := strings.Cut(strings.TrimPrefix(head, "# "), ": ")
	c := &cobra.Command{Use: name, Short: strings.ToUpper(short[:1]) + short[1:], Long: strings.TrimSpace(body)}
	c.SetHelpFunc(func(c *cobra.Command, _ []string) { fmt.Fprint(c.OutOrStdout(), wrapPage(c.Long)) })
	return c
}
