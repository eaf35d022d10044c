package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/kube"
)

func newRBACCmd(s streams) *cobra.Command {
	var namespace string
	c := &cobra.Command{
		Use:   "rbac COMMAND…",
		Short: "Print the Role that commands need in a cluster",
		Long: `rbac prints the Role, and the ClusterRole beside it, that the named commands need:
exactly what they ask the API server for, and nothing more; a comment says what each
rule is for, and which are optional. Commands with a flag that needs more are quoted.

Commands: ` + strings.Join(kube.Commands(), ", "),
		Example: `  hpatune rbac run -n ml-serving
  hpatune rbac run 'run --apply' restore -n ml-serving | kubectl apply -f -`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := kube.RBAC(namespace, args...)
			if err != nil {
				return exit(exitUsage, err)
			}
			_, err = s.out.Write(text)
			return exitIf(exitFailed, err)
		},
	}
	c.Flags().StringVarP(&namespace, "namespace", "n", "", "namespace of the Role (default: none, kubectl's current one then)")
	return c
}
