package tuner

import (
	"cmp"
	"errors"
	"slices"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// hunt is a small search: the grid around a configuration over the fluid plant, and along
// its frontier as many days of the exact plant as are left. It belongs to one worker.
type hunt struct {
	b    *bench
	s    *replay.Scratch
	from hpa.Config // where it begins
	days int        // of a candidate that is believed
	bar  int        // number of these days on which every objective must hold
	want float64    // the margin over the fluid plant at which it starts
	// share is the budget in candidate-days, and left what remains of it. It is slightly
	// exceeded if nothing has met the objectives yet.
	share, left int
	drawn       []*replay.World // the days so far, which all candidates meet
	// fluid and exact run one configuration through one day, with either plant.
	fluid func(*replay.World, hpa.Config, *replay.Scratch) fluid
	exact func(*replay.World, hpa.Config, *replay.Scratch) outcome
}

// newHunt is a hunt on b that starts at the configuration of base, requires what base
// achieves (bar), and has share candidate-days.
func newHunt(b *bench, s *replay.Scratch, base *trial, share int) *hunt {
	h := &hunt{b: b, s: s, from: base.config, share: share, left: share, fluid: b.pass, exact: b.live}
	h.days, h.bar = bar(base, share)
	return h
}

// try plays a candidate day by day, until it has had all days or can no longer reach the
// bar.
func (h *hunt) try(c hpa.Config) *trial {
	t := &trial{config: c}
	for len(t.days) < h.days && !h.fails(t) {
		if len(t.days) == len(h.drawn) {
			h.drawn = append(h.drawn, h.b.day(len(h.drawn)))
		}
		t.days = append(t.days, h.exact(h.drawn[len(t.days)], c, h.s))
		h.left--
	}
	return t
}

// fails reports whether a candidate can no longer reach the bar.
func (h *hunt) fails(t *trial) bool { return len(t.days)-t.held() > h.days-h.bar }

// meets reports whether a candidate had all its days and reached the bar.
func (h *hunt) meets(t *trial) bool { return len(t.days) >= h.days && t.held() >= h.bar }

// best returns the cheapest candidate that meets the objectives, as far as the days allow.
// from is tried first; if it meets them, only cheaper ones are tried. nil = none does; last is
// then one that was tried.
//
// eased is from without the change, if it surely meets them with the change and costs no more.
// It is then tried only if nothing cheaper than eased is found. nil = that is not known.
func (h *hunt) best(passes int, eased *trial) (best, last *trial) {
	grid := h.b.reached(h.grid(passes))
	fluids := make([]fluid, len(grid))
	for i := range grid {
		fluids[i] = h.fluid(h.b.world, grid[i], h.s)
	}
	if eased != nil {
		best, last = h.search(fluids, h.line(fluids, true), nil, nil)
		if best != nil {
			if more, _ := dearer(best, eased); more < 0 {
				return best, last
			}
		}
	}
	meets := false
	if h.b.space.allows(&grid[0]) {
		last = h.try(grid[0])
		if meets = h.meets(last); meets && (best == nil || last.cost() < best.cost()) {
			best = last
		}
	}
	if eased != nil && meets { // the line has been searched
		return best, last
	}
	return h.search(fluids, h.line(fluids, meets), best, last)
}

// search tries the candidates of a line for one that is cheaper than best. It returns the last
// that it tried, or else the one given.
func (h *hunt) search(fluids []fluid, line []int, best, last *trial) (cheapest, tried *trial) {
	_, _ = along(fluids, line, h.want, func(k, beside int) (bool, error) { // what it found is in best
		if h.left <= 0 && best != nil && (beside == 0 || h.left < -h.share) {
			return false, errUsedUp
		}
		last = h.try(fluids[line[k]].config)
		ok := h.meets(last)
		if ok && (best == nil || last.cost() < best.cost()) {
			best = last
		}
		return ok, nil
	})
	return best, last
}

// errUsedUp ends a hunt that has an answer, but no days left for a better one.
var errUsedUp = errors.New("all candidate-days are used up")

// line is the candidates to search along, cheapest first: the frontier of the fluid plant,
// limited to those cheaper than from if that meets the objectives. Otherwise it continues
// with larger and larger sizes, whose benefit the fluid plant may not see.
func (h *hunt) line(fluids []fluid, meets bool) []int {
	var allowed []int
	for i := 1; i < len(fluids); i++ {
		if h.b.space.allows(&fluids[i].config) && (!meets || fluids[i].paid < fluids[0].paid) {
			allowed = append(allowed, i)
		}
	}
	front := frontier(fluids, allowed)
	if meets || len(front) == 0 {
		return front
	}
	top := fluids[front[len(front)-1]].paid
	larger := slices.DeleteFunc(allowed, func(i int) bool { return fluids[i].paid <= top })
	slices.SortStableFunc(larger, func(i, j int) int { return cmp.Compare(fluids[i].paid, fluids[j].paid) })
	return append(front, larger...)
}

// grid is from and the sizes and targets around it, as many as passes allow: a few values
// of minReplicas over the whole range, the targets next to from's, and the lowest.
func (h *hunt) grid(passes int) []hpa.Config {
	space, from := h.b.space, h.from
	out := []hpa.Config{from.Clone()}
	out[0].MaxReplicas = space.MaxReplicas(from.MinReplicas, from.MaxReplicas)
	mins := thinned(space.mins(from.MinReplicas), min(whatIfMins, max(3, passes/3)), from.MinReplicas)
	if len(mins) == 0 { // the floor is above the limit
		return out
	}
	knob, all := space.targets(&from)
	targets := all
	if knob != nil {
		at := max(0, slices.IndexFunc(all, func(v any) bool { return sameValue(v, knob.Get(&from)) }))
		targets = nil
		for i, v := range all {
			if i == 0 || i >= at-1 && i <= at+max(1, passes/len(mins)-3) {
				targets = append(targets, v)
			}
		}
	}
	for _, lo := range mins {
		for _, target := range targets {
			c := from.Clone()
			c.MinReplicas, c.MaxReplicas = lo, space.MaxReplicas(lo, from.MaxReplicas)
			if knob != nil {
				knob.Set(&c, target)
			}
			out = append(out, c)
		}
	}
	if space.MaxLimit <= 0 { // what more than the peak's need would do
		out = append(out, space.Safest(from, 2*mins[len(mins)-1]))
	}
	return out
}

// thinned returns n of the values, evenly spread, including the first, the last and keep.
func thinned(values []int32, n int, keep int32) []int32 {
	if len(values) <= n {
		return values
	}
	var out []int32
	for i, v := range values {
		if v == keep || i*(n-1)/(len(values)-1) != (i-1)*(n-1)/(len(values)-1) || i == 0 {
			out = append(out, v)
		}
	}
	return out
}
