package fit

import (
	"errors"
	"math"
	"slices"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// life is when a pod entered each phase first; NotYet where it was not seen.
type life struct {
	name                                                    string
	created, scheduled, pulled, started, ready, gone, ended time.Duration
}

func (f *fitting) lives() []life {
	index := map[string]int{}
	var out []life
	for i := range f.run.Pods {
		p := &f.run.Pods[i]
		k, ok := index[p.Name]
		if !ok {
			k = len(out)
			index[p.Name] = k
			out = append(out, life{p.Name, results.NotYet, results.NotYet, results.NotYet, results.NotYet, results.NotYet, results.NotYet, results.NotYet})
		}
		l := &out[k]
		set := func(at *time.Duration) {
			if *at == results.NotYet {
				*at = p.At
			}
		}
		switch p.Phase {
		case results.PodCreated:
			set(&l.created)
		case results.PodScheduled:
			set(&l.scheduled)
		case results.PodPulled:
			set(&l.pulled)
		case results.PodStarted:
			set(&l.started)
		case results.PodReady:
			set(&l.ready)
		case results.PodDeleted:
			set(&l.ended)
		case results.PodGone:
			set(&l.gone)
		}
	}
	return out
}

// startup collects the cold starts of pods that were created in the run.
func (f *fitting) startup() error {
	for _, l := range f.lives() {
		if !results.Happened(l.created) || !results.Happened(l.ready) || l.created < 0 || l.ready < l.created || f.hidden.meet(l.created, l.ready) {
			continue
		}
		// A phase that was not seen takes no time of its own: it is in the next.
		at := l.created
		until := func(t time.Duration) time.Duration {
			if !results.Happened(t) || t < at {
				return 0
			}
			d := t - at
			at = t
			return d
		}
		f.w.Start = append(f.w.Start, plant.PhaseSample{Schedule: until(l.scheduled), Pull: until(l.pulled), Start: until(l.started), Ready: until(l.ready)})
	}
	n := len(f.w.Start)
	if n == 0 {
		if f.o.Startup <= 0 {
			return errors.New("fit: no pod was seen to start during the run, so nothing says how long one takes; state it: --startup 90s")
		}
		// All of it is loading: a pod that runs and is not ready is what most of
		// a model server's start is.
		f.w.Start = []plant.PhaseSample{{Schedule: min(time.Second, f.o.Startup/4), Start: min(time.Second, f.o.Startup/4), Ready: f.o.Startup - 2*min(time.Second, f.o.Startup/4)}}
		f.assume("a new replica is ready after %v (stated)", f.o.Startup)
		return nil
	}
	var sum time.Duration
	for _, s := range f.w.Start {
		sum += s.Total()
	}
	f.quality("startup", (sum / time.Duration(n)).Seconds(), n, "mean seconds from creation to readiness")
	if n < 5 {
		f.warn("only %d cold starts were seen: how much they vary is not known", n)
	}
	return nil
}

// drain takes how long deleted pods stayed, at least, from those that left.
func (f *fitting) drain() {
	var d []time.Duration
	for _, l := range f.lives() {
		if results.Happened(l.ended) && results.Happened(l.gone) && results.Happened(l.ready) && l.gone >= l.ended && !f.hidden.meet(l.ended, l.gone) {
			d = append(d, l.gone-l.ended)
		}
	}
	if len(d) == 0 {
		return
	}
	slices.Sort(d)
	f.w.Drain.Min = d[len(d)/10]
	f.w.Drain.Grace = max(30*time.Second, d[len(d)-1])
	f.quality("drain", d[len(d)/2].Seconds(), len(d), "median seconds from deletion to gone")
}

// begin takes what was there when the run began, and when the controller
// reconciled.
func (f *fitting) begin() {
	switch {
	case len(f.run.Syncs) > 0:
		f.w.Replicas = f.run.Syncs[0].Spec
	case f.o.Replicas > 0:
		f.w.Replicas = f.o.Replicas
		f.assume("%d replicas were ready when the run began (stated)", f.o.Replicas)
	case len(f.run.Pods) > 0:
		for _, l := range f.lives() {
			if results.Happened(l.ready) && l.ready <= 0 && !(results.Happened(l.ended) && l.ended <= 0) {
				f.w.Replicas++
			}
		}
	case f.visible:
		f.w.Replicas = int32(len(f.servers))
		f.assume("the %d backends that answered were there from the begin", len(f.servers))
	default:
		f.w.Replicas = max(1, f.cfg.MinReplicas)
		f.assume("%d replicas were ready when the run began (minReplicas)", f.w.Replicas)
	}
	f.w.Memory = hpa.Memory{}
	f.syncs()
}

// syncs fits when the controller reconciled. Those that changed no status left
// no trace: the distance of two recorded ones is a whole number of periods, each
// the sync period and the reconcile's own time, which the line through them
// gives. The others are put in evenly between.
func (f *fitting) syncs() {
	want := f.w.Params.SyncPeriod.Seconds()
	var n, at, ones []float64
	for i := range f.run.Syncs {
		t := f.run.Syncs[i].At.Seconds()
		k := 0.0
		if i > 0 {
			periods := math.Round((t - at[i-1]) / want)
			if math.Abs((t-at[i-1])/want-periods) > 0.2*max(1, periods) {
				return // not on its clock: restarted, or another period
			}
			k = n[i-1] + max(1, periods)
		}
		n, at, ones = append(n, k), append(at, t), append(ones, 1)
	}
	if len(n) < 4 {
		return
	}
	_, period := line(n, at, ones)
	if math.Abs(period-want) > 0.2*want {
		return
	}
	f.w.Sync.Slip = max(0, seconds(period-want))
	add := func(t float64) {
		if t >= 0 {
			f.w.Sync.Recorded = append(f.w.Sync.Recorded, seconds(t))
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
	for t := at[len(at)-1] + period; t < float64(len(f.w.Demand.Bins))*f.w.Demand.Step.Seconds(); t += period {
		add(t)
	}
	f.w.Sync.Phase = f.w.Sync.Recorded[0]
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// median sorts v and returns its middle; NaN for none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
