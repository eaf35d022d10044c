package tuner

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// WhatIfVerdict says whether the objectives can be met in a WhatIf, or with another signal.
type WhatIfVerdict string

// The verdicts of a WhatIf.
const (
	// Met says that a configuration was found that meets the objectives.
	Met WhatIfVerdict = "met"
	// Kept says that the recommended configuration itself still does, after a loss.
	Kept WhatIfVerdict = "kept"
	// Missed says that no configuration within the user's limits does.
	Missed WhatIfVerdict = "missed"
	// NotSearched says that nothing was looked for.
	NotSearched WhatIfVerdict = ""
)

// IDPrice is the id of every WhatIf that is about other prices.
const IDPrice = "price"

// WhatIf is one thing that could be different, and its effect: the configuration that would
// then be best, compared with the recommended one.
type WhatIf struct {
	ID      string        `json:"id"`   // startup_half, startup_quarter, one_more_at_once, load_1.25, price, …
	Text    string        `json:"text"` // start-up 33 s → 16 s
	Verdict WhatIfVerdict `json:"verdict"`
	// Config is what would run in that case, and Spec the same as an autoscaling/v2 spec,
	// which the caller writes; null if it is the recommended one, or if nothing meets the
	// objectives.
	Config *hpa.Config     `json:"-"`
	Spec   json.RawMessage `json:"spec"`
	// The differences are paired over days with the same luck, as those of Changed. Null =
	// unknown, or nothing meets the objectives.
	USDMonth     *Interval `json:"usd_month"` // of this load, repeated for a month
	ReplicaHours *Interval `json:"replica_hours"`
	Attainment   *Interval `json:"attainment"`
	// PSLOMet is the share of the Replicates on which every objective held; null if nothing
	// was replayed.
	PSLOMet    *float64 `json:"p_slo_met"`
	Replicates int      `json:"replicates"`
}

// The budget of a what-if. All of them together take about as many candidate-days as the
// search did.
const (
	whatIfDays  = 40 // of a candidate, at most; the recommended one gets as many
	whatIfLeast = 6  // and at least
	whatIfMins  = 8  // values of minReplicas
)

// otherwise is one thing to ask: the world that is different, and its bench.
type otherwise struct {
	id, text string
	world    func() (*replay.World, error) // nil = there is no such world
	b        *bench
	eases    bool // what meets the objectives does so with the change, and costs no more
	keep     bool // ask first whether the recommended configuration still does
}

// ask fills r with a recommendation's what-ifs, if they are requested and there is a
// configuration to compare with.
func (b *bench) ask(ctx context.Context, r *Recommendation, k ranking, base *trial, o Options) (err error) {
	if o.WhatIf && base != nil {
		r.WhatIf, err = b.whatIf(ctx, o, k, base)
	}
	if o.Fit.Signals && base != nil && err == nil && len(b.seen) > 0 {
		r.Signals, err = b.signals(ctx, o, k, base, b.seen)
	}
	return err
}

// whatIf computes what would change the bill or the attainment most, in that order. Cases
// in which nothing meets the objectives come first. base is the recommended configuration
// with its days.
func (b *bench) whatIf(ctx context.Context, o Options, k ranking, base *trial) ([]WhatIf, error) {
	ask, err := b.otherwises(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]WhatIf, len(ask))
	share := sumDays(k.trials) / max(1, len(ask))
	base, err = b.whole(ctx, base, share)
	if err != nil {
		return nil, err
	}
	asIs := played{trials: k.trials}
	passes := max(12, 2*len(k.fluids)/max(1, len(ask)))
	err = parallel(ctx, len(ask), func(done int) { o.Progress("what-if", done, len(ask)) },
		func(i int, s *replay.Scratch) { out[i] = b.asked(ask[i], base, &asIs, share, passes, s) })
	if err != nil {
		return nil, err
	}
	out = append(out, b.priced(o, base)...)
	slices.SortStableFunc(out, func(x, y WhatIf) int { return cmp.Compare(y.weight(), x.weight()) })
	return out, nil
}

// weight is how much a what-if matters: +Inf if nothing meets the objectives, else how
// far the hours or the bill move, then the attainment. A difference whose interval
// contains 0 weighs nothing.
func (w *WhatIf) weight() float64 {
	size := func(i *Interval) float64 {
		if !i.BeyondZero() {
			return 0
		}
		return math.Abs(i.Value)
	}
	switch {
	case w.Verdict == Missed:
		return math.Inf(1)
	case w.USDMonth != nil:
		return size(w.USDMonth) + size(w.Attainment)
	}
	return size(w.ReplicaHours) + size(w.Attainment)
}

// played is what was played without any change, which workers share.
type played struct {
	mu     sync.Mutex
	trials []*trial
}

// try does what h.try does, and plays a configuration only if it has not been played.
func (p *played) try(h *hunt, c hpa.Config) *trial {
	p.mu.Lock()
	for _, t := range p.trials {
		if (len(t.days) >= h.days || h.fails(t)) && t.config.Equal(&c) {
			p.mu.Unlock()
			return &trial{config: c, days: t.days[:min(len(t.days), h.days)]}
		}
	}
	p.mu.Unlock()
	t := h.try(c)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trials = append(p.trials[:len(p.trials):len(p.trials)], t)
	return t
}

// whole returns t with at least as many days as a what-if of share candidate-days compares.
func (b *bench) whole(ctx context.Context, t *trial, share int) (*trial, error) {
	from, most := len(t.days), daysOf(share)
	if from >= most {
		return t, nil
	}
	all := *t
	all.days = append(slices.Clone(t.days), make([]outcome, most-from)...)
	err := parallel(ctx, most-from, nil, func(i int, s *replay.Scratch) {
		all.days[from+i] = b.live(b.day(from+i), t.config, s)
	})
	return &all, err
}

func sumDays(trials []*trial) int {
	n := 0
	for _, t := range trials {
		n += len(t.days)
	}
	return n
}

// otherwises lists what is asked of every recommendation.
func (b *bench) otherwises(ctx context.Context) ([]otherwise, error) {
	ask := b.changes()
	errs := make([]error, len(ask))
	err := parallel(ctx, len(ask), nil, func(i int, _ *replay.Scratch) {
		w, err := ask[i].world()
		if err == nil && w != nil {
			ask[i].b, err = b.in(w)
			if n := w.Service.Slots(); n != b.world.Service.Slots() {
				ask[i].text = fmt.Sprintf("%d → %d requests at once", b.world.Service.Slots(), n)
			}
		}
		if err != nil {
			errs[i] = fmt.Errorf("what if %s: %w", ask[i].text, err)
		}
	})
	return slices.DeleteFunc(ask, func(o otherwise) bool { return o.b == nil }), errors.Join(append(errs, err)...)
}

// changes lists the worlds that are asked about. The benches are not made yet.
func (b *bench) changes() []otherwise {
	var out []otherwise
	add := func(id, text string, world func() (*replay.World, error)) {
		out = append(out, otherwise{id: id, text: text, world: world})
	}
	if start := b.space.Start.Seconds(); start >= 1 {
		for _, k := range []struct {
			id string
			of float64
		}{{"startup_half", 0.5}, {"startup_quarter", 0.25}} {
			add(k.id, fmt.Sprintf("start-up %s → %s", figure.Time(start), figure.Time(start*k.of)),
				func() (*replay.World, error) { return b.world.Starting(k.of), nil })
			out[len(out)-1].eases = true
		}
	}
	step := max(1, b.world.Service.Slots()/8) // one of 256 would be no question
	for _, k := range []struct {
		id, more string
		by       int
	}{{"one_more_at_once", "more", step}, {"one_fewer_at_once", "fewer", -step}} {
		add(k.id, fmt.Sprintf("%d %s requests at once", step, k.more), func() (*replay.World, error) {
			w, ok, err := b.world.AtOnce(k.by)
			if !ok {
				w = nil
			}
			return w, err
		})
		out[len(out)-1].eases = k.by > 0
	}
	for _, k := range []float64{1.25, 1.5} {
		add(fmt.Sprintf("load_%g", k), fmt.Sprintf("load × %g", k),
			func() (*replay.World, error) { return b.world.Scaled(k), nil })
	}
	if at, ok := b.peakAt(); ok {
		add("replica_lost", "a replica lost at the peak",
			func() (*replay.World, error) { return b.world.Losing(replay.Loss{At: at, Pods: 1}), nil })
		out[len(out)-1].keep = true
	}
	if lost, ok := b.nodeLost(); ok {
		add("node_lost", "a node lost at the peak",
			func() (*replay.World, error) { return b.world.Losing(lost), nil })
		out[len(out)-1].keep = true
	}
	return out
}

// peakAt is when the load is highest, outside of warm-up stages.
func (b *bench) peakAt() (at time.Duration, ok bool) {
	d := &b.world.Demand
	most := 0.0
	for i, x := range smoothed(d.Bins, d.Step, needSpan) {
		if x > most && !(b.warmup != nil && b.warmup(i)) {
			most, at = x, time.Duration(i)*d.Step
		}
	}
	return at, most > 0
}

// with is the bench on which w is the world, if a replica can still serve the same load.
func (b *bench) with(w *replay.World) *bench {
	d := *b
	d.world, d.stands = w, new(sync.Map)
	d.day = func(i int) *replay.World { return w.Draw(replicate(b.seed, i)) }
	var total time.Duration
	for _, p := range w.Start {
		total += p.Total()
	}
	d.space.Start = total / time.Duration(max(len(w.Start), 1))
	return &d
}

// in is with, but recomputes what a replica can serve and what the load needs.
func (b *bench) in(w *replay.World) (*bench, error) {
	d := b.with(w)
	if w.Service.Slots() != b.world.Service.Slots() {
		var err error
		if d.perReplica, err = capacity(w, max(w.Replicas, 2), b.goals.want()); err != nil {
			return nil, fmt.Errorf("capacity of a replica: %w", err)
		}
	}
	d.need = nil
	if d.perReplica > 0 {
		d.need = needs(w.Demand.Bins, w.Demand.Step, d.perReplica)
		need := peak(d.need)
		d.space.Peak = int32(math.Ceil(float64(b.space.Peak) * ratio(need, float64(max(b.space.Need, 1)))))
		d.space.Need = int32(need)
	}
	return d, nil
}

// asked finds the best configuration on the bench of q, with about the given number of
// candidate-days and passes over the fluid plant.
//
// A configuration meets the objectives if it does so on nine days of ten, or on as many of
// the same days as base without the change. That is all that a few days can show, and
// slightly less than what a recommendation requires.
func (b *bench) asked(q otherwise, base *trial, known *played, share, passes int, s *replay.Scratch) WhatIf {
	h := newHunt(q.b, s, base, share)
	h.want = min(0, b.pass(b.world, base.config, s).margin)
	w := WhatIf{ID: q.id, Text: q.text, Verdict: Met}
	if q.keep {
		if t := h.try(base.config); h.meets(t) {
			w.Verdict = Kept
			return b.told(w, t, base)
		}
	}
	var eased *trial
	if q.eases && h.bar <= (&trial{days: base.days[:h.days]}).held() {
		eased = base
	}
	best, first := h.best(passes, eased)
	if best == nil {
		w.Verdict = Missed
		return b.told(w, first, base)
	}
	if more, _ := dearer(best, base); more < 0 && !best.config.Equal(&base.config) {
		// What would also help without the change is not an effect of the change.
		asIs := newHunt(b, s, base, share)
		if t := known.try(asIs, best.config); asIs.meets(t) {
			if more, _ := dearer(t, base); more < 0 {
				return b.told(w, best, t)
			}
		}
	}
	return b.told(w, best, base)
}

// bar is the number of days of a candidate, and on how many of them every objective must
// hold.
func bar(base *trial, share int) (days, bar int) {
	days = daysOf(share)
	bar = int(math.Ceil(sure * float64(days)))
	if base.pMet() >= sure {
		bar = min(bar, (&trial{days: base.days[:days]}).held())
	}
	return days, bar
}

// daysOf is the number of days of a candidate in a search of share candidate-days.
func daysOf(share int) int { return max(whatIfLeast, min(whatIfDays, share/4)) }

// told fills in the differences between t, on another bench, and base on this one.
func (b *bench) told(w WhatIf, t, base *trial) WhatIf {
	if t == nil || len(t.days) == 0 {
		return w
	}
	p := t.pMet()
	w.PSLOMet, w.Replicates = &p, len(t.days)
	w.Attainment = paired(base, t, attainment, 1)
	if w.Verdict == Missed {
		return w
	}
	if !t.config.Equal(&base.config) {
		c := t.config.Clone()
		w.Config = &c
	}
	w.ReplicaHours = paired(base, t, hours, 1)
	if rate, ok := b.rate(); ok {
		w.USDMonth = paired(base, t, paid, rate*HoursPerMonth/b.world.Demand.Duration().Hours())
	}
	return w
}

// priced is the cost of the recommended configuration at other prices. The best
// configuration is the same at all of them, since a bill is replica-hours times a price. If
// an objective is about money, another may be best, and none is shown.
func (b *bench) priced(o Options, base *trial) []WhatIf {
	var out []WhatIf
	if _, ok := b.rate(); !ok ||
		slices.ContainsFunc(b.goals.list, func(o results.Objective) bool { return o.Unit == results.Money }) {
		return nil
	}
	for _, p := range o.OtherPrices {
		if !p.Covers(b.replica) || p.WithGPU && b.replica.GPUs == 0 || p.Currency != b.price.Currency ||
			p.Name == b.price.Name {
			continue
		}
		month := HoursPerMonth / b.world.Demand.Duration().Hours()
		held := base.pMet()
		out = append(out, WhatIf{ID: IDPrice, Text: "price: " + p.Name, Verdict: Met, PSLOMet: &held,
			Replicates:   len(base.days),
			USDMonth:     over(base.of(func(o *outcome) float64 { return (b.bill(p, o) - b.bill(b.price, o)) * month })),
			ReplicaHours: &Interval{}, Attainment: &Interval{}})
	}
	return out
}

// Settings describes briefly in which size and target a configuration differs from another:
// "min 3, target 60"; maxReplicas only if nothing else differs, or if the minimum is above
// the other's maximum. "" = none of these differ.
func Settings(from, to *hpa.Config) string {
	var parts []string
	if from.MinReplicas != to.MinReplicas {
		parts = append(parts, fmt.Sprintf("min %d", to.MinReplicas))
	}
	if i := Primary(to); i >= 0 && i < len(from.Metrics) {
		if k := TargetKnob(to, i); k != nil && !unchanged(*k, k.Get(from), k.Get(to)) {
			parts = append(parts, "target "+hpa.FormatValue(k.Get(to)))
		}
	}
	if from.MaxReplicas != to.MaxReplicas && (len(parts) == 0 || to.MinReplicas > from.MaxReplicas) {
		parts = append(parts, fmt.Sprintf("max %d", to.MaxReplicas))
	}
	return strings.Join(parts, ", ")
}
