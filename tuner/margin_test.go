package tuner

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

func TestLargest(t *testing.T) {
	for _, c := range []struct {
		sentence           string
		bottom, top, guess int
		holds              int // up to and including this step
		want               int
		asked              []int
	}{
		{"the guess is right", 0, 29, 4, 4, 4, []int{4, 5}},
		{"steps double upwards, and then halve", 0, 29, 4, 9, 9, []int{4, 5, 7, 11, 9, 10}},
		{"and downwards", 0, 29, 12, 3, 3, []int{12, 11, 9, 5, 1, 3, 4}},
		{"a guess of nothing asks the first step", 0, 29, 0, 0, 0, []int{1}},
		{"what holds at the first step only", 0, 29, 0, 1, 1, []int{1, 2}},
		{"what holds at all of them", 0, 29, 27, 99, 29, []int{27, 28, 29}},
		{"a guess beyond them", 0, 29, 40, 99, 29, []int{29}},
		{"below the recorded load", -14, 29, -20, -9, -9, []int{-13, -12, -10, -6, -8, -9}},
		{"not even at the first of these", -14, 29, -3, -99, -14, []int{-3, -4, -6, -10, -13}},
	} {
		var asked []int
		got, err := largest(c.bottom, c.top, c.guess, func(k int) (bool, error) {
			asked = append(asked, k)
			return k <= c.holds, nil
		})
		if err != nil || got != c.want || !slices.Equal(asked, c.asked) {
			t.Errorf("%s: %d, asked %v, want %d, %v (%v)", c.sentence, got, asked, c.want, c.asked, err)
		}
	}
	broken := errors.New("interrupted")
	if _, err := largest(0, 29, 3, func(int) (bool, error) { return true, broken }); !errors.Is(err, broken) {
		t.Errorf("the error is %v, want %v", err, broken)
	}
}

// The objectives hold often enough if at most one day in twenty is missed, and nothing is played
// that cannot change the answer.
func TestOften(t *testing.T) {
	for _, c := range []struct {
		sentence string
		most     int
		missed   []int // days
		want     bool
		played   int
	}{
		{"thirty days without a miss are enough", 50, nil, true, 30},
		{"with a miss it takes all", 50, []int{3}, true, 50},
		{"two of fifty may be missed", 50, []int{3, 49}, true, 50},
		{"three may not", 50, []int{3, 31, 49}, false, 50},
		{"the third miss ends it", 50, []int{0, 4, 9}, false, 12},
		{"one of twenty may be missed", 20, []int{7}, true, 20},
		{"two of twenty may not", 20, []int{7, 8}, false, 12},
		{"none of six", 6, []int{5}, false, 6},
		{"six are enough if there are no more", 6, nil, true, 6},
		{"seven are between two checks", 7, nil, true, 7},
		{"and the last one counts", 7, []int{6}, false, 7},
	} {
		m := needing(0, 0)
		m.holds = func(_ *hpa.Config, day int) bool { return !slices.Contains(c.missed, day) }
		s := m.search(t, cpuHPA(2, 90, 60), Space{})
		one := &trial{config: s.current}
		got, err := s.often(one, c.most)
		if err != nil || got != c.want || len(one.days) != c.played {
			t.Errorf("%s: %v after %d days, want %v after %d (%v)", c.sentence, got, len(one.days), c.want, c.played, err)
		}
	}
}

// A replica of a clockwork serves two requests a second; what it takes is known to 1.5 %.
func TestTheMarginEndsWhereTheReplicasDo(t *testing.T) {
	for _, c := range []struct {
		sentence string
		perSec   float64
		replicas int32
		lo, hi   float64 // of the margin; 4 = all that is looked at
	}{
		{"one for half of what it serves", 1, 1, 1.7, 1.96},
		{"two for a quarter", 1, 2, 3.5, 3.93},
		{"two for four fifths", 3.2, 2, 1.1, 1.23},
		{"nine for next to nothing", 1, 9, 4, 4},
		{"two for a quarter more than they serve", 5, 2, 0.68, 0.79},
		{"one for twice what it serves and more", 4.5, 1, 0.5, 0.506},
	} {
		w := clockwork(t, 120, steadyRate(c.perSec))
		b := newBenchOf(t, w, nil, Options{Seed: 3}, "ttft.p95 < 500ms")
		one := b.try(sized(c.replicas), 30, &replay.Scratch{})
		calls := 0
		o := Options{Progress: func(stage string, done, total int) {
			if calls++; stage != "margin" || done > total {
				t.Errorf("%s: progress %q, %d of %d", c.sentence, stage, done, total)
			}
		}}
		m, err := b.margin(context.Background(), o, one)
		if err != nil || m.Value < c.lo || m.Value > c.hi || calls == 0 {
			t.Errorf("%s: %+v, want %v to %v (%v, %d steps)", c.sentence, m, c.lo, c.hi, err, calls)
			continue
		}
		if c.lo == 4 {
			if m.Lo != nil || m.Hi != nil {
				t.Errorf("%s: %v to %v, want no ends", c.sentence, *m.Lo, *m.Hi)
			}
		} else if m.Lo == nil || m.Hi == nil || *m.Lo != m.Value || *m.Hi < 1.049**m.Lo || *m.Hi > 1.051**m.Lo {
			t.Errorf("%s: %+v, want the next step as its end", c.sentence, m)
		}
	}
}
