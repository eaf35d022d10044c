package sandbox

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/hpatune/hpatune/results"
)

// pod is the shell of one replica: what the API server would say about it. The workload's
// mutex guards all fields except replica's own.
type pod struct {
	name, address string

	created, startTime, readySince time.Duration // run time; startTime is the kubelet's acknowledgement, before the pull
	scheduled, running, ready      bool
	deleted                        bool
	cancel                         context.CancelFunc // ends a start that is under way; nil once there is none

	replica *replica
	server  *http.Server
	old     point // the kubelet's last two points
	new     point
	points  int
}

// workload is Deployment, ReplicaSet, scheduler, kubelet and endpoints in one: it keeps the
// requested number of pods, with the times that this takes.
type workload struct {
	service  Service
	clock    results.Clock
	balancer *balancer
	sleep    *sleeper
	added    *lateness
	emit     results.Emit
	random   *rand.Rand
	pending  sync.WaitGroup // pods that start or drain

	mu     sync.Mutex
	pods   []*pod // in order of creation
	serial int
}

// begin makes the first n pods, ready since long before the run.
func (w *workload) begin(n int) error {
	for range n {
		w.serial++
		p := &pod{
			name:    fmt.Sprintf("%s-%d", w.service.Name, w.serial),
			created: -10 * time.Minute, startTime: -10*time.Minute + time.Second, readySince: -570 * time.Second,
			scheduled: true, ready: true,
		}
		w.pods = append(w.pods, p)
		if err := w.serve(p); err != nil {
			return err
		}
		p.replica.setReady(true)
	}
	w.route()
	return nil
}

// announce emits the pods that existed before the run.
func (w *workload) announce() {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := results.NotYet
	for _, p := range w.pods {
		for _, step := range []struct {
			phase results.PodPhase
			at    time.Duration
		}{{results.PodCreated, p.created}, {results.PodScheduled, p.startTime}, {results.PodStarted, p.startTime +
			5*time.Second}, {results.PodReady, p.readySince}} {
			w.emit(results.Pod{At: step.at, Name: p.name, Phase: step.phase, Node: "sandbox", Backend: p.address})
		}
		at = max(at, p.readySince)
	}
	w.emit(results.Endpoints{At: max(at, -time.Hour), Ready: w.addresses()})
}

// serve opens the pod's listener and starts its server. The caller holds mu,
// or is alone.
func (w *workload) serve(p *pod) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("replica %s: %w", p.name, err)
	}
	p.address = l.Addr().String()
	p.replica = newReplica(p.name, w.service, w.clock, w.sleep, w.added)
	p.server = &http.Server{Handler: p.replica.handler(), ReadHeaderTimeout: 10 * time.Second}
	p.running = true
	// It returns ErrServerClosed when the pod ends; a broken listener shows as
	// refused connections.
	go func() { _ = p.server.Serve(l) }()
	return nil
}

// scale changes the number of pods to n: new ones start, or surplus ones drain.
func (w *workload) scale(ctx context.Context, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	active := w.active()
	for range n - len(active) {
		w.create(ctx)
	}
	if n >= len(active) {
		return
	}
	// As the ReplicaSet controller ranks them: not running, then not ready, then the youngest.
	slices.SortStableFunc(active, func(a, b *pod) int {
		return cmp.Or(
			order(a.running, b.running),
			order(a.ready, b.ready),
			cmp.Compare(b.readySince, a.readySince),
			cmp.Compare(b.created, a.created),
		)
	})
	for _, p := range active[:len(active)-n] {
		w.remove(ctx, p)
	}
}

// order puts false before true.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// active returns the pods that are not being deleted. The caller holds mu.
func (w *workload) active() []*pod {
	var out []*pod
	for _, p := range w.pods {
		if !p.deleted {
			out = append(out, p)
		}
	}
	return out
}

// create starts a pod's way to readiness. The caller holds mu.
func (w *workload) create(ctx context.Context) {
	w.serial++
	ctx, cancel := context.WithCancel(ctx)
	now := w.now()
	p := &pod{name: fmt.Sprintf("%s-%d", w.service.Name, w.serial), created: now, readySince: now, cancel: cancel}
	w.pods = append(w.pods, p)
	w.say(p, results.PodCreated, now)
	s := w.service
	steps := []struct {
		phase results.PodPhase
		took  time.Duration
	}{
		{results.PodScheduled, s.Schedule.draw(w.random)},
		{results.PodPulled, s.Pull.draw(w.random)},
		{results.PodStarted, s.Start.draw(w.random)},
		{results.PodReady, s.Load.draw(w.random)},
	}
	w.pending.Go(func() {
		defer cancel()
		due := now
		for _, step := range steps {
			due += step.took
			if !w.wait(ctx, due) || !w.advance(ctx, p, step.phase) {
				return
			}
		}
	})
}

// advance takes the pod into its next phase; false where it was deleted meanwhile.
func (w *workload) advance(ctx context.Context, p *pod, phase results.PodPhase) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.deleted || ctx.Err() != nil {
		return false
	}
	now := w.now()
	switch phase {
	case results.PodScheduled:
		p.scheduled, p.startTime, p.readySince = true, now, now
	case results.PodStarted:
		if err := w.serve(p); err != nil {
			w.emit(
				results.Event{
					At:      now,
					Source:  "kubelet",
					Object:  "Pod/" + p.name,
					Type:    "Warning",
					Reason:  "Failed",
					Message: err.Error(),
				},
			)
			return false
		}
	case results.PodReady:
		p.ready, p.readySince, p.cancel = true, now, nil
		p.replica.setReady(true)
	}
	w.say(p, phase, now)
	if phase == results.PodReady {
		w.route()
		w.emit(results.Endpoints{At: now, Ready: w.addresses()})
	}
	return true
}

// remove marks a pod deleted and drains it: the balancer learns of it a little later, then
// its requests may end, up to the grace period. The caller holds mu.
func (w *workload) remove(ctx context.Context, p *pod) {
	now := w.now()
	p.deleted = true
	w.say(p, results.PodDeleted, now)
	if p.cancel != nil {
		p.cancel()
	}
	w.pending.Go(func() {
		if !w.wait(ctx, now+w.service.Propagation) {
			return
		}
		w.mu.Lock()
		wasReady := p.ready
		p.ready = false
		if wasReady {
			p.replica.setReady(false)
			w.route()
			w.emit(results.Endpoints{At: w.now(), Ready: w.addresses()})
		}
		w.mu.Unlock()
		// What the balancer had just handed over may still be on its way.
		if !w.wait(ctx, now+2*w.service.Propagation) {
			return
		}
		if p.replica != nil {
			grace, cancel := context.WithDeadline(ctx, w.clock.Instant(now+w.service.Grace))
			_ = p.replica.drained(grace) // when the grace period ends, what is left is cut
			cancel()
			if ctx.Err() != nil {
				return
			}
			_ = p.server.Close()
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.pods = slices.DeleteFunc(w.pods, func(other *pod) bool { return other == p })
		w.say(p, results.PodGone, w.now())
	})
}

// route tells the balancer who is ready. The caller holds mu.
func (w *workload) route() {
	var out []backend
	for _, p := range w.pods {
		if p.ready {
			out = append(out, backend{p.name, p.address})
		}
	}
	w.balancer.set(out)
}

// addresses returns those of the ready pods, sorted. The caller holds mu.
func (w *workload) addresses() []string {
	out := []string{}
	for _, p := range w.pods {
		if p.ready {
			out = append(out, p.address)
		}
	}
	slices.Sort(out)
	return out
}

func (w *workload) say(p *pod, phase results.PodPhase, at time.Duration) {
	w.emit(results.Pod{At: at, Name: p.name, Phase: phase, Node: "sandbox", Backend: p.address})
}

func (w *workload) now() time.Duration { return w.clock.At(time.Now()) }

// wait sleeps until the run time at; false where ctx ended first.
func (w *workload) wait(ctx context.Context, at time.Duration) bool {
	return wait(ctx, w.clock, at)
}

// wait sleeps until the run time at by the runtime's timers: good to about
// 1 ms of wall time, for what lasts seconds.
func wait(ctx context.Context, clock results.Clock, at time.Duration) bool {
	timer := time.NewTimer(time.Until(clock.Instant(at)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// close ends every server at once.
func (w *workload) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.pods {
		if p.server != nil {
			_ = p.server.Close()
		}
	}
}
