package results

import (
	"fmt"
	"math"

	"github.com/hpatune/hpatune/internal/figure"
)

// Verdict says whether an objective was met.
type Verdict string

// The verdicts.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive" // the interval straddles the limit
	Unknown      Verdict = "unknown"      // not measured
)

// Overall is the verdict over all objectives: fail if one failed, else inconclusive or
// unknown if one is. Without objectives it is a pass.
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

// Judgement is an objective with its verdict, as in `report -o json`. nil = not measured,
// or not finite; Note says which.
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

// A source provides the figures for objectives: a run's requests, which give intervals, or
// a timeline's ticks and totals, which do not.
type source interface {
	// figure is the figure of a latency or a share, and the share of the requests
	// within the limit, NaN where there is none.
	figure(o Objective, m *Metric) (Figure, float64)
	// windows are the figures of each window of o that has requests; ok is false if this
	// source has no such windows.
	windows(o Objective, m *Metric) (fs []Figure, ok bool)
	// whole is the figure of a metric of the whole run, NaN where it is not known.
	whole(m *Metric) Figure
	// missing says why m has no figure.
	missing(m *Metric) string
}

// Judge judges a run by objectives. Warm-up stages are left out. A request that failed, was
// shed or timed out counts as +Inf in every latency. Left out of a latency are requests
// that do not have it (no TTFT without a stream), and requests that hpatune ended (Ctrl-C)
// before they had waited longer than the limit.
//
// extra holds figures that a run cannot know (usd_month needs a price); they override its
// own.
func (r *Run) Judge(objectives []Objective, extra ...Figure) []Judgement {
	return judgeAll(requests{r, r.measured(), LimitsOf(objectives)}, objectives, extra)
}

// Judge judges a timeline, recorded or simulated, by its ticks and totals. It has no
// intervals: those of a replay come from its replicates (JudgeReplicates).
//
// A window of a latency objective is judged by the share of its arrivals that were good.
// That is exact for one latency objective and a lower bound for several, since a good
// arrival meets all of them.
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
		if need := neededFor(o.Stat); f.N < need {
			j.Note = fmt.Sprintf("too few requests: %d; an upper bound of %s needs %d", f.N, o.Name(), need)
		} else {
			j.Note = "too many requests failed for an upper bound of " + o.Name() + "; they count as infinitely late"
		}
	}
	return j
}

// neededFor is the smallest n whose largest value is above the quantile q with
// 95 %: qⁿ ≤ 5 %.
func neededFor(q float64) int { return int(math.Ceil(math.Log(tail) / math.Log(q))) }

// judgeWindows sets j's verdict on windows: pass if at least a share o.For of those with
// requests met the limit. It is inconclusive if that depends on windows whose own interval
// contains the limit.
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
	j.Note = fmt.Sprintf("%.0f of %d windows of %s met it", met, n, figure.Duration(o.Window))
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
