package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/help"
	"github.com/hpatune/hpatune/internal/kube"
)

func newRBACCmd(s streams) *cobra.Command {
	var namespace, user, group, account string
	c := &cobra.Command{
		Use:  "rbac COMMAND…",
		Long: "Commands: " + strings.Join(kube.Commands(), ", "),
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
				return failure.As(failure.Input, err)
			}
			_, err = s.out.Write(text)
			return err
		},
	}
	fl := c.Flags()
	fl.StringVarP(&namespace, "namespace", "n", "", "")
	fl.StringVar(&user, "user", "", "")
	fl.StringVar(&group, "group", "", "")
	fl.StringVar(&account, "serviceaccount", "", "")
	help.Exclude(c.Flags(), "user", "group", "serviceaccount")
	return c
}
