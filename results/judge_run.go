package results

import (
	"math"
	"slices"
	"time"
)

// requests takes figures from a run's requests, without those of warm-up stages. limits are
// what a request must meet to be good.
type requests struct {
	run    *Run
	list   []*Request
	limits Limits
}

// measured returns the requests that count: those of no warm-up stage.
func (r *Run) measured() []*Request {
	rs := make([]*Request, 0, len(r.Requests))
	for i := range r.Requests {
		if q := &r.Requests[i]; !r.warmup(q) {
			rs = append(rs, q)
		}
	}
	return rs
}

func (r *Run) warmup(q *Request) bool {
	return q.Stage >= 0 && int(q.Stage) < len(r.Meta.Stages) && r.Meta.Stages[q.Stage].Warmup
}

func (s requests) figure(o Objective, m *Metric) (Figure, float64) {
	if m.CountRequest != nil {
		part, whole := 0.0, 0.0
		for _, r := range s.list {
			p, w := m.CountRequest(r, s.limits)
			part, whole = part+p, whole+w
		}
		return share(o, part, whole), math.NaN()
	}
	f := Exactly(o.Name(), math.NaN(), 0, o.Unit)
	values, within, ok := latencyValues(o, m, s.list)
	if !ok {
		return f, math.NaN()
	}
	f.N = len(values)
	attainment := float64(within) / float64(f.N)
	if o.Stat == StatMean {
		f.Value, f.Lo, f.Hi = meanInterval(values)
		return f, attainment
	}
	f.Value = NearestRank(values, o.Stat)
	if o.Stat > 0 && o.Stat < 1 {
		f.Lo, f.Hi = quantileInterval(values, o.Stat)
		if math.IsNaN(f.Hi) { // without an upper bound a quantile may be anything
			f.Hi = math.Inf(1)
		}
	}
	return f, attainment
}

// latencyValues returns the latency of every request, sorted, in seconds, and how many meet
// o's limit. A request that failed, was shed, or was ended by hpatune after it had waited
// longer than the limit counts as +Inf. ok is false if there are none, or no answer has
// this latency.
func latencyValues(o Objective, m *Metric, rs []*Request) (values []float64, within int, ok bool) {
	values = make([]float64, 0, len(rs))
	answered, finite := 0, 0
	for _, r := range rs {
		v := math.Inf(1)
		switch r.Outcome {
		case OK:
			answered++
			d, ok := m.OfRequest(r)
			if !ok {
				continue
			}
			finite++
			v = d.Seconds()
		case Canceled:
			if o.Met(m.waited(r).Seconds()) {
				continue // nobody knows what it would have been
			}
		}
		if o.Met(v) {
			within++
		}
		values = append(values, v)
	}
	slices.Sort(values)
	return values, within, len(values) > 0 && (answered == 0 || finite > 0)
}

func (s requests) windows(o Objective, m *Metric) ([]Figure, bool) {
	windows := map[time.Duration][]*Request{}
	for _, r := range s.list {
		w := floorDiv(r.Scheduled, o.Window)
		windows[w] = append(windows[w], r)
	}
	var fs []Figure
	for _, in := range windows {
		f, _ := requests{s.run, in, s.limits}.figure(o, m)
		if math.IsInf(f.Hi, 1) && !math.IsInf(f.Value, 1) {
			f.Hi = math.NaN() // few requests a window is no doubt about what those were
		}
		fs = append(fs, f)
	}
	return fs, true
}

func floorDiv(d, by time.Duration) time.Duration {
	q := d / by
	if d%by < 0 {
		q--
	}
	return q
}

func (s requests) whole(m *Metric) Figure {
	if m.OfRun == nil {
		return Exactly(m.Name, math.NaN(), 0, m.Unit)
	}
	v, n := m.OfRun(s.run)
	return Exactly(m.Name, v, n, m.Unit)
}

func (s requests) missing(m *Metric) string {
	switch {
	case !m.ByWindow():
		return m.Missing
	case len(s.list) == 0:
		return "no requests"
	case m.Latency() && !s.run.Meta.Target.Streams && m != E2E && m != MetricOf("e2e_from_sent"):
		return "the answers were not streamed"
	case m.Latency() && slices.ContainsFunc(s.list, (*Request).InOnePiece):
		return "no request has it: each answer came in one piece"
	}
	return "no request has it"
}

// share is the figure part/whole with Wilson's interval; NaN of nothing.
func share(o Objective, part, whole float64) Figure {
	f := Exactly(o.Name(), math.NaN(), 0, o.Unit)
	if whole > 0 {
		f.Value, f.N = part/whole, int(math.Round(whole))
		f.Lo, f.Hi = ratioInterval(part, whole)
	}
	return f
}

// meanInterval returns the mean and its 90 % interval by the central limit
// theorem; no interval for fewer than two values, or infinite ones.
func meanInterval(values []float64) (mean, lo, hi float64) {
	n := float64(len(values))
	for _, v := range values {
		mean += v / n
	}
	lo, hi = math.NaN(), math.NaN()
	if n < 2 || math.IsInf(mean, 0) {
		return mean, lo, hi
	}
	ss := 0.0
	for _, v := range values {
		ss += (v - mean) * (v - mean)
	}
	half := z * math.Sqrt(ss/(n-1)/n)
	return mean, mean - half, mean + half
}
