package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hpatune/hpatune/internal/live"
	"github.com/hpatune/hpatune/internal/sandbox"
	"github.com/hpatune/hpatune/internal/store"
	"github.com/hpatune/hpatune/loadgen"
	"github.com/hpatune/hpatune/observer"
	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// recording is one run about to be recorded: where the load goes, what it is,
// and where the evidence is kept.
type recording struct {
	dir     string
	profile *profiles.Profile
	source  []byte // the profile as written
	seed    int64

	url        string // an endpoint that is up; "" = the sandbox
	headerFile string
	secrets    http.Header
	maxRate    float64
	inFlight   int
	tls        *tls.Config // nil = the system's roots
	http2      string      // as loadgen.Options.HTTP2

	sandbox *sandboxOptions // nil = none
	cluster *clusterRun     // nil = none

	fleetOptions // shards and fleets; zero = this process sends all

	findCapacity time.Duration // search a capacity in steps of so long instead of sending the profile's stages; 0 = no
	objectives   []results.Objective
}

// sandboxOptions is a cluster in a box: its autoscaler and its speed.
type sandboxOptions struct {
	hpa      hpa.Config
	manifest []byte // the HPA verbatim
	speed    float64
}

// lead is how long after its preparation a run starts, so that everything is
// in place when the first arrival is due.
const lead = 300 * time.Millisecond

// record sends the load and records what happened. The run folder is kept
// however it ends; the error says how: context.Canceled after Ctrl-C, or what
// failed. An abort rule that fired is no error: the run's meta says so.
func (s streams) record(ctx context.Context, o recording) (*results.Run, error) {
	if o.launch != nil {
		away, err := o.launch(ctx, &o)
		if err != nil {
			return nil, err
		}
		defer away()
	}
	clock := results.Clock{Start: time.Now().Add(lead), Speed: 1}
	if o.sandbox != nil {
		clock.Speed = o.sandbox.speed
	}
	if o.cluster != nil {
		clock.Start = time.Now().Add(clusterLead)
	}
	if o.fleet != nil {
		clock.Start = time.Now().Add(max(tell, clusterLead))
	}
	if o.start.After(clock.Start) {
		clock.Start = o.start
	}
	meta := o.meta(clock)
	if o.cluster != nil {
		o.cluster.describe(&meta)
	}

	var box *sandbox.Sandbox
	if o.sandbox != nil {
		var err error
		box, err = sandbox.New(sandbox.Options{Clock: clock, HPA: o.sandbox.hpa, Seed: uint64(o.seed)})
		if err != nil {
			return nil, fmt.Errorf("sandbox: %w", err)
		}
		defer box.Close()
		o.url = box.URL()
		meta.Workload, meta.HPA = box.Workload(), box.HPA()
	}

	log, err := store.Create(o.dir, meta, o.source)
	if err != nil {
		return nil, err
	}
	if o.sandbox != nil {
		if err := log.File("hpa.yaml", o.sandbox.manifest); err != nil {
			return nil, errors.Join(err, log.Close(meta))
		}
	}
	var seen *observer.Kube
	var sources []observer.Source
	if o.cluster != nil {
		if seen, sources, err = o.cluster.sources(clock, log); err != nil {
			return nil, errors.Join(err, log.Close(meta))
		}
	}
	screen := s.err
	if o.fleet != nil { // it would show a load of which nothing is known yet
		screen = io.Discard
		s.warnf("the workers send from %s to %s; what they saw is fetched then", clock.Start.Format(time.TimeOnly), clock.Start.Add(o.profile.Duration()).Format(time.TimeOnly))
	}
	view := live.New(screen, live.Options{
		Clock: clock, Name: o.profile.Name, Duration: o.profile.Duration(),
		Stages: meta.Stages, Objectives: meta.Objectives, Rate: func(at time.Duration) float64 { return float64(o.profile.Rate(at)) }, TTY: tty(screen),
	})

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-log.Failed():
			cancel(log.Err())
		case <-ctx.Done():
		}
	}()

	endpoints := make(chan results.Endpoints, 256)
	var sent atomic.Int64
	emit := func(r results.Record) {
		log.Emit(r)
		view.Emit(r)
		if seen != nil {
			seen.Answered(r)
		}
		switch r := r.(type) {
		case results.Request:
			if results.Happened(r.Sent) {
				sent.Add(1)
			}
		case results.Warning:
			if r.ID == "change-undone" {
				cancel(errUndone)
			}
		case results.Endpoints:
			select {
			case endpoints <- r:
			default: // the load generator has ended, or is far behind: the next one says all
			}
		}
	}

	var watching sync.WaitGroup
	observe, stopObserving := context.WithCancel(context.WithoutCancel(ctx))
	if box != nil {
		watching.Go(func() {
			if err := box.Observe(observe, emit); err != nil && observe.Err() == nil {
				emit(results.Gap{Source: "sandbox", From: clock.At(time.Now()), To: clock.At(time.Now()), Why: err.Error()})
				cancel(fmt.Errorf("sandbox: %w", err))
			}
		})
	}

	if seen != nil {
		watching.Go(func() {
			if err := observer.Watch(observe, emit, sources...); err != nil {
				cancel(fmt.Errorf("observer: %w", err))
			}
		})
	}

	load := o.load(clock, emit, endpoints)
	// The sandbox counts by itself; a shard would take the others for foreign.
	load.CheckForeign = box == nil && o.shard.N < 2
	report, loadErr := o.send(ctx, load, &meta, log.Pace)
	if (box != nil || seen != nil) && ctx.Err() == nil && report.Aborted == "" && o.findCapacity == 0 {
		// What the autoscaler does after the last arrival belongs to the run,
		// too, up to the end of the profile.
		wait(ctx, clock.Wall(o.profile.Duration()-clock.At(time.Now())))
	}
	stopObserving()
	watching.Wait()
	view.Close()

	meta.DurationS = clock.At(time.Now()).Seconds()
	meta.Client = report.Client
	meta.Backends, meta.Errors = report.Backends, report.Errors
	if box != nil {
		meta.Client.FloorS = box.FloorS()
		if n := sent.Load(); n > 0 {
			foreign := max(float64(box.Requests())/float64(n)-1, 0)
			meta.Client.ForeignRatio = &foreign
		}
	}
	end := loadErr
	if cause := context.Cause(ctx); cause != nil {
		end = cause
	}
	switch {
	case errors.Is(end, context.Canceled):
		meta.Partial, meta.Why = true, "interrupted"
	case end != nil:
		meta.Partial, meta.Why = true, end.Error()
	case report.Aborted != "":
		meta.Partial, meta.Why = true, "abort rule: "+report.Aborted
		meta.Client.Aborted = report.Aborted
	}
	if err := log.Close(meta); err != nil && end == nil {
		end = err
	}
	run, err := store.Open(os.DirFS(o.dir))
	if err != nil {
		return nil, errors.Join(end, err)
	}
	return run, end
}

// wait sleeps for d or until ctx is done.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// meta is what is known of the run before it starts.
func (o recording) meta(clock results.Clock) results.Meta {
	p := o.profile
	m := results.Meta{
		Schema: results.Schema, Run: filepath.Base(o.dir), Version: version,
		Start: clock.Start, Speed: clock.Speed, Seed: o.seed,
		Profile: p.Name, Represents: p.Represents, Objectives: p.Objectives,
		Target: results.Target{Kind: "url", URL: redactURL(o.url), Protocol: p.Target.Protocol, Streams: p.Target.Streams(), Connections: p.Connections.Mode},
	}
	if o.sandbox != nil {
		m.Target.Kind = "sandbox"
	}
	if o.shard.N > 0 {
		m.Context = map[string]string{shardKey: o.shard.String()}
	}
	for _, st := range p.Preview(o.seed).Stages {
		m.Stages = append(m.Stages, results.StageInfo{Name: st.Name, Shape: string(st.Shape), FromS: st.FromS, ToS: st.ToS, Warmup: st.Warmup, Arrivals: st.Arrivals})
	}
	for _, c := range p.Classes {
		m.Classes = append(m.Classes, c.Name)
	}
	return m
}

// load is the load generator's part of the recording.
func (o recording) load(clock results.Clock, emit results.Emit, endpoints <-chan results.Endpoints) loadgen.Options {
	return loadgen.Options{
		Profile: o.profile, URL: o.url, Seed: o.seed, Clock: clock, Emit: emit, Endpoints: endpoints,
		Secrets: o.secrets, HeaderFile: o.headerFile, MaxInFlight: o.inFlight, MaxRate: o.maxRate, TLS: o.tls, HTTP2: o.http2, Shard: o.shard.I, Shards: o.shard.N,
		OnBackend: func(i int32, b results.Backend) {
			emit(results.Name{Table: results.BackendTable, Index: i, Text: b.Name, Address: b.Address})
		},
		OnError: func(i int32, text string) { emit(results.Name{Table: results.ErrorTable, Index: i, Text: text}) },
	}
}

// send sends the profile's schedule, or searches a capacity; the stages of a
// search are known afterwards.
func (o recording) send(ctx context.Context, l loadgen.Options, meta *results.Meta, pace func()) (loadgen.Report, error) {
	if o.fleet != nil {
		return o.sendFleet(ctx, l, meta, pace)
	}
	if o.findCapacity == 0 {
		return loadgen.Run(ctx, l)
	}
	c, err := loadgen.FindCapacity(ctx, loadgen.CapacityOptions{Load: l, Step: o.findCapacity, Meets: func(step []results.Request) (bool, string) { return meets(o, step) }})
	meta.Stages = c.Stages
	meta.Capacity = &results.Capacity{PerSec: c.Value, LoPerSec: c.Lo, Why: c.Why, PeakPerSec: c.Peak, Concurrency: c.Concurrency}
	if !math.IsInf(c.Hi, 1) {
		meta.Capacity.HiPerSec = &c.Hi
	}
	return c.Report, err
}

// meets judges one step of a capacity search by the objectives that are about
// requests.
func meets(o recording, step []results.Request) (bool, string) {
	run := results.Run{Requests: step, Meta: results.Meta{Target: results.Target{Streams: o.profile.Target.Streams()}}}
	for _, j := range run.Judge(o.objectives) {
		if j.Verdict == results.Fail {
			return false, j.Text
		}
	}
	if len(o.objectives) > 0 {
		return true, ""
	}
	failed := 0
	for i := range step {
		if step[i].Outcome != results.OK {
			failed++
		}
	}
	return failed*100 <= len(step), fmt.Sprintf("%d of %d requests failed", failed, len(step))
}

// redactURL keeps what says where the load went, and nothing that lets one in.
func redactURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
