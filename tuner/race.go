package tuner

import (
	"cmp"
	"slices"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// contend lists the candidates to compare: those that may hold and cost no more than the
// edge, half of them the cheapest, half of them those that change least. The results of
// exact replays so far move the line of what may hold.
func (s *search) contend(edge int) []*trial {
	e := s.fluids[edge]
	least := e.margin
	for i, t := range s.byFluid {
		if f := t.fate(); f == holds {
			least = min(least, s.fluids[i].margin)
		}
	}
	among := slices.DeleteFunc(s.allowed(), func(i int) bool {
		t := s.byFluid[i]
		return s.fluids[i].paid > e.paid*(1+2*unparted) || s.fluids[i].margin < least-slack ||
			t != nil && t.fate() == misses
	})
	var out []*trial
	take := func(n int) {
		for _, i := range among {
			if t := s.trial(i); n > 0 && !slices.Contains(out, t) {
				out = append(out, t)
				n--
			}
		}
	}
	most := min(contenders, max(4, s.budget/30))
	slices.SortStableFunc(among, func(i, j int) int { return cmp.Compare(s.fluids[i].paid, s.fluids[j].paid) })
	take((most + 1) / 2)
	distance := map[int]*trial{}
	for _, i := range among {
		n, shift := apart(s.current, s.fluids[i].config)
		distance[i] = &trial{distance: n, shift: shift}
	}
	slices.SortStableFunc(among, func(i, j int) int {
		a, b := distance[i], distance[j]
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.shift, b.shift))
	})
	take(most / 2)
	if t := s.trial(edge); !slices.Contains(out, t) {
		out = append(out, t)
	}
	if t := s.trials[0]; s.b.space.allows(&t.config) && t.fate() != misses && !slices.Contains(out, t) {
		out = append(out, t)
	}
	return out
}

// race gives days to the contenders until each holds, misses, or is out: clearly more
// expensive than one that holds. When the budget is used up, they continue one by one, the
// cheapest first, until one holds or all had enough days.
func (s *search) race(in []*trial) error {
	for _, n := range batches {
		if s.used > s.budget {
			return s.oneByOne(in, false)
		}
		if err := s.play(in, n); err != nil {
			return err
		}
		var best *trial
		if ok := feasible(s.trials, s.b.space); len(ok) > 0 {
			best = slices.MinFunc(ok, cheaper)
		}
		in = slices.DeleteFunc(slices.Clone(in), func(t *trial) bool {
			if t.fate() != open || t.hopeless() {
				return true
			}
			if best == nil {
				return false
			}
			more, err := dearer(t, best)
			return more-1.645*err > unparted
		})
		if len(in) == 0 {
			return nil
		}
	}
	return nil
}

// oneByOne is the race beyond its budget. A candidate that has become hopeless gets no more
// days, unless patient: dearer ones may hold at once, and it would take all the days there are.
func (s *search) oneByOne(in []*trial, patient bool) error {
	slices.SortStableFunc(in, cheaper)
	for _, t := range in {
		for _, n := range batches {
			if len(feasible(s.trials, s.b.space)) > 0 {
				return nil
			}
			if t.fate() != open || !patient && t.hopeless() {
				break
			}
			if err := s.play([]*trial{t}, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// simplify reverts the pick's changes one by one, as long as that gives a better pick: a
// change that brings nothing is not recommended. The race may not have had the
// configurations in between.
func (s *search) simplify() error {
	for {
		best := choose(s.trials, s.b.space).best
		if best == nil {
			return nil
		}
		changes := changesBetween(s.current, best.config)
		if best.config.Behavior && !s.current.Behavior { // or all of it at once: no single value says "none"
			knobs := hpa.Knobs(&best.config)
			i := slices.IndexFunc(knobs, func(k hpa.Knob) bool { return k.Path == wholeBehavior })
			changes = append(changes, change{knobs[i], false, true})
		}
		var tried []*trial
		for _, c := range changes {
			cfg, ok := revert(best.config, c)
			if c.knob.Path == hpa.MaxReplicasPath || !ok || !s.b.space.allows(&cfg) {
				continue // derived, not searched
			}
			if t := s.add(cfg); t.fate() == open && len(t.days) < len(best.days) {
				tried = append(tried, t)
			}
		}
		if len(tried) == 0 {
			return nil
		}
		if err := s.race(tried); err != nil {
			return err
		}
		if choose(s.trials, s.b.space).best == best {
			return nil
		}
	}
}

// confirm gives the pick more days, and if it no longer holds then, what replaces it: the
// cheapest of many that were tried on the same days was lucky on them more often than not.
func (s *search) confirm() error {
	for {
		best := choose(s.trials, s.b.space).best
		if best == nil || len(best.days) >= s.firm() {
			return nil
		}
		if err := s.play([]*trial{best}, s.firm()); err != nil {
			return err
		}
	}
}

// firm is the number of days of a pick: the fewest of which three may be missed, or one if days
// are long.
func (s *search) firm() int {
	const three, one = 76, 46
	if s.budget >= 2*three {
		return three
	}
	return one
}

// level gives the configurations that are shown side by side the same days, and more than
// they need if days are cheap, which improves their intervals.
func (s *search) level() error {
	c := choose(s.trials, s.b.space)
	var shown []*trial
	for _, t := range append([]*trial{s.trials[0], c.best, c.cheapest, c.safest, c.minimal}, c.equals...) {
		if t != nil && !slices.Contains(shown, t) {
			shown = append(shown, t)
		}
	}
	spare := (s.budget - s.used) / max(1, len(shown))
	return s.play(shown, max(s.o.Replicates, min(enough, spare)))
}
