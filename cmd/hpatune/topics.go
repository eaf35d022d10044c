package main

import (
	"embed"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/doctor"
	"github.com/hpatune/hpatune/internal/help"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/scenario"
)

// pages hold the help of commands and their flags: help/COMMAND.md, or help/PROFILE-LIST.md
// for a command below another. help/flags.md holds the flags that several commands have.
// topics are the pages of `hpatune help TOPIC`.
var (
	//go:embed help/*.md
	pages embed.FS
	//go:embed topics/*.md
	topics embed.FS
)

// newTopicCmds makes a help topic of each page, and two that are generated: from the
// scripts that disprove beliefs, and from the registry of checks.
func newTopicCmds() []*cobra.Command {
	files, err := fs.Glob(topics, "topics/*.md")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	var cmds []*cobra.Command
	for _, file := range files {
		text, err := fs.ReadFile(topics, file)
		if err != nil {
			panic(err) // embedded
		}
		cmds = append(cmds, help.Topic(string(text)))
	}
	return append(cmds,
		help.Made("beliefs", "Common beliefs about the HPA, and what it does", beliefs),
		help.Made("checks", "What hpatune doctor looks for", doctor.Page))
}

func beliefs() string {
	dir, err := fs.Sub(hpa.Beliefs, "testdata/beliefs")
	if err != nil {
		panic(err) // the path is a constant
	}
	page, err := scenario.BeliefsPage(dir)
	if err != nil {
		panic(err) // embedded, and run by a test
	}
	return page
}
