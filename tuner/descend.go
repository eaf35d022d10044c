package tuner

import (
	"math"
	"slices"

	"github.com/hpatune/hpatune/tuner/hpa"
)

const (
	// worthwhile is the least saving for which a neighbor is tried, and promising the least
	// saving times the chance that it holds.
	worthwhile = 0.01
	promising  = worthwhile / 2
	// early is the number of days after which a neighbor that missed more than one day in
	// twenty is given up: to hold, it would need most of the days there are.
	early = 6
)

// descend looks for something cheaper than the cheapest that holds, step by step, with as many
// days as the search's budget in addition. Each step tries the neighbors of that configuration:
// its behavior with every min and target, also with targets in between, and its target and min,
// or the next larger one, with other behaviors. The race may have used up its days before it
// came to these, and it changes only one direction's behavior.
func (s *search) descend() error {
	var best *trial
	for end := s.used + s.budget; s.used < end; {
		ok := feasible(s.trials, s.b.space)
		if len(ok) == 0 {
			return nil
		}
		if cheapest := slices.MinFunc(ok, cheaper); cheapest != best {
			best = cheapest
			if err := s.rate(best); err != nil {
				return err
			}
			if err := s.pass(s.b.reached(s.unknown(s.b.space.neighbors(best.config)))[1:]); err != nil {
				return err
			}
		}
		i := s.step(best)
		if i < 0 {
			return nil
		}
		if err := s.descends(s.trial(i), best); err != nil {
			return err
		}
	}
	return nil
}

// rate gives a trial its pass over the fluid plant, if it came without one: one of simplify's,
// from which the search could not go on.
func (s *search) rate(t *trial) error {
	for _, o := range s.byFluid {
		if o == t {
			return nil
		}
	}
	i := slices.IndexFunc(s.fluids, func(f fluid) bool { return f.config.Equal(&t.config) })
	if i < 0 {
		i = len(s.fluids)
		if err := s.pass([]hpa.Config{t.config}); err != nil {
			return err
		}
	}
	s.byFluid[i] = t
	return nil
}

// descends plays a candidate until it holds, is given up, or turns out to save nothing.
func (s *search) descends(t, best *trial) error {
	for _, n := range batches {
		if n <= len(t.days) {
			continue
		}
		if err := s.play([]*trial{t}, n); err != nil {
			return err
		}
		if more, err := dearer(t, best); t.fate() == holds || t.hopeless() || more-1.645*err > -worthwhile {
			return nil
		}
	}
	return nil
}

// hopeless reports whether a trial misses, or is so unlikely to hold that it is not worth more days.
func (t *trial) hopeless() bool {
	if f := t.fate(); f != open {
		return f == misses
	}
	k, n := t.held(), len(t.days)
	return n >= early && float64(n-k) > max(1, (1-almost)*float64(n))
}

// played reports whether a trial has had any days.
func (t *trial) played() bool { return len(t.days) > 0 }

// almost is the share of days on which a configuration must have held to be given more.
const almost = 0.95

// step returns the candidate that is most worth trying instead of best: the largest saving
// times the chance that it holds; −1 if none is worth it. The chance follows the margin over
// the fluid plant: 1 at the least margin with which a configuration held, 0 at the median
// of those below that with which one did not. It is 0 for a candidate that failed, with its own behavior
// or another.
func (s *search) step(best *trial) int {
	paid, safe := math.NaN(), math.Inf(1) // if best has no fluid, its cost stays NaN, and nothing is worth it
	for i, t := range s.byFluid {
		if t == best {
			paid = s.fluids[i].paid
		}
		if t.fate() == holds {
			safe = min(safe, s.fluids[i].margin)
		}
	}
	unsafe := safe - slack
	var failed []float64
	for i, t := range s.byFluid {
		if m := s.fluids[i].margin; t.hopeless() && m < safe && m > unsafe {
			failed = append(failed, m)
		}
	}
	if n := len(failed); n > 0 { // the fluid plant rates some that fail too well
		slices.Sort(failed)
		unsafe = failed[n/2]
	}
	next, most := -1, promising
	for _, i := range s.allowed() {
		// One that has all its days either holds or has failed.
		if t := s.byFluid[i]; t != nil && t.fate() == holds || s.failed(i) {
			continue
		}
		f := &s.fluids[i]
		chance := min(max((f.margin-unsafe)/(safe-unsafe), 0), 1)
		if saving := 1 - f.paid/paid; saving > worthwhile && saving*chance > most {
			next, most = i, saving*chance
		}
	}
	return next
}

// failed reports whether a candidate's min and target failed with its behavior, or with another
// that is as safe over the fluid plant.
func (s *search) failed(i int) bool {
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

// unknown leaves out configurations that have been passed over the fluid plant, and duplicates.
// The first, which is where the others come from, stays.
func (s *search) unknown(configs []hpa.Config) []hpa.Config {
	out := configs[:1]
	for _, c := range configs {
		same := func(o hpa.Config) bool { return o.Equal(&c) }
		if !slices.ContainsFunc(out, same) &&
			!slices.ContainsFunc(s.fluids, func(f fluid) bool { return same(f.config) }) {
			out = append(out, c)
		}
	}
	return out
}

// neighbors returns c, its behavior with every min and target, targets between c's and the next
// ones included, and the Variants of c, as it is and with the next larger and smaller min. Some
// are twice.
func (s Space) neighbors(c hpa.Config) []hpa.Config {
	out, mins := s.Candidates(c), s.mins(c.MinReplicas)
	if i := Primary(&c); i >= 0 {
		knob := TargetKnob(&c, i)
		for _, between := range halfway(c.Metrics[i].Target) {
			for _, lo := range mins {
				n := c.Clone()
				n.MinReplicas, n.MaxReplicas = lo, s.MaxReplicas(lo, c.MaxReplicas)
				knob.Set(&n, between)
				out = append(out, n)
			}
		}
	}
	out = append(out, s.Variants(c)...)
	// A larger min may pay for a quicker scale-down, and a calmer scale-up for a smaller one.
	var beside []int32
	if k := slices.IndexFunc(mins, func(lo int32) bool { return lo > c.MinReplicas }); k >= 0 {
		beside = append(beside, mins[k])
	}
	if k, _ := slices.BinarySearch(mins, c.MinReplicas); k > 0 {
		beside = append(beside, mins[k-1])
	}
	for _, lo := range beside {
		n := c.Clone()
		n.MinReplicas, n.MaxReplicas = lo, s.MaxReplicas(lo, c.MaxReplicas)
		out = append(out, s.Variants(n)...)
	}
	return out
}

// halfway are the targets between the one given and the next ones of the axis. None is 0: a
// thousandth rounds to itself.
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
		out = append(out, int64(math.Round(float64(max(t.AverageMilli, t.ValueMilli))*f)))
	}
	return out
}

// The ends of the axis of utilization, in percent of the request.
const leastUtilization, mostUtilization = 30, 90
