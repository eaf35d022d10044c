package kube

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// leaseFor is how long a lease holds that nobody renews: long enough to outlive a restart
// of the API server, short enough not to block after a crash.
const leaseFor = 60 * time.Second

// Hold is the Lease that allows a run to change a target.
type Hold struct {
	c    *Cluster
	ns   string
	name string
	run  string
	stop context.CancelFunc
	done sync.WaitGroup
}

// leaseName is one for each target, whether a run names it or its HPA.
func leaseName(s *Subject) string {
	return "hpatune-" + strings.ToLower(s.Target.Kind) + "-" + s.Target.Name
}

// Held returns the run that holds the target; "" = none, or it cannot be read.
func (c *Cluster) Held(ctx context.Context, s *Subject) string {
	l, err := c.Clients.CoordinationV1().Leases(s.Namespace).Get(ctx, leaseName(s), metav1.GetOptions{})
	if err != nil || !c.alive(l) {
		return ""
	}
	return *l.Spec.HolderIdentity
}

func (c *Cluster) alive(l *coordinationv1.Lease) bool {
	return l.Spec.HolderIdentity != nil && l.Spec.RenewTime != nil && time.Since(c.Time(l.Spec.RenewTime.Time)) < leaseFor
}

// Take takes the target's Lease for a run, and renews it until Release. It fails if another
// run holds it. It also fails if a crashed run left its annotation, until that has been
// restored.
func (c *Cluster) Take(ctx context.Context, s *Subject, run string) (*Hold, error) {
	leases := c.Clients.CoordinationV1().Leases(s.Namespace)
	seconds := int32(leaseFor / time.Second)
	now := metav1.NewMicroTime(time.Now().Add(c.Ahead))
	spec := coordinationv1.LeaseSpec{
		HolderIdentity:       &run,
		LeaseDurationSeconds: &seconds,
		AcquireTime:          &now,
		RenewTime:            &now,
	}
	name := leaseName(s)
	l, err := leases.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = leases.Create(
			ctx,
			&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.Namespace}, Spec: spec},
			metav1.CreateOptions{},
		)
	case err == nil && c.alive(l):
		return nil, fmt.Errorf(
			"%s is in use by run %s (lease %s/%s); wait for it to end, since two runs on one target would measure each other",
			s.Target,
			*l.Spec.HolderIdentity,
			s.Namespace,
			name,
		)
	case err == nil:
		l.Spec = spec
		l.Annotations = nil // of the dead run
		_, err = leases.Update(ctx, l, metav1.UpdateOptions{})
	}
	if err != nil {
		return nil, fmt.Errorf("lease %s/%s: %w", s.Namespace, name, Explain(err, "run --apply"))
	}
	h := &Hold{c: c, ns: s.Namespace, name: name, run: run}
	renew, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.stop = stop
	h.done.Go(func() { h.renew(renew) })
	return h, nil
}

func (h *Hold) renew(ctx context.Context) {
	t := time.NewTicker(leaseFor / 4)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			leases := h.c.Clients.CoordinationV1().Leases(h.ns)
			l, err := leases.Get(ctx, h.name, metav1.GetOptions{})
			if err != nil || l.Spec.HolderIdentity == nil || *l.Spec.HolderIdentity != h.run {
				continue // the next try may do; an expired lease stops nobody but a second run
			}
			now := metav1.NewMicroTime(time.Now().Add(h.c.Ahead))
			l.Spec.RenewTime = &now
			_, _ = leases.Update(ctx, l, metav1.UpdateOptions{})
		}
	}
}

// Release gives the target back, unless the lease has expired and another run holds it. It
// is called on every exit, with a context that has not ended, and can be called again after
// an error.
func (h *Hold) Release(ctx context.Context) error {
	h.stop()
	h.done.Wait()
	leases := h.c.Clients.CoordinationV1().Leases(h.ns)
	l, err := leases.Get(ctx, h.name, metav1.GetOptions{})
	if err == nil && l.Spec.HolderIdentity != nil && *l.Spec.HolderIdentity != h.run {
		return nil
	}
	if err == nil {
		err = leases.Delete(
			ctx,
			h.name,
			metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &l.ResourceVersion}},
		)
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lease %s/%s: %w", h.ns, h.name, err)
	}
	return nil
}
