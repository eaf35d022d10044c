package fit

import (
	"math"
	"time"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// metricOff is how far the replayed readings of a metric may be from the recorded ones, as a
// ratio, before the fit warns.
const metricOff = 0.05

// totals sums what a replayed autoscaler reads at the recorded reconciles, and what the
// recorded one read.
type totals struct {
	syncs    []results.Sync // those still to come, in order of time
	read     map[string]float64
	recorded map[string]float64
}

// see adds one reconcile of the replay. A metric counts if both sides have a value.
func (t *totals) see(o *hpa.Observation, _ *hpa.Decision) {
	const near = 500 * time.Millisecond // between a reconcile's times in a run and in its replay
	for len(t.syncs) > 0 && t.syncs[0].At < o.At-near {
		t.syncs = t.syncs[1:]
	}
	if len(t.syncs) == 0 || t.syncs[0].At > o.At+near {
		return
	}
	y := &t.syncs[0]
	for i := range o.Metrics {
		if i >= len(y.Metrics) || y.Metrics[i].Err != "" || len(y.Metrics[i].Values)+len(y.Metrics[i].Pods) == 0 {
			continue // the recording does not say what was read
		}
		was, ours := totalOf(&y.Metrics[i]), 0.0
		for _, v := range o.Metrics[i].Series {
			ours += float64(v)
		}
		for j := range o.Metrics[i].Samples {
			if v := &o.Metrics[i].Samples[j]; v.OK {
				ours += float64(v.Milli)
			}
		}
		if was > 0 || ours > 0 {
			name := y.Metrics[i].Metric
			t.recorded[name] += was
			t.read[name] += ours
		}
	}
}

// totalOf returns a recorded reading, summed over its pods or series, in thousandths.
func totalOf(r *results.Reading) float64 {
	sum := 0.0
	for _, v := range r.Values {
		sum += float64(v)
	}
	for i := range r.Pods {
		sum += float64(r.Pods[i].Milli)
	}
	return sum
}

// ratios returns what was read over what was recorded, by metric; nil if nothing was.
func (t *totals) ratios() map[string]float64 {
	var out map[string]float64
	for name, was := range t.recorded {
		if was > 0 {
			if out == nil {
				out = map[string]float64{}
			}
			out[name] = t.read[name] / was
		}
	}
	return out
}

// medians returns the medians over several replays, by metric.
func medians(of []map[string]float64) map[string]float64 {
	var out map[string]float64
	for name := range of[0] {
		var v []float64
		for _, m := range of {
			if k, ok := m[name]; ok {
				v = append(v, k)
			}
		}
		if out == nil {
			out = map[string]float64{}
		}
		out[name] = median(v)
	}
	return out
}

// replayedNotes says how much of each metric the replay reads, and warns if that differs from
// the recording.
func replayedNotes(s *SelfReplay, syncs int) (n notes) {
	for _, name := range sortedKeys(s.Metrics) {
		k := s.Metrics[name]
		n.quality("replayed-"+name, k, syncs, "%s that the HPA reads in the replay of the run, relative to the recorded one",
			name)
		if math.Abs(k-1) > metricOff {
			n.warn("the replay of the run has %s of the recorded %s, so sizes under other targets are off by "+
				"about as much", figure.Percent(k), name)
		}
	}
	return n
}
