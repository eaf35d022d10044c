package fit

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// Reach is the range of a metric of one pod that a recording shows, in base units (cores,
// bytes, requests).
type Reach struct {
	Metric  string
	Largest float64 // the largest sample of a ready pod
	// Cap is the value at which samples stopped rising although more requests were in flight.
	// 0 = not seen; beyond Largest, the pipe is then a line that nothing confirms.
	Cap float64
	N   int // samples
}

// Extrapolation is how far a target lies beyond what was sampled.
type Extrapolation int

// The degrees of extrapolation.
const (
	Seen     Extrapolation = iota // within what was sampled, or not much beyond
	Doubtful                      // beyond what was sampled: a warning, and a wider interval
	Unseen                        // so far beyond that no configuration should rest on it
)

// How far a pipe is trusted beyond its largest sample, as a ratio.
const (
	freely = 1.25
	atMost = 1.6
)

// Of returns how far value lies beyond the recording. value is what the HPA must see of a pod
// before it scales up: target × (1 + tolerance). If the cap is known, everything is Seen,
// because the line goes no higher: the recording shows that the HPA would not scale above the
// cap.
func (r Reach) Of(value float64) Extrapolation {
	switch {
	case r.N == 0 || r.Cap > 0 || value <= freely*r.Largest:
		return Seen
	case value <= atMost*r.Largest:
		return Doubtful
	}
	return Unseen
}

// Reaching returns how far the furthest of a configuration's targets lies beyond the
// recording, and says of which metric. It ignores targets of metrics that are not a single
// pod's or that were not sampled. tolerance is the controller's flag.
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

// Beyond returns how far the furthest of a configuration's targets lies beyond what is trusted
// freely, as a ratio ≥ 1; 1 if the recording shows all of them. Beyond it, the pipe is a line
// that nothing confirms. A size is the metric divided by its target, so it may be wrong by the
// same ratio.
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

// target returns a metric's target per pod, in base units; 0 = the metric is not a pod's.
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

// reachesOf finds the reach of each metric of a single pod, and caps the CPU pipe where
// samples stopped rising.
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
			pipes[k].Ceiling = r.Cap * 1.02 // allows for the scatter of the level
		}
	}
	return out
}

// reachOf finds a pipe's reach from its readings. Largest is their 99th percentile. Cap is set
// if the readings with the most requests in flight all have about the same value (within 5 %),
// although the requests in flight grow by half among them, and if other readings were smaller.
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
