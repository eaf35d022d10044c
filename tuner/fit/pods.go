package fit

import (
	"errors"
	"math"
	"slices"
	"time"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// startsOf collects the cold starts of pods that were created in the run, in order of
// creation. It leaves out pods whose start was not watched from beginning to end.
//
// If none was watched, stated is the length of a whole start; it returns an error if stated is
// 0, too.
func startsOf(l *log, stated time.Duration) ([]plant.PhaseSample, notes, error) {
	var n notes
	var out []plant.PhaseSample
	for _, p := range l.lives {
		if !results.Happened(p.created) || !results.Happened(p.ready) || p.created < 0 || p.ready < p.created ||
			l.hidden.meet(p.created, p.ready) {
			continue
		}
		// A phase that was not seen gets no time of its own; its time is part of the next
		// phase.
		at := p.created
		until := func(t time.Duration) time.Duration {
			if !results.Happened(t) || t < at {
				return 0
			}
			d := t - at
			at = t
			return d
		}
		out = append(out, plant.PhaseSample{Schedule: until(p.scheduled), Pull: until(p.pulled), Start: until(p.started),
			Ready: until(p.ready)})
	}
	if len(out) > 0 && stated > 0 {
		n.warn("--startup %s is ignored: the run recorded %d starts", figure.Duration(stated), len(out))
	}
	if len(out) == 0 {
		if stated <= 0 {
			return nil, n, errors.New("fit: no pod started during the run, so the start-up time is unknown; " +
				"pass it: --startup 90s")
		}
		// Count nearly all of it as loading: most of a model server's start is a pod that runs
		// but is not ready.
		out = []plant.PhaseSample{{Schedule: min(time.Second, stated/4), Start: min(time.Second, stated/4),
			Ready: stated - 2*min(time.Second, stated/4)}}
		n.assume("a new replica is ready after %v (stated)", stated)
		return out, n, nil
	}
	var sum time.Duration
	for _, s := range out {
		sum += s.Total()
	}
	n.quality("startup", (sum / time.Duration(len(out))).Seconds(), len(out), "mean seconds from creation to readiness")
	if len(out) < 5 {
		n.warn("only %d cold starts were recorded, so their variation is unknown", len(out))
	}
	return out, n, nil
}

// drainOf finds how long deleted pods stay from those that left. The minimum is the tenth
// percentile, the grace period is the longest stay (30 s or more). It returns zero if none was
// seen to leave.
func drainOf(l *log) (plant.Drain, notes) {
	var n notes
	var d []time.Duration
	for _, p := range l.lives {
		if results.Happened(p.ended) && results.Happened(p.gone) && results.Happened(p.ready) && p.gone >= p.ended &&
			!l.hidden.meet(p.ended, p.gone) {
			d = append(d, p.gone-p.ended)
		}
	}
	if len(d) == 0 {
		return plant.Drain{}, n
	}
	slices.Sort(d)
	n.quality("drain", d[len(d)/2].Seconds(), len(d), "median seconds from deletion until the pod is gone")
	return plant.Drain{Min: d[len(d)/10], Grace: max(30*time.Second, d[len(d)-1])}, n
}

// replicasOf returns how many replicas were ready when the run began, from the first of these
// that is known: the first reconcile, what was stated, the pods' lives, the replicas that
// answered, floor (minReplicas). What was not recorded is noted as assumed.
func replicasOf(l *log, stated, floor int32) (int32, notes) {
	var n notes
	switch {
	case len(l.run.Syncs) > 0 && l.awoke(l.run.Syncs[0].At):
		return 0, n // it woke before the controller's first reconcile
	case len(l.run.Syncs) > 0:
		return l.run.Syncs[0].Spec, n
	case stated > 0:
		n.assume("%s ready when the run began (stated)", figure.Many(int(stated), "replica"))
		return stated, n
	case len(l.run.Pods) > 0:
		count := int32(0)
		for _, p := range l.lives {
			if results.Happened(p.ready) && p.ready <= 0 && !(results.Happened(p.ended) && p.ended <= 0) {
				count++
			}
		}
		return count, n
	case l.visible:
		n.assume("the %d backends that answered were there from the beginning", len(l.servers))
		return int32(len(l.servers)), n
	}
	n.assume("%s ready when the run began (minReplicas)", figure.Many(int(max(1, floor)), "replica"))
	return max(1, floor), n
}

// awoke reports whether the run began without any pod, and the first one was created before an
// instant.
func (l *log) awoke(before time.Duration) bool {
	first := results.NotYet
	for i := range l.lives {
		p := &l.lives[i]
		switch {
		case results.Happened(p.ended) && p.ended <= 0:
		case !results.Happened(p.created) || p.created <= 0:
			return false
		case first == results.NotYet || p.created < first:
			first = p.created
		}
	}
	return first != results.NotYet && first < before
}

// syncsOf fits when the controller reconciled. A reconcile that changed no status left no
// trace, so the distance of two recorded ones is a whole number of periods. Each period is the
// sync period plus the reconcile's own time, found by a line through the recorded reconciles.
// The missing ones are added evenly in between, up to the end of the load. It returns zero if
// fewer than four were recorded, or if they do not keep the period.
func syncsOf(syncs []results.Sync, stated, end time.Duration) replay.Sync {
	want := stated.Seconds()
	var n, at, ones []float64
	for i := range syncs {
		t := syncs[i].At.Seconds()
		k := 0.0
		if i > 0 {
			periods := math.Round((t - at[i-1]) / want)
			if math.Abs((t-at[i-1])/want-periods) > 0.2*max(1, periods) {
				return replay.Sync{} // not on schedule: the controller restarted, or has another period
			}
			k = n[i-1] + max(1, periods)
		}
		n, at, ones = append(n, k), append(at, t), append(ones, 1)
	}
	if len(n) < 4 {
		return replay.Sync{}
	}
	_, period := line(n, at, ones)
	if math.Abs(period-want) > 0.2*want {
		return replay.Sync{}
	}
	out := replay.Sync{Slip: max(0, seconds(period-want))}
	add := func(t float64) {
		if t >= 0 {
			out.Recorded = append(out.Recorded, seconds(t))
		}
	}
	for k := math.Floor(at[0] / period); k > 0; k-- { // before the first
		add(at[0] - k*period)
	}
	for i := range at {
		add(at[i])
		if i+1 < len(at) {
			for m, of := 1.0, n[i+1]-n[i]; m < of; m++ {
				add(at[i] + (at[i+1]-at[i])*m/of)
			}
		}
	}
	for t := at[len(at)-1] + period; t < end.Seconds(); t += period {
		add(t)
	}
	out.Phase = out.Recorded[0]
	return out
}
