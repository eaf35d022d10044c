package tuner

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/replay"
)

// A size of zero. In the search, MinReplicas of a configuration is the minimum of whoever
// sets it. For a ScaledObject that is minReplicaCount, where 0 means that KEDA's own loop
// scales to zero while its HPA starts at 1.

// AtZeroRefuse is what happens to a request at a size of zero if nothing holds it.
const AtZeroRefuse = "refuse"

// ZeroVerdict says whether a size of zero is worth it.
type ZeroVerdict string

// The verdicts of a Zero.
const (
	ZeroAdvised ZeroVerdict = "recommended" // the recommended configuration goes to zero
	ZeroNot     ZeroVerdict = "no"          // it was replayed, and is not recommended
	ZeroRefused ZeroVerdict = "refused"     // it cannot work, or nobody can tell
)

// Zero is what a size of zero would do under this load, compared with Against. The figures
// are null if it was refused.
type Zero struct {
	Verdict ZeroVerdict `json:"verdict"`
	Why     string      `json:"why"`
	Path    string      `json:"path"`    // spec.minReplicaCount, spec.idleReplicaCount, spec.minReplicas
	AtZero  string      `json:"at_zero"` // what a request meets: refuse, hold 1m
	Against string      `json:"against"` // the configuration without zero, one line
	// Over the replicates of this load: hours at a size of 0, how often the target was
	// woken, how long the first request waits for a ready pod (or would wait, if it is
	// refused), and how many requests fail because there is none.
	HoursAtZero *Interval `json:"hours_at_zero"`
	Wakes       *Interval `json:"wakes"`
	FirstWait   *Interval `json:"first_wait_s"`
	Lost        *Interval `json:"lost_requests"`
	// What it saves: over this load, and over this load repeated for a month.
	SavedHours    *Interval `json:"saved_replica_hours"`
	SavedUSDMonth *Interval `json:"saved_usd_month"`
	Attainment    *Interval `json:"attainment"`
	PSLOMet       *float64  `json:"p_slo_met"`
}

// minimum returns a configuration as the search has it: with the ScaledObject's own 0 where
// its HPA has 1.
func minimum(loop *keda.Loop, c hpa.Config) hpa.Config {
	if loop != nil && loop.Min == 0 && c.MinReplicas == 1 {
		c = c.Clone()
		c.MinReplicas = 0
	}
	return c
}

// byMinimum returns the loop for configurations whose own minimum says whether they scale
// to zero.
func byMinimum(loop *keda.Loop) *keda.Loop {
	if loop == nil {
		return nil
	}
	l := *loop
	l.Min = max(l.Min, 1)
	return &l
}

// resumed removes a pause, under which nothing could be compared, and reports it.
func (o *Options) resumed() (notes []string) {
	if o.Loop == nil || !o.Loop.Paused {
		return nil
	}
	l := *o.Loop
	l.Paused = false
	o.Loop = &l
	return []string{
		"an annotation pauses KEDA (autoscaling.keda.sh/paused…); the prediction assumes that it is removed",
	}
}

// asScaled returns the options with the minimum of a ScaledObject instead of its HPA's.
func (o Options) asScaled() Options {
	o.Current = minimum(o.Loop, o.Current)
	if o.Recorded != nil {
		r := minimum(o.Fit.Loop, *o.Recorded)
		o.Recorded = &r
	}
	return o
}

// asRan is a bench for the replay of the run itself, under the loop that ran: in the
// sandbox, KEDA's own did not run, and a minimum of zero counted as one.
func (b *bench) asRan(run *results.Run, c hpa.Config) (*bench, hpa.Config) {
	sandbox := run.Meta.Target.Kind == results.OfSandbox
	if b.world.Loop == nil && b.ran == nil || b.ran == nil && !sandbox {
		return b, c
	}
	d, c := *b, c.Clone()
	if d.world = b.world.Under(b.ran); sandbox {
		c.MinReplicas = max(c.MinReplicas, 1)
	}
	return &d, c
}

// sleeps reports whether a configuration can be at zero.
func (b *bench) sleeps(c *hpa.Config) bool {
	return c.MinReplicas == 0 || b.idles()
}

// idles reports whether idleReplicaCount scales to zero, whatever minReplicaCount is.
func (b *bench) idles() bool {
	l := b.world.Loop
	return l != nil && l.Idle != nil && *l.Idle == 0
}

// zeroOf says whether to evaluate zero: nil if the HPA has nothing that could wake its
// target; refused, with the reason, if it could not scale up again.
func zeroOf(run *results.Run, b *bench, current *hpa.Config) *Zero {
	z := &Zero{Path: hpa.MinReplicasPath, AtZero: AtZeroRefuse}
	if h := b.world.Hold; h > 0 {
		z.AtZero = "hold " + figure.Duration(h)
	}
	refuse := func(format string, args ...any) *Zero {
		z.Verdict, z.Why = ZeroRefused, fmt.Sprintf(format, args...)
		return z
	}
	const blind = "at zero replicas no pod exports %s, so nothing would scale up from zero; " +
		"use a metric that exists without pods (requests at the gateway, a queue)"
	if l := b.world.Loop; l != nil {
		z.Path = "spec.minReplicaCount"
		if b.idles() {
			z.Path = "spec.idleReplicaCount"
		}
		switch reads, wakes := l.Wakes(); {
		case !wakes:
			return refuse(blind, strings.Join(slices.Compact(reads), " and "))
		case l.Forced:
			return refuse("the annotation autoscaling.keda.sh/force-activation prevents scaling to zero")
		case l.PausedIn:
			return refuse("the annotation autoscaling.keda.sh/paused-scale-in prevents scaling to zero")
		}
		return z
	}
	if !current.Outside() {
		return nil
	}
	switch p := b.world.Params; {
	case len(b.world.Outside) == 0:
		var names []string
		for _, m := range current.Metrics {
			if m.Source == hpa.Object || m.Source == hpa.External {
				names = append(names, m.Key())
			}
		}
		return refuse(blind, strings.Join(names, " and "))
	case run.Meta.HPA.Kubernetes == "":
		return refuse("the Kubernetes version is unknown; an HPA can scale to zero from 1.37 on (HPAScaleToZero)")
	case !p.Gates.ScaleToZero:
		return refuse(
			"an HPA can scale to zero from Kubernetes 1.37 on (HPAScaleToZero); this run is from %s",
			run.Meta.HPA.Kubernetes,
		)
	}
	return z
}

// zero fills in what a size of zero does, next to the best configuration without it.
func (b *bench) zero(ctx context.Context, r *Recommendation, k ranking, o Options) error {
	r.Zero = b.zeroRule
	z := r.Zero
	if z == nil || z.Verdict == ZeroRefused {
		return nil
	}
	with, without := b.sides(k, o.Space)
	other := b
	if b.idles() {
		other = b.awake()
	}
	o.Progress = func(string, int, int) {}
	s := newSearch(ctx, b, o)
	err := s.play([]*trial{with}, o.Replicates)
	if err == nil { // more, if it takes them to say whether it holds
		_, err = s.probe(with, glance)
	}
	if err == nil {
		err = newSearch(ctx, other, o).play([]*trial{without}, o.Replicates)
	}
	if err != nil {
		return err
	}
	b.fillZero(z, with, without)
	z.Verdict, z.Why = b.judgeZero(z, with, k.best, o.Space.MinFloor)
	if a := assumedAtZero(z.Verdict, b.world.Loop != nil, b.world.Outside); a != "" {
		r.Assumed = append(r.Assumed, a)
	}
	return nil
}

// assumedAtZero is what advice of a size of zero rests on, if an HPA is to wake the target
// from metrics outside of it; "" otherwise. KEDA's own loop says itself what wakes it.
func assumedAtZero(v ZeroVerdict, keda bool, outside []string) string {
	if v != ZeroAdvised || keda {
		return ""
	}
	return strings.Join(outside, " and ") + " is available while no pod runs"
}

// sides are the configurations to compare, with zero and without. One of them is the best,
// or the current one if none holds. The counterpart of one with zero is the cheapest that
// holds with at least space's floor, or the same configuration at that floor. If
// idleReplicaCount is what sleeps, both are the same configuration, on another bench
// (awake).
func (b *bench) sides(k ranking, space Space) (with, without *trial) {
	best := k.best
	if best == nil {
		best = k.trials[0]
	}
	c := best.config.Clone()
	switch {
	case b.idles():
		return best, &trial{config: c}
	case c.MinReplicas == 0:
		c.MinReplicas = space.floor()
		c.MaxReplicas = max(c.MaxReplicas, c.MinReplicas)
		if ok := feasible(k.trials, space); len(ok) > 0 {
			c = slices.MinFunc(ok, cheaper).config
		}
		return best, k.orNew(c)
	}
	c.MinReplicas = 0
	return k.orNew(c), best
}

// awake is the bench without idleReplicaCount.
func (b *bench) awake() *bench {
	loop := *b.world.Loop
	loop.Idle = nil
	c := *b
	c.world = b.world.Under(&loop)
	c.day = func(i int) *replay.World { return b.day(i).Under(&loop) }
	return &c
}

// orNew is the trial of a configuration, or a new one.
func (k *ranking) orNew(c hpa.Config) *trial {
	if t := k.known(c); t != nil {
		return t
	}
	return &trial{config: c}
}

func (b *bench) fillZero(z *Zero, with, without *trial) {
	z.Against = Describe(without.config)
	if b.idles() {
		z.Against += ", without idleReplicaCount"
	}
	z.HoursAtZero = over(with.of(func(o *outcome) float64 { return o.asleep }))
	z.Wakes = over(with.of(func(o *outcome) float64 { return o.wakes }))
	z.FirstWait = typical(with.of(func(o *outcome) float64 { return o.firstWait }))
	z.Lost = over(with.of(func(o *outcome) float64 { return o.lost }))
	z.SavedHours = paired(with, without, hours, 1)
	if rate, ok := b.rate(); ok {
		z.SavedUSDMonth = paired(with, without, paid, rate*HoursPerMonth/b.world.Demand.Duration().Hours())
	}
	z.Attainment = carriedShare(over(with.of(attainment)), b.world.Doubt.Off.Misses)
	p := with.pMet()
	z.PSLOMet = &p
}

// judgeZero says whether zero is recommended, and why not. minFloor is the user's; 0 =
// none.
func (b *bench) judgeZero(z *Zero, with, best *trial, minFloor int32) (ZeroVerdict, string) {
	switch {
	case z.HoursAtZero == nil || z.HoursAtZero.Value == 0:
		why := "with this load the pods are never idle for long enough"
		if l := b.world.Loop; l != nil {
			why += fmt.Sprintf(" (cooldownPeriod %s)", figure.Duration(l.Cooldown))
		}
		return ZeroNot, why + ", so it would change nothing"
	case best != nil && with == best && with.fate() == holds:
		return ZeroAdvised, fmt.Sprintf("the objectives hold with it on %d of %d replayed days", with.held(), len(with.days))
	case with.fate() != holds:
		return ZeroNot, fmt.Sprintf("with it, %s held on only %d of %d replayed days", b.goals, with.held(), len(with.days))
	case minFloor > 0:
		return ZeroNot, fmt.Sprintf("the objectives hold with it, but your --min-floor is %d", minFloor)
	}
	return ZeroNot, "the objectives hold with it, but the saving is smaller than the variation between days"
}
