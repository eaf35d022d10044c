package fit

import (
	"github.com/hpatune/hpatune/results"
)

// throttledOf is the share of its pods' CPU periods in which the kernel stopped
// them, by the kubelets' counters (run --throttling): of the periods in which they
// wanted CPU at all. ok is false where no counter was sampled twice.
//
// Source: cAdvisor's container_cpu_cfs_periods_total and
// container_cpu_cfs_throttled_periods_total, which are nr_periods and nr_throttled
// of the container's cpu.stat.
func throttledOf(samples []results.Sample) (share float64, periods int, ok bool) {
	type counter struct{ pod, container, name string }
	last := map[counter]float64{}
	all, stopped := 0.0, 0.0
	for i := range samples {
		s := &samples[i]
		k := counter{s.Pod, s.Container, s.Name}
		switch s.Name {
		case "container_cpu_cfs_periods_total", "container_cpu_cfs_throttled_periods_total":
			before, seen := last[k]
			last[k] = s.Value
			if !seen || s.Value < before { // a container that began anew
				continue
			}
			if s.Name == "container_cpu_cfs_periods_total" {
				all += s.Value - before
			} else {
				stopped += s.Value - before
			}
		}
	}
	if all <= 0 {
		return 0, 0, false
	}
	return stopped / all, int(all), true
}

// throttledNotes says how often pods were stopped, and whether the law knows why.
func throttledNotes(s *service) notes {
	var n notes
	share, periods, ok := throttledOf(s.run.Samples)
	if !ok {
		return n
	}
	n.quality("throttled", share, periods, "share of the pods' CPU periods in which their limit stopped them")
	switch {
	case share > 0.02 && s.law.Quota.Cores == 0:
		n.warn("pods were stopped by their CPU limit in %.0f %% of the periods, and CPU samples do not show that it binds: short stops are not in the replay", 100*share)
	case share > 0.1:
		n.warn("pods were stopped by their CPU limit in %.0f %% of the periods: a higher limit may be worth more than any change of the HPA", 100*share)
	}
	return n
}
