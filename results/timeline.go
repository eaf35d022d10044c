package results

import "time"

// A Tick is one step of a Timeline. Requests are counted at their scheduled
// arrival. Floats, since the fluid plant has fractions.
type Tick struct {
	Arrivals, Shed, Done, Failed, Good, Tokens float64 // Good met every per-request limit at once
	Spec, Desired, Pods, Ready                 float64 // Pods = billed: not yet gone, starting and draining too
	InFlight, Waiting                          float64
}

// A Timeline is what happened, or what would have: one Tick every Step from
// run time 0, and latency totals of the answered requests.
type Timeline struct {
	Step           time.Duration
	Ticks          []Tick
	TTFT, ITL, E2E Hist
}
