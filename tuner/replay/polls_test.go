package replay

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Polls that were recorded keep their distance from the reconciles on other days; others do not.
func TestPollsKeepTheirDistance(t *testing.T) {
	for _, tt := range []struct {
		sentence             string
		after, period, every time.Duration
		apart                int // distances that may be seen
	}{
		{"known, at one pace", 4 * time.Second, 5 * time.Second, 5 * time.Second, 1},
		{"known, at a slower pace: one of the reconciles before it", 4 * time.Second, 15 * time.Second, 30 * time.Second, 1},
		{"known, at a faster pace", 4 * time.Second, 15 * time.Second, 5 * time.Second, 1},
		{"not known", 0, 5 * time.Second, 5 * time.Second, 40},
	} {
		s := Sync{PollAfter: tt.after}
		seen, first := map[time.Duration]bool{}, map[time.Duration]bool{}
		for seed := range uint64(40) {
			r := rand.New(rand.NewPCG(seed, 1))
			phase := time.Duration(r.Int64N(int64(tt.period)))
			at := s.polls(phase, tt.period, tt.every, r)
			if at < 0 || at >= tt.every {
				t.Errorf("%s: first poll at %v, want 0 to %v", tt.sentence, at, tt.every)
			}
			pace := min(tt.period, tt.every)
			seen[((at-phase)%pace+pace)%pace], first[at] = true, true
		}
		if len(seen) != tt.apart {
			t.Errorf("%s: %d distances, want %d", tt.sentence, len(seen), tt.apart)
		}
		if len(first) < 30 {
			t.Errorf("%s: %d first polls on 40 days, want other ones each day", tt.sentence, len(first))
		}
	}
}
