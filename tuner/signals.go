package tuner

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// SignalRow is a recorded metric that the HPA does not scale on, and the result of an HPA
// that would scale on it.
type SignalRow struct {
	Name    string   `json:"name"`   // of several: the HPA takes the largest proposal
	Source  string   `json:"source"` // Pods, External, Resource
	Follows string   `json:"follows"`
	Samples int      `json:"samples"`
	Noise   *float64 `json:"noise"` // mean deviation from what it follows, as a ratio of its mean
	// Slope is what a request in service adds to memory after the highest load, in bytes;
	// null for everything else.
	Slope *float64 `json:"slope"`
	// Ceiling is the highest value of a replica, with all slots busy; null = it rises with
	// the queue, without bound.
	Ceiling *float64 `json:"ceiling"`
	Target  *float64 `json:"target"` // that is best for it, of one replica
	// Reaches means that it can exceed the target and its tolerance.
	Reaches *bool `json:"reaches"`
	// LeadS is how long before the objectives are missed, at a fixed size of half the need,
	// the metric asks for more; negative = after. Null = it never asks, or nothing is
	// missed.
	LeadS   *float64 `json:"lead_s"`
	Dropped string   `json:"dropped,omitempty"` // why it is no candidate
	// Verdict is met, missed or NotSearched.
	Verdict WhatIfVerdict `json:"verdict"`
	// Config is the best configuration that scales on it, and Spec the same as
	// autoscaling/v2, which the caller writes.
	Config *hpa.Config     `json:"-"`
	Spec   json.RawMessage `json:"spec"`
	// Differences to the recommended configuration, over days with the same luck.
	USDMonth     *Interval `json:"usd_month"`
	ReplicaHours *Interval `json:"replica_hours"`
	Attainment   *Interval `json:"attainment"`
	PSLOMet      *float64  `json:"p_slo_met"`
	Replicates   int       `json:"replicates"`
	// Advised means that it saves at least 2 %, and more than the noise.
	Advised bool `json:"advised"`

	more *Interval // the additional cost, relative to the recommended configuration's
}

// mostSignals is the number of metrics that are searched; toSearch orders them.
const mostSignals = 6

// signalRow is what the fit alone knows about a signal.
func signalRow(g *fit.Signal, service *plant.Law) SignalRow {
	known := func(x float64) *float64 {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil
		}
		return &x
	}
	row := SignalRow{
		Name:    g.Metric.Name,
		Source:  g.Metric.Source.String(),
		Follows: g.Follows,
		Samples: g.N,
		Dropped: g.Dropped,
		Noise:   known(g.Noise),
		Slope:   known(g.Slope),
	}
	if g.Dropped == "" && service != nil && g.Pipe.PerWaiting == 0 && g.Pipe.PerOldest == 0 && g.Pipe.Under == "" &&
		g.Pipe.Times == nil {
		row.Ceiling = known(full(&g.Pipe, service))
	}
	return row
}

// full is the value of a pipe for a replica with all slots busy and nothing queued.
func full(p *plant.Pipe, law *plant.Law) float64 {
	x := p.Base + (p.PerDone+p.PerArrival)*law.Capacity() + p.PerRunning*float64(law.Slots())
	if p.Ceiling > 0 {
		x = min(x, p.Ceiling)
	}
	return x
}

// signals searches for the cost of an HPA on each recorded signal at the attainment of the
// recommended one, and on the best two together, of which the HPA uses the larger proposal.
func (b *bench) signals(
	ctx context.Context,
	o Options,
	k ranking,
	base *trial,
	seen []fit.Signal,
) ([]SignalRow, error) {
	if len(seen) == 0 {
		return nil, nil
	}
	share := sumDays(k.trials) / 12
	base, err := b.whole(ctx, base, share)
	if err != nil {
		return nil, err
	}
	rows := make([]SignalRow, len(seen))
	for i := range seen {
		rows[i] = signalRow(&seen[i], &b.world.Service)
	}
	search := toSearch(seen)
	for _, i := range search[min(mostSignals, len(search)):] {
		rows[i].Dropped = fmt.Sprintf("not searched: %d other metrics follow the load more closely", mostSignals)
	}
	search = search[:min(mostSignals, len(search))]
	err = parallel(ctx, len(search), func(done int) { o.Progress("signals", done, len(search)) },
		func(n int, s *replay.Scratch) {
			b.signal(&rows[search[n]], base, share, s, &seen[search[n]])
		})
	if err != nil {
		return nil, err
	}
	for _, p := range pairsOf(rows, seen, search) {
		x, y := p[0], p[1]
		row := SignalRow{Name: "max of " + rows[x].Name + " and " + rows[y].Name, Source: rows[x].Source,
			Follows: "both", Samples: min(rows[x].Samples, rows[y].Samples)}
		b.signal(&row, base, share, new(replay.Scratch), &seen[x], &seen[y])
		rows = append(rows, row)
	}
	for _, g := range composed(seen, b.world.Service.Slots()) {
		row := signalRow(&g, &b.world.Service)
		b.signal(&row, base, share, new(replay.Scratch), &g)
		rows = append(rows, row)
	}
	if i := advisable(rows); i >= 0 {
		rows[i].Advised = true
	}
	slices.SortStableFunc(rows, func(x, y SignalRow) int { return cmp.Compare(x.order(), y.order()) })
	return rows, nil
}

// advisable returns the index of the signal that saves the most, if the saving is beyond its
// interval and worth a change; −1 = none. Memory is not advised, whatever it saves: it shows what
// a process has kept, caches included, and doctor warns of it (memory-target).
func advisable(rows []SignalRow) int {
	best := -1
	for i := range rows {
		r := &rows[i]
		if r.more == nil || r.more.Hi == nil || *r.more.Hi >= 0 || r.more.Value > -unparted || r.isMemory() {
			continue
		}
		if best < 0 || r.more.Value < rows[best].more.Value {
			best = i
		}
	}
	return best
}

func (r *SignalRow) isMemory() bool {
	return r.Config != nil && slices.ContainsFunc(r.Config.Metrics, func(m hpa.Metric) bool {
		return (m.Source == hpa.Resource || m.Source == hpa.ContainerResource) && m.Name == "memory"
	})
}

// order sorts rows: those that meet the objectives, the cheapest first, then those that
// miss them, then those that were dropped.
func (r *SignalRow) order() float64 {
	switch {
	case r.Verdict == NotSearched:
		return math.Inf(1)
	case r.more == nil:
		return math.MaxFloat64
	}
	return r.more.Value
}

// signal searches for the best configuration that scales on the given signals only. The
// target of the first is searched.
func (b *bench) signal(row *SignalRow, base *trial, share int, s *replay.Scratch, on ...*fit.Signal) {
	from := base.config.Clone()
	from.Metrics = nil
	var pipes []plant.Pipe
	for _, g := range on {
		from.Metrics = append(from.Metrics, b.scaledOn(g))
		pipes = append(append(pipes, g.Pipe), g.Also...)
	}
	w, err := b.world.Reading(pipes)
	if err != nil {
		row.Dropped = err.Error()
		return
	}
	other := b.wokenBy(w, &from)
	h := newHunt(other, s, base, share)
	h.from = from
	best, last := h.best(whatIfMins*5, nil)
	row.Verdict = Met
	if best == nil {
		if row.Verdict = Missed; last == nil {
			return
		}
		best = last
	}
	c := best.config.Clone()
	target := b.targetOf(&c.Metrics[0])
	row.Target = &target
	if tolerance := b.tolerance(&c); row.Ceiling != nil {
		reaches := *row.Ceiling > target*(1+tolerance)
		row.Reaches = &reaches
	}
	row.LeadS = other.lead(c, s)
	p := best.pMet()
	row.PSLOMet, row.Replicates = &p, len(best.days)
	row.Attainment = paired(base, best, attainment, 1)
	if row.Verdict == Missed {
		return
	}
	row.Config = &c
	row.ReplicaHours = paired(base, best, hours, 1)
	row.more = paired(base, best, paid, 1/mean(base.of(paid)))
	if rate, ok := b.rate(); ok {
		row.USDMonth = paired(base, best, paid, rate*HoursPerMonth/b.world.Demand.Duration().Hours())
	}
}

// wokenBy returns the bench of a world under KEDA's loop with the triggers of a configuration's
// metrics alone, as they replace those of the ScaledObject. If all of them are read off the
// pods, nothing would scale up from zero: then there is no size of zero, and the
// configuration's minimum is at least 1.
func (b *bench) wokenBy(w *replay.World, c *hpa.Config) *bench {
	outside := func(m hpa.Metric) bool { return slices.Contains(b.world.Outside, m.Name) }
	wakes := slices.ContainsFunc(c.Metrics, outside)
	if !wakes {
		c.MinReplicas = max(1, c.MinReplicas)
	}
	if b.world.Loop != nil {
		l := *b.world.Loop
		l.Triggers, l.Formula = nil, nil
		for _, m := range c.Metrics {
			l.Triggers = append(l.Triggers, keda.Trigger{Metric: m.Name, Resource: m.Source == hpa.Resource,
				OfPods: !outside(m), Value: m.Target.Type == hpa.Value})
		}
		if !wakes {
			l.Min = max(1, l.Min)
			if l.Idle != nil && *l.Idle == 0 {
				l.Idle = nil
			}
		}
		w = w.Under(&l)
	}
	d := b.with(w)
	d.space.Zero = d.space.Zero && wakes
	return d
}

func (b *bench) tolerance(c *hpa.Config) float64 {
	if c.ScaleUp.ToleranceSet {
		return c.ScaleUp.Tolerance
	}
	return b.world.Params.Tolerance
}

// scaledOn is a signal as a metric of an HPA. Its target is the value of a replica that
// serves what it can within the limits; for a queue, one waiting request; for a time, see
// timeTarget.
func (b *bench) scaledOn(g *fit.Signal) hpa.Metric {
	m, p, law := g.Metric, &g.Pipe, &b.world.Service
	busy := 0
	for busy < law.Slots() && law.Rate[busy] < b.perReplica {
		busy++
	}
	level := p.Base + p.PerDone*b.perReplica + p.PerRunning*float64(busy)
	level += p.PerArrival * b.perReplica
	if p.Under != "" { // one request that waits for each slot in use
		level = 1 / float64(max(1, busy))
	}
	if p.PerDone+p.PerArrival == 0 && p.PerRunning == 0 && p.Under == "" {
		level = p.Base + p.PerWaiting + p.PerOldest // one request, or a second
	}
	if p.Times != nil {
		level = timeTarget(p.Times, b.world.Limits, law)
	}
	if p.Ceiling > 0 {
		level = min(level, p.Ceiling/(1+b.world.Params.Tolerance)/1.05)
	}
	milli := max(1, int64(math.Round(level*1000)))
	switch request := b.requested(m.Name); {
	case m.Source == hpa.Resource && request > 0:
		m.Target.Utilization = max(1, int32(math.Round(100*level/request)))
	case m.Source == hpa.External && (p.Over != plant.Sum || p.Under != ""):
		m.Target.Type, m.Target.ValueMilli = hpa.Value, milli
	default:
		m.Target.Type, m.Target.AverageMilli = hpa.AverageValue, milli
	}
	return m
}

// timeTarget is the target of a time of requests, in the metric's unit: half of the
// objectives' limit for it, and a quarter for the time in the queue, which is a part of both
// times that have limits. Without a limit, it is twice the mean time of a request alone.
func timeTarget(t *plant.Times, limits plant.Limits, law *plant.Law) float64 {
	limit, part := limits.E2E, 2.0
	switch t.Of {
	case plant.ToFirst:
		limit = limits.TTFT
	case plant.InQueue:
		limit, part = cmp.Or(limits.TTFT, limits.E2E), 4
	}
	level := limit.Seconds() / part
	if level == 0 {
		for i := range law.Times {
			alone := law.Times[i].Total
			if t.Of == plant.ToFirst {
				alone = law.Times[i].First
			}
			level += 2 * alone / float64(len(law.Times))
		}
	}
	return level * max(1, t.Unit)
}

// requested is what a replica requests of a resource, in base units; 0 = unknown.
func (b *bench) requested(name string) float64 {
	switch name {
	case "cpu":
		return b.replica.CPUCores
	case "memory":
		return b.replica.MemoryGB * (1 << 30)
	}
	return 0
}

// targetOf is a metric's target in its own unit.
func (b *bench) targetOf(m *hpa.Metric) float64 {
	if m.Target.Utilization > 0 {
		return float64(m.Target.Utilization) / 100 * b.requested(m.Name)
	}
	return float64(max(m.Target.AverageMilli, m.Target.ValueMilli)) / 1000
}

// lead is how long before a fixed size of half the need misses the objectives (half a
// minute with fewer good requests than wanted) its metrics start to ask for more, and keep
// asking, in seconds; negative = after. nil = they never ask, or nothing is missed.
func (b *bench) lead(cfg hpa.Config, s *replay.Scratch) *float64 {
	size := b.space.Need / 2
	if size < 1 {
		return nil
	}
	cfg.MinReplicas, cfg.MaxReplicas = size, size
	w := *b.world
	w.Replicas, w.Memory = size, hpa.Memory{}
	since, broke, found := math.NaN(), math.NaN(), math.NaN()
	s.OnDecision = func(_ *hpa.Observation, d *hpa.Decision) {
		switch asks := d.HasProposal && d.Proposal.Replicas > size; {
		case !asks:
			since = math.NaN()
		case math.IsNaN(since):
			since = d.At.Seconds()
		}
		if !math.IsNaN(broke) && math.IsNaN(found) && !math.IsNaN(since) {
			found = broke - since
		}
	}
	defer func() { s.OnDecision = nil }()
	n := max(1, int(needSpan/w.Demand.Step))
	good, came := make([]float64, n), make([]float64, n)
	i := 0
	replay.Simulate(&w, cfg, s, func(t *results.Tick) {
		good[i%n], came[i%n] = t.Good, t.Arrivals
		if warm := b.warmup != nil && b.warmup(i); !warm && math.IsNaN(broke) && sum(came) > 0 && i >= n &&
			sum(good)/sum(came) < b.goals.want() {
			if broke = float64(i) * w.Demand.Step.Seconds(); !math.IsNaN(since) {
				found = broke - since
			}
		}
		i++
	})
	if math.IsNaN(found) {
		return nil
	}
	return &found
}
