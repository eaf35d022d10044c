package loadgen

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// pacerName says in the run's record how precisely it was paced.
const pacerName = "nanosleep"

// coarse is the last stretch of a wait that is slept in the kernel, where
// nothing can interrupt it; before it a Go timer waits, which ctx can.
const coarse = 3 * time.Millisecond

// sleepUntil waits for the wall instant t and reports whether it came: false
// means that ctx was done first. An instant in the past returns at once.
//
// Go's own timers round up to the millisecond of epoll (golang/go#53824): half
// a millisecond late in the middle, one at the 99th percentile. clock_nanosleep
// on a thread with a timer slack of 1 ns is 30 to 45 µs late in the middle.
func sleepUntil(ctx context.Context, t time.Time) bool {
	wait := time.Until(t)
	if wait > coarse {
		timer := time.NewTimer(wait - coarse)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return false
		}
		wait = time.Until(t)
	}
	if ctx.Err() != nil {
		return false
	}
	if wait <= 0 {
		return true
	}
	// Without it the kernel may add 50 µs to join wake-ups. A kernel that refuses
	// costs those 50 µs, nothing else. It belongs to the thread, hence the lock;
	// whoever gets the thread next wakes precisely too.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	// Absolute, so that an interrupted sleep (Go preempts by signals) goes on
	// to the same end.
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		time.Sleep(wait)
		return true
	}
	end := unix.NsecToTimespec(now.Nano() + int64(wait))
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &end, nil) == unix.EINTR {
	}
	return true
}
