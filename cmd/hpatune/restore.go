package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newRestoreCmd(s streams) *cobra.Command {
	var (
		k     kubeFlags
		force bool
	)
	c := &cobra.Command{
		Use:   "restore [-n NAMESPACE]",
		Short: "Put back what a run that died had changed in a cluster",
		Long: `restore finds what runs have left in a namespace (the annotation hpatune.dev/original
on HPAs and workloads) and puts it back, from any machine. What somebody has changed
since is left as it is, and said. Runs that are still on are left alone.`,
		Example: `  hpatune restore -n ml-serving
  hpatune restore -n ml-serving --force     even where the run's lease has not run out yet`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cluster, err := k.connect(cmd.Context())
			if err != nil {
				return err
			}
			done, err := cluster.RestoreAll(cmd.Context(), cluster.Namespace, force)
			for _, d := range done {
				fmt.Fprintf(s.out, "%s: %s (run %s)\n", d.Object, d.Text, d.Run)
			}
			if len(done) == 0 && err == nil {
				fmt.Fprintf(s.out, "nothing to put back in %s\n", cluster.Namespace)
			}
			return exitIf(exitFailed, err)
		},
	}
	k.add(c)
	c.Flags().BoolVar(&force, "force", false, "restore also what a run still holds")
	return c
}
