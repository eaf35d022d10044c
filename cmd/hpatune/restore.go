package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

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
			left, printErr := s.restored(done, out)
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

// restored prints what was done with each object, keeps the originals of those
// that are not back, and counts them.
func (s streams) restored(done []kube.Restored, dir string) (left int, err error) {
	for _, d := range done {
		fmt.Fprintf(s.out, "%s: %s (run %s)\n", d.Object, d.Text, d.Run)
		if !d.Left() {
			continue
		}
		left++
		if d.Original == nil {
			continue
		}
		file := filepath.Join(dir, "original-"+strings.ToLower(strings.ReplaceAll(d.Object, "/", "-"))+".yaml")
		if werr := os.WriteFile(file, d.Original, 0o644); werr != nil {
			fmt.Fprintf(s.out, "---\n%s", d.Original) // better here than nowhere
			err = fmt.Errorf("restore: could not write the original: %w", werr)
			continue
		}
		verb := "replace"
		if d.Gone {
			verb = "create"
		}
		fmt.Fprintf(s.out, "  to restore the original: kubectl %s -f %s\n", verb, file)
	}
	return left, err
}
