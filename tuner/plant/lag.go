package plant

import "math"

// meter is what a pipe has collected from one pod (or from each of a cohort's like pods): the
// running integral of an averaged metric, and the last scrapes.
type meter struct {
	cum   float64 // integral since the pod's start, base unit × seconds
	first int     // index of the first scrape that saw the pod; unseen = none yet
	age   float64 // at the first scrape, seconds since its containers started
	ring  [ringSize]float64
}

const unseen = 1 << 30

// load is what a pod did in a step, as far as metrics show it.
type load struct {
	done, work, running, waiting float64 // completions/s, mean requests' work/s, in service, queued
	arrived                      float64 // per second
	oldest                       float64 // age of the longest-waiting request, seconds; 0 = none waits
}

func (p *pipe) value(l load, stage Stage) float64 {
	if stage == Starting {
		return p.starting // as sampled: the ceiling applies to ready pods
	}
	v := p.base + p.perDone*l.done + p.perWork*l.work + p.perRunning*l.running + p.perWaiting*l.waiting +
		p.perArrival*l.arrived + p.perOldest*l.oldest
	return min(p.ceiling, max(0, v))
}

// scrapesAt returns the index, from 0, of the scrape that is due at the end of the given tick
// for a pod that is scraped offset ticks late. ok is false if none is due.
func (p *pipe) scrapesAt(tick, offset int) (int, bool) {
	d := tick - p.phase - offset
	if d < 0 || d%p.every != 0 {
		return 0, false
	}
	return d / p.every, true
}

// scrape takes the point with index k at time now.
func (p *pipe) scrape(m *meter, k int, now, started float64, l load, stage Stage) {
	if m.first == unseen {
		m.first, m.age = k, now-started
	}
	if p.window > 0 {
		m.ring[slot(k)] = m.cum
	} else {
		m.ring[slot(k)] = p.value(l, stage)
	}
}

// read returns the value of a meter that the autoscaler can read at time now: that of the
// newest scrape whose delay has passed. The pod is scraped offset ticks late. done is the time
// up to which the plant has been played; later scrapes do not exist yet.
//
// A window reaches back over p.window scrapes. A pod with fewer scrapes has no value, with one
// exception: a container that was at least p.fresh old at its first scrape is reported since
// its start, as metrics-server does.
func (p *pipe) read(m *meter, offset int, now, done, dt float64) Value {
	if m.first == unseen {
		return Value{}
	}
	// Scrapes are played at the nearest step but stamped with their exact time: a fraction of a
	// second decides whether a window began before a pod was ready.
	every := float64(p.every) * dt
	late := float64(offset) * dt
	k := int(math.Floor(min(now-p.delay-p.stamp-late, done-float64(p.phase)*dt-late)/every + 1e-9))
	if k < m.first {
		return Value{}
	}
	at := p.stamp + late + float64(k)*every
	if p.window == 0 {
		return Value{Value: m.ring[slot(k)], At: at, OK: true}
	}
	if back := k - p.window; back >= m.first {
		return Value{
			Value:  (m.ring[slot(k)] - m.ring[slot(back)]) / (float64(p.window) * every),
			At:     at,
			Window: p.reported,
			OK:     true,
		}
	}
	if k > m.first { // two points, but not a whole window yet
		w := float64(k-m.first) * every
		return Value{Value: (m.ring[slot(k)] - m.ring[slot(m.first)]) / w, At: at, Window: w, OK: true}
	}
	if p.fresh > 0 && m.age >= p.fresh {
		return Value{Value: m.ring[slot(k)] / m.age, At: at, Window: m.age, OK: true}
	}
	return Value{}
}

// slot returns the ring index of scrape k. k is negative before the run.
func slot(k int) int { return k & (ringSize - 1) }

// old returns the meter of a pod that has existed for a long time with the value v.
func (p *pipe) old(v, dt float64) meter {
	m := meter{first: -1 << 30}
	for k := -ringSize; k < 0; k++ {
		m.ring[slot(k)] = v
		if p.window > 0 { // the integral, which is 0 at the start of the run
			m.ring[slot(k)] = v * float64(p.phase+k*p.every) * dt
		}
	}
	return m
}
