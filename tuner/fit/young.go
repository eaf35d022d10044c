package fit

import (
	"math"
	"time"

	"github.com/hpatune/hpatune/tuner/plant"
)

// ages are the bounds, in time since readiness, between which services are compared. Compilers
// and caches usually warm up within them.
var ages = []time.Duration{15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute}

// youngOf returns how many times as long calls take by themselves at pods that became ready in
// the run, by age: the median of their time over that of their class, divided by the same for
// older pods. It keeps the ages at which 20 calls or more take at least a tenth longer, and
// all younger ones; nil = none.
func youngOf(s *service) ([]plant.Youth, notes) {
	var n notes
	if !s.visible {
		return nil, n
	}
	ready, _ := s.watched()
	since := make([]float64, len(s.servers))
	for k := range since {
		since[k] = math.Inf(-1)
	}
	for pod, at := range ready {
		if k := s.serverOf(pod); k >= 0 && at > 0 {
			since[k] = at
		}
	}
	took, expect := s.served()
	byAge := make([][]float64, len(ages)+1)
	for i := range s.calls {
		c := &s.calls[i]
		if !c.ok || expect[i] <= 0 || took[i] <= 0 {
			continue
		}
		k := 0
		for age := c.sent - since[c.server]; k < len(ages) && age >= ages[k].Seconds(); k++ {
		}
		byAge[k] = append(byAge[k], took[i]/expect[i])
	}
	old := median(byAge[len(ages)])
	if len(byAge[len(ages)]) < 20 || !(old > 0) {
		return nil, n
	}
	last := -1
	stretch := make([]float64, len(ages))
	for k := range ages {
		if stretch[k] = 1; len(byAge[k]) >= 20 {
			stretch[k] = median(byAge[k]) / old
			if stretch[k] >= 1.1 {
				last = k
			}
		}
	}
	var out []plant.Youth
	for k := 0; k <= last; k++ {
		out = append(out, plant.Youth{Until: ages[k], Stretch: max(1, stretch[k])})
	}
	if out != nil {
		n.quality("young", out[0].Stretch, len(byAge[0]), "times as long a request takes at a pod in its first %v; normal "+
			"from %v on", ages[0], ages[last])
	}
	return out, n
}

// served returns what calls took, counting only what is certainly service, and what their
// class takes for their tokens, in seconds by index. If answers stream, that is the time after
// the first token, which contains no wait; otherwise it is the time after their start.
func (s *service) served() (took, expect []float64) {
	if !s.streams() {
		took = make([]float64, len(s.calls))
		for i := range s.calls {
			took[i] = s.calls[i].done - s.start[i]
			if s.alone != nil && s.alone[i] > 0 {
				took[i] = s.alone[i]
			}
		}
		return took, s.expected()
	}
	took, expect = make([]float64, len(s.calls)), make([]float64, len(s.calls))
	byClass := map[int16][]int{}
	for i := range s.calls {
		c := &s.calls[i]
		if took[i] = c.done - c.first; c.ok && took[i] > 0 {
			byClass[c.class] = append(byClass[c.class], i)
		}
	}
	for _, of := range byClass {
		few := thin(of, 400)
		xs, ys := make([]float64, len(few)), make([]float64, len(few))
		for j, i := range few {
			xs[j], ys[j] = s.calls[i].tokens, took[i]
		}
		a, b := theilSen(xs, ys)
		middle := median(ys)
		for _, i := range of {
			expect[i] = max(a+b*s.calls[i].tokens, middle/20)
		}
	}
	return took, expect
}
