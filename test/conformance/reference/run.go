// Package reference drives the unmodified HPA controller of Kubernetes (the version
// in go.mod) from outside, and returns what it did.
//
// The controller is created by its public constructor and runs with its public Run. It
// gets real informers on a fake clientset that stores one HPA and its pods, upstream's own
// REST metrics client on fake API clients, and the API server's part (decoding, defaulting,
// validation, the registry's strategies), which is also upstream's code. Time is
// testing/synctest's. No part of the controller is replaced; memory from before the first
// observation is put into its maps before it runs (memory.go).
package reference

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	scaleclient "k8s.io/client-go/scale"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/podautoscaler"
	"k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"

	"github.com/hpatune/hpatune/test/conformance/gen"
)

// Run runs the scenario through the real controller and returns one result per observation.
//
// Call it inside a synctest bubble, from one goroutine at a time: the feature gates and
// the error handler of Kubernetes are process-wide. An error means that the scenario
// cannot be run (the HPA is refused, or the controller's queue does not allow the times of
// the observations). A failure of the controller is not an error but part of the results.
//
// wait must be synctest.Wait.
func Run(s *gen.Scenario, wait func()) (results []gen.Result, err error) {
	gates := map[string]bool{"HPAScaleToZero": true}
	for name, on := range s.FeatureGates {
		gates[name] = on
	}
	if err := utilfeature.DefaultMutableFeatureGate.SetFromMap(gates); err != nil {
		return nil, fmt.Errorf("scenario %s: featureGates: %w", s.ID, err)
	}
	w, err := newWorld(s)
	if err != nil {
		return nil, fmt.Errorf("scenario %s: %w", s.ID, err)
	}
	utilruntime.ErrorHandlers = []utilruntime.ErrorHandler{w.handleError}
	defer func() { w.stop(); wait() }()
	for i := range s.Observations {
		r, err := w.observe(i, wait)
		if err != nil {
			return nil, fmt.Errorf("scenario %s: observation %d: %w", s.ID, i, err)
		}
		results = append(results, r)
	}
	return results, nil
}

// The informers warn that they have no resync; see startController.
func init() { klog.SetLogger(logr.Discard()) }

// A world is everything around the controller: the API server's state and the start time.
type world struct {
	s     *gen.Scenario
	start time.Time
	sync  time.Duration

	mu        sync.Mutex
	i         int       // the current observation
	at        time.Time // when its reconcile must happen
	started   bool      // its reconcile has read the scale
	ended     time.Time // when its status was last known to be final
	replicas  int32     // spec.replicas of the target
	pods      map[string]*corev1.Pod
	hpa       *autoscalingv2.HorizontalPodAutoscaler // as stored
	version   int64                                  // the last resource version used
	conflicts int                                    // conflicts that are still to be returned
	rereads   int                                    // reads of the scale after failed writes
	problem   error                                  // something that the scenario does not allow
	scaled    bool
	events    []gen.Event
	errs      []error

	due    time.Time // when the controller's queue releases the next reconcile
	feed   feeds
	scales scaleclient.ScalesGetter
	stop   func()
}

func newWorld(s *gen.Scenario) (*world, error) {
	w := &world{s: s, sync: s.Sync(), replicas: s.InitialReplicas, pods: map[string]*corev1.Pod{}, i: -1, stop: func() {}}
	if len(s.Observations) == 0 {
		return nil, errors.New("no observations")
	}
	w.scales = scales{w}
	w.start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // the format's default
	if s.Start != "" {
		t, err := time.Parse(time.RFC3339, s.Start)
		if err != nil {
			return nil, fmt.Errorf("start: %w", err)
		}
		w.start = t
	}
	// The bubble's clock begins at 2000-01-01, and a controller needs some time before the
	// first observation to fill its caches. No rule depends on the date, so a start that
	// leaves too little time is moved by whole days.
	for w.start.Add(s.At(0)).Sub(time.Now()) < time.Second {
		w.start = w.start.Add(24 * time.Hour)
	}
	hpa, err := Admit(s.HPA, nil)
	if err != nil {
		return nil, err
	}
	hpa.UID = "hpa-uid"
	if st := s.InitialState; st != nil {
		hpa.Status.CurrentReplicas, hpa.Status.DesiredReplicas = st.CurrentReplicas, st.DesiredReplicas
		for _, c := range st.Conditions {
			hpa.Status.Conditions = append(hpa.Status.Conditions, autoscalingv2.HorizontalPodAutoscalerCondition{
				Type: autoscalingv2.HorizontalPodAutoscalerConditionType(c.Type), Status: corev1.ConditionStatus(c.Status),
				Reason: c.Reason, Message: c.Message, LastTransitionTime: metav1.NewTime(w.start)})
		}
		if st.LastScaleTime != nil {
			t := w.time(*st.LastScaleTime)
			hpa.Status.LastScaleTime = &t
		}
	}
	w.hpa = hpa
	w.stamp(&w.hpa.ObjectMeta)
	return w, nil
}

// time converts a time of the format to an API time.
func (w *world) time(sec float64) metav1.Time { return metav1.NewTime(w.start.Add(gen.Seconds(sec))) }

// carried is that time as an API object stores it: in whole seconds.
func (w *world) carried(sec float64) metav1.Time {
	return metav1.NewTime(w.time(sec).Truncate(time.Second))
}

// startController runs a controller with an empty memory. The informers' factory has no
// resync: a resync only adds a queue entry, which the controller's rate limiter merges with
// the existing entry, and scenarios do not say when resyncs happen.
func (w *world) startController() {
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logr.New(&sink{w})))
	client := &fake.Clientset{}
	w.feed = newFeeds(w, client)
	factory := informers.NewSharedInformerFactory(client, 0)
	flag := func(d *gen.Duration, standard time.Duration) time.Duration {
		if d == nil {
			return standard
		}
		return time.Duration(*d)
	}
	c := w.s.Controller
	if c == nil {
		c = &gen.Controller{}
	}
	tolerance := 0.1
	if c.Tolerance != nil {
		tolerance = *c.Tolerance
	}
	controller := podautoscaler.NewHorizontalController(ctx, client.CoreV1(), w.scales, client.AutoscalingV2(), mapper(),
		metrics.NewRESTMetricsClient(resourceAPI{w}, customAPI{w}, externalAPI{w}),
		factory.Autoscaling().V2().HorizontalPodAutoscalers(), factory.Core().V1().Pods(),
		w.sync, flag(c.DownscaleStabilization, 5*time.Minute), tolerance,
		flag(c.CPUInitializationPeriod, 5*time.Minute), flag(c.InitialReadinessDelay, 30*time.Second))
	if w.i <= 0 {
		w.remember(controller)
	}
	factory.Start(ctx.Done())
	var done sync.WaitGroup
	done.Go(func() { controller.Run(ctx, 5) }) // --concurrent-horizontal-pod-autoscaler-syncs
	w.stop = func() {
		cancel()
		w.feed.close()
		done.Wait()
		factory.Shutdown()
		w.stop = func() {}
	}
}

// ErrTooSoon means that no controller would make an observation so early: its queue holds
// the key back for longer. The generator writes one such scenario in tens of thousands.
var ErrTooSoon = errors.New("the queue releases the next reconcile")

// observe sets up observation i, lets the controller reconcile once, and reads the result.
func (w *world) observe(i int, wait func()) (gen.Result, error) {
	o := &w.s.Observations[i]
	at := w.start.Add(w.s.At(i))
	fresh := i == 0 || o.Restart
	edited := o.HPA != nil
	// From 1.37 on, a changed spec is reconciled at once. So an edit before the queue's next
	// entry has a new generation, and triggers the reconcile. An edit at or after that
	// entry has none, as from an API server with HPAGeneration off, because a scenario
	// cannot have two reconciles at one time.
	immediate := edited && !fresh && at.Before(w.due)
	switch {
	case fresh && at.Sub(time.Now()) < 200*time.Millisecond:
		return gen.Result{}, fmt.Errorf("at %v: a controller needs 200ms to start", w.s.At(i))
	case !fresh && !edited && at.Before(w.due):
		return gen.Result{}, fmt.Errorf("at %v: %w at %v", w.s.At(i), ErrTooSoon, w.due.Sub(w.start))
	case immediate && !at.After(time.Now()):
		return gen.Result{}, fmt.Errorf("at %v: not after the reconcile before it", w.s.At(i))
	}

	if fresh && i > 0 {
		w.stop()
		wait()
	}
	w.mu.Lock()
	w.i, w.at, w.started, w.scaled, w.conflicts, w.rereads = i, at, false, false, o.Conflicts, 0
	w.events, w.errs = nil, nil
	if o.SpecReplicas != nil {
		w.replicas = *o.SpecReplicas
	}
	if err := w.setPods(o.Pods); err != nil {
		w.mu.Unlock()
		return gen.Result{}, err
	}
	var edit *autoscalingv2.HorizontalPodAutoscaler
	if edited {
		var err error
		if edit, err = Admit(o.HPA, w.hpa); err != nil {
			w.mu.Unlock()
			return gen.Result{}, err
		}
		if !immediate && !fresh {
			edit.Generation = w.hpa.Generation
		}
	}
	from := w.replicas
	w.mu.Unlock()

	if edited && !immediate {
		w.store(edit)
	}
	if fresh {
		w.startController()
	}
	wait()
	if until := time.Until(at); until > 0 {
		time.Sleep(until)
	}
	if immediate {
		w.store(edit)
	}
	wait()
	if o.Conflicts > 0 { // retries wait about 10 ms each
		time.Sleep(90 * time.Millisecond)
		wait()
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	if w.problem != nil {
		return gen.Result{}, w.problem
	}
	if !w.started {
		return gen.Result{}, fmt.Errorf("at %v: the controller did not reconcile", w.s.At(i))
	}
	if !immediate {
		w.due = w.ended.Add(w.sync)
	}
	r := gen.Result{Tick: i, CurrentReplicas: from, DesiredReplicas: w.hpa.Status.DesiredReplicas, Replicas: w.replicas,
		Scaled: w.scaled, Conditions: []gen.Condition{}, Events: w.events}
	for _, c := range w.hpa.Status.Conditions {
		r.Conditions = append(
			r.Conditions,
			gen.Condition{Type: string(c.Type), Status: string(c.Status), Reason: c.Reason, Message: c.Message},
		)
	}
	for _, e := range w.events {
		if e.Reason == "SuccessfulRescale" {
			var n int32
			if k, _ := fmt.Sscanf(e.Message, "New size: %d; reason: ", &n); k == 1 {
				r.Reason = e.Message[len(fmt.Sprintf("New size: %d; reason: ", n)):]
			}
		}
	}
	if n := len(w.errs); n > 0 { // a failed status write is logged before it
		r.Error = w.errs[n-1].Error()
	}
	return r, nil
}

// handleError replaces Kubernetes' process-wide error log, which receives the error of a
// reconcile.
func (w *world) handleError(_ context.Context, err error, msg string, kv ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		err = fmt.Errorf("%s %v", msg, kv)
	}
	w.errs = append(w.errs, err)
}

// A sink receives the controller's log. The event recorder logs each event (at level 3)
// before the rate limits of the API's event sink apply, so events are read here.
type sink struct{ w *world }

func (s *sink) Init(logr.RuntimeInfo)          {}
func (s *sink) Enabled(level int) bool         { return level <= 3 }
func (s *sink) Error(error, string, ...any)    {}
func (s *sink) WithValues(...any) logr.LogSink { return s }
func (s *sink) WithName(string) logr.LogSink   { return s }
func (s *sink) Info(level int, msg string, kv ...any) {
	if msg != "Event occurred" {
		return
	}
	var e gen.Event
	for i := 0; i+1 < len(kv); i += 2 {
		v, _ := kv[i+1].(string)
		switch kv[i] {
		case "type":
			e.Type = v
		case "reason":
			e.Reason = v
		case "message":
			e.Message = v
		}
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.events = append(s.w.events, e)
}
