// Package fit fits a model to a recorded run: the offered load, how a replica
// serves, how requests are balanced, how metrics follow the load, and how long pods
// take to start. It reports what it had to assume, how well each part fits, and
// whether a replay of the run reproduces it.
package fit

import (
	"errors"
	"slices"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/cost"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// Options is what a recording cannot say, or did not. If a value was stated here and not
// measured, every output calls it assumed.
type Options struct {
	Limits plant.Limits // the per-request limits that the objectives set
	Seed   uint64

	Startup     time.Duration // from a new pod's creation to readiness; 0 = not stated
	CPUMilli    int64         // a pod's CPU request; 0 = not stated
	MemoryBytes int64         // a pod's memory request; 0 = not stated
	Replicas    int32         // ready when the run began; 0 = not stated
	GPUs        float64       // a pod's GPUs, of any vendor; 0 = not stated
	// Extended is a pod's other extended resources in units, by name; nil = not stated.
	Extended map[string]float64

	// Loop is KEDA's own loop, if KEDA made the HPA that ran; nil = the HPA was alone.
	Loop *keda.Loop
	// Outside names the Object and External metrics that are measured before the pods. Those of
	// Loop need not be named.
	Outside []string

	// Reads is further metrics to fit if they were recorded: those of configurations that did
	// not run. nil = none.
	Reads []hpa.Metric

	// Parts are what queries are computed from (keda.Trigger.From) that the run did not record.
	Parts []keda.Part

	// Signals asks for Fitted.Signals: metrics that were recorded but that the HPA does not
	// scale on.
	Signals bool

	// Load is the run whose arrivals are the demand, if the evidence is joined from several
	// runs; nil = the run itself.
	Load *results.Run
}

// Fitted is a world fitted to a run, and how far to trust it.
type Fitted struct {
	World   *replay.World
	Replica cost.Replica // what a replica requests from a node
	// Assumed lists, in words, what was stated and not measured.
	Assumed  []string
	Warnings []string
	Doubts   []Doubt
	// Reaches is the range that the recording shows for each metric of a pod.
	Reaches []Reach
	// Signals are the metrics that were recorded but that the HPA does not scale on; nil = not
	// asked for, or none.
	Signals []Signal
	// Unread says, by name, why a recorded metric cannot be replayed.
	Unread map[string]string
	// Quality is how well each part of the fit matches the recording.
	Quality    []Quality
	SelfReplay SelfReplay
	Shadow     *Shadow // nil: no reconcile was recorded
	// Hidden means that several replicas answered and that the recording does not show which
	// one answered a request.
	Hidden bool
}

// Shadow is how often the core made the same decision as the recorded controller.
type Shadow struct {
	Agree   int `json:"agree"`
	Differ  int `json:"differ"`
	Unknown int `json:"unknown"`
	// The same, split: agreeing to do nothing is easier than agreeing on a size.
	Rescales Tally `json:"rescales"`
	Quiet    Tally `json:"quiet"`
	// Unseen is how many quiet reconciles left no trace and were added.
	Unseen int `json:"unseen"`
}

// Tally is a Shadow's counts for one kind of reconcile.
type Tally struct {
	Agree   int `json:"agree"`
	Differ  int `json:"differ"`
	Unknown int `json:"unknown"`
}

// Doubt is a reason not to trust a part of the fit, and what would settle it. While there is
// one, there is no recommendation.
type Doubt struct{ ID, Text, SettledBy string }

// Quality is one figure for how good a part of the fit is.
type Quality struct {
	Part  string  // service, slots, cpu, memory, startup, balancer, …
	Value float64 // in the unit that Text names
	N     int     // observations that it is based on
	Text  string
}

// Fit fits a world to a run under cfg, the configuration that ran (or the one to improve, if
// none ran). It reports what it had to assume, how good the fit is, whether the core decides
// as the recorded controller did (Shadow), and whether a replay of the run reproduces it
// (SelfReplay).
//
// Each part is a function of the log alone, unless a line below passes it the value of another
// part: a pipe needs to know when work was done, which the service's law tells.
//
// It returns an error if the run cannot support a model at all: no arrivals, no answered
// request, no cold start recorded or stated, no request size although the metrics need one.
func Fit(run *results.Run, cfg hpa.Config, o Options) (Fitted, error) {
	var out Fitted
	var say notes
	done := func(err error) (Fitted, error) {
		out.Assumed, out.Warnings, out.Doubts, out.Quality = say.assumed, say.warnings, say.doubts, say.qualities
		return out, err
	}
	run, n := withFlags(run, cfg)
	say.add(n)
	l := readLog(run)
	out.Hidden = !l.visible && len(l.traffic) > 0
	w := replay.World{Wall: run.Meta.Start, Limits: o.Limits, Seed: o.Seed, Params: replay.Params(run)}
	say.add(unseenOf(run, w.Params, cfg))

	hold, err := results.AtZero(run.Meta.AtZero)
	if err != nil {
		return done(err)
	}
	if q, bounded := run.Meta.Workload.Tightest(); bounded {
		w.Admitted = q.Room()
	}
	w.Hold, w.Loop, w.Outside = hold, o.Loop, o.Outside
	if o.Loop != nil {
		w.Loop, w.Outside = RanWith(run, o.Loop), o.Loop.Outside()
	}

	offered := run
	if o.Load != nil {
		offered = o.Load
	}
	var errs [4]error
	w.Demand, n, errs[0] = demandOf(offered, run.Meta.Stages, run.Gaps)
	say.add(n)
	var served service
	if errs[0] == nil {
		served, n, errs[1] = serviceOf(l, o.Seed)
		say.add(n)
	}
	if errs[0] == nil && errs[1] == nil {
		w.Service = served.law
		w.Demand.Times = served.ownTimes(w.Demand.Arrivals)
		w.Balancer, w.Connections, n = balancerOf(&served)
		say.add(n)
	}
	w.Containers, out.Replica, n, errs[2] = containersOf(run, cfg.Metrics, o)
	say.add(n)
	w.Start, n, errs[3] = startsOf(l, o.Startup)
	say.add(n)
	if err := errors.Join(errs[0], errs[1], errs[2]); err != nil {
		return done(errors.Join(err, errs[3]))
	}
	w.Recorded, n = recordedOf(run, o.Loop)
	say.add(n)
	read := toFit(slices.Concat(cfg.Metrics, o.Reads), o.Loop, w.Recorded)
	served.outside, served.asks = w.Outside, o.Loop.Asks()
	w.Pipes, out.Unread, n = pipesOf(&served, read, out.Replica)
	say.add(n)
	parts, unread, n := partsOf(&served, o.Parts, w.Pipes, out.Unread)
	w.Pipes, out.Unread = append(w.Pipes, parts...), unread
	say.add(n)
	say.add(served.counted(w.Pipes))
	w.Service = served.law
	quotaPipes(w.Pipes, served.law.Quota, served.costSeen)
	out.Reaches = reachesOf(&served, cfg.Metrics, w.Pipes)
	if o.Signals {
		out.Signals = signalsOf(&served, &cfg, out.Replica)
	}
	if d := blindOf(&served, &out, &cfg, w.Pipes, w.Params.Tolerance); d != nil {
		if errs[3] != nil { // as expected, no pod started
			return done(d)
		}
		say.doubts = append(say.doubts, *d)
	}
	if errs[3] != nil {
		return done(errs[3])
	}
	say.add(loadingPipes(&served, cfg.Metrics, w.Pipes, w.Start))
	w.Drain, n = drainOf(l)
	say.add(n)
	w.Replicas, n = replicasOf(l, o.Replicas, cfg.MinReplicas)
	say.add(n)
	w.Memory, n = memoryOf(l)
	say.add(n)
	w.Sync = syncsOf(run.Syncs, w.Params.SyncPeriod, w.Demand.Duration())
	if at, ok := pollOf(run, w.Loop); ok {
		w.Sync.Poll = at
		if len(w.Sync.Recorded) > 0 {
			w.Sync.PollAfter = pollAfter(at, w.Sync.Recorded[0], w.Params.SyncPeriod)
		}
	}

	world, err := replay.New(w)
	if err != nil {
		return done(err)
	}
	out.World = world
	if len(run.Syncs) > 0 {
		if out.Shadow, n, err = shadowOf(run, cfg); err != nil {
			return done(err)
		}
		say.add(n)
	}
	out.SelfReplay = SelfReplayOf(run, world, cfg)
	say.add(replayedNotes(&out.SelfReplay, len(run.Syncs)))
	if len(say.assumed) > 0 && len(run.Syncs) == 0 {
		out.SelfReplay.Verdict = SelfAssumed
	}
	return done(nil)
}

// RanWith returns KEDA's loop as it was when the run was recorded: in the sandbox there is
// none, and a minimum of zero counts as one. What it computes from its triggers stays.
func RanWith(run *results.Run, l *keda.Loop) *keda.Loop {
	switch {
	case run.Meta.Target.Kind != results.OfSandbox:
		return l
	case l.Computes():
		return l.Still()
	}
	return nil
}

// shadowOf counts how often the core decides as the recorded controller did, and notes the
// first reconcile in which it does not.
func shadowOf(run *results.Run, cfg hpa.Config) (*Shadow, notes, error) {
	var n notes
	s, err := replay.Shadowed(run, cfg)
	if err != nil {
		return nil, n, err
	}
	if len(s.Differences) > 0 {
		d := s.Differences[0]
		n.warn(
			"hpatune decides differently from the recorded controller in %d of %d reconciles, first at %v: recorded %d "+
				"replicas, "+
				"hpatune %d (%s)",
			s.Differ,
			len(run.Syncs),
			d.At.Round(time.Second),
			d.Recorded,
			d.Ours,
			d.Explanation,
		)
	}
	return &Shadow{s.Agree, s.Differ, s.Unknown, Tally(s.Rescales), Tally(s.Quiet), s.Unseen}, n, nil
}
