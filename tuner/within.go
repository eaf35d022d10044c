package tuner

import (
	"context"
	"math"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// tallied adds up what a run recorded, over the length of the replay.
func (b *bench) tallied(run *results.Run, limits results.Limits) tally {
	recorded := run.TimelineWithin(b.world.Demand.Step, limits)
	a := tally{step: recorded.Step, warmup: b.warmup}
	for i := range recorded.Ticks {
		if i < len(b.world.Demand.Bins) {
			a.tick(&recorded.Ticks[i])
		}
	}
	return a
}

// within compares what the model predicts for the run's own arrivals under the
// configuration that ran, with the fitted law instead of the requests' own times, with the
// recording. The sizes may match although the law is wrong; then the HPA's part is
// understood and the service's is not.
func within(s SelfReplay, run *results.Run, b *bench, t *trial) SelfReplay {
	limits := results.LimitsOf(b.goals.list)
	if limits.Tightest() <= 0 || len(run.Syncs) == 0 {
		return s
	}
	a := b.tallied(run, limits)
	was, predicted := a.attainment(), over(t.of(attainment))
	if predicted == nil || math.IsNaN(was) {
		return s
	}
	e := predicted.Value - was
	s.Attainment, s.AttainmentError = &was, &e
	lo, hi := predicted.Value, predicted.Value
	if predicted.Lo != nil && predicted.Hi != nil {
		lo, hi = *predicted.Lo, *predicted.Hi
	}
	if s.Verdict == fit.SelfPass && (was < lo-fit.AttainmentLimit || was > hi+fit.AttainmentLimit) {
		s.Verdict = fit.SelfFail
	}
	return s
}

// itself replays the run n times under the configuration that ran: with its own arrivals
// and other luck. If no autoscaler was observed, there is nothing to replay.
func (b *bench) itself(ctx context.Context, run *results.Run, ran hpa.Config, n int) (*trial, error) {
	if len(run.Syncs) == 0 {
		return &trial{config: ran}, nil
	}
	b, ran = b.asRan(run, ran)
	own, t := b.own(), &trial{config: ran, days: make([]outcome, n)}
	err := parallel(ctx, n, nil, func(i int, s *replay.Scratch) { t.days[i] = own.live(own.day(i), ran, s) })
	return t, err
}

// own is a bench whose days have the run's own arrivals and other luck, and start as the
// run did.
func (b *bench) own() *bench {
	own, w := *b, *b.world
	w.Demand.Times = nil
	own.asRecorded = true
	own.day = func(i int) *replay.World { return w.Luck(replicate(b.seed, i)) }
	return &own
}

// Measured is what the run itself recorded, in the figures of Predicted; null = not
// measured. It involves no model.
type Measured struct {
	Attainment     *float64 `json:"attainment"`
	Met            *bool    `json:"met"` // whether every objective was met; null if one is inconclusive or not judged
	ReplicaHours   *float64 `json:"replica_hours"`
	ReadyHours     *float64 `json:"ready_hours"`
	TTFTP95        *float64 `json:"ttft_p95_s"`
	E2EP95         *float64 `json:"e2e_p95_s"`
	ErrorRatio     *float64 `json:"error_ratio"`
	Flaps          *float64 `json:"flaps"`
	TimeToCapacity *float64 `json:"time_to_capacity_s"`
	USDHour        *float64 `json:"usd_hour"`
	MaxReplicas    *float64 `json:"peak_replicas"`
}

// measured reads them off the run.
func (b *bench) measured(run *results.Run, objectives []results.Objective) *Measured {
	a, sum := b.tallied(run, results.LimitsOf(objectives)), results.Summarize(run, objectives)
	m := &Measured{
		Attainment: known(a.attainment()),
		ErrorRatio: known(a.errorRatio()),
		E2EP95:     known(quantile95(sum.LatencyS.E2E)),
	}
	if run.Meta.Target.Streams {
		m.TTFTP95 = known(quantile95(sum.LatencyS.TTFT))
	}
	judged := len(sum.Objectives) > 0
	met := true
	for _, j := range sum.Objectives {
		switch j.Verdict {
		case results.Fail:
			met = false
		case results.Pass:
		default:
			judged = false
		}
	}
	if judged || !met {
		m.Met = &met
	}
	if len(run.Pods) == 0 {
		return m
	}
	m.ReplicaHours, m.ReadyHours = known(a.hours()), known(a.readyHours())
	m.Flaps, m.TimeToCapacity, m.MaxReplicas = known(float64(a.flaps)), sum.Replicas.TimeToCapacityS, known(a.podMax)
	if b.goals.cost > 0 {
		m.USDHour = known(a.hours() / a.spanHours() * b.goals.cost)
	}
	return m
}

// known is nil for what is not a number.
func known(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// numberOf is the reverse of known: NaN for nil.
func numberOf(x *float64) float64 {
	if x == nil {
		return math.NaN()
	}
	return *x
}
