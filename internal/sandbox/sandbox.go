// Package sandbox runs an inference endpoint on this machine: several replicas
// (HTTP servers on loopback), a load balancer, a metrics pipeline with windows and
// delays, and an autoscaler that runs tuner/hpa on a ticker.
//
// Requests, sockets, streams, queueing, balancing and time are real. Three things are
// not: a replica sleeps where a real one computes, its CPU and memory are derived from
// the number of busy slots, and the autoscaler is our own core, so a sandbox run does
// not show that the core behaves like the real controller.
//
// It may run faster than the wall clock, up to MaxSpeed times: every simulated
// duration is slept to an absolute deadline, and FloorS says what that costs.
package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// MaxSpeed is the fastest speed of a sandbox: beyond it, a simulated second is too few wall
// milliseconds to sleep accurately.
const MaxSpeed = 20

// Beyond these rates of wall time, the test bed itself would be measured.
const maxRequestsPerSec = 400

// Options is what a sandbox is made of.
type Options struct {
	Clock    results.Clock // Speed 0 is 1; at most MaxSpeed
	HPA      hpa.Config
	Params   hpa.Params // zero: the flags' defaults
	Replicas int        // to begin with; 0 = HPA.MinReplicas
	Service  Service    // zero: DefaultService
	Pipeline Pipeline   // zero: 15 s, the kubelet's points 5 s old, phase by Seed
	Seed     uint64     // start-up times and phases
	// External is where External metrics come from, by name. One that is not listed is
	// the sum of the pods' metric of that name, as Pods and Object metrics are.
	External  map[string]Signal
	Namespace string // the label of the pods' series; "" = sandbox
}

// Sandbox is a running sandbox. It serves from New to Close; its autoscaler and metrics
// pipeline run while it is observed.
type Sandbox struct {
	options    Options
	balancer   *balancer
	workload   *workload
	pipeline   *pipeline
	signals    *signals
	autoscaler *autoscaler
	sleep      *sleeper
	added      *lateness
	front      *http.Server
	address    string
}

// New starts a sandbox with its first replicas ready and idle. It returns all problems of
// the options at once. Close it after use.
func New(o Options) (*Sandbox, error) {
	if o.Service == (Service{}) {
		o.Service = DefaultService()
	}
	if o.Params == (hpa.Params{}) {
		o.Params = hpa.DefaultParams()
	}
	if o.Clock.Speed == 0 {
		o.Clock.Speed = 1
	}
	random := rand.New(rand.NewPCG(o.Seed, 0x5a4db0c5))
	// Drawn before anything that depends on the load, so that one seed is one cluster.
	scrape, sync := random.Float64(), random.Float64()
	if o.Pipeline == (Pipeline{}) {
		o.Pipeline = Pipeline{Every: 15 * time.Second, Age: 5 * time.Second}
		o.Pipeline.Phase = o.Pipeline.Age + time.Duration(scrape*float64(o.Pipeline.Every-o.Pipeline.Age))
	}
	if o.Replicas == 0 {
		o.Replicas = int(o.HPA.MinReplicas)
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Sandbox{options: o, balancer: newBalancer(), sleep: &sleeper{precise: true}, added: &lateness{}}
	s.workload = &workload{
		service:  o.Service,
		clock:    o.Clock,
		balancer: s.balancer,
		sleep:    s.sleep,
		added:    s.added,
		random:   random,
		emit:     func(results.Record) {},
	}
	s.pipeline = &pipeline{Pipeline: o.Pipeline, workload: s.workload}
	s.signals = &signals{
		monitor:  newMonitor(s.workload, cmp.Or(o.Namespace, "sandbox"), o.Pipeline.Every),
		external: o.External, metrics: served(&o.HPA),
	}
	s.autoscaler = &autoscaler{
		workload:   s.workload,
		pipeline:   s.pipeline,
		signals:    s.signals,
		controller: hpa.New(o.Params),
		params:     o.Params,
		config:     o.HPA.Clone(),
		first:      time.Duration(sync * float64(o.Params.SyncPeriod)),
		spec:       int32(o.Replicas),
	}
	if err := s.workload.begin(o.Replicas); err != nil {
		s.Close()
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if len(s.signals.metrics) > 0 {
		s.signals.monitor.begin()
		if err := s.signals.check(); err != nil {
			s.Close()
			return nil, fmt.Errorf("sandbox: %w", err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("sandbox: balancer: %w", err)
	}
	s.address = l.Addr().String()
	s.front = &http.Server{Handler: s.balancer, ReadHeaderTimeout: 10 * time.Second}
	go s.front.Serve(l) //nolint:errcheck // returns ErrServerClosed at Close
	return s, nil
}

func (o Options) validate() error {
	var errs []error
	if o.Clock.Speed < 0 || o.Clock.Speed > MaxSpeed {
		errs = append(errs, fmt.Errorf("speed %g: want more than 0 and at most %d", o.Clock.Speed, MaxSpeed))
	}
	if o.Clock.Start.IsZero() {
		errs = append(errs, errors.New("clock: no start"))
	}
	if o.Replicas < 1 {
		errs = append(errs, fmt.Errorf("replicas %d: want at least 1", o.Replicas))
	}
	if len(o.HPA.Metrics) == 0 {
		errs = append(errs, errors.New("hpa: no metrics"))
	}
	if p := o.Pipeline; p.Every <= 0 || p.Age < 0 || p.Phase < p.Age {
		errs = append(
			errs,
			fmt.Errorf("pipeline %+v: want a positive scrape interval, and a first sample that is not before the run", p),
		)
	}
	errs = append(errs, o.Service.validate(o.Clock.Speed))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return nil
}

// URL returns the balancer's, without a path.
func (s *Sandbox) URL() string { return "http://" + s.address }

// Port is the one at which the pods are said to serve: each has an address of its
// own on this machine, which stands for it.
const Port = 8000

// Pod is a replica whose server runs.
type Pod struct {
	Name    string
	Address string // of its server, HOST:PORT
	Ready   bool   // it gets requests
}

// Pods returns the replicas whose servers run, in the order of their creation.
func (s *Sandbox) Pods() []Pod {
	w := s.workload
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Pod
	for _, p := range w.pods {
		if p.running {
			out = append(out, Pod{p.name, p.address, p.ready && !p.deleted})
		}
	}
	return out
}

// Observe runs metrics pipeline and autoscaler and emits what happens, in run time, until
// ctx is done. It can be called once. It implements observer.Source.
func (s *Sandbox) Observe(ctx context.Context, emit results.Emit) error {
	s.workload.emit = emit
	s.workload.announce()
	s.pipeline.begin()
	var loops sync.WaitGroup
	loops.Go(func() { s.pipeline.run(ctx) })
	loops.Go(func() { s.autoscaler.run(ctx) })
	loops.Go(func() { s.watchRate(ctx) })
	if len(s.signals.metrics) > 0 { // nobody asks for them otherwise
		loops.Go(func() { s.signals.monitor.run(ctx) })
		loops.Go(func() { s.signals.run(ctx, s.workload) })
	}
	loops.Wait()
	s.workload.pending.Wait()
	return nil
}

// watchRate warns once where the load is beyond what the test bed can carry unnoticed.
func (s *Sandbox) watchRate(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for last := s.balancer.requests.Load(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := s.balancer.requests.Load()
		if rate := now - last; rate > maxRequestsPerSec {
			s.workload.emit(results.Warning{
				At: s.workload.now(),
				ID: results.WarnSandboxTooQuick,
				Text: fmt.Sprintf(
					"%d requests per real second; above %d the sandbox measures its own delay. Lower --speed or the rate.",
					rate,
					maxRequestsPerSec,
				),
			})
			return
		}
		last = now
	}
}

// Close ends all servers. Call it after Observe has returned.
func (s *Sandbox) Close() {
	if s.front != nil {
		_ = s.front.Close()
	}
	s.workload.close()
	s.balancer.close()
}

// Requests returns how many completions the balancer has been asked for, by anyone.
func (s *Sandbox) Requests() int64 { return s.balancer.requests.Load() }

// FloorS returns the latency that the sandbox itself has put on top of a first
// token so far, p99 in seconds of run time: balancer, handlers, sleeping late.
// It is 0 while nothing was served.
func (s *Sandbox) FloorS() float64 {
	d, _ := s.added.quantile(0.99)
	return worldSeconds(s.options.Clock, d)
}

// OversleepS returns by how much the sandbox woke late from its sleeps, p99 in
// seconds of run time.
func (s *Sandbox) OversleepS() float64 {
	d, _ := s.sleep.late.quantile(0.99)
	return worldSeconds(s.options.Clock, d)
}

// Workload returns what the run's meta says of a replica.
func (s *Sandbox) Workload() results.Workload {
	v := s.options.Service
	return results.Workload{
		Name:          "Deployment/" + v.Name,
		Namespace:     "sandbox",
		CPUMilli:      v.CPURequestMilli,
		CPULimitMilli: v.CPULimitMilli,
		MemoryBytes:   v.MemoryRequestBytes,
		Image:         "sandbox:" + v.Model,
	}
}

// HPA returns what the run's meta says of the autoscaler.
func (s *Sandbox) HPA() results.HPAContext {
	p := s.options.Params
	release := p.Release
	if release == 0 {
		release = hpa.Latest
	}
	return results.HPAContext{
		Name:                     "sandbox/" + s.options.Service.Name,
		Controller:               results.SandboxController,
		Kubernetes:               fmt.Sprintf("v1.%d (hpatune's implementation)", release),
		SyncPeriodS:              p.SyncPeriod.Seconds(),
		Tolerance:                p.Tolerance,
		DownscaleStabilizationS:  p.DownscaleStabilization.Seconds(),
		CPUInitializationPeriodS: p.CPUInitializationPeriod.Seconds(),
		InitialReadinessDelayS:   p.InitialReadinessDelay.Seconds(),
		MetricWindowS:            s.options.Pipeline.Every.Seconds(),
	}
}
