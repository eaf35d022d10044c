package sandbox

import (
	"time"

	"golang.org/x/sys/unix"
)

// nanosleep blocks its thread until the wall instant t, some 50 µs late
// (the kernel's timer slack). A signal (the runtime preempts by them) ends
// the call early; it goes on.
func nanosleep(t time.Time) {
	for d := time.Until(t); d > 0; d = time.Until(t) {
		ts := unix.NsecToTimespec(int64(d))
		_ = unix.Nanosleep(&ts, nil) // EINTR: the loop asks the clock again
	}
}
