package fit

import (
	"math"
	"slices"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/plant"
)

// LawOf fits the law that a run's requests allow: iterations if they have token counts, slots
// if they only have times, or if what they show is slots.
func LawOf(run *results.Run, o LawOptions) (LLM, error) {
	l := readLog(run)
	s, n, slotsErr := slotsService(l)
	counted := slotsErr == nil && s.keepsPace()
	if !counted {
		if law, err := LanguageLaw(run, o); err == nil {
			return law, nil
		}
	}
	if slotsErr != nil {
		return LLM{}, slotsErr
	}
	out := LLM{Name: "slots", N: len(s.law.Times), Slots: &s.law, Warnings: append(n.warnings, n.assumed...)}
	for _, q := range n.qualities {
		if q.Part == "slots" {
			out.Error = math.NaN()
		}
	}
	if !counted {
		out.Unsure = append(out.Unsure, "the time that prompts and answers add, since the log has no token counts")
	}
	return out, nil
}

// keepsPace reports whether a run with token counts shows slots: requests waited for one, and
// answers came at one pace, however many were written beside them. What comes before the first
// token then takes a slot, too, which it does not in a law of iterations.
func (s *service) keepsPace() bool {
	if !s.waited || !s.log.streams() {
		return false
	}
	all, left := answers(s.log.run)
	return left*20 <= len(all) && len(all) >= fewestAnswers && onePaced(all)
}

// HoldoutLaw predicts a run as HoldoutLLM does, with the law that LawOf fits to its first two
// thirds.
func HoldoutLaw(run *results.Run, o LawOptions) (Holdout, error) {
	s, all, slotsErr := learntSlots(run)
	if slotsErr != nil || !s.keepsPace() {
		if h, err := HoldoutLLM(run, o); err == nil {
			return h, nil
		}
	}
	if slotsErr != nil {
		return Holdout{}, slotsErr
	}
	return holdoutSlots(&s, all)
}

// learntSlots fits slots to the first two thirds of a run, by arrival. all is its requests in
// that order.
func learntSlots(run *results.Run) (s service, all []results.Request, err error) {
	all = slices.Clone(run.Requests)
	slices.SortStableFunc(all, func(a, b results.Request) int { return int(a.Scheduled - b.Scheduled) })
	learnt := *run
	learnt.Requests = all[:learntOf(len(all))]
	s, _, err = slotsService(readLog(&learnt))
	return s, all, err
}

// learntOf is how many of n requests a holdout fits.
func learntOf(n int) int { return 2 * n / 3 }

// holdoutSlots serves all requests by slots that were fitted to the first of them. The time that
// a request takes by itself is drawn from those of its class, and of its size if tokens were
// counted.
func holdoutSlots(s *service, all []results.Request) (h Holdout, err error) {
	n, k := len(all), learntOf(len(all))
	h = Holdout{Share: float64(k) / float64(max(1, n)), N: n}
	h.Figures, err = servedBySlots(&s.law, all, k)
	if err == nil {
		h.FiguresAll, err = servedBySlots(&s.law, all, 0)
	}
	return h, err
}

// slotsService is serviceOf by slots, even if requests have token counts.
func slotsService(l *log) (service, notes, error) { return serviceBySlots(l, 1) }

// lots is how often the requests are served, each time with newly drawn times.
const lots = 8

// servedBySlots plays the requests, and compares those from index from on with their
// measurements.
func servedBySlots(law *plant.Law, all []results.Request, from int) ([]HoldoutFigure, error) {
	var actual [2][]float64 // ttft, e2e
	byServer := map[int][]int{}
	for i := range all {
		r := &all[i]
		byServer[int(r.Backend)] = append(byServer[int(r.Backend)], i)
		for j, name := range []string{"ttft", "e2e"} {
			if d, ok := r.Latency(name); ok && i >= from {
				actual[j] = append(actual[j], d.Seconds())
			}
		}
	}
	var met plant.Latency
	within := map[time.Duration]float64{}
	answered := 0.0
	for _, limit := range []time.Duration{0, time.Second, 5 * time.Second} {
		m, err := plant.Compile(plant.Spec{Law: *law, Start: []plant.PhaseSample{{}}, Limits: plant.Limits{TTFT: limit}})
		if err != nil {
			return nil, err
		}
		for _, k := range sortedKeys(byServer) {
			for seed := range uint64(lots) {
				var l plant.Latency
				done, good := play(m, all, byServer[k], from, seed, &l)
				if within[limit] += good; limit == 0 {
					answered += done
					met.TTFT.Merge(l.TTFT)
					met.E2E.Merge(l.E2E)
				}
			}
		}
	}
	quantile := func(name string, h *results.Hist, want []float64, q float64) HoldoutFigure {
		f := HoldoutFigure{name, math.NaN(), results.Percentile(want, q), "s", len(want)}
		if d, ok := h.Quantile(q); ok {
			f.Predicted = d.Seconds()
		}
		return f
	}
	share := func(name string, limit time.Duration) HoldoutFigure {
		f := HoldoutFigure{name, math.NaN(), math.NaN(), "ratio", len(actual[0])}
		if len(actual[0]) == 0 {
			return f
		}
		n := 0.0
		for _, x := range actual[0] {
			if x < limit.Seconds() {
				n++
			}
		}
		f.Predicted, f.Actual = within[limit]/max(1, answered), n/float64(len(actual[0]))
		return f
	}
	return []HoldoutFigure{
		quantile("ttft.p50", &met.TTFT, actual[0], 0.5), quantile("ttft.p95", &met.TTFT, actual[0],
			0.95), quantile("ttft.p99", &met.TTFT, actual[0], 0.99),
		{"itl.p95", math.NaN(), math.NaN(), "s", 0},
		quantile("e2e.p50", &met.E2E, actual[1], 0.5), quantile("e2e.p95", &met.E2E, actual[1], 0.95), quantile("e2e.p99",
			&met.E2E, actual[1], 0.99),
		share("ttft<1s", time.Second), share("ttft<5s", 5*time.Second),
	}, nil
}

// play serves one server's requests, given by index, and counts those from index from on.
func play(m *plant.Model, all []results.Request, server []int, from int, seed uint64, l *plant.Latency) (done,
	good float64) {
	end := all[server[len(server)-1]].Scheduled.Seconds()
	ticks := make([]results.Tick, int(end)+2)
	for i := range ticks {
		ticks[i].Warmup = from < len(all) && time.Duration(i+1)*time.Second <= all[from].Scheduled
	}
	var e plant.Exact
	e.Reset(m, 1, seed, ticks, l)
	next := 0
	for i := range ticks {
		var requests []plant.Request
		for next < len(server) && all[server[next]].Scheduled < time.Duration(i+1)*time.Second {
			r := &all[server[next]]
			requests = append(requests, plant.Request{At: max(r.Scheduled.Seconds(), float64(i)), Index: r.Arrival,
				Class: r.Class, Prompt: r.Prompt, Output: answered(r)})
			next++
		}
		e.Step(requests)
	}
	e.Finish()
	for i := range ticks {
		if !ticks[i].Warmup {
			done, good = done+ticks[i].Done, good+ticks[i].Good
		}
	}
	return done, good
}
