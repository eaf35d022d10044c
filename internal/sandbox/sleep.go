package sandbox

import (
	"context"
	"math/bits"
	"sync/atomic"
	"time"
)

// approach is how long before a deadline the runtime's timer hands over to the
// kernel's: Go's timers wake up to 1 ms late through the poller (its wait is
// rounded to whole milliseconds), which would be 20 world ms at speed 20.
const approach = 2 * time.Millisecond

// sleeper waits for wall deadlines and keeps how late it woke.
//
// The zero value uses the runtime's timers alone, which is what a test with a
// simulated clock needs.
type sleeper struct {
	precise bool
	late    lateness
}

// until waits for the wall instant t, or for ctx. It returns ctx's error if
// that came first, and nil at once for an instant that has passed.
func (s *sleeper) until(ctx context.Context, t time.Time) error {
	early := time.Duration(0)
	if s.precise {
		early = approach
	}
	d := time.Until(t)
	if d <= 0 {
		return ctx.Err()
	}
	if d > early {
		timer := time.NewTimer(d - early)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
	}
	if s.precise {
		nanosleep(t)
	}
	s.late.add(time.Since(t))
	return nil
}

// lateness counts durations in buckets a quarter of an octave wide (so a
// quantile is at most 19 % high), from 1 µs to about an hour. It is safe for
// concurrent use.
type lateness struct {
	buckets [32 * 4]atomic.Int64
}

func (l *lateness) add(d time.Duration) {
	us := max(int64(d/time.Microsecond), 0)
	l.buckets[bucket(us)].Add(1)
}

// bucket returns the index of us microseconds: four buckets an octave.
func bucket(us int64) int {
	v := uint64(us) + 4 // so that the first octave has its four quarters
	octave := bits.Len64(v) - 3
	return min(octave*4+int(v>>octave)&3, 32*4-1)
}

// upper returns the end of bucket i in microseconds.
func upper(i int) int64 { return int64(i%4+5)<<(i/4) - 4 }

// quantile returns the upper end of the bucket that holds the q-quantile, and
// false where nothing was counted.
func (l *lateness) quantile(q float64) (time.Duration, bool) {
	var n int64
	for i := range l.buckets {
		n += l.buckets[i].Load()
	}
	if n == 0 {
		return 0, false
	}
	rank := int64(q*float64(n-1)) + 1
	for i := range l.buckets {
		if rank -= l.buckets[i].Load(); rank <= 0 {
			return time.Duration(upper(i)) * time.Microsecond, true
		}
	}
	return time.Duration(upper(len(l.buckets)-1)) * time.Microsecond, true
}
