package replay

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// Under is a copy of the run whose reconciles contain the readings of given's metrics, in
// given's order; the rest is shared with run. A reading is found by what its metric asks
// for, not by its position: ran is the HPA that was recorded. A metric of one container can
// be read from one of the whole pod, whose values are by container. It is an error if the
// run has no reading of a metric: the controller would have read it, so a decision without
// it would mean nothing.
func Under(run *results.Run, ran, given *hpa.Config) (*results.Run, error) {
	from := make([]int, len(given.Metrics))
	var missing []string
	for i := range given.Metrics {
		m := &given.Metrics[i]
		from[i] = slices.IndexFunc(ran.Metrics, func(r hpa.Metric) bool { return sameSeries(&r, m) })
		if from[i] < 0 && m.Source == hpa.ContainerResource {
			from[i] = slices.IndexFunc(
				ran.Metrics,
				func(r hpa.Metric) bool { return r.Source == hpa.Resource && r.Name == m.Name },
			)
			if from[i] >= 0 && !readsContainer(run, from[i], m.Container) {
				from[i] = -1
			}
		}
		if from[i] < 0 {
			missing = append(missing, m.Source.String()+" metric "+m.Key())
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("the HPA scales on a metric that this run did not record: %s", strings.Join(missing, ", "))
	}
	out := *run
	out.Syncs = slices.Clone(run.Syncs)
	for i := range out.Syncs {
		s := &out.Syncs[i]
		if len(s.Metrics) == 0 {
			continue // what the controller read was not found
		}
		readings := make([]results.Reading, len(from))
		for j, k := range from {
			readings[j] = results.Reading{Err: "not recorded at this reconcile"}
			if k < len(s.Metrics) {
				readings[j] = s.Metrics[k]
			}
		}
		s.Metrics = readings
	}
	return &out, nil
}

// sameSeries reports whether two metrics ask for the same values, whatever their targets.
func sameSeries(a, b *hpa.Metric) bool {
	return a.Source == b.Source && a.Name == b.Name && a.Container == b.Container && a.Object == b.Object &&
		a.Selector == b.Selector
}

// readsContainer reports whether any recorded reading of metric i has a value of that container.
func readsContainer(run *results.Run, i int, container string) bool {
	return slices.ContainsFunc(run.Syncs, func(s results.Sync) bool {
		return i < len(s.Metrics) &&
			slices.ContainsFunc(s.Metrics[i].Pods, func(v results.PodValue) bool { return v.Container == container })
	})
}
