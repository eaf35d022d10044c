package tuner

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
		if !results.Happened(l.created) || !results.Happened(l.ready) || l.created < 0 || l.ready < l.created {
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
			return errors.New("fit: no pod started during the run, so nothing says how long one takes; state it: --startup 90s")
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
		if results.Happened(l.ended) && results.Happened(l.gone) && results.Happened(l.ready) && l.gone >= l.ended {
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
	var gaps []float64
	for i := 1; i < len(f.run.Syncs); i++ {
		gaps = append(gaps, (f.run.Syncs[i].At - f.run.Syncs[i-1].At).Seconds())
	}
	if len(gaps) < 3 {
		return
	}
	period := median(gaps)
	// Syncs are known one by one only where their distance is the period.
	if want := f.w.Params.SyncPeriod.Seconds(); math.Abs(period-want) < 0.2*want {
		f.w.Sync.Phase = max(0, f.run.Syncs[0].At)
		for _, s := range f.run.Syncs {
			f.w.Sync.Recorded = append(f.w.Sync.Recorded, s.At)
		}
		if period > want {
			f.w.Sync.Slip = seconds(period - want)
		}
	}
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
