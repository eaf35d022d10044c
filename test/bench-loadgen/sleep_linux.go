package main

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// bareSleep returns how late a bare clock_nanosleep loop wakes, in µs: what the
// machine itself can do.
func bareSleep(rate int, d time.Duration) (late []float64) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	now := func() int64 {
		var ts unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
		return ts.Nano()
	}
	begin, gap := now(), int64(time.Second)/int64(rate)
	for k := int64(1); k*gap < int64(d); k++ {
		end := unix.NsecToTimespec(begin + k*gap)
		for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &end, nil) == unix.EINTR {
		}
		late = append(late, float64(now()-begin-k*gap)/1e3)
	}
	return late
}
