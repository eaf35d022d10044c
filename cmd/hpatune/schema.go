package main

import (
	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/schema"
)

func newSchemaCmd(s streams) *cobra.Command {
	names := schema.Names()
	return &cobra.Command{
		Use: "schema profile|recommendation|run", Short: "Print the JSON Schema of a profile, recommendation or run",
		Long: `schema prints the JSON Schema (draft 2020-12) of a load profile, of
recommendation.json, or of the output of report RUN -o json. With it, an editor
with a YAML language server completes and checks profiles whose first line names
it:

  hpatune schema profile > profile.schema.json
  # yaml-language-server: $schema=profile.schema.json`,
		Example: "  hpatune schema profile > profile.schema.json",
		Args:    cobra.ExactArgs(1), ValidArgs: names,
		RunE: func(_ *cobra.Command, args []string) error {
			document, ok := schema.Of(args[0])
			if !ok {
				return usagef("schema %q: give %s", args[0], orList(names))
			}
			return s.json(document)
		},
	}
}
