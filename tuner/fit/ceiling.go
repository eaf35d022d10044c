package fit

import (
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// ceiling bends the law where the pods' CPU limit binds: a container under a
// quota of L cores that burns c core-seconds a request ends no more than
//
//	R ≤ (L − base)/c
//
// of them a second, however many it works on at once. c is the slope of CPU
// over completions in the samples' own windows (Theil–Sen), base what is burnt
// at rest. Where limit or samples are missing, nothing is known and the law
// stays: slots alone bound it.
func (f *fitting) ceiling() {
	limit := float64(f.run.Meta.Workload.CPULimitMilli) / 1000
	if limit <= 0 {
		return
	}
	rs := f.readings("cpu_milli", 1e-3, &hpa.Metric{Source: hpa.Resource, Name: "cpu"})
	if len(rs) < 5 {
		return
	}
	xs, ys := make([]float64, len(rs)), make([]float64, len(rs))
	for i, r := range rs {
		xs[i], ys[i] = r.done, r.value
	}
	base, each := theilSen(xs, ys)
	base = max(0, base)
	if each <= 0 || base >= limit {
		return
	}
	most := (limit - base) / each
	law := &f.w.Service
	f.quality("cpu-limit", most, len(rs), "requests a second that a limit of %.3g cores lets through, at %.3g core-seconds each", limit, each)
	if law.Limited = most < law.Capacity(); !law.Limited {
		return
	}
	// What a request takes by itself is what one took beside which no other was:
	// the quota, not the slots, is what stretches the others.
	var alone []plant.ServiceTime
	for i := range f.served {
		if c := &f.served[i]; c.ok && c.inside == 0 && c.start == c.sent && c.done > c.start {
			alone = append(alone, plant.ServiceTime{Class: c.class, First: max(0, min(c.first, c.done)-c.start), Total: c.done - c.start, Tokens: c.tokens})
		}
	}
	if len(alone) >= 50 {
		law.Times = thin(alone, 1024)
		for i := range law.Rate {
			law.Rate[i] = float64(i) / meanTotal(law.Times)
		}
		f.quality("alone", meanTotal(law.Times), len(alone), "mean service time, seconds, of requests beside which there was no other")
	}
	for i := range law.Rate {
		law.Rate[i] = min(law.Rate[i], most)
	}
}

// readings are the samples of a metric of pods that were ready for all of the
// sample's window, each with what the pod did meanwhile; of all pods together
// where it is not visible which one answered.
func (f *fitting) readings(name string, unit float64, m *hpa.Metric) []reading {
	samples := f.samples(name, m)
	if !f.visible {
		return f.pooled(samples, unit)
	}
	ready, ended := map[string]float64{}, map[string]float64{}
	for _, l := range f.lives() {
		if results.Happened(l.ready) {
			ready[l.name] = l.ready.Seconds()
		}
		if results.Happened(l.ended) {
			ended[l.name] = l.ended.Seconds()
		}
	}
	var out []reading
	for _, s := range samples {
		to := taken(&s)
		from := to - s.Window.Seconds()
		r, known := ready[s.Pod]
		if e, ok := ended[s.Pod]; ok && to > e || known && from < r {
			continue
		}
		if k := f.serverOf(s.Pod); k >= 0 {
			x := f.did(k, from, to)
			x.value = s.Value * unit
			out = append(out, x)
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
