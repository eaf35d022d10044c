// Package profiles describes loads: staged profiles, recorded traces, and the
// exact schedule of arrivals that they stand for.
package profiles

import "time"

// Arrival is one request of the schedule.
type Arrival struct {
	Index  int           // 0, 1, … over the whole profile
	At     time.Duration // from the profile's start, run time
	Stage  int16         // index into Profile.Stages
	Class  int16         // index into Profile.Classes; 0 where there are none
	Prompt int           // prompt tokens; 0 = the protocol's own body
	Max    int           // output tokens asked for; 0 = the server's default
}
