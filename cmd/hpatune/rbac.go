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
		Short: "Print the RBAC rules that commands need",
		Long: `rbac prints a Role and a ClusterRole with exactly the rights that the named
commands need, and their bindings. Comments say what each rule is for and which
rules are optional. Quote commands with flags, such as 'run --apply'.

The rights are bound to the service account hpatune of the namespace, or to the
subject that --user, --group or --serviceaccount names.

` + strings.TrimSpace(wrapPage("Commands: "+strings.Join(kube.Commands(), ", "))),
		Example: `  hpatune rbac run -n ml-serving
  hpatune rbac run 'run --apply' restore -n ml-serving --user jane |
    kubectl apply -f -`,
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
					return usagef("--serviceaccount %q: want NAMESPACE:NAME", account)
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
	fl.StringVarP(
		&namespace,
		"namespace",
		"n",
		"",
		"namespace of the Role (default: none, so that kubectl uses its current one)",
	)
	fl.StringVar(&user, "user", "", "bind to this user")
	fl.StringVar(&group, "group", "", "bind to this group")
	fl.StringVar(&account, "serviceaccount", "", "bind to this service account, NAMESPACE:NAME")
	c.MarkFlagsMutuallyExclusive("user", "group", "serviceaccount")
	return c
}
