package tuner

import (
	"math"
	"slices"

	"github.com/hpatune/hpatune/tuner/hpa"
)

const (
	// descent is the share of the search's budget that looking for cheaper neighbors of the
	// pick may take in addition.
	descent = 1.0
	// worthwhile is the least saving, times the chance that it holds, for which a neighbor is
	// tried.
	worthwhile = 0.01
	// early is the number of days after which a neighbor that missed more than one day in
	// twenty is given up: to hold, it would need most of the days there are.
	early = 6
)

// descend looks for something cheaper than the cheapest that holds, step by step. Each step
// tries the neighbors of that configuration: its behavior with every min and target, also with
// targets in between, and its target and min, or the next larger one, with other behaviors. The race may have used up
// its days before it came to these, and it changes only one direction's behavior.
func (s *search) descend() error {
	least := s.used
	for float64(s.used-least) < descent*float64(s.budget) {
		ok := feasible(s.trials, s.b.space)
		if len(ok) == 0 {
			return nil
		}
		best := slices.MinFunc(ok, cheaper)
		if err := s.pass(s.b.reached(s.unknown(best.config, s.b.space.neighbors(best.config)))[1:]); err != nil {
			return err
		}
		for {
			i := s.step(best)
			if i < 0 {
				return nil
			}
			holds, err := s.descends(s.trial(i), best)
			if err != nil {
				return err
			}
			if holds {
				break
			}
			if float64(s.used-least) >= descent*float64(s.budget) {
				return nil
			}
		}
	}
	return nil
}

// descends plays a candidate until it holds, is given up, or turns out to save nothing.
func (s *search) descends(t, best *trial) (bool, error) {
	for _, n := range batches {
		if n <= len(t.days) {
			continue
		}
		if err := s.play([]*trial{t}, n); err != nil {
			return false, err
		}
		if t.fate() == holds {
			return true, nil
		}
		if more, err := dearer(t, best); t.hopeless() || more-1.645*err > -worthwhile {
			return false, nil
		}
	}
	return false, nil
}

// hopeless reports whether a trial misses, or is so unlikely to hold that it is not worth more days.
func (t *trial) hopeless() bool {
	k, n := t.held(), len(t.days)
	return t.fate() == misses || n >= early && float64(n-k) > max(1, (1-almost)*float64(n))
}

// played reports whether a trial has had any days.
func (t *trial) played() bool { return len(t.days) > 0 }

// almost is the share of days on which a configuration must have held to be given more.
const almost = 0.95

// step returns the candidate that is most worth trying instead of best: the largest saving
// times the chance that it holds; −1 if none is worth it. The chance follows the margin over
// the fluid plant: 1 at the least margin with which a configuration held, 0 at the largest
// below that with which one did not. It is 0 for a sibling of one that did not.
func (s *search) step(best *trial) int {
	at, paid := -1, math.NaN()
	safe := math.Inf(1)
	for i, t := range s.byFluid {
		if t == best && (at < 0 || i < at) {
			at, paid = i, s.fluids[i].paid
		}
		if t.fate() == holds {
			safe = min(safe, s.fluids[i].margin)
		}
	}
	if at < 0 || math.IsInf(safe, 1) {
		return -1
	}
	unsafe := safe - slack
	for i, t := range s.byFluid {
		if m := s.fluids[i].margin; t.hopeless() && m < safe {
			unsafe = max(unsafe, m)
		}
	}
	next, most := -1, worthwhile
	for _, i := range s.allowed() {
		f := &s.fluids[i]
		if t := s.byFluid[i]; t != nil && (t == best || t.hopeless() || t.fate() == holds || len(t.days) >= enough) {
			continue
		}
		if s.sibling(i) {
			continue
		}
		chance := min(max((f.margin-unsafe)/(safe-unsafe), 0), 1)
		if gain := (1 - f.paid/paid) * chance; gain > most {
			next, most = i, gain
		}
	}
	return next
}

// sibling reports whether a candidate's min and target failed with another behavior that is as
// safe over the fluid plant.
func (s *search) sibling(i int) bool {
	f := &s.fluids[i]
	for k, t := range s.byFluid {
		c := &s.fluids[k]
		if t.hopeless() && c.margin >= f.margin-assafe && c.config.MinReplicas == f.config.MinReplicas &&
			slices.Equal(c.config.Metrics, f.config.Metrics) {
			return true
		}
	}
	return false
}

// assafe is the difference of two margins over the fluid plant that says nothing.
const assafe = 0.001

// unknown returns from and those of the configurations that have not been passed over the
// fluid plant.
func (s *search) unknown(from hpa.Config, configs []hpa.Config) []hpa.Config {
	out := []hpa.Config{from}
	for _, c := range configs {
		same := func(o hpa.Config) bool { return o.Equal(&c) }
		if slices.ContainsFunc(out, same) ||
			slices.ContainsFunc(s.fluids, func(f fluid) bool { return same(f.config) }) {
			continue
		}
		out = append(out, c)
	}
	return out
}

// neighbors returns c's behavior with every min and target, targets between c's and the next
// ones included, and the Variants of c, as it is and with the next larger min.
func (s Space) neighbors(c hpa.Config) []hpa.Config {
	out := s.Candidates(c)[1:]
	if i := Primary(&c); i >= 0 {
		knob := TargetKnob(&c, i)
		for _, between := range halfway(c.Metrics[i].Target) {
			for _, lo := range s.mins(c.MinReplicas) {
				n := c.Clone()
				n.MinReplicas, n.MaxReplicas = lo, s.MaxReplicas(lo, c.MaxReplicas)
				knob.Set(&n, between)
				out = append(out, n)
			}
		}
	}
	out = append(out, s.Variants(c)...)
	if mins := s.mins(c.MinReplicas); len(mins) > 0 && c.MinReplicas < mins[len(mins)-1] {
		// A larger min may pay for a quicker scale-down.
		n := c.Clone()
		n.MinReplicas = mins[slices.Index(mins, c.MinReplicas)+1]
		n.MaxReplicas = s.MaxReplicas(n.MinReplicas, c.MaxReplicas)
		out = append(out, s.Variants(n)...)
	}
	return out
}

// halfway are the targets between the one given and the next ones of the axis.
func halfway(t hpa.Target) []any {
	var out []any
	if u := t.Utilization; u > 0 {
		for _, next := range []int32{u - 5, u + 5} {
			if next >= leastUtilization && next <= mostUtilization {
				out = append(out, next)
			}
		}
		return out
	}
	for _, f := range []float64{0.92, 1.1} {
		out = append(out, max(int64(math.Round(float64(max(t.AverageMilli, t.ValueMilli))*f)), 1))
	}
	return out
}

// The ends of the axis of utilization, in percent of the request.
const leastUtilization, mostUtilization = 30, 90
