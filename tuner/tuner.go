// Package tuner turns recorded runs into advice: it fits a model of the pods to
// the recording, replays the offered load under thousands of configurations,
// picks the cheapest that meets the objectives, and says why and how sure.
package tuner

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// Options is what Recommend needs beside the runs.
type Options struct {
	Current    hpa.Config // what ran, or what is to be improved
	First      bool       // no HPA ran, and Current is only there to compare with
	Objectives []results.Objective
	Fit        FitOptions // what is stated and not measured
	Price      Price
	Space      Space // MinFloor and MaxLimit; the rest is filled from the fit
	Replicates int   // of the exact plant a candidate; 0 = 20
	Seed       int64
	Version    string
	// Progress is told what is being done and how far it is; nil = nobody asks.
	Progress func(stage string, done, total int)
}

// Recommend reads as the table of contents: fit, judge the fit, search, rank,
// choose, explain. Runs of one workload at fixed sizes are joined: the first
// says what load was offered, all of them what the pods are. Of runs under an
// autoscaler only the first is evidence. A refusal is a recommendation whose verdict is Refuse; an
// error is something that could not be computed at all. The model is what was
// fitted, nil where the run could not carry one.
func Recommend(ctx context.Context, runs []*results.Run, o Options) (Recommendation, *Model, error) {
	if o.Replicates == 0 {
		o.Replicates = 20
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	run := runs[0]
	r := Recommendation{Schema: RecommendationSchema, Version: o.Version, Seed: o.Seed, Price: o.Price, Objectives: []string{}, Refusal: []Refusal{}, Assumed: []string{}, Changes: []Changed{}, Worst: []Worst{}, Warnings: []string{}, Front: []Point{}}
	for _, run := range runs {
		r.Runs = append(r.Runs, run.Meta.Run)
	}
	for _, ob := range o.Objectives {
		r.Objectives = append(r.Objectives, ob.String())
	}
	o.Objectives, r.NotCovered = cover(run, o)
	whole, err := evidence(runs, &o.Fit)
	if err != nil {
		return r, nil, err
	}
	for _, used := range runs {
		trust := results.Summarize(used, o.Objectives).Trust
		if r.Trust == "" || trust.Verdict != results.Valid {
			r.Trust = string(trust.Verdict)
		}
		if trust.Verdict == results.Invalid {
			return r.refuse("evidence", used.Meta.Run+": "+trust.Line(), "a run that is valid: see what the trust line names"), nil, nil
		}
		if whole == run {
			break
		}
	}

	o.Progress("fit", 0, 1)
	g := newGoals(o.Objectives)
	o.Fit.Limits = g.limits()
	o.Fit.Seed = uint64(o.Seed)
	fit, err := Fit(whole, o.Current, o.Fit)
	r.Warnings = append(r.Warnings, fit.Warnings...) // why it cannot be fitted may be among them
	if err != nil {
		return r.refuse("fit", err.Error(), "a run that shows what is missing, or state it: -f hpa.yaml --startup 90s --requests cpu=1,memory=2Gi"), nil, nil
	}
	if o.First {
		r.Assumed = append(r.Assumed, fmt.Sprintf("there is no HPA yet: what the pick is compared with is what kubectl autoscale would make, %s", Describe(o.Current)))
	}
	r.Assumed = append(r.Assumed, fit.Assumed...)
	if whole == run && len(runs) > 1 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("only %s is evidence: runs under an autoscaler are not joined", run.Meta.Run))
	}
	r.SelfReplay, r.Shadow = fit.SelfReplay, fit.Shadow
	model := newModel(run, fit, o)
	if len(o.Objectives) == 0 && len(r.NotCovered) > 0 {
		no := uncovered(r.NotCovered)
		return r.refuse(no.ID, no.Text, no.SettledBy), model, nil
	}
	if refusal, ok := unfit(&fit); ok {
		return r.refuse(refusal.ID, refusal.Text, refusal.SettledBy), model, nil
	}
	if refusal, ok, err := unlike(model, runs, o); ok || err != nil {
		return r.refuse(refusal.ID, refusal.Text, refusal.SettledBy), model, err
	}

	b, err := newBench(run, fit, g, o)
	if err != nil {
		return r, model, err
	}
	if b.perReplica <= 0 {
		return r.refuse("service", fmt.Sprintf("even one idle replica does not keep %s", g), "looser objectives, or a faster service: no number of replicas can meet them"), model, nil
	}
	fit.SelfReplay = within(fit.SelfReplay, run, b, o.Current, o.Seed)
	r.SelfReplay = fit.SelfReplay
	if refusal, ok := unfit(&fit); ok {
		return r.refuse(refusal.ID, refusal.Text, refusal.SettledBy), model, nil
	}
	trials, all, err := b.search(ctx, o)
	if err != nil {
		return r, model, err
	}
	best := pick(trials)
	if best != nil {
		if trials, err = b.simplify(ctx, o, trials); err != nil {
			return r, model, err
		}
		best = pick(trials)
	}
	r.Candidates = Candidates{Fluid: len(all), Exact: len(trials)}
	r.Current = b.pick(trials[0])
	r.Front = b.front(trials, best)
	if best == nil {
		return b.infeasible(r, trials), model, nil
	}
	r.Recommended = b.pick(best)
	r.Alternatives = Alternatives{Cheapest: b.pick(slices.MinFunc(feasible(trials), cheaper)), Safest: b.pick(safest(trials)), MinimalChange: b.pick(minimalChange(trials))}
	r.Verdict = Change
	if best.config.Equal(&o.Current) && !o.First {
		r.Verdict = Keep
	}
	if r.Changes, err = b.reversions(ctx, o, trials[0], best); err != nil {
		return r, model, err
	}
	if r.LoadMargin, err = b.margin(ctx, o, best.config); err != nil {
		return r, model, err
	}
	r.Worst = worst(b.world, best.config, b.need, b.warmup)
	return r, model, nil
}

// evidence joins runs at fixed sizes, and leaves the first of others alone.
func evidence(runs []*results.Run, o *FitOptions) (*results.Run, error) {
	for _, r := range runs {
		if r.Meta.Target.Kind != results.OfFixed {
			return runs[0], nil
		}
	}
	if len(runs) == 1 {
		return runs[0], nil
	}
	o.Load = runs[0]
	return results.Join(runs...)
}

// unlike holds the model against the runs at fixed sizes that it was fitted to:
// no autoscaler decided there, so how many requests were good is what there is to
// reproduce. ok says that it does not.
func unlike(m *Model, runs []*results.Run, o Options) (out Refusal, ok bool, err error) {
	for _, run := range runs {
		if run.Meta.Target.Kind != results.OfFixed {
			return out, false, nil
		}
		w, err := m.World(run, o.Current)
		if err != nil {
			return out, false, err
		}
		size := hpa.DefaultConfig(w.Replicas)
		size.MinReplicas = w.Replicas
		for _, c := range Compare(w, size, run, o.Objectives, o.Seed, 4).Figures {
			if c.Name == "attainment" && c.Error != nil && *c.Error > fit.AttainmentLimit {
				return Refusal{"self-replay", fmt.Sprintf("at %d replicas the model calls %.0f %% of the requests good, and %s had %.0f %%", w.Replicas, 100*c.Predicted.Value, run.Meta.Run, 100**c.Actual),
					"longer runs, on nodes that nothing else keeps busy: the model knows only requests that are slow, or fail, because there are many of them"}, true, nil
			}
		}
	}
	return out, false, nil
}

func (r Recommendation) refuse(id, text, settledBy string) Recommendation {
	r.Verdict = Refuse
	r.Refusal = append(r.Refusal, Refusal{id, text, settledBy})
	return r
}

// newBench prepares what every candidate is tried on.
func newBench(run *results.Run, fit Fitted, g goals, o Options) (*bench, error) {
	if fit.Replica.Known() {
		g.cost = o.Price.PerReplicaHour(fit.Replica)
	}
	b := &bench{world: fit.World, goals: g, price: o.Price, replica: fit.Replica, represents: run.Meta.Represents, streams: run.Meta.Target.Streams, warmup: warmups(run.Meta.Stages, fit.World.Demand.Step)}
	for i := range o.Replicates {
		b.draws = append(b.draws, draw{fit.World, replicate(o.Seed, i)})
	}
	var err error
	if b.perReplica, err = capacity(fit.World, max(fit.World.Replicas, 2), g.want()); err != nil {
		return nil, fmt.Errorf("capacity of a replica: %w", err)
	}
	if b.perReplica > 0 {
		b.need = needs(fit.World.Demand.Bins, fit.World.Demand.Step, b.perReplica)
	}
	var total time.Duration
	for _, p := range fit.World.Start {
		total += p.Total()
	}
	b.space = o.Space
	b.space.Need = int32(peak(b.need))
	b.space.Start = total / time.Duration(max(len(fit.World.Start), 1))
	return b, nil
}

// replicate is the seed of the i-th replicate; never 0, which is the world as it
// was recorded.
func replicate(seed int64, i int) uint64 { return uint64(seed)<<16 + uint64(i) + 1 }

// warmups tells which ticks belong to a warm-up stage.
func warmups(stages []results.StageInfo, step time.Duration) func(int) bool {
	return func(tick int) bool {
		at := (time.Duration(tick)*step + step/2).Seconds()
		for _, s := range stages {
			if s.Warmup && at >= s.FromS && at < s.ToS {
				return true
			}
		}
		return false
	}
}

// search passes every candidate over the fluid plant, and ranks the most
// promising with the exact one. The first trial is the current configuration.
func (b *bench) search(ctx context.Context, o Options) ([]*trial, []fluid, error) {
	configs := b.space.Candidates(o.Current)
	all := make([]fluid, len(configs))
	err := parallel(ctx, len(configs), func(done int) { o.Progress("search", done, len(configs)) }, func(i int, s *replay.Scratch) {
		all[i] = b.pass(b.world, configs[i], s)
	})
	if err != nil {
		return nil, nil, err
	}
	distances := make([]int, len(configs))
	for i := range configs {
		distances[i] = Distance(o.Current, configs[i])
	}
	order := shortlist(all, distinctOutcomes(all, func(i int) int { return distances[i] }), b.goals)
	order = slices.DeleteFunc(order, func(i int) bool { return i == 0 })
	order = append([]int{0}, order...)
	var trials []*trial
	for rounds := 0; len(order) > 0 && rounds < 4; rounds++ {
		next := order[:min(perRound, len(order))]
		order = order[len(next):]
		got := make([]*trial, len(next))
		err := parallel(ctx, len(next), func(done int) { o.Progress("rank", len(trials)+done, len(trials)+len(next)) }, func(i int, s *replay.Scratch) {
			t := b.try(configs[next[i]], s)
			t.distance = distances[next[i]]
			got[i] = &t
		})
		if err != nil {
			return nil, nil, err
		}
		trials = append(trials, got...)
		if len(feasible(trials)) > 0 {
			break
		}
	}
	return trials, all, nil
}

// simplify puts the pick's changes back one by one, as long as that gives a
// better pick: a change that buys nothing is not recommended. The shortlist need
// not have held those in between.
func (b *bench) simplify(ctx context.Context, o Options, trials []*trial) ([]*trial, error) {
	for {
		best := pick(trials)
		changes := changesBetween(trials[0].config, best.config)
		if best.config.Behavior && !trials[0].config.Behavior { // or all of it at once: no single value says "none"
			knobs := hpa.Knobs(&best.config)
			i := slices.IndexFunc(knobs, func(k hpa.Knob) bool { return k.Path == wholeBehavior })
			changes = append(changes, change{knobs[i], false, true})
		}
		tried := make([]*trial, len(changes))
		err := parallel(ctx, len(changes), func(done int) { o.Progress("simplify", done, len(changes)) }, func(i int, s *replay.Scratch) {
			// maxReplicas stays as derived: it costs nothing until it is needed.
			cfg, ok := revert(best.config, changes[i])
			if !ok || changes[i].knob.Path == "spec.maxReplicas" || slices.ContainsFunc(trials, func(t *trial) bool { return t.config.Equal(&cfg) }) {
				return
			}
			t := b.try(cfg, s)
			t.distance = Distance(o.Current, cfg)
			tried[i] = &t
		})
		if err != nil {
			return nil, err
		}
		trials = append(trials, slices.DeleteFunc(tried, func(t *trial) bool { return t == nil })...)
		if pick(trials) == best {
			return trials, nil
		}
	}
}

// pick turns a trial into what is printed.
func (b *bench) pick(t *trial) *Pick {
	hour := make([]float64, len(t.hours))
	perReq, perTok := make([]float64, len(t.hours)), make([]float64, len(t.hours))
	rate := b.price.PerReplicaHour(b.replica)
	span := b.world.Demand.Duration().Hours()
	for i, h := range t.hours {
		hour[i] = h / span * rate
		perReq[i] = ratio(h*rate, t.requests[i]) * 1e6
		perTok[i] = ratio(h*rate, t.tokens[i]) * 1e6
	}
	p := &Pick{Config: t.config, Predicted: Predicted{
		Attainment: over(t.attainment), PSLOMet: t.pMet(), ReplicaHours: over(t.hours), ReadyHours: over(t.ready),
		E2EP95: over(t.e2e), ErrorRatio: over(t.errors), Flaps: over(t.flaps), TimeToCapacity: over(t.capacity), MaxReplicas: over(t.peak),
	}}
	if b.streams {
		p.Predicted.TTFTP95 = over(t.ttft)
	}
	if b.replica.Known() {
		p.Predicted.USDHour = over(hour)
		p.Predicted.USDPerMRequest, p.Predicted.USDPerMToken = over(perReq), over(perTok)
		floor, ceiling := b.price.Month(b.replica, float64(t.config.MinReplicas)), b.price.Month(b.replica, float64(t.config.MaxReplicas))
		p.Predicted.USDMonth = Monthly{Floor: &floor, Ceiling: &ceiling}
		if b.represents != "" {
			p.Predicted.USDMonth.Expected = over(scaled(hour, HoursPerMonth))
		}
	}
	return p
}

func scaled(v []float64, k float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = x * k
	}
	return out
}

// front is the cloud of ranked candidates for the chart.
func (b *bench) front(trials []*trial, best *trial) []Point {
	rate := b.price.PerReplicaHour(b.replica) / b.world.Demand.Duration().Hours()
	var out []Point
	for i, t := range trials {
		p := Point{Hours: mean(t.hours), USDHour: mean(t.hours) * rate, Attainment: mean(t.attainment), Feasible: t.pMet() >= sure, Text: Describe(t.config)}
		switch {
		case t == best:
			p.Mark = "recommended"
		case i == 0:
			p.Mark = "current"
		}
		out = append(out, p)
	}
	return out
}

// reversions puts each changed knob back alone and says what that does.
func (b *bench) reversions(ctx context.Context, o Options, current, best *trial) ([]Changed, error) {
	changes := changesBetween(current.config, best.config)
	out := make([]Changed, len(changes))
	month := b.price.PerReplicaHour(b.replica) * HoursPerMonth / b.world.Demand.Duration().Hours()
	err := parallel(ctx, len(changes), func(done int) { o.Progress("revert", done, len(changes)) }, func(i int, s *replay.Scratch) {
		c := changes[i]
		out[i] = Changed{Path: c.knob.Path, From: hpa.FormatValue(c.from), To: hpa.FormatValue(c.to)}
		if cfg, ok := revert(best.config, c); ok {
			t := b.try(cfg, s)
			rev := &Reverted{Attainment: paired(best.attainment, t.attainment, 1), Flaps: paired(best.flaps, t.flaps, 1), TimeToCapacity: paired(best.capacity, t.capacity, 1), PSLOMet: t.pMet()}
			if b.replica.Known() {
				rev.USDMonth = paired(best.hours, t.hours, month)
			}
			out[i].Reverted = rev
		}
		out[i].Why = why(c, out[i].Reverted, b.space.Need, b.perReplica)
	})
	return out, err
}

// margin is the largest multiple of the load, up to 4, at which the wanted share
// of requests still meets the limits, over a few draws.
func (b *bench) margin(ctx context.Context, o Options, cfg hpa.Config) (*Interval, error) {
	const draws, top = 5, 4.0
	values := make([]float64, min(draws, len(b.draws)))
	err := parallel(ctx, len(values), func(done int) { o.Progress("margin", done, len(values)) }, func(i int, s *replay.Scratch) {
		w := b.world.Draw(b.draws[i].seed)
		lo, hi := 0.0, top
		for range 9 {
			mid := (lo + hi) / 2
			if b.goals.near(b.pass(w.Scaled(mid), cfg, s), 0) {
				lo = mid
			} else {
				hi = mid
			}
		}
		values[i] = lo
	})
	return over(values), err
}

// infeasible says that nothing meets the objectives, what binds, and the
// smallest relaxation that would help.
func (b *bench) infeasible(r Recommendation, trials []*trial) Recommendation {
	best := safest(trials)
	r.Alternatives.Safest = b.pick(best)
	r.Worst = worst(b.world, best.config, b.need, b.warmup)
	text := fmt.Sprintf("no candidate keeps %s in 90 %% of the replicates; the best (%s) does in %.0f %%, with %.2f %% of requests within the limits", b.goals, Describe(best.config), 100*best.pMet(), 100*mean(best.attainment))
	settled := fmt.Sprintf("an objective that %.1f %% of requests may meet", math.Floor(1000*mean(best.attainment))/10)
	if len(r.Worst) > 0 {
		text += fmt.Sprintf("; what binds is %s (%s)", r.Worst[0].BoundBy, r.Worst[0].Text)
		if r.Worst[0].BoundBy == "startup" || r.Worst[0].BoundBy == "lag" {
			settled += fmt.Sprintf(", a start-up shorter than %.0f s, or more spare replicas", b.space.Start.Seconds())
		}
	}
	return r.refuse("infeasible", text, settled)
}
