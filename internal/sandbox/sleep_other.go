//go:build !linux

package sandbox

import "time"

// nanosleep is the portable form: the runtime's timer, up to 1 ms late.
func nanosleep(t time.Time) { time.Sleep(time.Until(t)) }
