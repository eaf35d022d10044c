package main

import (
	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/schema"
)

func newSchemaCmd(s streams) *cobra.Command {
	names := schema.Names()
	return &cobra.Command{
		Use:  "schema profile|recommendation|run",
		Args: cobra.ExactArgs(1), ValidArgs: names,
		RunE: func(_ *cobra.Command, args []string) error {
			document, ok := schema.Of(args[0])
			if !ok {
				return usagef("schema %q: give %s", args[0], orList(names))
			}
			return s.json(document)
		},
	}
}
