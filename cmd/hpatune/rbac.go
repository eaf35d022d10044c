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
		RunE: func(c *cobra.Command, args []string) error {
			if err := knownFlags(c.Root(), args); err != nil {
				return err
			}
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

// knownFlags rejects command lines with a flag that their command does not have: its rights would
// be missing.
func knownFlags(root *cobra.Command, lines []string) error {
	for _, line := range lines {
		words := strings.Fields(line)
		c, _, err := root.Find(words[:min(1, len(words))])
		if err != nil {
			continue // it is named by the list of commands
		}
		for _, word := range words {
			name, long := strings.CutPrefix(word, "--")
			if name, _, _ = strings.Cut(name, "="); long && c.Flags().Lookup(name) == nil {
				return usagef("rbac %q: %s has no flag --%s", line, c.Name(), name)
			}
		}
	}
	return nil
}
