package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/help"
	"github.com/hpatune/hpatune/internal/logs"
	"github.com/hpatune/hpatune/internal/record"
	"github.com/hpatune/hpatune/results"
)

func newImportCmd(s streams) *cobra.Command {
	c := &cobra.Command{Use: "import"}
	c.AddCommand(newImportRequestsCmd(s))
	help.Group(c)
	return c
}

func newImportRequestsCmd(s streams) *cobra.Command {
	var (
		o            logs.Options
		columns, out string
		objectives   []string
	)
	c := &cobra.Command{
		Use:  "requests FILE…",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var err error
			if o.Columns, err = logs.ParseColumns(columns); err != nil {
				return failure.As(failure.Input, err)
			}
			if _, err := results.ParseObjectives(objectives); err != nil {
				return failure.As(failure.Input, err)
			}
			return s.importRequests(args, o, out, objectives)
		},
	}
	fl := c.Flags()
	fl.StringVar(&columns, "columns", "", "")
	fl.StringVar(&o.Format, "format", "", "")
	fl.StringArrayVar(&objectives, "objective", nil, "")
	fl.StringVar(&out, "out", "", "")
	return c
}

// importRequests reads the files, writes the run and prints what was read.
func (s streams) importRequests(files []string, o logs.Options, out string, objectives []string) error {
	dir, err := record.Import(files, o, out, objectives, version, s.say)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "run: %s\n", dir)
	return err
}
