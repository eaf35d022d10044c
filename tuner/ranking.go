package tuner

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// How candidates are found.
const (
	// effort is how many simulated requests a search may take, and leastDays the
	// candidate-days it gets in any case: some seconds of two cores for a recording
	// of a million requests, and rather more than is needed for a short one.
	effort    = 5e6
	leastDays = 90
	// slack is how far below what just held the fluid plant may put a candidate that
	// is still worth an exact replay (tuner/MODEL.md, Limits).
	slack = 0.03
	// hopefuls is how many (min, target) pairs get other behaviors.
	hopefuls = 12
	// glance is how many days the first look at a candidate takes at most.
	glance = 30
	// contenders is how many candidates are compared request by request, at most.
	contenders = 24
)

// batches is after how many days a candidate's fate is looked at.
var batches = []int{3, 6, 12, 20, 30, 50, 80, 120, enough}

// ranking is what the search found out.
type ranking struct {
	choice
	fluids []fluid  // every candidate's pass over the fluid plant
	trials []*trial // the present configuration first
}

// search is a ranking under construction.
type search struct {
	b       *bench
	ctx     context.Context
	o       Options
	current hpa.Config
	// fluid and exact run one configuration through one day, with either plant.
	fluid func(*replay.World, hpa.Config, *replay.Scratch) fluid
	exact func(*replay.World, hpa.Config, *replay.Scratch) outcome

	fluids  []fluid
	trials  []*trial
	byFluid map[int]*trial
	used    int // candidate-days
	budget  int
}

// rank passes candidates over the fluid plant, finds with few exact replays where
// along its frontier the objectives begin to hold, turns the behavior of those
// nearby, and lets the contenders race: all start with a few days, who clearly
// misses or clearly costs more drops out, the others get more days. Then each
// change of the pick that buys nothing is put back.
//
// It stops only when a configuration holds, or the safest there is does not.
func (b *bench) rank(ctx context.Context, o Options) (ranking, error) {
	s := newSearch(ctx, b, o)
	err := s.run()
	return ranking{choice: choose(s.trials, b.space), fluids: s.fluids, trials: s.trials}, err
}

func newSearch(ctx context.Context, b *bench, o Options) *search {
	return &search{
		b:       b,
		ctx:     ctx,
		o:       o,
		current: o.Current,
		fluid:   b.pass,
		exact:   b.live,
		byFluid: map[int]*trial{},
		budget:  daysFor(sum(b.world.Demand.Bins)),
	}
}

// daysFor is how many candidate-days a search gets whose days have so many requests.
func daysFor(requests float64) int {
	return min(max(int(effort/max(requests, 1)), leastDays), contenders*enough)
}

// reached leaves out candidates whose targets are so far beyond what was sampled
// that nothing is known of how the metric goes there; the first, which is the
// present configuration, stays.
func (b *bench) reached(configs []hpa.Config) []hpa.Config {
	out := configs[:1]
	for _, c := range configs[1:] {
		if b.reach != nil {
			if far, _ := b.reach(&c); far == fit.Unseen {
				continue
			}
		}
		out = append(out, c)
	}
	return out
}

func (s *search) run() error {
	b := s.b
	if err := s.pass(b.reached(b.space.Candidates(s.current))); err != nil {
		return err
	}
	// The first is the present configuration; days are common to all.
	if err := s.play([]*trial{s.trial(0)}, s.o.Replicates); err != nil {
		return err
	}
	edge, err := s.edge(frontier(s.fluids, s.allowed()))
	if err != nil {
		return err
	}
	if edge < 0 {
		if edge, err = s.beyond(); err != nil || edge < 0 {
			return err
		}
	}
	if err := s.turn(edge); err != nil {
		return err
	}
	if err := s.race(s.contend(edge)); err != nil {
		return err
	}
	// What seemed to hold after a few days may not after many.
	for _, i := range frontier(s.fluids, s.allowed()) {
		if len(feasible(s.trials, b.space)) > 0 {
			break
		}
		if s.fluids[i].margin >= s.fluids[edge].margin {
			if err := s.race([]*trial{s.trial(i)}); err != nil {
				return err
			}
		}
	}
	if len(feasible(s.trials, b.space)) == 0 {
		if i, err := s.beyond(); err != nil || i < 0 {
			return err
		}
	}
	if err := s.simplify(); err != nil {
		return err
	}
	return s.level()
}

// pass adds candidates to the fluids.
func (s *search) pass(configs []hpa.Config) error {
	from := len(s.fluids)
	s.fluids = append(s.fluids, make([]fluid, len(configs))...)
	return parallel(
		s.ctx,
		len(configs),
		func(done int) { s.o.Progress("search", from+done, from+len(configs)) },
		func(i int, r *replay.Scratch) {
			s.fluids[from+i] = s.fluid(s.b.world, configs[i], r)
		},
	)
}

// allowed are the candidates that may be recommended, one of those that behave
// alike.
func (s *search) allowed() []int {
	n := make([]int, len(s.fluids))
	shift := make([]float64, len(s.fluids))
	for i := range s.fluids {
		n[i], shift[i] = apart(s.current, s.fluids[i].config)
	}
	all := distinctOutcomes(s.fluids, func(i, j int) bool {
		a, b := s.b.space.allows(&s.fluids[i].config), s.b.space.allows(&s.fluids[j].config)
		if a != b {
			return a
		}
		return n[i] < n[j] || n[i] == n[j] && shift[i] < shift[j]
	})
	return slices.DeleteFunc(all, func(i int) bool { return !s.b.space.allows(&s.fluids[i].config) })
}

// trial is the exact side of a fluid.
func (s *search) trial(i int) *trial {
	if t := s.byFluid[i]; t != nil {
		return t
	}
	t := s.add(s.fluids[i].config)
	s.byFluid[i] = t
	return t
}

// add makes a trial of a configuration, or returns the one there is.
func (s *search) add(c hpa.Config) *trial {
	for _, t := range s.trials {
		if t.config.Equal(&c) {
			return t
		}
	}
	t := &trial{config: c}
	t.distance, t.shift = apart(s.current, c)
	s.trials = append(s.trials, t)
	return t
}

// play brings every trial to n days. Days are drawn once for all of them.
func (s *search) play(trials []*trial, n int) error {
	from, work := n, 0
	for _, t := range trials {
		from = min(from, len(t.days))
		work += max(0, n-len(t.days))
	}
	if work == 0 {
		return nil
	}
	have := make([]int, len(trials))
	for k, t := range trials {
		have[k] = len(t.days)
		t.days = append(t.days, make([]outcome, max(0, n-len(t.days)))...)
	}
	before := s.used
	s.used += work
	return parallel(s.ctx, n-from, func(done int) {
		s.o.Progress("rank", before+work*done/(n-from), max(s.budget, s.used))
	}, func(i int, r *replay.Scratch) {
		day := s.b.day(from + i)
		for k, t := range trials {
			if from+i >= have[k] {
				t.days[from+i] = s.exact(day, t.config, r)
			}
		}
	})
}

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

// contend lists whom to compare: those that may hold and are not dearer than the
// edge, half of them the cheapest, half of them those that change least. What the
// exact replays said so far moves the line of what may hold.
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

// race gives days to the contenders until each holds, misses, or is out: clearly
// dearer than one that holds. Once the budget is used up they go on one by one, the
// cheapest first, until somebody holds or everybody had enough.
func (s *search) race(in []*trial) error {
	for _, n := range batches {
		if s.used > s.budget {
			return s.oneByOne(in)
		}
		if err := s.play(in, n); err != nil {
			return err
		}
		var best *trial
		if ok := feasible(s.trials, s.b.space); len(ok) > 0 {
			best = slices.MinFunc(ok, cheaper)
		}
		in = slices.DeleteFunc(slices.Clone(in), func(t *trial) bool {
			if t.fate() != open {
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

// oneByOne is the race beyond its budget.
func (s *search) oneByOne(in []*trial) error {
	slices.SortStableFunc(in, cheaper)
	for _, t := range in {
		for _, n := range batches {
			if len(feasible(s.trials, s.b.space)) > 0 {
				return nil
			}
			if t.fate() != open {
				break
			}
			if err := s.play([]*trial{t}, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// simplify puts the pick's changes back one by one, as long as that gives a better
// pick: a change that buys nothing is not recommended. The race need not have had
// those in between.
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
			if c.knob.Path == "spec.maxReplicas" || !ok || !s.b.space.allows(&cfg) {
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

// level gives those that will be shown side by side the same days, more than they
// need where these come cheap: their intervals are the better for it.
func (s *search) level() error {
	c := choose(s.trials, s.b.space)
	shown := append([]*trial{s.trials[0], c.best, c.cheapest, c.safest, c.minimal}, c.equals...)
	shown = only(shown, func(t *trial) bool { return t != nil })
	slices.SortFunc(shown, func(a, b *trial) int { return slices.Index(s.trials, a) - slices.Index(s.trials, b) })
	shown = slices.Compact(shown)
	spare := (s.budget - s.used) / max(1, len(shown))
	return s.play(shown, max(s.o.Replicates, min(enough, spare)))
}

// resampled returns the highest need of the first n days.
func (b *bench) resampled(ctx context.Context, n int) (int32, error) {
	peaks := make([]float64, n)
	err := parallel(ctx, n, nil, func(i int, _ *replay.Scratch) {
		d := b.day(i).Demand
		peaks[i] = peak(needs(d.Bins, d.Step, b.perReplica))
	})
	return int32(math.Ceil(peak(peaks))), err
}
