package plant

// cohort is a group of like pods: they were created, or at least became ready, in one step,
// and have the same state. All its numbers are per pod, except n.
type cohort struct {
	l    float64 // requests in the system
	load load    // of the last step
	n    float64
	life Life
	// The autoscaler treats settled pods exactly like older ones.
	settled bool
	m       [MaxPipes]meter
}

// join adds o's pods to c. Sums over pods, which are what the autoscaler reads, do not change.
func (c *cohort) join(o *cohort, pipes int) {
	n := c.n + o.n
	a, b := c.n/n, o.n/n
	c.l = a*c.l + b*o.l
	c.load = load{
		done:    a*c.load.done + b*o.load.done,
		work:    a*c.load.work + b*o.load.work,
		running: a*c.load.running + b*o.load.running,
		waiting: a*c.load.waiting + b*o.load.waiting,
		arrived: a*c.load.arrived + b*o.load.arrived,
		oldest:  a*c.load.oldest + b*o.load.oldest,
	}
	for k := range pipes {
		// The two integrals start at different instants, but readers only take differences
		// between two points: averaging the integrals averages the differences.
		x, y := &c.m[k], &o.m[k]
		x.first = max(x.first, y.first)
		x.cum = a*x.cum + b*y.cum
		for i := range x.ring {
			x.ring[i] = a*x.ring[i] + b*y.ring[i]
		}
	}
	c.n = n
}
