package tuner

import (
	"fmt"
	"math"

	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// Signals that are computed from several recorded ones, as people who serve models do.

// pairOf is the pair to scale on together: the queue signal with the least noise, which
// shows an overload, and the best other signal, which shows it coming.
func pairOf(rows []SignalRow, seen []fit.Signal, search []int) (queue, other int, ok bool) {
	queue, other = -1, -1
	for _, i := range search {
		switch waits := seen[i].Pipe.PerWaiting+seen[i].Pipe.PerOldest > 0 && seen[i].Pipe.PerRunning == 0; {
		case seen[i].Pipe.Under != "":
		case waits && queue < 0:
			queue = i
		case !waits && other < 0 && rows[i].Verdict == Met:
			other = i
		}
	}
	return other, queue, queue >= 0 && other >= 0
}

// composed are the signals that follow from the recorded ones: what runs and waits as one
// number, what waits for each that runs, and the share of the slots that are in use.
func composed(seen []fit.Signal, search []int, slots int) (out []fit.Signal) {
	runs, waits := -1, -1
	for _, i := range search {
		p := &seen[i].Pipe
		if seen[i].Metric.Source == hpa.Resource || seen[i].Metric.Source == hpa.External && p.Over != plant.Sum || p.Under != "" {
			continue
		}
		switch {
		case p.PerDone > 0 || p.PerWork > 0 || p.PerRunning > 0 && p.PerWaiting > 0:
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
