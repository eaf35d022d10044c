package results

import "time"

// Clock maps wall time to run time. Every source stamps its records with
// clock.At(time.Now()) and with nothing else.
//
// Start is the wall instant of run time 0. Speed is world seconds per wall
// second: 1 everywhere but in the sandbox, which may run faster. A Speed of 0
// is read as 1.
type Clock struct {
	Start time.Time
	Speed float64
}

// At returns the run time of the wall instant t, as an offset from the run's
// start. It is negative for instants before it (pods older than the run).
func (c Clock) At(t time.Time) time.Duration {
	return time.Duration(float64(t.Sub(c.Start)) * c.speed())
}

// Wall converts d of run time to the wall time to wait: for pacing, deadlines and tickers.
func (c Clock) Wall(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.speed())
}

// Instant returns the wall time of run time d. It is the inverse of At.
func (c Clock) Instant(d time.Duration) time.Time { return c.Start.Add(c.Wall(d)) }

func (c Clock) speed() float64 {
	if c.Speed == 0 {
		return 1
	}
	return c.Speed
}
