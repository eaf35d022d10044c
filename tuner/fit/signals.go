package fit

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/cost"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// Signal is a metric that was recorded but that the HPA does not scale on: what it follows,
// and whether an HPA could scale on it.
type Signal struct {
	// Metric names it as an HPA would, without a target: Pods if the samples are those of
	// single pods, External if they are not, or a resource.
	Metric  hpa.Metric
	Pipe    plant.Pipe
	Also    []plant.Pipe // further pipes that Pipe is computed with: what divides a ratio
	Follows string       // what explains its samples best
	Noise   float64      // mean deviation from that, as a ratio of the mean; NaN = not known
	N       int          // samples
	// Slope is what a request in service adds to it after the highest load, in its unit; for
	// memory only, otherwise NaN.
	Slope   float64
	Dropped string // why it cannot be scaled on; "" = it can
}

// fewestSamples is how many samples a signal needs to be considered.
const fewestSamples = 20

// signalsOf fits the metrics that were recorded but that the HPA does not scale on, in
// alphabetical order of their names.
func signalsOf(s *service, cfg *hpa.Config, replica cost.Replica) []Signal {
	count, ofPod := map[string]int{}, map[string]bool{}
	for i := range s.run.Samples {
		x := &s.run.Samples[i]
		if x.Source == results.FromClient || x.Source == results.FromLog ||
			strings.HasPrefix(
				x.Name,
				"container_cpu_cfs_",
			) || x.Pod != "" && strings.Contains(x.Name, "{") || onlyRises(x.Name) && !isCounter(x) {
			continue
		}
		count[x.Name]++
		ofPod[x.Name] = ofPod[x.Name] || x.Pod != ""
	}
	var names []string
	for name, n := range count {
		if n >= fewestSamples {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var out []Signal
	for _, name := range names {
		m := hpa.Metric{Source: hpa.External, Name: name}
		switch {
		case name == results.SampleCPU || name == results.SampleMemory:
			m = hpa.Metric{Source: hpa.Resource, Name: strings.TrimSuffix(strings.TrimSuffix(name, "_milli"), "_bytes")}
		case onlyRises(name):
			out = append(out, s.rateSignal(name, count[name]))
			continue
		case ofPod[name]:
			m.Source = hpa.Pods
		}
		if slices.ContainsFunc(cfg.Metrics, func(o hpa.Metric) bool { return sameName(m.Name, o.Name) }) {
			continue
		}
		out = append(out, signalOf(s, m, replica))
		out[len(out)-1].N = count[name]
	}
	return out
}

// onlyRises reports whether a metric of this name only ever rises: a counter, or a part of a
// histogram. No target can be held with it; its rate is a metric of its own.
func onlyRises(name string) bool {
	name, _, _ = strings.Cut(name, "{")
	for _, end := range []string{"_total", "_bucket", "_count", "_sum", "_created"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// isCounter reports whether a sample is of a counter of one pod, whose rate may be scaled on.
func isCounter(x *results.Sample) bool {
	return x.Pod != "" && strings.HasSuffix(x.Name, "_total") && !strings.Contains(x.Name, "{")
}

// rateOver is the range over which the rate of a counter is taken: four usual scrapes.
const rateOver = time.Minute

// rateSignal fits the rate of a counter, summed over the pods: requests or tokens per second.
func (s *service) rateSignal(counter string, n int) Signal {
	g := signalOf(s.rated(counter, rateOver), hpa.Metric{Source: hpa.Pods, Name: counter}, cost.Replica{})
	g.Metric = hpa.Metric{Source: hpa.External, Name: "sum(" + rateName(counter, rateOver) + ")"}
	g.N, g.Pipe.Name, g.Pipe.Over = n, g.Metric.Name, plant.Sum
	return g
}

// signalOf fits how one metric follows the load; Dropped says why it cannot be scaled on.
// replica is what a pod requests.
func signalOf(s *service, m hpa.Metric, replica cost.Replica) Signal {
	g := Signal{Metric: m, Noise: math.NaN(), Slope: math.NaN()}
	p, ok, said := pipeOf(s, &m, replica)
	if !ok || len(said.assumed) > 0 {
		if g.Dropped = "it follows nothing that was recorded"; len(said.warnings) > 0 {
			g.Dropped = said.warnings[0]
		}
		return g
	}
	g.Pipe, g.Follows = p, follows(&p)
	for _, q := range said.qualities {
		if q.Part == m.Name {
			g.Noise = q.Value
		}
	}
	if m.Name == "memory" {
		s.holds(&g, m)
	}
	if p.Under != "" {
		g.Also = []plant.Pipe{underOf(&p)}
	}
	if g.Dropped == "" && p.Times == nil &&
		max(p.PerDone, p.PerWork, p.PerRunning, p.PerWaiting, p.PerArrival, p.PerOldest) <= 0 {
		g.Dropped = "it does not rise with the load"
	}
	return g
}

// follows returns a name for what a pipe counts.
func follows(p *plant.Pipe) string {
	switch {
	case p.Times != nil:
		return timesWords(p.Times)
	case p.Under != "":
		return "a ratio"
	case p.PerRunning > 0 && p.PerWaiting > 0:
		return "requests in flight"
	case p.PerWaiting > 0:
		return "requests waiting"
	case p.PerRunning > 0:
		return "requests in service"
	case p.PerOldest > 0:
		return "age of the longest waiting"
	case p.PerArrival > 0:
		return "arrivals a second"
	case p.PerDone > 0:
		return "completions per second"
	}
	return "nothing"
}

// holds drops memory that does not fall with the load: after the highest load, the requests in
// service explain less than a tenth of its level.
func (s *service) holds(g *Signal, m hpa.Metric) {
	name, unit := sampled(&m)
	rs := s.readings(name, unit, &m, s.did)
	most := 0
	for i := range rs {
		if rs[i].running+rs[i].waiting > rs[most].running+rs[most].waiting {
			most = i
		}
	}
	rs = rs[min(most, len(rs)):]
	if len(rs) < 5 {
		g.Dropped = fmt.Sprintf("%d samples after the highest load, too few to see whether it falls", len(rs))
		return
	}
	var xs, ys []float64
	for _, r := range rs {
		xs, ys = append(xs, r.running), append(ys, r.value)
	}
	_, g.Slope = theilSen(xs, ys)
	if span := slices.Max(xs) - slices.Min(xs); !(g.Slope*span >= 0.1*meanOf(ys)) {
		does := fmt.Sprintf("frees only %.3g MiB", g.Slope/(1<<20))
		if g.Slope <= 0 {
			does = "frees nothing"
		}
		g.Dropped = fmt.Sprintf("it does not fall with the load: after the highest load, each request less in service "+
			"%s of %.0f MiB", does, meanOf(ys)/(1<<20))
	}
}
