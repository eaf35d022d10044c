//go:build !unix

package loadgen

import "time"

// cpuTime is not measured here.
func cpuTime() (d time.Duration, ok bool) { return 0, false }
