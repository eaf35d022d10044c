package sandbox

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestLatenessQuantile(t *testing.T) {
	var l lateness
	if _, ok := l.quantile(0.99); ok {
		t.Error("nothing counted, yet a quantile")
	}
	for us := range 1000 {
		l.add(time.Duration(us) * time.Microsecond)
	}
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99} {
		got, _ := l.quantile(q)
		want := time.Duration(q*1000) * time.Microsecond
		if got < want || float64(got) > 1.3*float64(want)+5000 {
			t.Errorf("quantile(%v) = %v, want it at or a little above %v", q, got, want)
		}
	}
}

func TestBucketHoldsWhatIsBelowItsEnd(t *testing.T) {
	for us := range int64(1 << 16) {
		i := bucket(us)
		if us >= upper(i) || i > 0 && us < upper(i-1) {
			t.Fatalf("bucket(%d) = %d, which ends at %d and begins at %d", us, i, upper(i), upper(i-1))
		}
	}
}

func TestSleeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sleeper
		start := time.Now()
		if err := s.until(t.Context(), start.Add(time.Second)); err != nil || time.Since(start) != time.Second {
			t.Errorf("until(1s) = %v after %v", err, time.Since(start))
		}
		if err := s.until(t.Context(), start); err != nil || time.Since(start) != time.Second {
			t.Errorf("an instant that has passed: %v after %v, want at once", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.until(ctx, start.Add(time.Hour)); err == nil || time.Since(start) != 2*time.Second {
			t.Errorf("canceled: %v after %v, want an error after 2s in all", err, time.Since(start))
		}
	})
}

// The kernel's sleep must not wake early; how late is a benchmark's business.
func TestPreciseSleeperIsNotEarly(t *testing.T) {
	s := sleeper{precise: true}
	for range 20 {
		due := time.Now().Add(3 * time.Millisecond)
		if err := s.until(t.Context(), due); err != nil || time.Now().Before(due) {
			t.Fatalf("woke %v early (%v)", time.Until(due), err)
		}
	}
}

func BenchmarkSleeper(b *testing.B) {
	for _, c := range []struct {
		name    string
		precise bool
	}{{"precise", true}, {"plain", false}} {
		b.Run(c.name, func(b *testing.B) {
			s := sleeper{precise: c.precise}
			for b.Loop() {
				_ = s.until(b.Context(), time.Now().Add(20*time.Millisecond))
			}
			p50, _ := s.late.quantile(0.5)
			p99, _ := s.late.quantile(0.99)
			b.ReportMetric(float64(p50.Microseconds()), "late-p50-µs")
			b.ReportMetric(float64(p99.Microseconds()), "late-p99-µs")
		})
	}
}
