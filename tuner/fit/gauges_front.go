package fit

import (
	"math"
	"slices"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// A metric that is measured in front of the pods (a gateway's, a proxy's) counts every request
// from its arrival there, also while no pod is ready and something holds it.

// frontStep is the step of such a course in seconds: a proxy is asked for its number when it is
// needed, and requests may be shorter than the steps between scrapes.
const frontStep = 0.1

// front reports whether a metric is measured in front of the pods.
func (s *service) front(m *hpa.Metric) bool {
	return m.Source != hpa.Pods && slices.Contains(s.outside, m.Name)
}

// frontCourseOf computes a quantity of the whole pool as it is seen in front of it: what is
// held counts as waiting, and so does a request that no known replica answered, until its
// client gave up.
func (s *service) frontCourseOf(w weights) *course {
	inside := w
	inside.arrived = 0 // a request arrives at the front, maybe before it reaches a pod
	c := s.courseBy(inside, frontStep)
	reached := map[*results.Request]float64{}
	end := float64(len(c.allAt)-1) * c.step
	for i := range s.calls {
		reached[s.calls[i].request] = s.calls[i].sent
	}
	for i := range s.run.Requests {
		q := &s.run.Requests[i]
		if !results.Happened(q.Sent) || !results.Happened(q.Done) {
			continue
		}
		from, to := q.Sent.Seconds(), q.Done.Seconds()
		if at, ok := reached[q]; ok {
			to = at
		}
		c.addPooled(from, min(to, end), w.waiting)
		if from >= 0 {
			c.happenPooled(from, w.arrived)
		}
	}
	return c
}

// addPooled adds v to the pool's value from one time to another.
func (c *course) addPooled(from, to, v float64) {
	if from = math.Max(0, from); v == 0 || to <= from {
		return
	}
	n := len(c.allAt)
	for x := int(math.Ceil(from / c.step)); x < n && float64(x)*c.step < to; x++ {
		c.allAt[x] += v
	}
	for x := c.index(from) + 1; x < n; x++ {
		c.allSum[x] += v * (math.Min(to, float64(x)*c.step) - from)
	}
}

// happenPooled adds v to the pool's integral at an instant.
func (c *course) happenPooled(at, v float64) {
	if v == 0 {
		return
	}
	for x := c.index(at) + 1; x < len(c.allSum); x++ {
		c.allSum[x] += v
	}
}
