package loadgen

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// CapacityOptions is how a capacity is searched.
type CapacityOptions struct {
	// Load is target, connections, clock, doors; its profile's stages, Arrivals,
	// Closed and Shard are not used. Its Emit gets every request of the search,
	// with one numbering of arrivals and a stage a step, so that the search is a
	// run like any other.
	Load Options
	// Meets reports whether the requests of a step meet the objectives, and if not, why. It
	// gets answered, failed and shed requests. nil = at most 1 % failed.
	Meets func(step []results.Request) (ok bool, why string)
	// Step is how long a step lasts, in run time; 0 = 20s. Its first fifth is not judged,
	// since the previous step may still be in the queue.
	Step time.Duration
	// Precision is the width of the interval at which the search ends, relative to the
	// rate; 0 = 0.05.
	Precision float64
	// MaxConcurrency ends the ladder; 0 = MaxConcurrency.
	MaxConcurrency int
}

// MaxConcurrency is the default limit of requests in flight during a search.
const MaxConcurrency = 1024

// A Capacity is the highest rate that the target can serve at its current size while
// meeting its objectives.
type Capacity struct {
	// Value is the highest rate that met the objectives, in requests per second of run
	// time; Lo = Value, and Hi is the lowest rate that did not. 0 = not even one request at
	// a time meets them. Hi = +Inf: MaxRate met them.
	Value, Lo, Hi float64
	Why           string // why Hi failed
	// Peak is the highest throughput, ignoring latency, with this many requests in flight:
	// of the closed loop, or Value if that is higher.
	Peak        float64
	Concurrency int
	Stages      []results.StageInfo // for Meta: one a step
	Report      Report              // of all steps together
}

// FindCapacity searches for it: a closed-loop ladder (1, 2, 4, … in flight) until
// throughput stops growing, then an open-loop bisection below what the ladder reached. A
// step that saturates the target (four times more in flight than the ladder's peak needed)
// stops sending; requests in flight end on their own, so that the next step finds no
// backlog. The caller must make sure that the number of replicas does not change.
func FindCapacity(ctx context.Context, o CapacityOptions) (Capacity, error) {
	if o.Load.Profile == nil {
		return Capacity{}, errors.New("no profile: try profiles.Load(\"steady\")")
	}
	if o.Step <= 0 {
		o.Step = 20 * time.Second
	}
	if o.Precision <= 0 {
		o.Precision = 0.05
	}
	if o.MaxConcurrency <= 0 {
		o.MaxConcurrency = MaxConcurrency
	}
	if o.Meets == nil {
		o.Meets = fewFail
	}
	if o.Load.Clock.Start.IsZero() {
		o.Load.Clock.Start = time.Now()
	}
	o.Load.tables = newTables(o.Load)
	s := &search{CapacityOptions: o}
	s.c.Report.StartedAt = o.Load.Clock.Start
	err := s.run(ctx)
	s.c.Report.Ended = o.Load.Clock.At(time.Now())
	if s.c.Value > s.c.Peak { // the ladder ends where more in flight gains little, not nothing
		s.c.Peak, s.c.Concurrency = s.c.Value, s.held
	}
	for _, w := range o.Load.tables.notes.warnings(s.c.Report.Ended) {
		o.Load.Emit(w)
	}
	return s.c, err
}

// fewFail is the objective where none is given.
func fewFail(step []results.Request) (bool, string) {
	failed := 0
	for _, r := range step {
		if r.Outcome != results.OK {
			failed++
		}
	}
	if share := float64(failed) / float64(max(1, len(step))); share > 0.01 {
		return false, figure.Percent(share) + " failed"
	}
	return true, ""
}

type search struct {
	CapacityOptions
	c         Capacity
	index     int           // arrivals so far
	inFlight  int           // most in the last step
	held      int           // most in the step that Value is of
	cpu, wall time.Duration // of the open-loop steps
}

// processCPU is cpuTime, or 0 where it is not known.
func processCPU() time.Duration {
	d, _ := cpuTime()
	return d
}

func (s *search) run(ctx context.Context) error {
	// The ladder: doubling until it gains less than a tenth.
	held := false
	for n := 1; n <= s.MaxConcurrency; n *= 2 {
		step, took, err := s.closed(ctx, n)
		if err != nil {
			return err
		}
		good := 0.0
		for _, r := range step {
			if r.Outcome == results.OK {
				good++
			}
		}
		rate := good / took.Seconds()
		ok, why := s.Meets(step)
		if n == 1 {
			held = ok
			s.c.Why = why
		}
		gained := rate > 1.1*s.c.Peak
		if rate > s.c.Peak {
			s.c.Peak, s.c.Concurrency = rate, n
		}
		if !gained {
			break
		}
	}
	if s.c.Peak == 0 {
		return errors.New("capacity: no request was answered; test one by hand first")
	}
	if !held {
		// One at a time is the lowest load.
		s.c.Hi = s.c.Peak
		return nil
	}
	// The bisection. What the ladder reached is above what an open loop can keep
	// up: its queue never empties. The first step tries a tenth above it.
	top := 1.1 * s.c.Peak
	if m := s.Load.MaxRate; m > 0 {
		top = min(top, m)
	}
	lo, hi, why := 0.0, math.Inf(1), ""
	for try := top; ; {
		ok, reason, err := s.open(ctx, try)
		if err != nil {
			return err
		}
		if ok {
			lo, s.held = try, s.inFlight
		} else {
			hi, why = try, reason
		}
		s.c.Value, s.c.Lo, s.c.Hi, s.c.Why = lo, lo, hi, why
		switch {
		case math.IsInf(hi, 1) && (s.Load.MaxRate > 0 && lo >= s.Load.MaxRate || lo > 100*s.c.Peak):
			return nil
		case math.IsInf(hi, 1):
			try = lo * 1.25
			if s.Load.MaxRate > 0 {
				try = min(try, s.Load.MaxRate)
			}
			continue
		case hi-lo <= s.Precision*hi, hi < s.c.Peak/1000:
			return nil
		}
		try = (lo + hi) / 2
	}
}

// at is the profile at a steady rate for a step's time.
func (s *search) at(rate float64, d time.Duration) (*profiles.Profile, error) {
	p := *s.Load.Profile
	p.Stages = []profiles.Stage{{Rate: new(profiles.Rate(rate)), Duration: d}}
	done, problems := p.Complete(p.Files)
	if problems != nil {
		return nil, fmt.Errorf("capacity: %w", problems)
	}
	return done, nil
}

// step sends a profile's arrivals from now on as one stage, and returns the
// requests that count and for how long they were sent.
func (s *search) step(
	ctx context.Context,
	name string,
	p *profiles.Profile,
	change func(*Options),
) ([]results.Request, time.Duration, error) {
	o := s.Load
	from := o.Clock.At(time.Now())
	stage := int16(len(s.c.Stages))
	o.Profile, o.Shard, o.Shards = p, 0, 1
	o.Arrivals = func(yield func(profiles.Arrival) bool) {
		for a := range p.Arrivals(o.Seed + int64(stage)) {
			a.Index, a.At, a.Stage = a.Index+s.index, a.At+from, stage
			if !yield(a) {
				return
			}
		}
	}
	var mu sync.Mutex
	var list []results.Request
	next := s.index
	o.Emit = func(r results.Record) {
		if q, ok := r.(results.Request); ok {
			mu.Lock()
			next = max(next, q.Arrival+1)
			if q.Scheduled >= from+s.Step/5 {
				list = append(list, q)
			}
			mu.Unlock()
		}
		s.Load.Emit(r)
	}
	change(&o)
	cpu, began := processCPU(), time.Now()
	rep, err := Run(ctx, o)
	if o.Closed == 0 { // the ladder means to use all there is: it is no sign of trouble
		s.cpu, s.wall = s.cpu+processCPU()-cpu, s.wall+time.Since(began)
	}
	to := o.Clock.At(time.Now())
	s.c.Stages = append(
		s.c.Stages,
		results.StageInfo{Name: name, Shape: "rate", FromS: from.Seconds(), ToS: to.Seconds(), Arrivals: next - s.index},
	)
	s.index = next
	s.add(rep)
	s.inFlight = rep.Client.MaxInFlight
	if rep.Aborted != "" {
		err = fmt.Errorf("capacity: %s", rep.Aborted)
	}
	return list, min(to, from+s.Step) - from - s.Step/5, err
}

// add joins the report of a step to that of the search.
func (s *search) add(rep Report) {
	all := &s.c.Report
	opened, peak := all.Client.Connections+rep.Client.Connections, max(all.Client.MaxInFlight, rep.Client.MaxInFlight)
	cpu := 0.0
	if s.wall > 0 {
		cpu = float64(s.cpu) / float64(s.wall) / float64(runtime.GOMAXPROCS(0))
	}
	all.Client = rep.Client
	all.Client.Connections, all.Client.MaxInFlight, all.Client.CPURatio = opened, peak, cpu
	all.Requests += rep.Requests
	all.Backends, all.Errors, all.Aborted = rep.Backends, rep.Errors, rep.Aborted
}

// closed is a step of the ladder.
func (s *search) closed(ctx context.Context, n int) ([]results.Request, time.Duration, error) {
	// The arrivals say what to send; when is up to the answers.
	p, err := s.at(10_000, time.Hour)
	if err != nil {
		return nil, 0, err
	}
	return s.step(ctx, fmt.Sprintf("closed-%d", n), p, func(o *Options) {
		o.Closed, o.closedFor = n, s.Step
	})
}

// open is a step of the bisection.
func (s *search) open(ctx context.Context, rate float64) (ok bool, why string, err error) {
	p, err := s.at(rate, s.Step)
	if err != nil {
		return false, "", err
	}
	sending, stop := context.WithCancel(ctx)
	defer stop()
	var saturated atomic.Bool
	room := 4*s.c.Concurrency + 16
	list, _, err := s.step(ctx, fmt.Sprintf("open-%.4g", rate), p, func(o *Options) {
		o.MaxInFlight, o.sending = room, sending
		emit := o.Emit
		o.Emit = func(r results.Record) {
			emit(r)
			if q, is := r.(results.Request); is && q.Outcome == results.Shed {
				saturated.Store(true)
				stop()
			}
		}
	})
	if err != nil {
		return false, "", err
	}
	if saturated.Load() {
		return false, fmt.Sprintf("saturated: more than %d in flight", room), nil
	}
	if len(list) == 0 {
		return false, "", fmt.Errorf("capacity: no arrival at %.3g/s within %v; try a longer step", rate, s.Step)
	}
	ok, why = s.Meets(list)
	return ok, why, nil
}
