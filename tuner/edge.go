package tuner

import (
	"cmp"
	"slices"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// probe gives a candidate as many days as it takes, up to most, to see roughly
// whether it holds.
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
	}
	lo, hi := t.pMetEnds()
	return lo+hi >= 2*sure, nil
}

// edge returns the cheapest candidate along the frontier that seems to hold; −1 if
// none does. It begins where the fluid plant says that it is, and doubles its steps
// from there.
func (s *search) edge(front []int) (int, error) {
	if len(front) == 0 {
		return -1, nil
	}
	k := slices.IndexFunc(front, func(i int) bool { return s.fluids[i].margin >= 0 })
	if k < 0 {
		k = len(front) - 1
	}
	lo, hi := -1, len(front) // lo misses, hi holds
	for step := 1; hi-lo > 1; step *= 2 {
		ok, err := s.probe(s.trial(front[k]), glance)
		if err != nil {
			return -1, err
		}
		if ok {
			hi = k
		} else {
			lo = k
		}
		switch {
		case lo >= 0 && hi < len(front):
			k = (lo + hi) / 2
		case ok:
			k = max(0, hi-step)
		default:
			k = min(len(front)-1, lo+step)
		}
	}
	if hi == len(front) {
		return -1, nil
	}
	return front[hi], nil
}

// beyond tries the safest configurations there are: the highest min with the
// lowest target, then twice and four times that min where the limit allows. It
// returns the first that seems to hold, and puts those between on the list; −1 says
// that more replicas do not help.
func (s *search) beyond() (int, error) {
	space := s.b.space
	mins := space.mins(s.current.MinReplicas)
	if len(mins) == 0 {
		return -1, nil
	}
	for lo, k := mins[len(mins)-1], 0; k < 3; lo, k = 2*lo, k+1 {
		if space.MaxLimit > 0 {
			lo = min(lo, space.MaxLimit)
		}
		at := len(s.fluids)
		if err := s.pass([]hpa.Config{space.Safest(s.current, lo)}); err != nil {
			return -1, err
		}
		t := s.trial(at)
		ok, err := s.probe(t, glance)
		if err != nil {
			return -1, err
		}
		if ok {
			if err := s.race([]*trial{t}); err != nil {
				return -1, err
			}
			if t.fate() == holds {
				return at, s.between(mins[len(mins)-1], lo)
			}
		}
		if lo == space.MaxLimit {
			break
		}
	}
	return -1, nil
}

// between adds fixed sizes between two mins, where the grid has none.
func (s *search) between(lo, hi int32) error {
	var configs []hpa.Config
	for m := lo + max(1, (hi-lo)/8); m < hi; m += max(1, (hi-lo)/8) {
		configs = append(configs, s.b.space.Safest(s.current, m))
	}
	return s.pass(configs)
}

// turn gives the most promising pairs of min and target other behaviors: those not
// dearer than the edge, nearest to holding first.
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
