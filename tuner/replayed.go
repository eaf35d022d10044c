package tuner

import (
	"context"
	"math"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// Replayed is one configuration replayed over a run.
type Replayed struct {
	Pick       Pick
	Timeline   results.Timeline    // of the recorded arrivals, request by request
	Judged     []results.Judgement // over the replicates, one for each objective asked for
	SelfReplay SelfReplay
	Assumed    []string
	Warnings   []string
}

// Replay fits a world to the run under o.Current, the configuration that ran, and replays
// it under cfg. An error means that the run cannot be replayed; SelfReplay says whether the
// result can be trusted.
func Replay(ctx context.Context, run *results.Run, cfg hpa.Config, o Options) (Replayed, error) {
	if o.Replicates == 0 {
		o.Replicates = 20
	}
	asked := o.Objectives
	var not []NotCovered
	o.Objectives, not = cover(run, o)
	g := newGoals(o.Objectives)
	o.Fit.Limits, o.Fit.Seed, o.Fit.Reads = g.limits(), uint64(o.Seed), o.reads(cfg.Metrics)
	fit, err := Fit(run, o.ran(), o.Fit)
	if err != nil {
		return Replayed{}, err
	}
	if no := unseenMetrics(&fit, &cfg, o.Loop); no != nil {
		return Replayed{}, no
	}
	o = o.asScaled()
	cfg = minimum(o.Loop, cfg)
	b, err := newBench(run, fit, g, o)
	if err != nil {
		return Replayed{}, err
	}
	r := Replayed{SelfReplay: fit.SelfReplay, Assumed: fit.Assumed, Warnings: fit.Warnings}
	judged := make([][]results.Judgement, o.Replicates)
	t := &trial{config: cfg, days: make([]outcome, o.Replicates)}
	if err := parallel(ctx, o.Replicates, nil, func(i int, s *replay.Scratch) {
		d := days.Get().(*day)
		defer days.Put(d)
		defer func() { d.timeline.Ticks = nil }() // they are the worker's
		d.latency.Whole = false
		a := b.timeline(b.day(i), cfg, s, &d.timeline, &d.latency)
		t.days[i] = b.outcome(&d.timeline, &a)
		judged[i] = d.timeline.Judge(o.Objectives, b.goals.extra(&a)...)
	}); err != nil {
		return r, err
	}
	own, err := b.itself(ctx, run, o.ran(), o.Replicates)
	if err != nil {
		return r, err
	}
	r.SelfReplay = within(r.SelfReplay, run, b, own)
	b.world.Doubt.Off = offOf(b.measured(run, o.Objectives), own)
	r.Pick = *b.pick(t)
	var s replay.Scratch
	b.timeline(fit.World.Under(b.world.Loop), cfg, &s, &r.Timeline, new(plant.Latency))
	note, no := undefined(s.Undefined)
	if no != nil {
		return r, no
	}
	r.Warnings = append(r.Warnings, note...)
	r.Judged = asAsked(asked, results.JudgeReplicates(o.Objectives, judged), not)
	for i := range r.Judged {
		if r.Judged[i].Unit == results.Money {
			r.Judged[i].Currency = o.Price.Currency
		}
	}
	if len(o.Objectives) == 0 && len(asked) > 0 {
		r.Pick.Predicted.PSLOMet, r.Pick.Predicted.PSLOMetInterval = math.NaN(), nil
	}
	return r, nil
}

// asAsked merges the judgements of covered objectives and the reasons of the others, in the
// order in which the objectives were given.
func asAsked(asked []results.Objective, covered []results.Judgement, not []NotCovered) []results.Judgement {
	out := make([]results.Judgement, 0, len(asked))
	for _, o := range asked {
		if len(not) > 0 && not[0].Objective == o.Text {
			j := o.Judge(results.Exactly(o.Name(), math.NaN(), 0, o.Unit))
			j.Note, not = not[0].Why, not[1:]
			out = append(out, j)
			continue
		}
		out, covered = append(out, covered[0]), covered[1:]
	}
	return out
}
