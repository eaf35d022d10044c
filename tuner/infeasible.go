package tuner

import (
	"fmt"
	"math"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
)

// infeasible says that nothing meets the objectives, what the limiting factor is, and the
// smallest relaxation that would help.
func (b *bench) infeasible(r *Recommendation, k ranking) *Refusal {
	if k.safest == nil {
		return &Refusal{
			"limits",
			fmt.Sprintf(
				"no configuration is within your limits (minReplicas at least %d, maxReplicas at most %d)",
				b.space.floor(),
				b.space.MaxLimit,
			),
			"a higher --max-limit or a lower --min-floor",
		}
	}
	best := k.safest
	r.Alternatives.Safest = b.pick(best)
	r.Worst = worst(b.world, b.under, best.config, b.need, b.warmup)
	text := fmt.Sprintf(
		"no candidate meets %s with a probability of 90 %%; the best (%s) did so on %d of %d replayed days",
		b.goals,
		Describe(best.config),
		best.held(),
		len(best.days),
	)
	settled := "looser objectives"
	within := mean(best.of(attainment))
	if b.goals.ofRequests() {
		text += fmt.Sprintf(", with %s of requests within the limits", figure.Percent(within))
		if share := math.Floor(1000*within) / 1000; share > 0 && within < b.goals.want() {
			settled = fmt.Sprintf("an objective that only %s of requests must meet", figure.Percent(share))
		}
	}
	for _, o := range b.goals.list {
		if v := b.figureOf(o.Of(), best); !math.IsNaN(v) && !o.Met(v) {
			unit := string(o.Unit)
			if o.Unit == results.Money {
				unit = b.price.Currency
			}
			text += fmt.Sprintf("; its %s was %s", o.Name(), figure.Of(v, unit))
		}
	}
	if settledBy := b.floorCost(); settledBy != "" {
		settled = settledBy
	}
	if need := max(b.space.Need, b.space.Peak); b.space.MaxLimit > 0 && need >= b.space.MaxLimit {
		text += fmt.Sprintf("; the peak needs %d ready replicas, and your limit is %d", need, b.space.MaxLimit)
		settled += fmt.Sprintf(", or a --max-limit above %d", need)
	}
	if len(r.Worst) > 0 {
		text += fmt.Sprintf("; the limiting factor is %s (%s)", r.Worst[0].BoundBy, r.Worst[0].Text)
		if by := r.Worst[0].BoundBy; by == BoundStartup || by == BoundLag {
			settled += fmt.Sprintf(", a start-up shorter than %s, or more spare replicas", figure.Time(b.space.Start.Seconds()))
		}
	}
	return &Refusal{"infeasible", text, settled}
}

// figureOf is the mean of a figure of the whole replay over a trial's days, in the metric's unit;
// NaN for a metric of requests.
func (b *bench) figureOf(m *results.Metric, t *trial) float64 {
	perHour := b.goals.cost / b.world.Demand.Duration().Hours()
	switch m {
	case results.ReplicaHours:
		return mean(t.of(hours))
	case results.ReadyHours:
		return mean(t.of(func(o *outcome) float64 { return o.ready }))
	case results.USDHour:
		return mean(t.of(paid)) * perHour
	case results.USDMonth:
		return mean(t.of(paid)) * perHour * HoursPerMonth
	case results.Flaps:
		return mean(t.of(flaps))
	case results.TimeToCapacity:
		return mean(t.of(toCapacity))
	case results.ErrorRate:
		return mean(t.of(func(o *outcome) float64 { return o.errors }))
	}
	return math.NaN()
}

// floorCost says what would help if the smallest minReplicas, all the time, already costs more
// than an objective allows; else "".
func (b *bench) floorCost() string {
	floor := float64(b.space.floor()) * b.goals.cost
	for _, o := range b.goals.list {
		cost := math.NaN()
		switch o.Of() {
		case results.USDHour:
			cost = floor
		case results.USDMonth:
			cost = floor * HoursPerMonth
		}
		if b.goals.node == 0 && cost > 0 && !o.Met(cost) {
			return fmt.Sprintf("a limit for %s above %s, the cost of %s all the time, or a lower --min-floor",
				o.Name(), figure.Money(cost, b.price.Currency), figure.Many(int(b.space.floor()), "replica"))
		}
	}
	return ""
}
