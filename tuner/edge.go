package tuner

import (
	"cmp"
	"slices"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// probe gives a candidate as many days as needed, up to most, to see roughly whether it
// holds. It ends early if it would not seem to, even if it held on all other days.
func (s *search) probe(t *trial, most int) (bool, error) {
	for _, n := range batches {
		if n > most {
			break
		}
		if err := s.play([]*trial{t}, n); err != nil {
			return false, err
		}
		switch t.fate() {
		case holds:
			return true, nil
		case misses:
			return false, nil
		}
		if n := len(t.days); n < most && !seems(most-n+t.held(), most) {
			return false, nil
		}
	}
	return seems(t.held(), len(t.days)), nil
}

// seems reports whether a candidate that held on k of n days seems to hold: the middle of the
// interval of its probability is at least sure. For fewer than 14 days that is above what any
// number shows, and all must have held.
func seems(k, n int) bool {
	lo, hi := shareEnds(k, n)
	return k == n && n > 0 || lo+hi >= 2*sure
}

// edge returns the cheapest candidate along the frontier that seems to hold; ok is
// false if none does.
func (s *search) edge(front []int) (at int, ok bool, err error) {
	k, err := along(s.fluids, front, 0, func(k, _ int) (bool, error) { return s.probe(s.trial(front[k]), glance) })
	if err != nil || k == len(front) {
		return at, false, err
	}
	return front[k], true, nil
}

// along returns the index of the first candidate on a line that holds, assuming that those
// before it do not; the line's length if none does. It starts where the fluid plant
// predicts a margin of want, and doubles its steps from there. holds gets the number of
// places in question next to k; its error ends the search.
func along(fluids []fluid, line []int, want float64, holds func(k, beside int) (bool, error)) (int, error) {
	lo, hi := -1, len(line) // lo misses, hi holds
	k := slices.IndexFunc(line, func(i int) bool { return fluids[i].margin >= want })
	if k < 0 {
		k = hi - 1
	}
	for step := 1; hi-lo > 1; step *= 2 {
		ok, err := holds(k, hi-lo-2)
		if err != nil {
			return hi, err
		}
		if ok {
			hi = k
		} else {
			lo = k
		}
		switch {
		case lo >= 0 && hi < len(line):
			k = (lo + hi) / 2
		case ok:
			k = max(0, hi-step)
		default:
			k = min(len(line)-1, lo+step)
		}
	}
	return hi, nil
}

// beyond tries the safest configurations: the highest min with the lowest target, then
// twice and four times that min if the limit allows it. It returns the first that seems to
// hold, and adds those in between to the list; ok is false if more replicas do not help.
func (s *search) beyond() (at int, ok bool, err error) {
	space := s.b.space
	mins := space.mins(s.current.MinReplicas)
	if len(mins) == 0 {
		return at, false, nil
	}
	for lo, k := mins[len(mins)-1], 0; k < 3; lo, k = 2*lo, k+1 {
		if space.MaxLimit > 0 {
			lo = min(lo, space.MaxLimit)
		}
		at = len(s.fluids)
		if err := s.pass([]hpa.Config{space.Safest(s.current, lo)}); err != nil {
			return at, false, err
		}
		switch ok, err := s.surely(s.trial(at)); {
		case err != nil:
			return at, false, err
		case ok:
			return at, true, s.between(mins[len(mins)-1], lo)
		}
		if lo == space.MaxLimit {
			break
		}
	}
	return at, false, nil
}

// surely gives a candidate that seems to hold the days that are needed to be sure.
func (s *search) surely(t *trial) (bool, error) {
	if ok, err := s.probe(t, glance); err != nil || !ok {
		return false, err
	}
	err := s.race([]*trial{t})
	return t.fate() == holds, err
}

// between adds fixed sizes between two mins that the grid does not have.
func (s *search) between(lo, hi int32) error {
	var configs []hpa.Config
	for m := lo + max(1, (hi-lo)/8); m < hi; m += max(1, (hi-lo)/8) {
		configs = append(configs, s.b.space.Safest(s.current, m))
	}
	return s.pass(configs)
}

// turn gives other behaviors to the most promising pairs of min and target: those that cost
// at most as much as the edge, the ones nearest to holding first.
func (s *search) turn(edge int) error {
	e := s.fluids[edge]
	near := slices.DeleteFunc(s.allowed(), func(i int) bool {
		return s.fluids[i].paid > e.paid*(1+unparted) || s.fluids[i].margin < e.margin-3*slack
	})
	slices.SortStableFunc(near, func(i, j int) int { return cmp.Compare(s.fluids[j].margin, s.fluids[i].margin) })
	var configs []hpa.Config
	for _, i := range near[:min(hopefuls, len(near))] {
		configs = append(configs, s.b.space.Variants(s.fluids[i].config)...)
	}
	return s.pass(configs)
}
