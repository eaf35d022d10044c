package fit

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// Reach is how far a recording shows what a metric of one pod can be, in base units
// (cores, bytes, requests).
type Reach struct {
	Metric  string
	Largest float64 // the largest that was sampled of a ready pod
	// Cap is where samples stopped rising while more was in flight; 0 = they were not
	// seen to, so that beyond Largest the pipe is a line that nothing confirms.
	Cap float64
	N   int // samples
}

// Extrapolation is how far a target is beyond what was sampled.
type Extrapolation int

// What a target asks of a recording.
const (
	Seen     Extrapolation = iota // within what was sampled, or not much beyond
	Doubtful                      // beyond what was sampled: a warning, and a wider interval
	Unseen                        // so far beyond that no configuration should rest on it
)

// How far a pipe may be believed beyond its largest sample, as a ratio.
const (
	freely = 1.25
	atMost = 1.6
)

// Of says how far a size at which a pod's metric would have to be at value is beyond
// the recording: the value that the HPA must see before it scales up, target ×
// (1 + tolerance). Where the cap is known a line goes no further than it, so all is
// seen: above the cap, it is seen that the HPA would not scale.
func (r Reach) Of(value float64) Extrapolation {
	switch {
	case r.N == 0 || r.Cap > 0 || value <= freely*r.Largest:
		return Seen
	case value <= atMost*r.Largest:
		return Doubtful
	}
	return Unseen
}

// Reaching says how far the furthest of a configuration's targets is beyond the
// recording, and of which metric. Targets of metrics that are no single pod's, and
// of such as were not sampled, are none of it. tolerance is the controller's flag.
func (f *Fitted) Reaching(cfg *hpa.Config, tolerance float64) (Extrapolation, string) {
	if cfg.ScaleUp.ToleranceSet {
		tolerance = cfg.ScaleUp.Tolerance
	}
	worst, text := Seen, ""
	for i := range cfg.Metrics {
		m := &cfg.Metrics[i]
		k := slices.IndexFunc(f.Reaches, func(r Reach) bool { return r.Metric == m.Name })
		value := f.target(m)
		if k < 0 || value <= 0 {
			continue
		}
		value *= 1 + tolerance
		if e := f.Reaches[k].Of(value); e > worst {
			worst, text = e, fmt.Sprintf("%s of a pod was at most %.3g, but the HPA would scale up at %.3g", m.Name,
				f.Reaches[k].Largest, value)
		}
	}
	return worst, text
}

// Beyond is by how many times the furthest of a configuration's targets is beyond what
// is believed freely, as a ratio ≥ 1; 1 where the recording shows all of them. There the
// pipe is a line that nothing confirms, and a size is the metric over its target: so it
// may be off by as much.
func (f *Fitted) Beyond(cfg *hpa.Config, tolerance float64) float64 {
	if cfg.ScaleUp.ToleranceSet {
		tolerance = cfg.ScaleUp.Tolerance
	}
	furthest := 1.0
	for i := range cfg.Metrics {
		m := &cfg.Metrics[i]
		k := slices.IndexFunc(f.Reaches, func(r Reach) bool { return r.Metric == m.Name })
		if k < 0 {
			continue
		}
		r := &f.Reaches[k]
		if value := f.target(m) * (1 + tolerance); r.Of(value) != Seen {
			furthest = max(furthest, value/(freely*r.Largest))
		}
	}
	return furthest
}

// target is what a metric's target is of one pod, in base units; 0 = it is no
// pod's.
func (f *Fitted) target(m *hpa.Metric) float64 {
	switch m.Source {
	case hpa.Resource, hpa.ContainerResource:
		if m.Target.Utilization > 0 {
			request := f.Replica.CPUCores
			if m.Name == "memory" {
				request = f.Replica.MemoryGB * (1 << 30)
			}
			if m.Source == hpa.ContainerResource && f.World != nil {
				for _, c := range f.World.Containers {
					if c.Name != m.Container {
						continue
					}
					if request = float64(c.CPU) / 1000; m.Name == "memory" {
						request = float64(c.Memory) / 1000
					}
				}
			}
			return float64(m.Target.Utilization) / 100 * request
		}
		return float64(m.Target.AverageMilli) / 1000
	case hpa.Pods:
		return float64(m.Target.AverageMilli) / 1000
	}
	return 0
}

// reachesOf finds the reach of each metric that is one pod's, and caps the pipes
// where samples stopped rising.
func reachesOf(s *service, metrics []hpa.Metric, pipes []plant.Pipe) []Reach {
	var out []Reach
	for i := range metrics {
		m := &metrics[i]
		k := slices.IndexFunc(pipes, func(p plant.Pipe) bool { return p.Name == m.Name })
		if k < 0 || m.Source == hpa.Object || m.Source == hpa.External || slices.ContainsFunc(out,
			func(r Reach) bool { return r.Metric == m.Name }) {
			continue
		}
		name, unit := sampled(m)
		r := reachOf(m.Name, s.readings(name, unit, m, s.did))
		if out = append(out, r); r.Cap > 0 && (pipes[k].Ceiling == 0 || pipes[k].Ceiling > r.Cap) && m.Name == "cpu" {
			pipes[k].Ceiling = r.Cap * 1.02 // the level's own scatter
		}
	}
	return out
}

// reachOf finds a pipe's reach in its readings: the largest, a hundredth of them
// aside; and the cap, where the values of those with the most in flight are all
// alike (within 5 %) while what was in flight is half as much again from the first
// to the last of them, and less was smaller.
func reachOf(metric string, rs []reading) Reach {
	out := Reach{Metric: metric, N: len(rs)}
	if len(rs) == 0 {
		return out
	}
	values := make([]float64, len(rs))
	for i, r := range rs {
		values[i] = r.value
	}
	slices.Sort(values)
	out.Largest = values[min(len(values)-1, len(values)*99/100)]
	if len(rs) < 20 {
		return out
	}
	by := slices.Clone(rs)
	slices.SortStableFunc(by, func(a, b reading) int { return cmp.Compare(a.running+a.waiting, b.running+b.waiting) })
	const bins = 10
	var inside, level [bins]float64
	for k := range bins {
		of := by[k*len(by)/bins : (k+1)*len(by)/bins]
		var x, y []float64
		for _, r := range of {
			x, y = append(x, r.running+r.waiting), append(y, r.value)
		}
		inside[k], level[k] = median(x), median(y)
	}
	top := level[bins-1]
	first := bins - 1
	for first > 0 && math.Abs(level[first-1]/top-1) <= 0.05 {
		first--
	}
	if bins-first >= 3 && inside[bins-1] >= 1.5*max(0.1, inside[first]) && values[len(values)/50] < 0.9*top {
		out.Cap = top
	}
	return out
}
