package tuner

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// bench is where configurations are tried: a fitted world and other days of its kind, the
// objectives, and the cost of a replica. It is immutable while in use.
type bench struct {
	world  *replay.World
	seed   int64 // of the days
	goals  goals
	need   []float64 // ready replicas that the load takes, a tick
	warmup func(tick int) bool

	space      Space
	perReplica float64 // requests per second that a replica can serve within the limits
	price      Price
	replica    Replica
	represents string // day, week or ""
	streams    bool   // answers have a first token
	// day returns the i-th replicate: the same for every candidate.
	day func(i int) *replay.World
	// reach says how far a configuration's targets are beyond the sampled range, and for
	// which metric.
	reach func(*hpa.Config) (fit.Extrapolation, string)
	// beyond is the ratio of the target to the sampled range; 1 = within.
	beyond func(*hpa.Config) float64
	// asRecorded starts every replay at the recorded size and with the controller's
	// recorded memory: for a replay of what ran, not of a candidate.
	asRecorded bool
	stands     *sync.Map    // standing's answers
	seen       []fit.Signal // that were recorded, and that the HPA does not scale on
	zeroRule   *Zero        // whether zero is looked at
	ran        *keda.Loop   // beside the HPA that was recorded; nil = none
}

// newBench prepares what every candidate is tried on.
func newBench(run *results.Run, f Fitted, g goals, o Options) (*bench, error) {
	if o.Price.Covers(f.Replica) {
		g.cost = o.Price.PerReplicaHour(f.Replica)
	}
	b := &bench{
		world: f.World, seed: o.Seed, goals: g, price: o.Price, replica: f.Replica, space: o.Space,
		represents: run.Meta.Represents, streams: run.Meta.Target.Streams,
		warmup: warmups(run.Meta.Stages, f.World.Demand.Step), stands: new(sync.Map), seen: f.Signals,
	}
	w := *f.World // its doubts are the bench's own
	w.Doubt = doubtOf(&f)
	w = *w.Under(byMinimum(o.Loop))
	b.ran = byMinimum(f.World.Loop)
	b.world, b.space.First = &w, o.First
	b.day = func(i int) *replay.World { return b.world.Draw(replicate(b.seed, i)) }
	// Only the target that the search changes: one that it leaves alone, for example of
	// memory, is as it was when the run was recorded.
	primary := func(c *hpa.Config) *hpa.Config {
		one := *c
		if i := Primary(c); i >= 0 {
			one.Metrics = c.Metrics[i : i+1]
		}
		return &one
	}
	b.reach = func(c *hpa.Config) (fit.Extrapolation, string) {
		return f.Reaching(primary(c), f.World.Params.Tolerance)
	}
	b.beyond = func(c *hpa.Config) float64 { return f.Beyond(primary(c), f.World.Params.Tolerance) }
	if b.zeroRule = zeroOf(run, b, &o.Current); b.zeroRule != nil && b.zeroRule.Verdict != ZeroRefused {
		b.space.Zero = o.Space.MinFloor == 0
	}
	var total time.Duration
	for _, p := range f.World.Start {
		total += p.Total()
	}
	b.space.Start = total / time.Duration(len(f.World.Start)) // a world has one at least
	level, err := newFlat(f.World, max(f.World.Replicas, 2))
	if err != nil {
		return nil, fmt.Errorf("capacity of a replica: %w", err)
	}
	b.goals.idle = level.within(least)
	b.perReplica = level.capacity(b.goals.want())
	if b.perReplica > 0 {
		b.need = needs(f.World.Demand.Bins, f.World.Demand.Step, b.perReplica)
		b.space.Need = int32(peak(b.need))
	}
	return b, nil
}

// hopeless refuses if no number of replicas can meet the objectives.
func (b *bench) hopeless() *Refusal {
	if b.perReplica > 0 {
		return nil
	}
	return &Refusal{"service", fmt.Sprintf("even one idle replica does not meet %s", goals{list: b.impossible()}),
		"looser objectives or a faster service; no number of replicas can meet these"}
}

// impossible lists the objectives that an idle replica misses: those about requests that it
// misses alone, or if there are none, all of them, which it misses together.
func (b *bench) impossible() []results.Objective {
	var alone, together []results.Objective
	for _, o := range b.goals.list {
		if !ofRequests(o.Of()) && o.Of() != results.Goodput {
			continue
		}
		together = append(together, o)
		one := newGoals([]results.Objective{o})
		w := *b.world
		if ofRequests(o.Of()) {
			w.Limits = one.limits()
		}
		if share, err := idleShare(&w); err == nil && share < one.want() {
			alone = append(alone, o)
		}
	}
	if len(alone) > 0 {
		return alone
	}
	return together
}

// replicate is the seed of the i-th replicate. It is never 0, which is the world as it was
// recorded.
func replicate(seed int64, i int) uint64 { return uint64(seed)<<16 + uint64(i) + 1 }

// warmups tells which ticks belong to a warm-up stage.
func warmups(stages []results.StageInfo, step time.Duration) func(int) bool {
	return func(tick int) bool {
		at := (time.Duration(tick)*step + step/2).Seconds()
		for _, s := range stages {
			if s.Warmup && at >= s.FromS && at < s.ToS {
				return true
			}
		}
		return false
	}
}

// fluid is a candidate's pass over the fluid plant.
type fluid struct {
	config     hpa.Config
	attainment float64
	hours      float64
	paid       float64 // hours, or what the nodes cost, in replica-hours
	errors     float64
	capacity   float64 // time to capacity, seconds
	windows    float64 // share of windows within, if an objective has windows; else 1
	margin     float64 // of the goals
}

// pass runs one configuration over the fluid plant, from its settled size.
func (b *bench) pass(w *replay.World, cfg hpa.Config, s *replay.Scratch) fluid {
	a := tally{step: w.Demand.Step, warmup: b.warmup, by: b.goals.windowTicks(w.Demand.Step)}
	replay.Simulate(b.under(w, cfg, s), cfg, s, a.tick)
	f := fluid{
		config:     cfg,
		attainment: a.attainment(),
		hours:      a.hours(),
		paid:       b.goals.paid(&a),
		errors:     a.errorRatio(),
		capacity:   a.timeToCapacity(),
		windows:    b.goals.windowShare(&a),
	}
	f.margin = b.goals.margin(f)
	return f
}

// outcome is what one configuration did on one day.
type outcome struct {
	attainment, hours, ready, errors, flaps, capacity, peak float64
	ttft, e2e                                               float64 // p95, seconds; NaN without answers
	requests, tokens                                        float64
	paid, nodes                                             float64 // what is paid for in replica-hours; node-hours
	// of zero: hours at a size of 0, times woken, requests that failed without a ready
	// pod, and the first one's wait for one, seconds (NaN: nobody came)
	asleep, wakes, lost, firstWait float64
	met                            bool // every objective held
}

// timeline runs one configuration over one day with the exact plant. It fills tl and l. The
// ticks of tl are valid until the next replay with s.
func (b *bench) timeline(
	w *replay.World,
	cfg hpa.Config,
	s *replay.Scratch,
	tl *results.Timeline,
	l *plant.Latency,
) tally {
	l.Reset()
	under := b.under(w, cfg, s)
	s.Latency, s.Warmup = l, b.warmup
	defer func() { s.Latency, s.Warmup = nil, nil }()
	tl.Step = w.Demand.Step
	a := tally{step: tl.Step, warmup: b.warmup}
	replay.SimulateExact(under, cfg, 0, s, a.tick)
	tl.Ticks = s.Ticks()
	l.Into(tl)
	return a
}

// day is the reused memory of one day's replay. A day's histograms are large, and a search
// replays thousands of days.
type day struct {
	timeline results.Timeline
	latency  plant.Latency
}

var days = sync.Pool{New: func() any { return new(day) }}

// live runs one configuration through one day.
func (b *bench) live(w *replay.World, cfg hpa.Config, s *replay.Scratch) outcome {
	d := days.Get().(*day)
	defer days.Put(d)
	d.latency.Whole = !b.goals.ofTokens()
	a := b.timeline(w, cfg, s, &d.timeline, &d.latency)
	defer func() { d.timeline.Ticks = nil }() // they are the worker's
	return b.outcome(&d.timeline, &a)
}

// outcome computes a day's figures from its timeline and tally.
func (b *bench) outcome(tl *results.Timeline, a *tally) outcome {
	return outcome{
		attainment: a.attainment(),
		hours:      a.hours(),
		paid:       b.goals.paid(a),
		nodes:      a.nodeSeconds / 3600,
		ready:      a.readyHours(),
		errors:     a.errorRatio(),
		flaps:      float64(a.flaps),
		capacity:   a.timeToCapacity(),
		peak:       a.podMax,
		ttft:       p95(tl.TTFT),
		e2e:        p95(tl.E2E),
		requests:   a.done,
		asleep:     float64(a.asleep) * a.step.Hours(),
		wakes:      float64(a.wakes),
		lost:       a.lost,
		firstWait:  a.meanFirstWait(),
		tokens:     a.tokens,
		met:        b.goals.met(tl, a),
	}
}

// try runs one configuration over the first n days.
func (b *bench) try(cfg hpa.Config, n int, s *replay.Scratch) *trial {
	t := &trial{config: cfg}
	for i := range n {
		t.days = append(t.days, b.live(b.day(i), cfg, s))
	}
	return t
}

func p95(h results.Hist) float64 {
	d, ok := h.Quantile(0.95)
	if !ok {
		return math.NaN()
	}
	return d.Seconds()
}
