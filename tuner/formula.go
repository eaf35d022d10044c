package tuner

import (
	"fmt"
	"slices"
	"time"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// mostUndefined is the largest share of reconciles at which a formula may have no value: what
// KEDA reports then depends on the machine, so it cannot be replayed.
const mostUndefined = 0.05

// undefined says at how many reconciles of a replay a formula had no value, or refuses if
// there were too many.
func undefined(u replay.Undefined) (notes []string, no *Refusal) {
	without := u.Divided + u.Failed
	if without == 0 {
		return nil, nil
	}
	what := "divides by zero"
	if u.Divided == 0 {
		what = "has no value"
	}
	text := fmt.Sprintf("the formula of scalingModifiers %s at %d of %d replayed reconciles, first at %s", what, without,
		u.Reconciles, figure.Duration(u.First.Round(time.Second)))
	if float64(without) > mostUndefined*float64(u.Reconciles) {
		return nil, &Refusal{"formula", text + ": what KEDA then reports is not a number, so the sizes cannot be predicted",
			"a formula with a condition: divisor > 0 ? … : 0"}
	}
	return []string{
		text + ": the replay keeps the size there, but what KEDA then reports is not a number, and the HPA may " +
			"fall to its minimum; give the formula a condition (divisor > 0 ? … : 0)",
	}, nil
}

// undefined replays the run once under a configuration and says whether its formula had a
// value.
func (b *bench) undefined(c hpa.Config) ([]string, *Refusal) {
	if l := b.world.Loop; l == nil || l.Formula == nil || !l.Formula.Computed {
		return nil, nil
	}
	var s replay.Scratch
	var d day
	b.timeline(b.world, c, &s, &d.timeline, new(plant.Latency))
	return undefined(s.Undefined)
}

// reads are the metrics that are fitted for configurations that did not run: not those that
// KEDA computes, nor those of a clock.
func (o *Options) reads(metrics []hpa.Metric) []hpa.Metric {
	return slices.DeleteFunc(slices.Clone(metrics), func(m hpa.Metric) bool {
		return o.Loop != nil && m.Source == hpa.External && o.Loop.Computed(m.Name)
	})
}
