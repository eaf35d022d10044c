package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/fleet"
	"github.com/hpatune/hpatune/internal/record"
)

// newWorkerCmd is what the pods of a fleet run; nobody types it.
func newWorkerCmd(s streams) *cobra.Command {
	var listen, secrets, dir string
	c := &cobra.Command{
		Use: "worker", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := fleet.ReadToken(secrets)
			if err != nil {
				return fmt.Errorf("worker: token: %w", err)
			}
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return err
			}
			w := fleet.Worker{
				Token: token,
				Dir:   filepath.Join(dir, "run"),
				Send: func(ctx context.Context, o fleet.Order, to string) error {
					return record.Obey(
						ctx,
						o,
						s.planOf(record.Plan{Dir: to}),
						filepath.Join(dir, "order"),
						filepath.Join(secrets, fleet.HeadersFile),
					)
				},
			}
			return w.Serve(cmd.Context(), l)
		},
	}
	c.Flags().StringVar(&listen, "listen", ":8099", "")
	c.Flags().StringVar(&secrets, "secrets", "/secrets", "")
	c.Flags().StringVar(&dir, "dir", "/work", "")
	return c
}

func newMergeCmd(s streams) *cobra.Command {
	var (
		out    string
		output format
	)
	c := &cobra.Command{
		Use:  "merge SHARD…",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return s.runMerge(args, out, output) },
	}
	c.Flags().StringVar(&out, "out", "", "")
	outputFlag(c.Flags(), &output, " (as hpatune report)", asJSON)
	return c
}

func (s streams) runMerge(folders []string, out string, output format) error {
	merged, err := record.Unite(folders)
	if err != nil {
		return err
	}
	if out, err = record.Dir(out, merged.Meta.Profile); err != nil {
		return err
	}
	run, err := record.Keep(out, merged)
	return s.concluded(record.Plan{Dir: out}, run, err, output)
}
