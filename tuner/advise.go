package tuner

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// advise fills in what the ranking found: the pick and its prediction, its alternatives,
// the effect of each change, and the load margin.
func (b *bench) advise(ctx context.Context, r *Recommendation, k ranking, o Options) (*Refusal, error) {
	r.Candidates = Candidates{Fluid: len(k.fluids), Exact: len(k.trials)}
	current := k.trials[0]
	r.Current = b.pick(current)
	r.Verdict = Change
	if ran := !o.First && o.Recorded == nil; ran && k.keeps(r.Measured, b.goals.want(), b.space) {
		r.Verdict, k.best = Keep, current
		k.equals = only(k.equals, func(t *trial) bool { return math.Abs(t.cost()/current.cost()-1) <= unparted })
		if current.fate() != holds {
			r.Warnings = append(
				r.Warnings,
				fmt.Sprintf(
					"the recorded run met its objectives, but the model predicts this for only %s of such days; for 90 %% or "+
						"more, use: %s",
					figure.Percent(current.pMet()),
					Describe(k.cheapest.config),
				),
			)
		}
	}
	r.Front = b.front(k)
	if err := b.zero(ctx, r, k, o); err != nil {
		return nil, err
	}
	if k.best == nil {
		no := b.infeasible(r, k)
		return no, b.ask(ctx, r, k, k.safest, o)
	}
	r.Recommended = b.pick(k.best)
	if b.reach != nil {
		if far, text := b.reach(&k.best.config); far != fit.Seen {
			r.Warnings = append(
				r.Warnings,
				text+"; here the replay extrapolates; a run that saturates one replica would measure it",
			)
		}
	}
	if w := unguarded(o.Objectives, r.Recommended.Predicted.ErrorRatio); w != "" {
		r.Warnings = append(r.Warnings, w)
	}
	for _, t := range k.equals {
		if t != k.best {
			r.Equals = append(r.Equals, b.pick(t))
		}
	}
	r.Alternatives = Alternatives{Cheapest: b.pick(k.cheapest), Safest: b.pick(k.safest), MinimalChange: b.pick(k.minimal)}
	if k.best.config.Equal(&o.Current) && !o.First {
		r.Verdict = Keep
	}
	var err error
	if r.Changes, err = b.effects(ctx, o, current, k); err != nil {
		return nil, err
	}
	if r.LoadMargin, err = b.margin(ctx, o, k.best); err != nil {
		return nil, err
	}
	r.Worst = worst(b.world, b.under, k.best.config, b.need, b.warmup)
	r.Notes = append(r.Notes, b.bounds(o.Current, k.best.config)...)
	return nil, b.ask(ctx, r, k, k.best, o)
}

// fewFail is the error ratio up to which nothing is said of failing requests that no
// objective limits.
const fewFail = 0.01

// unguarded is a warning for a configuration that fails requests, by its predicted error ratio
// (0..1), while no objective limits failed or slow ones: costs, flaps and sizes are then met best
// by serving badly. "" = there is nothing to warn of.
func unguarded(objectives []results.Objective, errors *Interval) string {
	limits := func(o results.Objective) bool { return o.Latency() || o.Of().CountRequest != nil }
	if errors == nil || errors.Value <= fewFail || slices.ContainsFunc(objectives, limits) {
		return ""
	}
	return fmt.Sprintf("no objective limits failed or slow requests, and %s of the requests fail under this "+
		"configuration; add --objective %q", figure.Percent(errors.Value), "error_rate < 1%")
}

// When a run that met its objectives keeps its configuration, although the model is not
// sure that it would meet them again.
const (
	// likely is how often the objectives must hold according to the model: more often than
	// not, since the run shows that they can.
	likely = 0.5
	// comfort is the share of the allowed misses that the run may have had: a run that met
	// the objectives by luck usually came closer to the limit.
	comfort = 1.0 / 3
)

// keeps reports whether the current configuration stays although another was chosen: the
// run met its objectives under it, neither barely nor by luck according to the model, and
// nothing that holds costs less beyond the noise of one day.
func (k *ranking) keeps(m *Measured, want float64, s Space) bool {
	current := k.trials[0]
	if m == nil || m.Met == nil || !*m.Met || k.cheapest == nil || !s.allows(&current.config) ||
		!(current.pMet() >= likely) {
		return false
	}
	if m.Attainment != nil && 1-*m.Attainment > (1-want)*comfort {
		return false
	}
	saved := paired(k.cheapest, current, paid, 1)
	return saved != nil && (saved.Lo == nil || *saved.Lo <= 0)
}

// bounds adds notes on changes of maxReplicas that save nothing: it was set to the user's
// limit, raised because a peak needs it, or is far above the need.
func (b *bench) bounds(current, pick hpa.Config) []string {
	need := max(b.space.Need, b.space.Peak)
	switch {
	case b.space.First:
		return []string{
			fmt.Sprintf(
				"maxReplicas %d: the highest peak needs %d ready replicas, plus 25 %% as reserve",
				pick.MaxReplicas,
				need,
			),
		}
	case pick.MaxReplicas < current.MaxReplicas:
		return []string{
			fmt.Sprintf(
				"maxReplicas is lowered from %d to your limit of %d; this is an upper bound, not a saving",
				current.MaxReplicas,
				pick.MaxReplicas,
			),
		}
	case pick.MaxReplicas > current.MaxReplicas:
		return []string{
			fmt.Sprintf(
				"maxReplicas is raised from %d to %d: the highest peak needs %d ready replicas",
				current.MaxReplicas,
				pick.MaxReplicas,
				need,
			),
		}
	case need > 0 && float64(pick.MaxReplicas) >= 3*float64(need):
		text := fmt.Sprintf(
			"maxReplicas %d is far above what this load needs (%d replicas at its highest peak); it is kept as your safety "+
				"bound",
			pick.MaxReplicas,
			need,
		)
		if rate, ok := b.rate(); ok {
			text += fmt.Sprintf(
				". A month at maxReplicas would cost %s, at the size of the peak %s",
				figure.Money(float64(pick.MaxReplicas)*rate*HoursPerMonth, b.price.Currency),
				figure.Money(float64(need)*rate*HoursPerMonth, b.price.Currency),
			)
		}
		return []string{text}
	}
	return nil
}

// rate is what a replica costs per hour; ok is false if its requests, or a price for them,
// are unknown.
func (b *bench) rate() (float64, bool) {
	return b.price.PerReplicaHour(b.replica), b.price.Covers(b.replica)
}

// pick turns a trial into a Pick; nil for nil.
func (b *bench) pick(t *trial) *Pick {
	if t == nil {
		return nil
	}
	lo, hi := t.pMetEnds()
	series, off, far := t.of, b.world.Doubt.Off, 1.0
	if b.beyond != nil {
		far = b.beyond(&t.config)
	}
	p := &Pick{Config: t.config, Predicted: Predicted{
		Attainment:      widenedShare(carriedShare(over(series(attainment)), off.Misses), far),
		PSLOMet:         t.pMet(),
		PSLOMetInterval: &Interval{t.pMet(), &lo, &hi},
		Replicates:      len(t.days),
		ReplicaHours:    atLeast(widened(carried(over(series(hours)), off.Hours), far)),
		ReadyHours:      over(series(func(o *outcome) float64 { return o.ready })),
		E2EP95:          widened(carried(typical(series(func(o *outcome) float64 { return o.e2e })), off.E2E), far),
		ErrorRatio:      over(series(func(o *outcome) float64 { return o.errors })),
		Flaps: over(
			series(flaps),
		),
		TimeToCapacity: widened(carried(stepped(typical(series(toCapacity)), b.world.Demand.Step.Seconds()),
			off.Capacity), far),
		MaxReplicas: over(series(func(o *outcome) float64 { return o.peak })),
	}}
	if b.streams {
		p.Predicted.TTFTP95 = widened(carried(typical(series(func(o *outcome) float64 { return o.ttft })), off.TTFT), far)
	}
	if b.world.Nodes != nil {
		p.Predicted.NodeHours = over(series(func(o *outcome) float64 { return o.nodes }))
	}
	rate, ok := b.rate()
	if !ok {
		return p
	}
	span := b.world.Demand.Duration().Hours()
	p.Predicted.USDHour = over(series(func(o *outcome) float64 { return o.paid / span * rate }))
	p.Predicted.USDPerMRequest = over(series(func(o *outcome) float64 { return ratio(o.paid*rate, o.requests) * 1e6 }))
	p.Predicted.USDPerMToken = over(series(func(o *outcome) float64 { return ratio(o.paid*rate, o.tokens) * 1e6 }))
	floor, ceiling := b.monthly(float64(t.config.MinReplicas)), b.monthly(float64(t.config.MaxReplicas))
	p.Predicted.USDMonth = Monthly{Floor: &floor, Ceiling: &ceiling}
	if b.represents != "" {
		p.Predicted.USDMonth.Expected = over(
			series(func(o *outcome) float64 { return o.paid / span * rate * HoursPerMonth }),
		)
	}
	return p
}

// front is the cloud of ranked candidates for the chart.
func (b *bench) front(k ranking) []Point {
	rate := b.price.PerReplicaHour(b.replica) / b.world.Demand.Duration().Hours()
	var out []Point
	for i, t := range k.trials {
		if len(t.days) == 0 {
			continue
		}
		p := Point{
			Hours:      mean(t.of(hours)),
			USDHour:    t.cost() * rate,
			Attainment: mean(t.of(attainment)),
			Feasible:   t.fate() == holds,
			Text:       Describe(t.config),
		}
		switch {
		case t == k.best:
			p.Mark = MarkRecommended
		case i == 0:
			p.Mark = MarkCurrent
		}
		out = append(out, p)
	}
	return out
}

// effects computes the effect of each change: the pick against the pick with that setting
// reverted, over common days.
func (b *bench) effects(ctx context.Context, o Options, current *trial, k ranking) ([]Changed, error) {
	changes := changesBetween(current.config, k.best.config)
	out := make([]Changed, len(changes))
	rate, priced := b.rate()
	month := rate * HoursPerMonth / b.world.Demand.Duration().Hours()
	n := min(len(k.best.days), max(o.Replicates, 1))
	err := parallel(
		ctx,
		len(changes),
		func(done int) { o.Progress("effect", done, len(changes)) },
		func(i int, s *replay.Scratch) {
			c := changes[i]
			out[i] = Changed{Path: c.knob.Path, From: hpa.FormatValue(c.from), To: hpa.FormatValue(c.to)}
			if cfg, ok := revert(k.best.config, c); ok {
				t := k.known(cfg)
				if t == nil || len(t.days) < n {
					t = b.try(cfg, n, s)
				}
				e := &Reverted{
					Attainment: paired(t, k.best, attainment, 1), Flaps: paired(t, k.best, flaps, 1),
					TimeToCapacity: paired(t, k.best, toCapacity, 1), PSLOMet: k.best.pMet(),
				}
				if priced {
					e.USDMonth = paired(t, k.best, paid, month)
				}
				out[i].Effect, out[i].Reverted = e, e.negated(t.pMet())
				if c.knob.Path == hpa.MaxReplicasPath {
					e.USDMonth = nil // a bound is no saving
				}
			}
			out[i].Why = b.why(c, out[i].Effect)
		},
	)
	return out, err
}

// known returns the trial of a configuration; nil if there is none.
func (k *ranking) known(c hpa.Config) *trial {
	for _, t := range k.trials {
		if t.config.Equal(&c) {
			return t
		}
	}
	return nil
}

func sum(v []float64) float64 {
	s := 0.0
	for _, x := range v {
		s += x
	}
	return s
}
