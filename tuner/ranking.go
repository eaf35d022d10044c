package tuner

import (
	"context"
	"math"
	"slices"

	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// How candidates are found.
const (
	// effort is the number of simulated requests that a search may take, and leastDays its
	// minimum of candidate-days: some seconds of two cores for a recording of a million
	// requests, and more than enough for a short one.
	effort    = 5e6
	leastDays = 90
	// slack is how far below what just held the fluid plant may rate a candidate that still
	// gets an exact replay (tuner/MODEL.md, Limits).
	slack = 0.03
	// hopefuls is the number of (min, target) pairs that get other behaviors.
	hopefuls = 12
	// glance is the largest number of days of the first look at a candidate.
	glance = 30
	// contenders is the largest number of candidates that are compared request by request.
	contenders = 24
)

// batches are the numbers of days after which a candidate's fate is checked.
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

// rank passes candidates over the fluid plant, finds with a few exact replays where along
// its frontier the objectives start to hold, varies the behavior of those nearby, and lets
// the contenders race: all start with a few days; those that clearly miss or clearly cost
// more drop out, and the others get more days. Then every change of the pick that brings
// nothing is reverted.
//
// It stops only when a configuration holds, or when the safest one does not.
func (b *bench) rank(ctx context.Context, o Options) (ranking, error) {
	s := newSearch(ctx, b, o)
	err := s.run()
	o.Progress("rank", s.used, s.used) // the budget need not be used up
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

// daysFor is the number of candidate-days of a search whose days have this many requests.
func daysFor(requests float64) int {
	return min(max(int(effort/max(requests, 1)), leastDays), contenders*enough)
}

// reached leaves out candidates whose targets are so far beyond the sampled range that the
// behavior of the metric there is unknown. The first, which is the current configuration,
// stays.
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
	edge, ok, err := s.edge(frontier(s.fluids, s.allowed()))
	if err == nil && !ok {
		edge, ok, err = s.beyond()
	}
	if err != nil || !ok {
		return err
	}
	if err := s.turn(edge); err != nil {
		return err
	}
	if err := s.race(s.contend(edge)); err != nil {
		return err
	}
	for {
		before := s.used
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
		if err := s.oneByOne(only(s.trials, (*trial).played), true); err != nil {
			return err
		}
		if len(feasible(s.trials, b.space)) == 0 {
			if _, ok, err := s.beyond(); err != nil || !ok {
				return err
			}
		}
		pick, err := s.settle()
		if err != nil {
			return err
		}
		if err := s.level(); err != nil {
			return err
		}
		// The days that level adds may show that the pick was lucky, or that another one holds:
		// then the search goes on.
		if best := choose(s.trials, b.space).best; best != nil && best == pick || s.used == before {
			return nil
		}
	}
}

// settle goes from what holds to the pick. As often as that turns out to have been lucky, it
// looks again between it and what replaces it, until the search's budget has been used twice more.
// The pick is nil if nothing holds.
func (s *search) settle() (*trial, error) {
	for end := s.used + 2*s.budget; ; {
		if err := s.descend(); err != nil {
			return nil, err
		}
		if err := s.simplify(); err != nil {
			return nil, err
		}
		lucky := choose(s.trials, s.b.space).best
		if err := s.confirm(); err != nil {
			return nil, err
		}
		if best := choose(s.trials, s.b.space).best; best == nil || best == lucky || s.used >= end {
			return best, nil
		}
	}
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

// allowed are the candidates that may be recommended, one of each group that behaves alike.
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

// add makes a trial of a configuration, or returns the existing one.
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

// play brings every trial to n days. Days are drawn once for all trials.
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

// resampled returns the highest need of the first n days.
func (b *bench) resampled(ctx context.Context, n int) (int32, error) {
	peaks := make([]float64, n)
	err := parallel(ctx, n, nil, func(i int, _ *replay.Scratch) {
		d := b.day(i).Demand
		peaks[i] = peak(needs(d.Bins, d.Step, b.perReplica))
	})
	return int32(math.Ceil(peak(peaks))), err
}
