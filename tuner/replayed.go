package tuner

import (
	"context"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// Replayed is one configuration replayed over a run.
type Replayed struct {
	Pick       Pick
	Timeline   results.Timeline // of the recorded arrivals, request by request
	Judged     []results.Judgement
	SelfReplay SelfReplay
	Assumed    []string
	Warnings   []string
}

// Replay fits a world to the run under o.Current, the configuration that ran,
// and replays it under cfg. An error says that the run cannot carry a replay;
// whether it should be believed is SelfReplay's to say.
func Replay(ctx context.Context, run *results.Run, cfg hpa.Config, o Options) (Replayed, error) {
	if o.Replicates == 0 {
		o.Replicates = 20
	}
	g := newGoals(o.Objectives)
	o.Fit.Limits, o.Fit.Seed = g.limits(), uint64(o.Seed)
	fit, err := Fit(run, o.Current, o.Fit)
	if err != nil {
		return Replayed{}, err
	}
	b, err := newBench(run, fit, g, o)
	if err != nil {
		return Replayed{}, err
	}
	r := Replayed{SelfReplay: fit.SelfReplay, Assumed: fit.Assumed, Warnings: fit.Warnings}
	for _, name := range fit.World.Blind(&cfg) {
		r.Warnings = append(r.Warnings, "metric "+name+" was not recorded: the replay treats it as failing at every sync")
	}
	var one tally
	if err := parallel(ctx, 1, nil, func(_ int, s *replay.Scratch) {
		t := b.try(cfg, s)
		r.Pick = *b.pick(&t)
		r.SelfReplay = within(r.SelfReplay, run, b, o.Current, o.Seed)
		r.Timeline, one = b.timeline(draw{fit.World, 0}, cfg, s)
	}); err != nil {
		return r, err
	}
	// Judged on the recorded arrivals; the interval of each figure is over the
	// replicates.
	r.Judged = r.Timeline.Judge(b.goals.list, b.goals.extra(&one)...)
	return r, nil
}
