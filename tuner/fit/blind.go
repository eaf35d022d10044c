package fit

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// Error returns the doubt's text, so that a fit that fails because of a doubt can return it.
func (d *Doubt) Error() string { return d.Text }

// queued is the share of calls that must have waited for a slot, below maxReplicas, before a
// run counts as one whose autoscaler did not see its load.
const queued = 0.1

// blindOf reports that the autoscaler cannot see this load: requests waited for slots while
// replicas could still have been added, and even with every slot busy no metric of the
// configuration reaches the value that makes it scale up. The doubt names the recorded signals
// that do show the load. nil = the autoscaler can see it, or nothing waited.
//
// A much lower target is no remedy: what a pod uses does not show whether requests wait.
func blindOf(s *service, out *Fitted, cfg *hpa.Config, pipes []plant.Pipe, tolerance float64) *Doubt {
	if len(s.run.Syncs) == 0 || len(cfg.Metrics) == 0 {
		return nil
	}
	share := s.waitedBelow(cfg.MaxReplicas)
	if share < queued {
		return nil
	}
	if cfg.ScaleUp.ToleranceSet {
		tolerance = cfg.ScaleUp.Tolerance
	}
	var why []string
	for i := range cfg.Metrics {
		m := &cfg.Metrics[i]
		k := slices.IndexFunc(pipes, func(p plant.Pipe) bool { return p.Name == m.Name })
		target := out.target(m)
		if k < 0 || target <= 0 || pipes[k].PerWaiting > 0 || pipes[k].Times != nil {
			return nil
		}
		p := &pipes[k]
		full := p.Base + (p.PerDone+p.PerWork)*s.law.Capacity() + p.PerRunning*float64(s.law.Slots())
		if p.Ceiling > 0 {
			full = min(full, p.Ceiling)
		}
		if r := slices.IndexFunc(out.Reaches, func(r Reach) bool { return r.Metric == m.Name }); r >= 0 {
			full = max(full, out.Reaches[r].Largest)
		}
		if full >= target*(1+tolerance) {
			return nil
		}
		name := m.Name
		if name == "cpu" {
			name = "CPU"
		}
		if m.Target.Utilization > 0 {
			percent := float64(m.Target.Utilization) / target
			why = append(why, fmt.Sprintf("%s of a replica with all %d slots busy is %s of its request, but the HPA "+
				"scales up only above %s", name, s.law.Slots(), figure.Percent(full*percent/100),
				figure.Percent(target*percent/100*(1+tolerance))))
		} else {
			why = append(
				why,
				fmt.Sprintf("%s of a replica with all %d slots busy is %.3g, but the HPA scales up only above %.3g",
					name, s.law.Slots(), full, target*(1+tolerance)),
			)
		}
	}
	name := cfg.Metrics[0].Name
	if name == "cpu" {
		name = "CPU"
	}
	settled := "an HPA on the requests in flight or waiting, per pod or in total (no such metric was " +
		"recorded; --prometheus with --promql records one)"
	if seen := s.signals(cfg.Metrics); len(seen) > 0 {
		settled = "an HPA on a metric that follows the requests in flight: " + strings.Join(seen, ", ")
	}
	return &Doubt{"blind-metric", fmt.Sprintf("%s does not show this load: %s of the requests waited for a slot "+
		"although replicas could have been added; %s", name, figure.Percent(share), strings.Join(why, "; ")), settled}
}

// waitedBelow returns the share of good calls that clearly waited for a slot (more than a
// tenth of the mean service time) while fewer than most replicas were desired.
func (s *service) waitedBelow(most int32) float64 {
	little := meanTotal(s.law.Times) / 10
	k, n, waited := 0, 0.0, 0.0
	for i := range s.calls {
		c := &s.calls[i]
		for k+1 < len(s.run.Syncs) && s.run.Syncs[k+1].At.Seconds() <= c.sent {
			k++
		}
		if n++; s.start[i] > c.sent+little && s.run.Syncs[k].Replicas < most {
			waited++
		}
	}
	return waited / max(1, n)
}

// signals returns the names of recorded metrics, except the given ones, that follow the
// requests in flight: those of its own pod for a pod's metric, all of them for any other. The
// closest come first.
func (s *service) signals(but []hpa.Metric) []string {
	type series struct{ xs, ys []float64 }
	byName := map[string]*series{}
	var names []string
	for i := range s.run.Samples {
		x := &s.run.Samples[i]
		skip := x.Name == results.SampleCPU || x.Name == results.SampleMemory ||
			strings.HasPrefix(x.Name, "container_cpu_cfs_") ||
			x.Source == results.FromClient || x.Pod != "" && strings.Contains(x.Name, "{") ||
			slices.ContainsFunc(but, func(m hpa.Metric) bool { return m.Name == x.Name })
		if skip {
			continue
		}
		at, inside := taken(x), 0
		if x.Pod == "" {
			for k := range s.servers {
				inside += s.insideAt(k, at)
			}
		} else if k := s.serverOf(x.Pod); k >= 0 {
			inside = s.insideAt(k, at)
		} else {
			continue
		}
		of := byName[x.Name]
		if of == nil {
			of = &series{}
			byName[x.Name] = of
			names = append(names, x.Name)
		}
		of.xs, of.ys = append(of.xs, float64(inside)), append(of.ys, x.Value)
	}
	type ranked struct {
		name string
		r    float64
	}
	var out []ranked
	for _, name := range names {
		if of := byName[name]; len(of.xs) >= 20 {
			if r := correlation(of.xs, of.ys); r >= 0.7 {
				out = append(out, ranked{name, r})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b ranked) int { return sign(b.r - a.r) })
	var list []string
	for _, o := range out[:min(3, len(out))] {
		list = append(list, o.name)
	}
	return list
}

// correlation is Pearson's; 0 if one of them does not vary.
func correlation(xs, ys []float64) float64 {
	mx, my := meanOf(xs), meanOf(ys)
	var xx, yy, xy float64
	for i := range xs {
		xx += (xs[i] - mx) * (xs[i] - mx)
		yy += (ys[i] - my) * (ys[i] - my)
		xy += (xs[i] - mx) * (ys[i] - my)
	}
	if xx == 0 || yy == 0 {
		return 0
	}
	return xy / math.Sqrt(xx*yy)
}
