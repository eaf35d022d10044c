// Package record records runs. It sends a load to a Bed (an endpoint, a sandbox, a
// workload in a cluster, or one of these loaded by a fleet), observes it, and
// writes a run folder. The Bed says which URL to call, what to observe, how to
// send, and how to restore what was changed.
package record

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hpatune/hpatune/internal/fleet"
	"github.com/hpatune/hpatune/internal/live"
	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/internal/store"
	"github.com/hpatune/hpatune/loadgen"
	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// Plan is a run that is about to be recorded: what is sent, where it goes, and where the
// recording is stored.
type Plan struct {
	Dir     string // the run folder, made by Record
	Version string // of hpatune
	Bed     Bed

	Profile *profiles.Profile
	Source  []byte // the profile as written
	Seed    int64

	HeaderFile string      // secret headers, reread when the file changes; "" = none
	Secrets    http.Header // likewise, given once
	MaxRate    float64     // arrivals per second beyond which they are shed; 0 = no limit
	InFlight   int         // requests in flight beyond which arrivals are shed; 0 = the load generator's default
	TLS        *tls.Config // nil = the system's roots
	HTTP2      string      // as loadgen.Options.HTTP2

	Shard fleet.Shard // the part of the schedule to send; N = 0: all of it
	Start time.Time   // of the first arrival, if possible; zero = at once

	// Capacity searches for the highest rate that meets Objectives, in steps of this
	// length, instead of sending the profile's stages; 0 = no.
	Capacity   time.Duration
	Objectives []results.Objective

	Screen io.Writer         // of the live view; nil = none
	TTY    bool              // Screen is a terminal
	Say    func(text string) // takes steps and warnings, one line each; nil = dropped
}

func (p *Plan) say(format string, args ...any) {
	if p.Say != nil {
		p.Say(fmt.Sprintf(format, args...))
	}
}

// warn passes on the warnings about a manifest.
func (p *Plan) warn(ps source.Problems) {
	for _, w := range ps {
		p.say("warning: %s", w)
	}
}

var (
	// ErrUndone ends a run whose change somebody has reverted.
	ErrUndone = errors.New("somebody else reverted this run's change; the recording up to then is kept")
	// ErrLeft is the error of a run that is complete, but whose changes could not be
	// reverted; Plan.Say has printed what is left.
	ErrLeft = errors.New("what this run changed could not be restored")
)

// Record sends the load and records what happens. The run folder is kept however it ends;
// the error says how: context.Canceled after Ctrl-C, ErrUndone, ErrLeft, or what failed.
// The run is nil if nothing was recorded. An abort rule that fires is not an error; the
// run's meta has it.
func Record(ctx context.Context, p Plan) (run *results.Run, err error) {
	defer func() {
		back, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBackWithin)
		defer cancel()
		if left := p.Bed.PutBack(back, &p); left != nil {
			p.say("hpatune: %v", left)
			if err == nil {
				err = ErrLeft
			}
		}
	}()
	timing, err := p.Bed.Prepare(ctx, &p)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	clock := results.Clock{Start: time.Now().Add(timing.Lead), Speed: timing.Speed}
	if p.Start.After(clock.Start) {
		clock.Start = p.Start
	}
	meta := p.meta(clock)
	s := &Session{Plan: &p, Clock: clock, Meta: &meta}
	scene, err := p.Bed.Open(s)
	if err != nil {
		return nil, err
	}
	log, err := store.Create(p.Dir, meta, p.Source)
	if err != nil {
		return nil, err
	}
	if err := p.keepInputs(log); err != nil {
		return nil, errors.Join(err, log.Close(meta))
	}
	s.Pace = log.Pace
	s.File = func(name string, data []byte) { _ = log.File(name, data) } // a full disk ends the run
	for _, name := range slices.Sorted(maps.Keys(scene.Files)) {
		if err := log.File(name, scene.Files[name]); err != nil {
			return nil, errors.Join(err, log.Close(meta))
		}
	}
	end := p.run(ctx, s, &scene, log)
	if err := log.Close(meta); err != nil && end == nil {
		end = err
	}
	run, err = store.Open(os.DirFS(p.Dir))
	if err != nil {
		return nil, errors.Join(end, err)
	}
	return run, end
}

// keepInputs copies the files that the profile names into the run folder, so that the run
// can be repeated from there; it reports files that it does not copy.
func (p *Plan) keepInputs(log *store.Writer) error {
	names, err := p.Profile.Needs()
	if err != nil {
		return err
	}
	for _, name := range names {
		switch err := log.Input(p.Profile.Files, name); {
		case errors.Is(err, store.ErrNotKept):
			p.say("warning: %v; this run's load cannot be sent again from its folder alone", err)
		case err != nil:
			return err
		}
	}
	return nil
}

// run sends and watches, and completes the session's meta; its error is how the run ended.
func (p *Plan) run(ctx context.Context, s *Session, scene *Scene, log *store.Writer) error {
	view := p.view(s, scene)
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
		if scene.Answered != nil {
			scene.Answered(r)
		}
		switch r := r.(type) {
		case results.Request:
			if results.Happened(r.Sent) {
				sent.Add(1)
			}
		case results.Warning:
			if r.ID == results.WarnChangeUndone {
				cancel(ErrUndone)
			}
		case results.Endpoints:
			select {
			case endpoints <- r:
			default: // the load generator has ended, or is far behind; the next frame shows everything
			}
		}
	}

	var watching sync.WaitGroup
	observe, stopObserving := context.WithCancel(context.WithoutCancel(ctx))
	defer stopObserving()
	if scene.Watch != nil {
		watching.Go(func() {
			if err := scene.Watch(observe, emit); err != nil && observe.Err() == nil {
				cancel(err)
			}
		})
	}

	load := p.load(s.Clock, emit, endpoints)
	load.URL = scene.URL
	// A bed that counts its own requests needs no second count, and a shard would count the
	// requests of the others as foreign.
	load.CheckForeign = !scene.Counts && p.Shard.N < 2
	send := p.send
	if scene.Send != nil {
		send = scene.Send
	}
	report, loadErr := send(ctx, s, load)
	if scene.Watch != nil && ctx.Err() == nil && report.Aborted == "" && p.Capacity == 0 {
		// What the autoscaler does after the last arrival is part of the run, up to the end
		// of the profile.
		wait(ctx, s.Clock.Wall(p.Profile.Duration()-s.Clock.At(time.Now())))
	}
	stopObserving()
	watching.Wait()
	view.Close()

	meta := s.Meta
	meta.DurationS = s.Clock.At(time.Now()).Seconds()
	meta.Client = report.Client
	meta.Backends, meta.Errors = report.Backends, report.Errors
	if scene.Conclude != nil {
		scene.Conclude(meta, sent.Load())
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
	return end
}

// view is the live view, as long as there is something to show.
func (p *Plan) view(s *Session, scene *Scene) *live.Live {
	screen, tty := p.Screen, p.TTY
	if screen == nil || scene.Quiet {
		screen, tty = io.Discard, false
	}
	return live.New(screen, live.Options{
		Clock:      s.Clock,
		Name:       p.Profile.Name,
		Duration:   p.Profile.Duration(),
		Stages:     s.Meta.Stages,
		Objectives: s.Meta.Objectives,
		Rate:       func(at time.Duration) float64 { return float64(p.Profile.Rate(at)) },
		TTY:        tty,
	})
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

// ShardKey names the shard in a run's context.
const ShardKey = "shard"

// meta is what is known about the run before its bed is asked.
func (p *Plan) meta(clock results.Clock) results.Meta {
	f := p.Profile
	m := results.Meta{
		Schema: results.Schema, Run: filepath.Base(p.Dir), Version: p.Version,
		Start: clock.Start, Speed: clock.Speed, Seed: p.Seed,
		Profile: f.Name, Represents: f.Represents, Objectives: f.Objectives, AtZero: f.AtZero,
		Target:  results.Target{Protocol: f.Target.Protocol, Streams: f.Target.Streams(), Connections: f.Connections.Mode},
		Context: map[string]string{},
	}
	if p.Shard.N > 0 {
		m.Context[ShardKey] = p.Shard.String()
	}
	for _, st := range f.Preview(p.Seed).Stages {
		m.Stages = append(m.Stages, results.StageInfo{Name: st.Name, Shape: string(st.Shape), FromS: st.FromS, ToS: st.ToS,
			Warmup: st.Warmup, Arrivals: st.Arrivals})
	}
	for _, c := range f.Classes {
		m.Classes = append(m.Classes, c.Name)
	}
	return m
}

// load is the load generator's part of the recording.
func (p *Plan) load(clock results.Clock, emit results.Emit, endpoints <-chan results.Endpoints) loadgen.Options {
	return loadgen.Options{
		Profile:     p.Profile,
		Seed:        p.Seed,
		Clock:       clock,
		Emit:        emit,
		Endpoints:   endpoints,
		Secrets:     p.Secrets,
		HeaderFile:  p.HeaderFile,
		MaxInFlight: p.InFlight,
		MaxRate:     p.MaxRate,
		TLS:         p.TLS,
		HTTP2:       p.HTTP2,
		Shard:       p.Shard.I,
		Shards:      p.Shard.N,
		OnBackend: func(i int32, b results.Backend) {
			emit(results.Name{Table: results.BackendTable, Index: i, Text: b.Name, Address: b.Address})
		},
		OnError: func(i int32, text string) { emit(results.Name{Table: results.ErrorTable, Index: i, Text: text}) },
	}
}

// send sends the profile's schedule, or searches for a capacity; the stages of a search are
// known afterwards.
func (p *Plan) send(ctx context.Context, s *Session, l loadgen.Options) (loadgen.Report, error) {
	if p.Capacity == 0 {
		return loadgen.Run(ctx, l)
	}
	c, err := loadgen.FindCapacity(ctx, loadgen.CapacityOptions{Load: l, Step: p.Capacity, Meets: p.meets})
	s.Meta.Stages = c.Stages
	s.Meta.Capacity = &results.Capacity{PerSec: c.Value, LoPerSec: c.Lo, Why: c.Why, PeakPerSec: c.Peak,
		Concurrency: c.Concurrency}
	if !math.IsInf(c.Hi, 1) {
		s.Meta.Capacity.HiPerSec = &c.Hi
	}
	return c.Report, err
}

// meets judges one step of a capacity search by the objectives about requests; without any,
// at most 1 % may fail.
func (p *Plan) meets(step []results.Request) (bool, string) {
	run := results.Run{Requests: step, Meta: results.Meta{Target: results.Target{Streams: p.Profile.Target.Streams()}}}
	for _, j := range run.Judge(p.Objectives) {
		if j.Verdict == results.Fail {
			return false, j.Text
		}
	}
	if len(p.Objectives) > 0 {
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
