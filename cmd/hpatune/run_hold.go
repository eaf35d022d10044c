package main

import (
	"context"
	"time"

	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/results"
)

// rights are the commands whose rights a run in a cluster needs, as hpatune
// rbac names them. Prometheus' are not asked for: it has a namespace of its own.
func (f *runFlags) rights() []string {
	commands := []string{"run"}
	for _, c := range []struct {
		name  string
		asked bool
	}{
		{"run --apply", f.cluster.apply}, {"run --fix-replicas", len(f.cluster.fix) > 0},
		{"run --workers", f.fleet.workers > 0}, {"run --throttling", f.cluster.throttling},
	} {
		if c.asked {
			commands = append(commands, c.name)
		}
	}
	return commands
}

// recordHeld is a run that changes nothing that it finds. The Job of a fleet is
// new in the cluster all the same, so such a run holds the target's Lease.
func (s streams) recordHeld(ctx context.Context, f runFlags, o recording, objectives []results.Objective) error {
	work := func() error {
		run, err := s.record(ctx, o)
		return s.concluded(run, err, o.dir, objectives, f.output)
	}
	if o.launch == nil {
		return work()
	}
	return s.holding(ctx, o.cluster.cluster, o.cluster.subject, runID(o.dir), work)
}

// putBackWithin is how long the way back may take when a run has ended: an API
// server that is just being restarted is waited for.
const putBackWithin = 60 * time.Second

// holding takes the target's Lease, lets work be done, and gives it back on
// every exit, Ctrl-C included.
func (s streams) holding(ctx context.Context, c *kube.Cluster, subject *kube.Subject, run string, work func() error) (err error) {
	hold, err := c.Take(ctx, subject, run)
	if err != nil {
		return exit(exitFailed, err)
	}
	defer func() {
		back, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBackWithin)
		defer cancel()
		rerr := patiently(back, func() error { return hold.Release(back) })
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

// changing is holding for work that changes the target or its HPA: everything
// is put back on every exit, before the Lease is.
func (s streams) changing(ctx context.Context, c *kube.Cluster, subject *kube.Subject, run string, work func() error) error {
	return s.holding(ctx, c, subject, run, func() (err error) {
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
				s.warnf("hpatune: not put back: %v; try: hpatune restore -n %s", rerr, subject.Namespace)
				if err == nil {
					err = exit(exitFailed, nil)
				}
			}
		}()
		return work()
	})
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
