package record

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hpatune/hpatune/internal/kube"
)

// putBackWithin is how long restoring may take at the end of a run: it waits for an API
// server that is being restarted.
const putBackWithin = 60 * time.Second

// Hold is a target's Lease, together with what was changed of the target and its HPA while
// it is held.
type Hold struct {
	cluster *kube.Cluster
	subject *kube.Subject
	run     string // in the Lease and in annotations
	lease   *kube.Hold
	changed bool // something is, or is about to be
}

// Take takes the target's Lease for the run that is kept in dir. PutBack releases it.
func Take(ctx context.Context, c *kube.Cluster, subject *kube.Subject, dir string) (*Hold, error) {
	h := &Hold{cluster: c, subject: subject, run: runID(dir)}
	var err error
	h.lease, err = c.Take(ctx, subject, h.run)
	if err != nil {
		return nil, err
	}
	return h, nil
}

// PutBack restores everything that was changed under the hold, prints each object, and then
// releases the Lease. Its error says what is left.
func (h *Hold) PutBack(ctx context.Context, say func(text string)) error {
	var left error
	if h.changed {
		var done []kube.Restored
		err := patiently(ctx, func() (err error) { done, err = h.cluster.Restore(ctx, h.subject, h.run); return err })
		for _, d := range done {
			if d.Run != "" && say != nil {
				say(d.Object + ": " + d.Text)
			}
			if d.Left() && err == nil {
				err = errors.New("see above")
			}
		}
		if err != nil {
			left = fmt.Errorf("not restored: %w\nTry: hpatune restore -n %s", err, h.subject.Namespace)
		}
	}
	return errors.Join(left, patiently(ctx, func() error { return h.lease.Release(ctx) }))
}

// Holding lets work record several runs on a bed under one Hold, which is released on every
// exit, including Ctrl-C. It returns work's error, or ErrLeft if only restoring failed; it
// prints what is left.
func Holding(ctx context.Context, b *Cluster, dir string, say func(text string), work func() error) (err error) {
	hold, err := Take(ctx, b.Cluster, b.Subject, dir)
	if err != nil {
		return err
	}
	b.Hold = hold
	defer func() {
		b.Hold = nil
		back, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBackWithin)
		defer cancel()
		if left := hold.PutBack(back, say); left != nil {
			if say != nil {
				say("hpatune: " + left.Error())
			}
			if err == nil {
				err = ErrLeft
			}
		}
	}()
	return work()
}

// patiently retries once a second until ctx is done, and returns the first error if it
// never succeeds.
func patiently(ctx context.Context, call func() error) error {
	first := call()
	for err := first; err != nil; err = call() {
		if wait(ctx, time.Second); ctx.Err() != nil {
			return first
		}
	}
	return nil
}

// runID names a run in leases and annotations, for people.
func runID(dir string) string {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown-host"
	}
	return name + "/" + dir
}
