package replay

import (
	"slices"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// leastTotals returns the recorded inputs with the least totals that they are consistent with.
// The status of an HPA has a total as its average over n replicas, rounded up to a thousandth:
// 334m over 6 pods may be any total above 1.998, so at a target of 500m it may ask for 4 or
// for 5. ok is false if no total is an average.
func leastTotals(obs []hpa.Observation, run *results.Run, cfg *hpa.Config) (out []hpa.Observation, ok bool) {
	out = slices.Clone(obs)
	for i := range out {
		n := int64(run.Syncs[i].Status)
		if n < 2 {
			continue
		}
		out[i].Metrics = slices.Clone(out[i].Metrics)
		for j := range out[i].Metrics {
			m, r := &cfg.Metrics[j], &out[i].Metrics[j]
			if m.Source != hpa.Object && m.Source != hpa.External || m.Target.Type != hpa.AverageValue ||
				len(r.Series) != 1 || r.Series[0] <= 0 || r.Series[0]%n != 0 {
				continue
			}
			r.Series, ok = []int64{r.Series[0] - n + 1}, true
		}
	}
	return out, ok
}
