package results

import (
	"math"
	"time"
)

// ticks takes figures from a timeline: its ticks outside the warm-up, and the totals of its
// latencies.
type ticks struct {
	*Timeline
	limited []*Metric // the latencies that an answer must keep to be good
	sum     tickSum   // of the whole timeline
}

// tickSum adds up ticks.
type tickSum struct{ done, missed float64 }

func newTicks(t *Timeline, objectives []Objective) ticks {
	s := ticks{Timeline: t}
	limits := LimitsOf(objectives)
	for _, m := range latencies {
		if *m.Limit(&limits) > 0 {
			s.limited = append(s.limited, m)
		}
	}
	for i := range t.Ticks {
		if k := &t.Ticks[i]; !k.Warmup {
			s.sum.done += k.Done
			s.sum.missed += k.Failed + k.Shed + k.Missed
		}
	}
	return s
}

// knows reports whether the timeline has the latency m. If no answer has it, it was not
// measured, or is not modelled.
func (s ticks) knows(m *Metric) bool { return s.sum.done == 0 || m.InTimeline(s.Timeline).Count() > 0 }

// unknownLimit is a latency that good answers must meet and that the timeline does not
// have; nil = it has all of them.
func (s ticks) unknownLimit() *Metric {
	for _, m := range s.limited {
		if !s.knows(m) {
			return m
		}
	}
	return nil
}

func (s ticks) figure(o Objective, m *Metric) (Figure, float64) {
	if m.CountTick != nil {
		return s.share(o, m, 0, len(s.Ticks)), math.NaN()
	}
	nan := math.NaN()
	h := m.InTimeline(s.Timeline)
	answered := h.Count()
	n := answered + s.sum.missed
	f := Exactly(o.Name(), nan, int(math.Round(n)), o.Unit)
	if n == 0 || !s.knows(m) {
		return f, nan
	}
	within, _ := h.ShareWithin(time.Duration(o.Limit * float64(time.Second)))
	attainment := within * answered / n
	switch {
	case o.Stat == StatMean && answered < n, o.Stat >= 0 && o.Stat*n > answered*(1+1e-12):
		f.Value = math.Inf(1)
	case o.Stat == StatMean:
		d, _ := h.Mean()
		f.Value = d.Seconds()
	default:
		d, _ := h.Quantile(min(o.Stat*n/answered, 1))
		f.Value = d.Seconds()
	}
	return f, attainment
}

// share is the share m of the ticks [from, to), without an interval.
func (s ticks) share(o Objective, m *Metric, from, to int) Figure {
	part, whole := 0.0, 0.0
	for i := from; i < to; i++ {
		if k := &s.Ticks[i]; !k.Warmup {
			p, w := m.CountTick(k)
			part, whole = part+p, whole+w
		}
	}
	f := Exactly(o.Name(), math.NaN(), int(math.Round(whole)), o.Unit)
	if whole > 0 && (!m.WithinLimits || s.unknownLimit() == nil) {
		f.Value = part / whole
	}
	return f
}

// windows of a latency are judged by the share of good requests: "p95 under the limit"
// means "95 % within the limit". The figure of a window is o's limit if it has that share,
// and above it if not. If several latencies decide what is good, it may also be within the
// limit.
func (s ticks) windows(o Objective, m *Metric) (fs []Figure, ok bool) {
	per := max(int(o.Window/s.Step), 1)
	good := MetricOf("goodput")
	if m.Latency() && (o.Stat < 0 || !o.upper() || s.unknownLimit() != nil) {
		return nil, false
	}
	for from := 0; from < len(s.Ticks); from += per {
		to := min(from+per, len(s.Ticks))
		if !m.Latency() {
			fs = append(fs, s.share(o, m, from, to))
			continue
		}
		f := s.share(o, good, from, to)
		if math.IsNaN(f.Value) {
			continue
		}
		switch {
		case f.Value+1e-12 >= o.Stat:
			f.Value = 0
		case len(s.limited) > 1:
			f.Value, f.Lo = math.Inf(1), 0
		default:
			f.Value = math.Inf(1)
		}
		fs = append(fs, f)
	}
	return fs, true
}

func (s ticks) whole(m *Metric) Figure {
	if m.OfTimeline == nil || len(s.Ticks) == 0 {
		return Exactly(m.Name, math.NaN(), 0, m.Unit)
	}
	return Exactly(m.Name, m.OfTimeline(s.Timeline), len(s.Ticks), m.Unit)
}

func (s ticks) missing(m *Metric) string {
	switch {
	case !m.ByWindow():
		return m.Missing
	case s.sum.done+s.sum.missed == 0:
		return "no requests"
	case m.Latency():
		return "a replay does not predict " + m.Name
	}
	if u := s.unknownLimit(); m.WithinLimits && u != nil {
		return "it needs " + u.Name + ", which a replay does not predict"
	}
	return "no requests"
}
