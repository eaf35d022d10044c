//go:build !linux

package loadgen

import (
	"context"
	"time"
)

// pacerName says in the run's record how precisely it was paced.
const pacerName = "portable"

// sleepUntil waits for the wall instant t and reports whether it came: false
// means that ctx was done first. An instant in the past returns at once.
//
// With Go's timers it is some hundred µs to a millisecond late, by system.
func sleepUntil(ctx context.Context, t time.Time) bool {
	wait := time.Until(t)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
