package tuner

import (
	"context"
	"math"
	"sort"

	"github.com/hpatune/hpatune/tuner/replay"
)

// marginDays is the largest number of days at one multiple of the load. Of fewer, a
// configuration that holds would often miss one too many, and the margin would end there.
const marginDays = 50

// margin is the largest multiple of the load, up to 4 and in steps of 5 %, at which the
// objectives still hold as often as they must. Value and Lo are this multiple; at Hi, the
// next step, they do not hold. Lo and Hi are nil if they hold at 4. For a configuration
// that does not hold at the recorded load it is below 1, and at least 0.5.
//
// The search starts at the multiple that the fluid plant suggests, relative to its own
// margin at the recorded load, and continues with days of the exact plant.
func (b *bench) margin(ctx context.Context, o Options, t *trial) (*Interval, error) {
	const step, top = 1.05, 29 // 1.05^29 = 4.1
	bottom := 0
	if t.fate() != holds {
		bottom = -14 // 1.05^-14 = 0.5
	}
	at := func(k int) float64 { return min(4, math.Pow(step, float64(k))) }
	days := min(marginDays, max(6, int(effort/4/max(sum(b.world.Demand.Bins), 1))))
	done := 0
	holdsAt := func(k int) (bool, error) {
		s := newSearch(ctx, b.scaled(at(k)), o)
		s.o.Progress = func(string, int, int) {}
		done++
		o.Progress("margin", done, max(done, 6))
		return s.often(&trial{config: t.config}, days)
	}
	var s replay.Scratch
	fluid := func(k float64) float64 {
		scaled := b.scaled(k)
		return scaled.pass(scaled.world, t.config, &s).margin
	}
	base := min(0, fluid(1))
	guess := sort.Search(top, func(k int) bool { return fluid(at(k+1)) < base })
	k, err := largest(bottom, top, guess, holdsAt)
	if err != nil {
		return nil, err
	}
	o.Progress("margin", done, done)
	m := &Interval{Value: at(k)}
	if k < top {
		low, high := at(k), at(k+1)
		m.Lo, m.Hi = &low, &high
	}
	return m, nil
}

// scaled returns the bench under k times the load. A day begins at the size that a configuration
// holds under the recorded load: more load comes as a surprise.
func (b *bench) scaled(k float64) *bench {
	other, w := *b, b.world.Scaled(k)
	other.world = w
	other.day = func(i int) *replay.World { return w.Draw(replicate(b.seed, i)) }
	return &other
}

// largest returns the largest step from bottom to top at which something holds, if it holds at
// every step below one at which it does; bottom itself is not asked. It starts at guess, and
// doubles its steps until it has found both ends.
func largest(bottom, top, guess int, holdsAt func(int) (bool, error)) (int, error) {
	lo, hi := bottom, top+1 // lo holds, or is as far down as is looked; hi does not
	for k, jump := min(max(guess, bottom+1), top), 1; hi-lo > 1; jump *= 2 {
		ok, err := holdsAt(k)
		if err != nil {
			return lo, err
		}
		if ok {
			lo = k
		} else {
			hi = k
		}
		switch {
		case lo > bottom && hi <= top:
			k = (lo + hi) / 2
		case ok:
			k = min(top, lo+jump)
		default:
			k = max(lo+1, hi-jump)
		}
	}
	return lo, nil
}

// often plays days of a trial, up to most, and reports whether the objectives hold on almost
// all of them. It stops when that is decided, and when they surely hold often enough.
func (s *search) often(t *trial, most int) (bool, error) {
	missable := int((1-almost)*float64(most) + 1e-9)
	for _, n := range batches {
		if err := s.play([]*trial{t}, min(n, most)); err != nil {
			return false, err
		}
		if len(t.days)-t.held() > missable {
			return false, nil
		}
		if len(t.days) >= most || t.fate() == holds {
			break
		}
	}
	return true, nil
}
