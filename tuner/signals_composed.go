package tuner

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// Signals that are computed from several recorded ones, as people who serve models do.

// toSearch orders the signals that can be scaled on: first the best of each quantity that
// signals follow, a plain count of requests before others, then the one with the least noise;
// then the rest, by noise. All times of requests are one quantity, since they rise together, and
// those that are not its best come last.
func toSearch(seen []fit.Signal) (order []int) {
	for i := range seen {
		if seen[i].Dropped == "" {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(seen[i].Noise, seen[j].Noise) })
	quantity := func(i int) string {
		if seen[i].Pipe.Times != nil {
			return "time"
		}
		return seen[i].Follows
	}
	best := map[string]int{}
	for _, i := range order {
		if b, has := best[quantity(i)]; !has || counts(&seen[i].Pipe) && !counts(&seen[b].Pipe) {
			best[quantity(i)] = i
		}
	}
	rest := func(i int) int {
		switch {
		case best[quantity(i)] == i:
			return 0
		case seen[i].Pipe.Times != nil:
			return 2
		}
		return 1
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(rest(i), rest(j)) })
	return order
}

// counts reports whether a pipe counts requests: one for each that runs, or waits, or both.
func counts(p *plant.Pipe) bool {
	one := func(x float64) bool { return x == 0 || math.Abs(x-1) < 0.05 }
	return p.Under == "" && p.PerRunning+p.PerWaiting > 0 && one(p.PerRunning) && one(p.PerWaiting) && p.Base < 0.05 &&
		p.PerDone <= 0 && p.PerArrival == 0 && p.PerOldest == 0
}

// pairsOf are the pairs to scale on together, the first of which has its target searched: the
// queue shows an overload, and another signal shows it coming. One pair has the best other
// one, and one has the use of the KV cache, if that was recorded.
func pairsOf(rows []SignalRow, seen []fit.Signal, search []int) (pairs [][2]int) {
	queue, other, cache := -1, -1, -1
	for _, i := range search {
		p := &seen[i].Pipe
		switch waits := p.PerWaiting+p.PerOldest > 0 && p.PerRunning == 0 && p.Under == ""; {
		case waits && (queue < 0 || counts(p) && !counts(&seen[queue].Pipe)):
			queue = i
		case waits || p.Under != "" || p.Times != nil || rows[i].Verdict != Met: // a time rises with the queue
		case other < 0:
			other = i
		}
	}
	for i := range seen {
		if cache < 0 && seen[i].Dropped == "" && strings.Contains(seen[i].Metric.Name, "cache") {
			cache = i
		}
	}
	for _, i := range []int{other, cache} {
		if queue >= 0 && i >= 0 && i != queue && !slices.Contains(pairs, [2]int{i, queue}) {
			pairs = append(pairs, [2]int{i, queue})
		}
	}
	return pairs
}

// composed are the signals that follow from recorded counts of requests: what runs and waits as
// one number, what waits for each that runs, and the share of the slots that are in use.
func composed(seen []fit.Signal, slots int) (out []fit.Signal) {
	runs, waits := -1, -1
	for i := range seen {
		p := &seen[i].Pipe
		if seen[i].Dropped != "" || seen[i].Metric.Source == hpa.Resource ||
			seen[i].Metric.Source == hpa.External && p.Over != plant.Sum || !counts(p) {
			continue
		}
		switch {
		case p.PerRunning > 0 && p.PerWaiting > 0:
		case p.PerRunning > 0 && runs < 0:
			runs = i
		case p.PerWaiting > 0 && waits < 0:
			waits = i
		}
	}
	if runs >= 0 && waits >= 0 {
		out = append(out, sumOf(&seen[runs], &seen[waits]), ratioOf(&seen[waits], &seen[runs]))
	}
	if runs >= 0 && slots > 1 {
		out = append(out, shareOf(&seen[runs], slots))
	}
	return out
}

// sumOf is what runs and what waits as one number of all pods. Its target is per replica,
// wanted replicas that are not ready yet included: pods that are starting are credited, where
// a queue alone asks again until they serve.
func sumOf(r, w *fit.Signal) fit.Signal {
	sum := composedOf(r, r.Metric.Name+SumSign+w.Metric.Name, "requests in flight", min(r.N, w.N))
	p := &sum.Pipe
	p.Ceiling = 0
	p.Base, p.Starting, p.PerWaiting = r.Pipe.Base+w.Pipe.Base, r.Pipe.Starting+w.Pipe.Starting, w.Pipe.PerWaiting
	return sum
}

// ratioOf is the requests that wait for each one that runs.
func ratioOf(w, r *fit.Signal) fit.Signal {
	out := composedOf(w, allOf(w)+" / "+allOf(r), "requests waiting per request in service", min(r.N, w.N))
	under := r.Pipe
	under.Name, under.Over = allOf(r), plant.Sum
	out.Pipe.Under, out.Also = under.Name, []plant.Pipe{under}
	return out
}

// shareOf is the share of the slots in use: what runs, per pod, over what a pod can run.
func shareOf(r *fit.Signal, slots int) fit.Signal {
	out := composedOf(r, fmt.Sprintf("%s / count(%s) / %d", allOf(r), r.Metric.Name, slots), "slots in use", r.N)
	p := &out.Pipe
	each := p.PerRunning * float64(slots)
	p.Over, p.Base, p.Starting, p.PerRunning = plant.Mean, p.Base/each, p.Starting/each, p.PerRunning/each
	p.Ceiling /= each
	return out
}

// allOf is the PromQL of a signal as one number of all pods.
func allOf(g *fit.Signal) string {
	if g.Metric.Source == hpa.Pods {
		return "sum(" + g.Metric.Name + ")"
	}
	return g.Metric.Name
}

// composedOf is a signal with one's pipe, as one number of all pods. Its name is its PromQL.
func composedOf(of *fit.Signal, name, follows string, n int) fit.Signal {
	out := fit.Signal{Metric: hpa.Metric{Source: hpa.External, Name: name}, Pipe: of.Pipe, Follows: follows,
		Noise: math.NaN(), Slope: math.NaN(), N: n}
	out.Pipe.Name, out.Pipe.Over = name, plant.Sum
	return out
}

// SumSign stands between the names of two metrics of which a signal is the sum.
const SumSign = "+"
