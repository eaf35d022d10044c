// Package observer records what a cluster does: it watches an HPA, its target,
// pods, nodes and endpoints, polls the metrics that the autoscaler reads, and
// records the gaps in which it could not observe them.
package observer

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/internal/plain"
	"github.com/hpatune/hpatune/results"
)

// A Source emits records until ctx is done. An error means that the source cannot be read
// at all; a temporary failure is a Gap record, not an error.
type Source interface {
	Observe(ctx context.Context, emit results.Emit) error
}

// Watch runs the sources until ctx is done or one of them cannot continue, and returns when
// all have ended. The end of ctx is not an error.
func Watch(ctx context.Context, emit results.Emit, sources ...Source) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(sources))
	var wg sync.WaitGroup
	for i, s := range sources {
		wg.Go(func() {
			if err := s.Observe(ctx, emit); err != nil && ctx.Err() == nil {
				errs[i] = err
				cancel()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// A feed is one watch: objects of one kind, first from a list and then as they change. All
// its calls are made from one goroutine.
type feed struct {
	name  results.GapSource
	list  func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error)
	// saw takes an object that was added or modified; listed = from a list, so the time of
	// the change is unknown.
	saw func(o runtime.Object, listed bool)
	// lost takes an object that was deleted.
	lost func(o runtime.Object)
	// only gets the names in a list; other objects no longer exist.
	only     func(names map[string]bool)
	optional bool // a refusal is a warning

	clock results.Clock
	emit  results.Emit
}

const (
	retryFirst = 250 * time.Millisecond
	retryMost  = 5 * time.Second
	// blindLeast is the shortest period without a watch that counts as a gap: when the API
	// server ends a watch after its timeout, it is reopened faster.
	blindLeast = time.Second
)

// run lists, watches, and does both again when necessary, until ctx is done.
func (f *feed) run(ctx context.Context) error {
	var blind time.Time // since when; zero = seeing
	var why error
	version := "" // resourceVersion to watch from; "" = list first
	first := true
	pause := retryFirst
	fail := func(err error) {
		if ctx.Err() != nil {
			return
		}
		if blind.IsZero() {
			blind, why = time.Now(), brief(err)
			f.emit(
				results.Warning{
					At:   f.clock.At(blind),
					ID:   results.WarnObserverBlind,
					Text: fmt.Sprintf("%s: %v; retrying", f.name, why),
				},
			)
		}
		sleep(ctx, pause)
		pause = min(2*pause, retryMost)
	}
	// refused ends a feed that never had permission.
	refused := func(err error) (bool, error) {
		var forbidden *kube.Forbidden
		if !first || !errors.As(err, &forbidden) && !apierrors.IsNotFound(err) {
			return false, nil
		}
		if f.optional {
			f.emit(
				results.Warning{
					At:   f.clock.At(time.Now()),
					ID:   results.WarnObserverLacks,
					Text: fmt.Sprintf("cannot watch %s: %v", f.name, err),
				},
			)
			return true, nil
		}
		return true, fmt.Errorf("%s: %w", f.name, err)
	}
	for ctx.Err() == nil {
		relisted := version == ""
		if relisted {
			v, err := f.relist(ctx)
			if err != nil {
				err = kube.Explain(err, "run")
				if end, err := refused(err); end {
					return err
				}
				fail(err)
				continue
			}
			version = v
		}
		w, err := f.watch(ctx, metav1.ListOptions{ResourceVersion: version, AllowWatchBookmarks: true})
		if err != nil {
			if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
				version = ""
			}
			err = kube.Explain(err, "run")
			if end, err := refused(err); end {
				return err
			}
			fail(err)
			continue
		}
		first = false
		seeing := func() {
			if blind.IsZero() {
				return
			}
			now := time.Now()
			if now.Sub(blind) >= blindLeast || relisted {
				how := "the watch was resumed: no change was lost, but the times of changes in the gap are unknown"
				if relisted {
					how = "the objects were listed again: changes that were reverted in the gap are unknown"
				}
				f.emit(
					results.Gap{Source: f.name, From: f.clock.At(blind), To: f.clock.At(now), Why: plain.Error(why) + "; " + how},
				)
			}
			blind, pause = time.Time{}, retryFirst
		}
		if relisted {
			seeing()
		}
		if version, err = f.follow(ctx, w, version, seeing); err != nil {
			fail(err)
		}
	}
	if !blind.IsZero() {
		f.emit(results.Gap{Source: f.name, From: f.clock.At(blind), To: f.clock.At(time.Now()), Why: plain.Error(why)})
	}
	return nil
}

func (f *feed) relist(ctx context.Context) (string, error) {
	l, err := f.list(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	items, err := meta.ExtractList(l)
	if err != nil {
		return "", err
	}
	names := map[string]bool{}
	for _, o := range items {
		if m, err := meta.Accessor(o); err == nil {
			names[m.GetName()] = true
		}
	}
	if f.only != nil {
		f.only(names)
	}
	for _, o := range items {
		f.saw(o, true)
	}
	m, err := meta.ListAccessor(l)
	if err != nil {
		return "", err
	}
	if m.GetResourceVersion() == "" {
		return "0", nil // only a fake has none
	}
	return m.GetResourceVersion(), nil
}

// follow reads a watch's events until it ends, and returns where to continue; "" = list
// again. A watch that ends normally is not an error. seeing is called once the watch has
// proved to be good: an API server that has just started opens a watch from any version,
// and only then reports that it is too old.
func (f *feed) follow(ctx context.Context, w watch.Interface, version string, seeing func()) (string, error) {
	defer w.Stop()
	quiet := time.NewTimer(blindLeast)
	defer quiet.Stop()
	for {
		select {
		case <-quiet.C:
			seeing()
		case <-ctx.Done():
			return version, nil
		case e, ok := <-w.ResultChan():
			if !ok {
				return version, nil
			}
			if e.Type == watch.Error {
				err := apierrors.FromObject(e.Object)
				if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
					return "", err
				}
				return version, err
			}
			seeing()
			if m, err := meta.Accessor(e.Object); err == nil && m.GetResourceVersion() != "" {
				version = m.GetResourceVersion()
			}
			switch e.Type {
			case watch.Added, watch.Modified:
				f.saw(e.Object, false)
			case watch.Deleted:
				if f.lost != nil {
					f.lost(e.Object)
				}
			}
		}
	}
}

// brief removes the URL of a request; the source's name says what was requested.
func brief(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// sleep waits for d or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
