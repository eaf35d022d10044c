package fit

import (
	"slices"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/replay"
)

// recordedOf are the values of the metrics whose triggers are external scalers', as the
// run recorded them. What is behind such a scaler is not known, so neither is what
// another size would have made of it: they are played as they were.
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

// toFit are the metrics that follow the pods' load: neither cron triggers', where a
// ScaledObject says which they are, nor those that are played as recorded.
func toFit(metrics []hpa.Metric, l *keda.Loop, recorded []replay.Recorded) []hpa.Metric {
	if l == nil {
		return metrics
	}
	return slices.DeleteFunc(slices.Clone(metrics), func(m hpa.Metric) bool {
		return m.Source == hpa.External && (keda.Scheduled(m.Name) ||
			slices.ContainsFunc(recorded, func(r replay.Recorded) bool { return r.Metric == m.Name }))
	})
}
