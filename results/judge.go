package results

import (
	"fmt"
	"math"
)

// Verdict is what became of an objective.
type Verdict string

// The verdicts.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive" // the interval straddles the limit
	Unknown      Verdict = "unknown"      // not measured
)

// Overall is the verdict over all objectives: one miss is a miss, else one doubt is
// a doubt. Without any it is a pass.
func Overall(js []Judgement) Verdict {
	verdict := Pass
	for _, j := range js {
		switch j.Verdict {
		case Fail:
			return Fail
		case Inconclusive, Unknown:
			verdict = Inconclusive
		}
	}
	return verdict
}

// Judgement is an objective and what became of it, as in `report -o json`.
// nil = not measured, or not finite: Note says which.
type Judgement struct {
	Text  string   `json:"text"`
	Value *float64 `json:"value"` // of the whole run, in Unit
	Lo    *float64 `json:"lo"`    // 90 % interval of Value
	Hi    *float64 `json:"hi"`
	Limit float64  `json:"limit"`
	Unit  Unit     `json:"unit"`
	// Currency is that of an amount of money, whose Unit is usd whatever it is.
	Currency string `json:"currency,omitempty"`
	N        int    `json:"n"` // what Value rests on: requests mostly
	// Attainment is the share of requests within the limit, or with "each" the
	// share of windows that met it.
	Attainment *float64 `json:"attainment"`
	Verdict    Verdict  `json:"verdict"`
	Note       string   `json:"note,omitempty"`
	// Replicates is how many replicates of a replay it rests on; 0 = it was measured.
	Replicates int `json:"replicates,omitempty"`
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
	j := Judgement{
		Text:     o.Text,
		Value:    number(f.Value),
		Lo:       number(f.Lo),
		Hi:       number(f.Hi),
		Limit:    o.Limit,
		Unit:     o.Unit,
		Currency: f.Currency,
		N:        f.N,
		Verdict:  Unknown,
	}
	if math.IsNaN(f.Value) {
		return j
	}
	lo, hi := f.Lo, f.Hi
	if math.IsNaN(lo) {
		lo = f.Value
	}
	if math.IsNaN(hi) {
		hi = f.Value
	}
	switch {
	case o.Met(lo) && o.Met(hi) && o.Met(f.Value):
		j.Verdict = Pass
	case !o.Met(lo) && !o.Met(hi) && !o.Met(f.Value):
		j.Verdict = Fail
	default:
		j.Verdict = Inconclusive
		j.Note = "the 90 % interval contains the limit" + o.wouldDecide(f)
	}
	return j
}

// A source is what the figure of an objective is taken from: a run's requests,
// which give it an interval, or a timeline's ticks and totals, which do not.
type source interface {
	// figure is the figure of a latency or a share, and the share of the requests
	// within the limit, NaN where there is none.
	figure(o Objective, m *Metric) (Figure, float64)
	// windows are the figures of each window of o, of those with requests; ok is
	// false where this side cannot tell them apart.
	windows(o Objective, m *Metric) (fs []Figure, ok bool)
	// whole is the figure of a metric of the whole run, NaN where it is not known.
	whole(m *Metric) Figure
	// missing says why there is no figure of m.
	missing(m *Metric) string
}

// Judge judges a run by objectives. Warm-up stages are left out. A request
// that failed, was shed or timed out counts as +Inf in every latency; one that
// has no such latency (no TTFT without a stream) is left out of it, and so is one
// that we ended (Ctrl-C) before it had waited longer than the limit.
//
// Figures that a run does not know by itself (usd_month needs a price) are
// handed in, and win over its own.
func (r *Run) Judge(objectives []Objective, extra ...Figure) []Judgement {
	return judgeAll(requests{r, r.measured(), LimitsOf(objectives)}, objectives, extra)
}

// Judge judges a timeline, happened or simulated, by its ticks and totals. It has
// no intervals: those of a replay are over its replicates (JudgeReplicates).
//
// A window of a latency objective is judged by the share of its arrivals that
// were good: exact for one latency objective, and a lower bound for several,
// since Good is all of them at once.
func (t *Timeline) Judge(objectives []Objective, extra ...Figure) []Judgement {
	return judgeAll(newTicks(t, objectives), objectives, extra)
}

func judgeAll(from source, objectives []Objective, extra []Figure) []Judgement {
	js := make([]Judgement, 0, len(objectives))
	for _, o := range objectives {
		js = append(js, judgeOne(from, o, extra))
	}
	return js
}

func judgeOne(from source, o Objective, extra []Figure) Judgement {
	m := o.Of()
	if m == nil {
		return Judgement{
			Text:    o.Text,
			Limit:   o.Limit,
			Unit:    o.Unit,
			Verdict: Unknown,
			Note:    fmt.Sprintf("unknown metric %q", o.Metric),
		}
	}
	var f Figure
	attainment := math.NaN()
	if m.ByWindow() {
		f, attainment = from.figure(o, m)
	} else {
		f = from.whole(m)
		for _, e := range extra {
			if e.Name == o.Name() && !math.IsNaN(e.Value) {
				f = e
				break
			}
		}
	}
	j := o.Judge(f)
	j.Attainment = number(attainment)
	switch {
	case math.IsNaN(f.Value):
		j.Note = from.missing(m)
	case math.IsInf(f.Value, 1):
		j.Note = "too many requests failed, timed out or were shed; they count as infinitely late"
	}
	if o.Window > 0 && j.Verdict != Unknown {
		fs, ok := from.windows(o, m)
		if !ok {
			j.Verdict, j.Note = Unknown, "a replay does not keep "+o.Name()+" window by window"
			return j
		}
		j.judgeWindows(o, fs)
		return j
	}
	if math.IsInf(f.Hi, 1) && j.Verdict == Inconclusive && o.Stat > 0 && o.Stat < 1 && o.Met(f.Value) {
		j.Note = fmt.Sprintf("too few requests: %d; an upper bound of %s needs %d", f.N, o.Name(), neededFor(o.Stat))
	}
	return j
}

// neededFor is the smallest n whose largest value is above the quantile q with
// 95 %: qⁿ ≤ 5 %.
func neededFor(q float64) int { return int(math.Ceil(math.Log(tail) / math.Log(q))) }

// judgeWindows makes j a verdict on windows: pass if a share of at least o.For
// of those with requests met the limit. It is inconclusive where that hangs on
// windows whose own interval straddles the limit.
func (j *Judgement) judgeWindows(o Objective, windows []Figure) {
	n, met, surely, possibly := 0, 0.0, 0.0, 0.0
	for _, f := range windows {
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
	if n == 0 {
		j.Verdict, j.Note = Unknown, "no window has requests"
		return
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
