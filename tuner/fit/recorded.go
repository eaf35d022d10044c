package fit

import (
	"slices"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/replay"
)

// recordedOf returns the recorded values of metrics whose triggers are external scalers.
// Nobody knows what is behind such a scaler, nor what it would have reported at another size,
// so these values are replayed as recorded.
func recordedOf(run *results.Run, l *keda.Loop) (out []replay.Recorded, n notes) {
	if l == nil {
		return nil, n
	}
	for i := range l.Triggers {
		t := &l.Triggers[i]
		if !t.Foreign {
			continue
		}
		r := replay.Recorded{Metric: t.Metric}
		for _, s := range run.Samples {
			if s.Name == t.Metric && s.Pod == "" {
				r.At, r.Value = append(r.At, s.At), append(r.Value, s.Value)
			}
		}
		if len(r.At) == 0 {
			continue
		}
		out = append(out, r)
		n.assume("the values of %s are those recorded, whatever the load and the number of replicas: its trigger is an "+
			"external scaler's", t.Metric)
	}
	return out, n
}

// toFit returns the metrics that follow the pods' load: not those of cron triggers, if a
// ScaledObject names them, not those that are computed, and not those that are replayed as
// recorded.
func toFit(metrics []hpa.Metric, l *keda.Loop, recorded []replay.Recorded) []hpa.Metric {
	if l == nil {
		return metrics
	}
	return slices.DeleteFunc(slices.Clone(metrics), func(m hpa.Metric) bool {
		return m.Source == hpa.External && (keda.Scheduled(m.Name) || l.Computed(m.Name) ||
			slices.ContainsFunc(recorded, func(r replay.Recorded) bool { return r.Metric == m.Name }))
	})
}
