package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/help"
	"github.com/hpatune/hpatune/internal/layout"
	"github.com/hpatune/hpatune/internal/record"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/profiles"
)

func newProfileCmd(s streams) *cobra.Command {
	c := &cobra.Command{
		Use: "profile",
	}
	help.Group(c)
	usual := c.HelpFunc()
	c.SetHelpFunc(func(called *cobra.Command, args []string) {
		usual(called, args)
		if called == c { // not of a command below it
			fmt.Fprintf(c.OutOrStdout(), "\n%s", layout.Page(profiles.Manual()))
		}
	})
	c.AddCommand(
		newProfileListCmd(s),
		newProfileShowCmd(s),
		newProfileCheckCmd(s),
		newProfilePreviewCmd(s),
		newProfileArrivalsCmd(s),
	)
	return c
}

func newProfileListCmd(s streams) *cobra.Command {
	return &cobra.Command{
		Use: "list", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			var list []report.Listed
			for _, name := range record.ProfileNames() {
				p, data, err := record.ReadProfile(name)
				if err != nil {
					return err
				}
				list = append(list, report.Listed{Name: name, About: profiles.About(data), Profile: p})
			}
			return report.ProfilesText(s.out, list)
		},
	}
}

func newProfileShowCmd(s streams) *cobra.Command {
	return &cobra.Command{
		Use: "show PROFILE", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			_, data, err := record.ReadProfile(args[0])
			if err != nil {
				return err
			}
			_, err = s.out.Write(data)
			return err
		},
	}
}

func newProfileCheckCmd(s streams) *cobra.Command {
	var output format
	c := &cobra.Command{
		Use: "check PROFILE…", Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			found, notes := source.Problems{}, []string{}
			for _, name := range args {
				p, _, err := record.ReadProfile(name)
				if p != nil {
					notes = append(notes, p.Notes...)
				}
				var ps source.Problems
				switch {
				case errors.As(err, &ps):
					found = append(found, ps...)
				case err != nil:
					return err
				}
			}
			checked := report.Checked{Problems: found, Notes: notes}
			var err error
			if output == asJSON {
				err = s.json(checked)
			} else {
				err = report.CheckedText(s.out, args, checked)
			}
			if err != nil {
				return err
			}
			if len(found) > 0 {
				return exit(exitUsage, nil)
			}
			return nil
		},
	}
	outputFlag(c.Flags(), &output, "", asJSON)
	return c
}

func newProfilePreviewCmd(s streams) *cobra.Command {
	var (
		output format
		seed   int64
	)
	c := &cobra.Command{
		Use: "preview PROFILE", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			p, _, err := record.ReadProfile(args[0])
			if err != nil {
				return err
			}
			for _, note := range p.Notes {
				s.say(note)
			}
			v := p.Preview(seedOf(seed, p))
			if output == asJSON {
				return s.json(v)
			}
			return report.PreviewText(s.out, p, v)
		},
	}
	outputFlag(c.Flags(), &output, "", asJSON)
	c.Flags().Int64Var(&seed, "seed", 0, "")
	return c
}

func newProfileArrivalsCmd(s streams) *cobra.Command {
	var seed int64
	c := &cobra.Command{
		Use: "arrivals PROFILE", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			p, _, err := record.ReadProfile(args[0])
			if err != nil {
				return err
			}
			return quietPipe(p.WriteArrivals(s.out, seedOf(seed, p)))
		},
	}
	c.Flags().Int64Var(&seed, "seed", 0, "")
	return c
}

// seedOf is the seed given, or the profile's.
func seedOf(seed int64, p *profiles.Profile) int64 {
	return cmp.Or(seed, p.Seed)
}

// json writes v as indented JSON on stdout.
func (s streams) json(v any) error {
	e := json.NewEncoder(s.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// quietPipe ignores the error of a reader that has stopped reading (`| head`).
func quietPipe(err error) error {
	if errors.Is(err, fs.ErrClosed) || err != nil && strings.Contains(err.Error(), "broken pipe") {
		return nil
	}
	return err
}
