package tuner

import (
	"cmp"
	"math"
	"slices"
)

// How candidates are shortlisted and chosen.
const (
	// slack is how far below the wanted attainment the fluid plant may put a
	// candidate that is still worth an exact replay: its own error, which is to
	// the low side near saturation (tuner/MODEL.md, Limits).
	slack = 0.06
	// sure is how often, over the replicates, every objective must hold for a
	// configuration to count as feasible.
	sure = 0.9
	// simpler is how much more than the cheapest a simpler configuration may cost
	// and still be preferred.
	simpler = 0.01
	// perRound is how many candidates one round of exact replays ranks.
	perRound = 40
)

// distinctOutcomes keeps one candidate of those that behave alike: many knobs
// never bind on a given load. Of each such group the one nearest to the current
// configuration stays. all must be in a deterministic order, and stays in it.
func distinctOutcomes(all []fluid, distance func(i int) int) []int {
	type key struct{ hours, attainment, capacity float64 }
	best := map[key]int{}
	for i, f := range all {
		k := key{round(f.hours, 1e-6), round(f.attainment, 1e-6), round(orNaN(f.capacity), 1)}
		if j, ok := best[k]; !ok || distance(i) < distance(j) {
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

func orNaN(f float64) float64 {
	if math.IsNaN(f) {
		return -1 // NaN is no map key
	}
	return f
}

func round(f, to float64) float64 { return math.Round(orNaN(f)/to) * to }

// shortlist orders the candidates worth an exact replay: those that the fluid
// plant puts within slack of the objectives, cheapest first; then the others,
// nearest miss first, in case none of those holds.
func shortlist(all []fluid, among []int, g goals) []int {
	out := slices.Clone(among)
	slices.SortStableFunc(out, func(i, j int) int {
		a, b := all[i], all[j]
		ga, gb := g.near(a, slack), g.near(b, slack)
		switch {
		case ga != gb:
			if ga {
				return -1
			}
			return 1
		case ga:
			return cmp.Or(cmp.Compare(a.hours, b.hours), cmp.Compare(b.attainment, a.attainment))
		default:
			return cmp.Or(cmp.Compare(b.attainment, a.attainment), cmp.Compare(a.hours, b.hours))
		}
	})
	return out
}

// cheaper orders trials by mean cost, then by how well they hold, then by how
// little they change.
func cheaper(a, b *trial) int {
	return cmp.Or(cmp.Compare(mean(a.hours), mean(b.hours)), cmp.Compare(b.pMet(), a.pMet()), cmp.Compare(a.distance, b.distance))
}

// feasible returns the trials in which every objective holds often enough.
func feasible(trials []*trial) []*trial {
	var out []*trial
	for _, t := range trials {
		if t.pMet() >= sure {
			out = append(out, t)
		}
	}
	return out
}

// pick returns, of the feasible trials, the one that changes least among those
// within 1 % of the cheapest; nil if there is none.
func pick(trials []*trial) *trial {
	ok := feasible(trials)
	if len(ok) == 0 {
		return nil
	}
	cheapest := slices.MinFunc(ok, cheaper)
	limit := mean(cheapest.hours) * (1 + simpler)
	best := cheapest
	for _, t := range ok {
		if mean(t.hours) <= limit && (t.distance < best.distance || t.distance == best.distance && cheaper(t, best) < 0) {
			best = t
		}
	}
	return best
}

// safest returns the trial that holds most often, then with the most room, then
// the cheapest.
func safest(trials []*trial) *trial {
	if len(trials) == 0 {
		return nil
	}
	return slices.MinFunc(trials, func(a, b *trial) int {
		return cmp.Or(cmp.Compare(b.pMet(), a.pMet()), cmp.Compare(round(mean(b.attainment), 1e-3), round(mean(a.attainment), 1e-3)), cheaper(a, b))
	})
}

// minimalChange returns the feasible trial with the fewest changed knobs, then
// the cheapest.
func minimalChange(trials []*trial) *trial {
	ok := feasible(trials)
	if len(ok) == 0 {
		return nil
	}
	return slices.MinFunc(ok, func(a, b *trial) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cheaper(a, b))
	})
}
