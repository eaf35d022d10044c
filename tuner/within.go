package tuner

import (
	"math"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// within holds what the model predicts for the run's own arrivals under the
// configuration that ran, by the fitted law and no request's own time, against
// what was recorded. Sizes may be met while the law is wrong: then the HPA's part
// is understood and the service's is not.
func within(s SelfReplay, run *results.Run, b *bench, cfg hpa.Config, seed int64) SelfReplay {
	limits := results.LimitsOf(b.goals.list)
	if limits.Tightest() <= 0 || len(run.Syncs) == 0 {
		return s
	}
	recorded := run.TimelineWithin(b.world.Demand.Step, limits)
	a := tally{step: recorded.Step, warmup: b.warmup}
	for i := range recorded.Ticks {
		if i < len(b.world.Demand.Bins) {
			a.tick(&recorded.Ticks[i])
		}
	}
	own := *b
	own.draws = nil
	w := *b.world
	w.Demand.Times = nil
	for i := range b.draws {
		own.draws = append(own.draws, draw{w.Luck(replicate(seed, i)), 0})
	}
	var scratch replay.Scratch
	t := own.try(cfg, &scratch)
	was, predicted := a.attainment(), over(t.attainment)
	if predicted == nil || math.IsNaN(was) {
		return s
	}
	e := predicted.Value - was
	s.Attainment, s.AttainmentError = &was, &e
	lo, hi := predicted.Value, predicted.Value
	if predicted.Lo != nil && predicted.Hi != nil {
		lo, hi = *predicted.Lo, *predicted.Hi
	}
	if s.Verdict == "pass" && (was < lo-fit.AttainmentLimit || was > hi+fit.AttainmentLimit) {
		s.Verdict = "fail"
	}
	return s
}
