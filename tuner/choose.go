package tuner

import (
	"cmp"
	"math"
	"slices"
)

// How candidates are chosen.
const (
	// sure is the probability with which every objective must hold on one new day for a
	// configuration to count as feasible. The lower end of its interval must reach it.
	sure = 0.9
	// enough is the largest number of replicates per configuration.
	enough = 200
	// alike is the cost difference below which two configurations are equally good: nobody
	// rolls out a change for less, and days differ by more.
	alike = 0.01
	// unparted is the same for two configurations that the replicates cannot tell apart.
	unparted = 0.02
	// members is the largest number of equals that are shown.
	members = 5
)

// fate is the verdict of the replicates on a configuration so far.
type fate int8

const (
	open   fate = iota // more replicates are needed, or all are used up
	holds              // the objectives hold often enough
	misses             // they do not
)

// fate says whether the objectives hold with a probability of at least sure, with 95 %
// confidence on either side.
func (t *trial) fate() fate {
	switch k, n := t.held(), len(t.days); {
	case surelyAbove(k, n, sure):
		return holds
	case surelyBelow(k, n, sure):
		return misses
	}
	return open
}

// cost is what is minimised: mean replica-hours, or the cost of nodes expressed in them.
func (t *trial) cost() float64 { return mean(t.of(paid)) }

// choice is the configuration to recommend, with its alternatives.
type choice struct {
	best *trial // nil: none holds
	// equals are as good as best: they hold, and their cost is within unparted of its cost.
	// best is the first; those that change less come earlier.
	equals                    []*trial
	cheapest, safest, minimal *trial // safest of those that hold, or of all if none does
}

// choose returns, of the trials that hold and that the user's limits allow, the one that
// changes least among those that are as cheap as the cheapest. The order of trials does not
// matter. Trials without a cost (NaN) are never chosen.
func choose(trials []*trial, s Space) choice {
	c := choice{safest: safest(trials, s)}
	ok := feasible(trials, s)
	if len(ok) == 0 {
		return c
	}
	c.cheapest = slices.MinFunc(ok, cheaper)
	c.minimal = slices.MinFunc(ok, nearer)
	c.best = c.minimal
	if !asCheap(c.best, c.cheapest) {
		c.best = slices.MinFunc(only(ok, func(t *trial) bool { return asCheap(t, c.cheapest) }), nearer)
	}
	c.equals = only(ok, func(t *trial) bool { return math.Abs(t.cost()/c.best.cost()-1) <= unparted })
	slices.SortFunc(c.equals, func(a, b *trial) int {
		return cmp.Or(-compareBool(a == c.best, b == c.best), nearer(a, b))
	})
	c.equals = c.equals[:min(members, len(c.equals))]
	return c
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func only(trials []*trial, keep func(*trial) bool) []*trial {
	var out []*trial
	for _, t := range trials {
		if keep(t) {
			out = append(out, t)
		}
	}
	return out
}

// feasible returns the trials that hold, have a cost, and are within the user's
// limits.
func feasible(trials []*trial, s Space) []*trial {
	return only(trials, func(t *trial) bool {
		return t.fate() == holds && !math.IsNaN(t.cost()) && s.allows(&t.config)
	})
}

// asCheap reports whether a costs no more than b as far as one can tell: at most alike
// more, or at most unparted more if the difference over the common days is within its own
// 90 % interval.
func asCheap(a, b *trial) bool {
	more, err := dearer(a, b)
	return more <= alike || more <= unparted && more-1.645*err <= 0
}

// dearer returns how much more a costs than b over their common days, relative to b's cost,
// and the standard error; NaN if there is no common day.
func dearer(a, b *trial) (more, err float64) {
	n := min(len(a.days), len(b.days))
	base, sum, sq := 0.0, 0.0, 0.0
	for i := range n {
		d := a.days[i].paid - b.days[i].paid
		base += b.days[i].paid
		sum += d
		sq += d * d
	}
	m := sum / float64(n)
	variance := max(0, sq/float64(n)-m*m)
	return ratio(sum, base), ratio(math.Sqrt(variance*float64(n)/max(1, float64(n-1))/float64(n)), base/float64(n))
}

// cheaper orders trials by mean cost, then by how often they hold, then by how
// little they change. NaN comes last.
func cheaper(a, b *trial) int {
	return cmp.Or(
		compareNaNLast(a.cost(), b.cost()),
		cmp.Compare(b.pMet(), a.pMet()),
		cmp.Compare(a.distance, b.distance),
		cmp.Compare(a.shift, b.shift),
	)
}

func compareNaNLast(a, b float64) int {
	if math.IsNaN(a) || math.IsNaN(b) {
		return compareBool(math.IsNaN(a), math.IsNaN(b))
	}
	return cmp.Compare(a, b)
}

// nearer orders trials by how little they change: fewer knobs, then smaller steps,
// then the cheaper.
func nearer(a, b *trial) int {
	return cmp.Or(
		cmp.Compare(a.distance, b.distance),
		cmp.Compare(math.Round(a.shift*1e6), math.Round(b.shift*1e6)),
		cheaper(a, b),
	)
}

// safest returns the allowed trial that holds most often, then the one with the most
// margin, then the cheapest; nil if there is none.
func safest(trials []*trial, s Space) *trial {
	ok := only(trials, func(t *trial) bool { return s.allows(&t.config) && len(t.days) > 0 })
	if len(ok) == 0 {
		return nil
	}
	return slices.MinFunc(ok, func(a, b *trial) int {
		aLo, _ := a.pMetEnds()
		bLo, _ := b.pMetEnds()
		return cmp.Or(
			cmp.Compare(bLo, aLo),
			cmp.Compare(round(mean(b.of(attainment)), 1e-3), round(mean(a.of(attainment)), 1e-3)),
			cheaper(a, b),
		)
	})
}

// round rounds f to a multiple of to; NaN becomes −1, so that it is a key.
func round(f, to float64) float64 {
	if math.IsNaN(f) {
		return -1
	}
	return math.Round(f/to) * to
}

// distinctOutcomes keeps one of the candidates that behave alike: many settings have no
// effect under a given load. Of each such group, the one nearest to the current
// configuration stays. all must be in a deterministic order, which is kept.
func distinctOutcomes(all []fluid, nearer func(i, j int) bool) []int {
	type key struct{ hours, paid, attainment, errors, capacity float64 }
	best := map[key]int{}
	for i, f := range all {
		k := key{
			round(f.hours, 1e-6),
			round(f.paid, 1e-6),
			round(f.attainment, 1e-6),
			round(f.errors, 1e-6),
			round(f.capacity, 1),
		}
		if j, ok := best[k]; !ok || nearer(i, j) {
			best[k] = i
		}
	}
	var out []int
	for _, i := range best {
		out = append(out, i)
	}
	slices.Sort(out)
	return out
}

// frontier returns the candidates for which no other candidate of among is at most as dear
// and has a larger margin, cheapest first. Both cost and margin rise along it.
func frontier(all []fluid, among []int) []int {
	order := slices.Clone(among)
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(all[i].paid, all[j].paid), cmp.Compare(all[j].margin, all[i].margin))
	})
	var out []int
	for _, i := range order {
		if len(out) == 0 || all[i].margin > all[out[len(out)-1]].margin {
			out = append(out, i)
		}
	}
	return out
}
