package plant

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Another says how a model differs on another day, or within what the recording leaves open.
type Another struct {
	Seed   uint64          // of cold starts and of each request's luck
	Phases []time.Duration // of the first scrapes, one per pipe; nil = unchanged
	// Pace multiplies the service time of every request, and divides what a replica can serve;
	// 0 = 1. The fluid plant ignores it, because its tables are already compiled.
	Pace float64
	// AtOnce is how many more requests a replica serves at once, for a law of slots.
	AtOnce int
	// Bucket is the error of a CPU limit's usable share, in standard errors (Quota.ShareError).
	Bucket float64
	// Waits multiplies the time at full speed that requests take under a CPU limit, but not
	// their CPU cost; 0 = 1.
	Waits float64
	// Slopes multiply what load adds to the value of each pipe; nil = 1 for each.
	Slopes []float64
	// Resample draws a new sample of cold starts from the recorded one, with replacement: a few
	// recorded starts say little about how long starts take.
	Resample bool
}

// Draw returns a model with the same laws and tables that differs as a says.
func (m *Model) Draw(a Another) *Model {
	d := *m
	d.Seed, d.inOrder, d.pace = a.Seed, -1, a.Pace
	d.waits = a.Waits
	d.pipes = slices.Clone(m.pipes)
	for i := range d.pipes {
		d.pipes[i].near(a.Seed + uint64(i))
	}
	if a.Phases != nil || a.Slopes != nil {
		d.Pipes, d.flow = slices.Clone(m.Pipes), slices.Clone(m.flow)
	}
	if a.AtOnce != 0 && d.Law.Iterations == nil {
		if other, ok := d.Law.AtOnce(a.AtOnce); ok {
			d.Law = other
		}
	}
	if q := &d.Law.Quota; q.Cores > 0 && q.ShareError > 0 {
		*q = q.off(a.Bucket)
	}
	for i, p := range a.Phases {
		d.Pipes[i].Phase = p
		d.pipes[i].setPhase(p, m.Step)
		if !d.flow[i].apart {
			d.flow[i].setPhase(p, m.Step)
		}
	}
	for i, k := range a.Slopes {
		for _, p := range []*pipe{&d.pipes[i], &d.flow[i]} {
			p.perDone, p.perWork, p.perRunning, p.perWaiting = p.perDone*k, p.perWork*k, p.perRunning*k, p.perWaiting*k
			p.perArrival, p.perOldest = p.perArrival*k, p.perOldest*k
		}
	}
	if a.Resample && len(m.start) > 1 {
		r := rand.New(rand.NewPCG(a.Seed, 0x7374617274))
		d.start = make([]startTimes, len(m.start))
		for i := range d.start {
			d.start[i] = m.start[r.IntN(len(m.start))]
		}
	}
	return &d
}

// near moves the phase of each recorded pod by at most one step: the recording does not tell
// them more precisely.
func (p *pipe) near(seed uint64) {
	p.phases = slices.Clone(p.phases)
	for i, at := range p.phases {
		if at >= 0 {
			p.phases[i] = (at + p.every - 1 + int(mix(seed, uint64(i))%3)) % p.every
		}
	}
}

// slow makes a service time what it is on such a day.
func (m *Model) slow(t *ServiceTime) {
	if m.pace > 0 {
		t.First, t.Total = t.First*m.pace, t.Total*m.pace
	}
}
