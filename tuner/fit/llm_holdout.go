package fit

import (
	"math"
	"slices"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/plant"
)

// Holdout is how a law does on requests that it was not fitted to. The first two thirds of the
// requests, by arrival, are fitted with all their measurements. Then the whole log is served,
// starting empty. Of the last third, only arrival times and prompt and answer tokens are used.
type Holdout struct {
	Share      float64 // of the requests, that were fitted
	N          int     // requests in all
	Figures    []HoldoutFigure
	FiguresAll []HoldoutFigure
	Law        plant.Iterations // as fitted to the first two thirds
	Preempted  int              // preemptions in the replay
}

// HoldoutFigure is one figure, predicted and measured; NaN = the log, or the law, does not
// give it.
type HoldoutFigure struct {
	Name              string
	Predicted, Actual float64
	Unit              string // s or ratio
	N                 int    // requests that Actual is based on
}

// ProvesNothing reports whether the measured figure is a share of none or all, which any law
// may match by luck.
func (f *HoldoutFigure) ProvesNothing() bool {
	return f.Unit == "ratio" && (f.Actual == 0 || f.Actual == 1)
}

// HoldoutLLM fits a law to the first two thirds of a run and predicts all of it.
func HoldoutLLM(run *results.Run, o LawOptions) (Holdout, error) {
	all, _ := answers(run)
	n := len(all)
	k := 2 * n / 3
	learnt := slices.Clone(all)
	for i := k; i < n; i++ {
		a := &learnt[i]
		a.first, a.last, a.gap, a.seen = math.NaN(), math.NaN(), math.NaN(), false
	}
	law, err := fitAnswers(learnt, o)
	if err != nil {
		return Holdout{}, err
	}
	h := Holdout{Share: float64(k) / float64(max(1, n)), N: n, Law: law.Law}
	predicted := make([]plant.Played, n)
	byServer := map[int][]int{}
	for i := range all {
		byServer[all[i].server] = append(byServer[all[i].server], i)
	}
	for _, s := range sortedKeys(byServer) {
		calls := make([]plant.Call, 0, len(byServer[s]))
		for _, i := range byServer[s] {
			calls = append(calls, all[i].Call)
		}
		played, preempted := law.Law.Play(calls)
		h.Preempted += preempted
		for j, i := range byServer[s] {
			predicted[i] = played[j]
		}
	}
	h.Figures = figuresOf(all[k:], predicted[k:])
	h.FiguresAll = figuresOf(all, predicted)
	return h, nil
}

// figuresOf compares predicted with measured times, over the requests that succeeded.
func figuresOf(all []answer, predicted []plant.Played) []HoldoutFigure {
	var got, want [3][]float64 // ttft, itl, e2e
	var gaps []float64
	for i := range all {
		a, p := &all[i], &predicted[i]
		if !a.seen {
			continue
		}
		add := func(k int, g, w float64) {
			if !math.IsNaN(w) {
				got[k], want[k] = append(got[k], g), append(want[k], w)
			}
		}
		add(0, p.First-a.At, a.first-a.At)
		add(1, p.Gap, a.gap)
		if a.Output > 1 {
			gaps = append(gaps, p.Gap)
		}
		add(2, p.Last-a.At, a.last-a.At)
	}
	if len(want[1]) == 0 { // most logs do not record gaps
		got[1] = gaps
	}
	quantile := func(name string, k int, q float64) HoldoutFigure {
		return HoldoutFigure{name, results.Percentile(got[k], q), results.Percentile(want[k], q), "s", len(want[k])}
	}
	within := func(name string, limit float64) HoldoutFigure {
		share := func(v []float64) float64 {
			if len(v) == 0 {
				return math.NaN()
			}
			n := 0.0
			for _, x := range v {
				if x < limit {
					n++
				}
			}
			return n / float64(len(v))
		}
		return HoldoutFigure{name, share(got[0]), share(want[0]), "ratio", len(want[0])}
	}
	return []HoldoutFigure{
		quantile("ttft.p50", 0, 0.5), quantile("ttft.p95", 0, 0.95), quantile("ttft.p99", 0, 0.99),
		quantile("itl.p95", 1, 0.95),
		quantile("e2e.p50", 2, 0.5), quantile("e2e.p95", 2, 0.95), quantile("e2e.p99", 2, 0.99),
		within("ttft<1s", 1), within("ttft<5s", 5),
	}
}
