package results

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Verdict is what became of an objective.
type Verdict string

const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive" // the interval straddles the limit
	Unknown      Verdict = "unknown"      // not measured
)

// Judgement is an objective and what became of it, as in `report -o json`.
// nil = not measured, or not finite: Note says which.
type Judgement struct {
	Text  string   `json:"text"`
	Value *float64 `json:"value"` // of the whole run, in Unit
	Lo    *float64 `json:"lo"`    // 90 % interval of Value
	Hi    *float64 `json:"hi"`
	Limit float64  `json:"limit"`
	Unit  string   `json:"unit"` // s, ratio, h, usd, or "" for a count
	N     int      `json:"n"`    // what Value rests on: requests mostly
	// Attainment is the share of requests within the limit, or with "each" the
	// share of windows that met it.
	Attainment *float64 `json:"attainment"`
	Verdict    Verdict  `json:"verdict"`
	Note       string   `json:"note,omitempty"`
}

// number returns v for JSON: nil where it is not a finite number.
func number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// Judge judges one figure. The verdict is of the interval where there is one:
// pass if all of it meets the limit, fail if none of it does.
func (o Objective) Judge(f Figure) Judgement {
	j := Judgement{Text: o.Text, Value: number(f.Value), Lo: number(f.Lo), Hi: number(f.Hi), Limit: o.Limit, Unit: o.Unit, N: f.N, Verdict: Unknown}
	if math.IsNaN(f.Value) {
		return j
	}
	at := func(bound float64) bool { return o.Met(bound) }
	lo, hi := f.Lo, f.Hi
	if math.IsNaN(lo) {
		lo = f.Value
	}
	if math.IsNaN(hi) {
		hi = f.Value
	}
	switch {
	case at(lo) && at(hi) && at(f.Value):
		j.Verdict = Pass
	case !at(lo) && !at(hi) && !at(f.Value):
		j.Verdict = Fail
	default:
		j.Verdict = Inconclusive
		j.Note = "the 90 % interval straddles the limit"
	}
	return j
}

// Judge judges a run by objectives. Warm-up stages are left out. A request
// that failed, was shed or timed out counts as +Inf in every latency; one that
// has no such latency (no TTFT without a stream) is left out of it.
//
// Figures that a run does not know by itself (usd_month needs a price) are
// handed in, and win over its own.
func (r *Run) Judge(objectives []Objective, extra ...Figure) []Judgement {
	measured := r.measured()
	limits := LimitsOf(objectives)
	js := make([]Judgement, 0, len(objectives))
	var own []Figure
	for _, o := range objectives {
		if m, _ := metricOf(o.Metric); m.windows {
			js = append(js, judgeRequests(o, measured, limits, r.Meta.Target.Streams))
			continue
		}
		if own == nil {
			own = r.sizeFigures()
		}
		js = append(js, judgeByName(o, append(slices.Clone(extra), own...)))
	}
	return js
}

// judgeByName judges the first figure of the objective's name.
func judgeByName(o Objective, figures []Figure) Judgement {
	for _, f := range figures {
		if f.Name == o.Name() && !math.IsNaN(f.Value) {
			return o.Judge(f)
		}
	}
	j := o.Judge(Exactly(o.Name(), math.NaN(), 0, o.Unit))
	switch o.Unit {
	case "usd":
		j.Note = "needs a price"
	default:
		j.Note = "no replicas were observed"
	}
	return j
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

func judgeRequests(o Objective, rs []*Request, limits Limits, streams bool) Judgement {
	f, attainment := requestFigure(o, rs, limits)
	j := o.Judge(f)
	j.Attainment = number(attainment)
	switch {
	case len(rs) == 0:
		j.Note = "no requests"
	case math.IsNaN(f.Value) && !streams && o.Latency():
		j.Note = "the answers were not streamed"
	case math.IsNaN(f.Value):
		j.Note = "no request has it"
	case math.IsInf(f.Value, 1):
		j.Note = "too many requests failed, timed out or were shed: they count as infinitely late"
	}
	if o.Window > 0 && j.Verdict != Unknown {
		judgeWindows(&j, o, rs, limits)
		return j
	}
	// Without an upper bound a quantile may be anything: it cannot pass.
	if o.Latency() && o.Stat > 0 && o.Stat < 1 && math.IsNaN(f.Hi) && j.Verdict == Pass {
		j.Verdict = Inconclusive
		j.Note = fmt.Sprintf("too few requests: %d, and an upper bound of %s takes %d", f.N, o.Name(), neededFor(o.Stat))
	}
	return j
}

// neededFor is the smallest n whose largest value is above the quantile q with
// 95 %: qⁿ ≤ 5 %.
func neededFor(q float64) int { return int(math.Ceil(math.Log(tail) / math.Log(q))) }

// judgeWindows makes j a verdict on windows: pass if a share of at least o.For
// of those with requests met the limit. It is inconclusive where that hangs on
// windows whose own interval straddles the limit.
func judgeWindows(j *Judgement, o Objective, rs []*Request, limits Limits) {
	windows := map[time.Duration][]*Request{}
	for _, r := range rs {
		w := floorDiv(r.Scheduled, o.Window)
		windows[w] = append(windows[w], r)
	}
	n, met, surely, possibly := 0, 0.0, 0.0, 0.0
	for _, in := range windows {
		f, _ := requestFigure(o, in, limits)
		w := o.Judge(f)
		if w.Verdict == Unknown {
			continue
		}
		n++
		if o.Met(f.Value) {
			met++
		}
		if w.Verdict == Pass {
			surely++
		}
		if w.Verdict != Fail {
			possibly++
		}
	}
	share := func(k float64) float64 { return k/float64(n) + 1e-12 }
	j.Attainment = number(met / float64(n))
	j.Note = fmt.Sprintf("%.0f of %d windows of %v met it", met, n, o.Window)
	switch {
	case share(surely) >= o.For:
		j.Verdict = Pass
	case share(possibly) < o.For:
		j.Verdict = Fail
	default:
		j.Verdict = Inconclusive
		j.Note += fmt.Sprintf(", %.0f of them too close to call", possibly-surely)
	}
}

func floorDiv(d, by time.Duration) time.Duration {
	q := d / by
	if d%by < 0 {
		q--
	}
	return q
}

// requestFigure computes the figure of a per-request objective, and the share
// of requests within its limit (NaN where it is not about one).
func requestFigure(o Objective, rs []*Request, limits Limits) (Figure, float64) {
	nan := math.NaN()
	f := Figure{Name: o.Name(), Value: nan, Lo: nan, Hi: nan, Unit: o.Unit}
	switch o.Metric {
	case "error_rate":
		failed, sent := 0.0, 0.0
		for _, r := range rs {
			if r.Outcome != Shed {
				sent++
			}
			if r.Outcome.Failed() {
				failed++
			}
		}
		return ratio(f, failed, sent), nan
	case "goodput":
		good := 0.0
		for _, r := range rs {
			if limits.Good(r) {
				good++
			}
		}
		return ratio(f, good, float64(len(rs))), nan
	}
	values := make([]float64, 0, len(rs))
	answered, within, finite := 0, 0, 0
	for _, r := range rs {
		v := math.Inf(1)
		if r.Outcome == OK {
			answered++
			d, ok := r.Latency(o.Metric)
			if !ok {
				continue
			}
			finite++
			v = d.Seconds()
		}
		if o.Met(v) {
			within++
		}
		values = append(values, v)
	}
	if len(values) == 0 || answered > 0 && finite == 0 {
		return f, nan
	}
	slices.Sort(values)
	f.N = len(values)
	attainment := float64(within) / float64(f.N)
	if o.Stat == StatMean {
		f.Value, f.Lo, f.Hi = meanInterval(values)
		return f, attainment
	}
	f.Value = NearestRank(values, o.Stat)
	if o.Stat > 0 && o.Stat < 1 {
		f.Lo, f.Hi = quantileInterval(values, o.Stat)
	}
	return f, attainment
}

func ratio(f Figure, k, n float64) Figure {
	if n > 0 {
		f.Value, f.N = k/n, int(n)
		f.Lo, f.Hi = ratioInterval(k, n)
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

// Judge judges a timeline, happened or simulated, by its ticks and totals; a
// run that has its requests is better judged by Run.Judge, which has
// intervals. A window of a latency objective is judged by the share of its
// arrivals that were good: exact for one latency objective, and a lower bound
// for several, since Good is all of them at once.
func (t *Timeline) Judge(objectives []Objective, extra ...Figure) []Judgement {
	js := make([]Judgement, 0, len(objectives))
	limited := 0
	for _, o := range objectives {
		if o.Latency() {
			limited++
		}
	}
	for _, o := range objectives {
		m, _ := metricOf(o.Metric)
		if !m.windows {
			js = append(js, judgeByName(o, append(slices.Clone(extra), t.sizeFigures()...)))
			continue
		}
		f, attainment := t.figure(o, 0, len(t.Ticks))
		j := o.Judge(f)
		j.Attainment = number(attainment)
		if o.Window > 0 && (j.Verdict != Unknown || o.Latency()) {
			t.judgeWindows(&j, o, limited)
		}
		js = append(js, j)
	}
	return js
}

// figure computes a figure of the ticks [from, to); of latencies, of all of
// them whatever the range.
func (t *Timeline) figure(o Objective, from, to int) (Figure, float64) {
	nan := math.NaN()
	var arrivals, shed, failed, good float64
	for _, k := range t.Ticks[from:to] {
		arrivals += k.Arrivals
		shed += k.Shed
		failed += k.Failed
		good += k.Good
	}
	f := Exactly(o.Name(), nan, int(math.Round(arrivals)), o.Unit)
	switch o.Metric {
	case "error_rate":
		if sent := arrivals - shed; sent > 0 {
			f.Value = failed / sent
		}
		return f, nan
	case "goodput":
		if arrivals > 0 {
			f.Value = good / arrivals
		}
		return f, nan
	}
	var h Hist
	switch o.Metric {
	case "ttft":
		h = t.TTFT
	case "itl":
		h = t.ITL
	case "e2e":
		h = t.E2E
	}
	answered := h.Count()
	n := answered + failed + shed
	if n == 0 || answered == 0 && o.Metric != "e2e" {
		return f, nan
	}
	within, _ := h.ShareWithin(time.Duration(o.Limit * float64(time.Second)))
	attainment := within * answered / n
	switch {
	case o.Stat == StatMean && failed+shed > 0, o.Stat >= 0 && o.Stat*n > answered*(1+1e-12):
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

func (t *Timeline) judgeWindows(j *Judgement, o Objective, limited int) {
	per := max(int(o.Window/t.Step), 1)
	n, met := 0, 0
	for from := 0; from < len(t.Ticks); from += per {
		to := min(from+per, len(t.Ticks))
		w := o
		if o.Latency() {
			// "p95 under the limit" is "95 % within the limit".
			w = Objective{Text: "goodput", Metric: "goodput", Op: ">=", Limit: o.Stat}
			if o.Stat < 0 {
				j.Verdict, j.Note = Unknown, "a mean cannot be judged by windows of a timeline"
				return
			}
		}
		f, _ := t.figure(w, from, to)
		if math.IsNaN(f.Value) {
			continue
		}
		n++
		if w.Met(f.Value + 1e-12) {
			met++
		}
	}
	if n == 0 {
		return
	}
	share := float64(met) / float64(n)
	j.Attainment = &share
	j.Note = fmt.Sprintf("%d of %d windows of %v met it", met, n, o.Window)
	switch {
	case share+1e-12 >= o.For:
		j.Verdict = Pass
	case limited > 1 && o.Latency():
		j.Verdict = Inconclusive
		j.Note += ", at least: windows are judged by all latency limits at once"
	default:
		j.Verdict = Fail
	}
}
