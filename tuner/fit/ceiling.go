package fit

import (
	"slices"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// ceilinged is the law, bent where the pods' CPU limit binds: a container under a
// quota of L cores that burns c core-seconds a request ends no more than
//
//	R ≤ (L − base)/c
//
// of them a second, however many it works on at once. c is the slope of CPU
// over completions in the samples' own windows (Theil–Sen), base what is burnt
// at rest. Where limit or samples are missing, nothing is known and the law
// stays: slots alone bound it.
func ceilinged(s *service) (plant.Law, notes) {
	var n notes
	law := s.law
	limit := float64(s.run.Meta.Workload.CPULimitMilli) / 1000
	if limit <= 0 {
		return law, n
	}
	rs := s.readings("cpu_milli", 1e-3, &hpa.Metric{Source: hpa.Resource, Name: "cpu"})
	if len(rs) < 5 {
		return law, n
	}
	xs, ys := make([]float64, len(rs)), make([]float64, len(rs))
	for i, r := range rs {
		xs[i], ys[i] = r.done, r.value
	}
	base, each := theilSen(xs, ys)
	base = max(0, base)
	if each <= 0 || base >= limit {
		return law, n
	}
	most := (limit - base) / each
	n.quality("cpu-limit", most, len(rs), "requests a second that a limit of %.3g cores lets through, at %.3g core-seconds each", limit, each)
	if law.Limited = most < law.Capacity(); !law.Limited {
		return law, n
	}
	// What a request takes by itself is what one took beside which no other was:
	// the quota, not the slots, is what stretches the others.
	var alone []plant.ServiceTime
	for i := range s.calls {
		if c := &s.calls[i]; c.ok && c.inside == 0 && s.start[i] == c.sent && c.done > c.sent {
			alone = append(alone, s.unstretched(i, nil))
		}
	}
	law.Rate = slices.Clone(law.Rate)
	if len(alone) >= 50 {
		law.Times = thin(alone, 1024)
		for i := range law.Rate {
			law.Rate[i] = float64(i) / meanTotal(law.Times)
		}
		n.quality("alone", meanTotal(law.Times), len(alone), "mean service time, seconds, of requests beside which there was no other")
	}
	for i := range law.Rate {
		law.Rate[i] = min(law.Rate[i], most)
	}
	return law, n
}

// readings are the samples of a metric (its value times unit) of pods that were
// ready for all of the sample's window, each with what the pod did meanwhile; of
// all pods together where it is not visible which one answered.
func (s *service) readings(name string, unit float64, m *hpa.Metric) []reading {
	samples := samplesOf(s.log, name, m)
	if !s.visible {
		return s.pooled(samples, unit)
	}
	ready, ended := s.watched()
	var out []reading
	for i := range samples {
		x := &samples[i]
		to := taken(x)
		from := to - x.Window.Seconds()
		r, known := ready[x.Pod]
		if e, ok := ended[x.Pod]; ok && to > e || known && from < r {
			continue
		}
		if k := s.serverOf(x.Pod); k >= 0 {
			did := s.did(k, from, to)
			did.value = x.Value * unit
			out = append(out, did)
		}
	}
	return out
}

// taken is when a sample was taken, in seconds: by its source, else by us.
func taken(s *results.Sample) float64 {
	if s.SampledAt != results.NotYet {
		return s.SampledAt.Seconds()
	}
	return s.At.Seconds()
}
