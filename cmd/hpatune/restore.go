package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/kube"
)

func newRestoreCmd(s streams) *cobra.Command {
	var (
		k     kube.Options
		force bool
		out   string
	)
	c := &cobra.Command{
		Use:  "restore [-n NAMESPACE]",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cluster, err := kube.Connect(cmd.Context(), k)
			if err != nil {
				return err
			}
			done, err := cluster.RestoreAll(cmd.Context(), cluster.Namespace, force)
			if len(done) == 0 && err == nil {
				fmt.Fprintf(s.out, "nothing to restore in namespace %s\n", cluster.Namespace)
				return nil
			}
			left, printErr := kube.WriteRestored(s.out, done, out)
			switch {
			case err != nil || printErr != nil:
				return errors.Join(err, printErr)
			case left > 0:
				return fmt.Errorf("restore: %d of %d objects were not restored", left, len(done))
			}
			return nil
		},
	}
	clusterFlags(c.Flags(), &k)
	c.Flags().BoolVar(&force, "force", false, "")
	c.Flags().StringVar(&out, "out", ".", "")
	return c
}
