package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/kube"
)

func newRBACCmd(s streams) *cobra.Command {
	var namespace, user, group, account string
	c := &cobra.Command{
		Use:   "rbac COMMAND…",
		Short: "Print the Role that commands need in a cluster, and its binding",
		Long: `rbac prints the Role, and the ClusterRole beside it, that the named commands need:
exactly what they ask the API server for, and nothing more; a comment says what each
rule is for, and which are optional. Commands with a flag that needs more are quoted.
Each Role comes with its binding: to the service account hpatune of the namespace,
or to whom --user, --group or --serviceaccount name.

Commands: ` + strings.Join(kube.Commands(), ", "),
		Example: `  hpatune rbac run -n ml-serving
  hpatune rbac run 'run --apply' restore -n ml-serving --user jane | kubectl apply -f -`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			to := kube.ServiceAccount(namespace)
			switch {
			case user != "":
				to = kube.Grantee{Kind: "User", Name: user}
			case group != "":
				to = kube.Grantee{Kind: "Group", Name: group}
			case account != "":
				ns, name, ok := strings.Cut(account, ":")
				if !ok || ns == "" || name == "" {
					return usagef("--serviceaccount %q: give NAMESPACE:NAME", account)
				}
				to.Namespace, to.Name = ns, name
			}
			text, err := kube.RBAC(namespace, to, args...)
			if err != nil {
				return exit(exitUsage, err)
			}
			_, err = s.out.Write(text)
			return exitIf(exitFailed, err)
		},
	}
	fl := c.Flags()
	fl.StringVarP(&namespace, "namespace", "n", "", "namespace of the Role (default: none, kubectl's current one then)")
	fl.StringVar(&user, "user", "", "bind to this user")
	fl.StringVar(&group, "group", "", "bind to this group")
	fl.StringVar(&account, "serviceaccount", "", "bind to this service account, NAMESPACE:NAME")
	c.MarkFlagsMutuallyExclusive("user", "group", "serviceaccount")
	return c
}
