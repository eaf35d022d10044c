package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/kube"
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

// putBackWithin is how long the way back may take when a run has ended: an API
// server that is just being restarted is waited for.
const putBackWithin = 60 * time.Second

// changing takes the target's Lease, lets change and run do their work, and
// puts everything back on every exit, Ctrl-C included.
func (s streams) changing(ctx context.Context, c *kube.Cluster, subject *kube.Subject, run string, work func() error) (err error) {
	hold, err := c.Take(ctx, subject, run)
	if err != nil {
		return exit(exitFailed, err)
	}
	defer func() {
		back, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBackWithin)
		defer cancel()
		var done []kube.Restored
		rerr := patiently(back, func() (err error) { done, err = c.Restore(back, subject, run); return err })
		for _, d := range done {
			if d.Run != "" {
				s.warnf("%s: %s", d.Object, d.Text)
			}
		}
		if rerr != nil {
			rerr = fmt.Errorf("not put back: %w; try: hpatune restore -n %s", rerr, subject.Namespace)
		}
		rerr = errors.Join(rerr, patiently(back, func() error { return hold.Release(back) }))
		switch {
		case rerr != nil:
			s.warnf("hpatune: %v", rerr)
			if err == nil {
				err = exit(exitFailed, nil)
			}
		case ctx.Err() != nil: // Ctrl-C before there was a run
			err = exit(exitInterrupted, nil)
		}
	}()
	return work()
}

// patiently calls again what failed, once a second until ctx is done, and
// returns the first error if it never succeeds.
func patiently(ctx context.Context, call func() error) error {
	first := call()
	for err := first; err != nil; err = call() {
		if wait(ctx, time.Second); ctx.Err() != nil {
			return first
		}
	}
	return nil
}

// hostname names this machine in leases, for people.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown-host"
	}
	return name
}
