package results

import "time"

// Pods is what the target's pods went through, warm-up included.
type Pods struct {
	Created int `json:"created"` // in mid-run
	ReadyS  *Q  `json:"ready_s"` // of those, from creation until ready, in seconds; nil = none became ready
	Unready int `json:"unready"` // how often a pod that was not being deleted ceased to be ready
	// Restarts is how often containers were started again in mid-run.
	Restarts int `json:"restarts"`
	// ThrottledRatio is the share of the pods' CPU periods in which their limit
	// stopped them, over ThrottledPeriods periods; nil = not recorded (run
	// --throttling does).
	ThrottledRatio   *float64 `json:"throttled_ratio"`
	ThrottledPeriods int      `json:"throttled_periods"`
}

// PodLives sums up the pods of the run; nil = no pods were observed.
func (r *Run) PodLives() *Pods {
	if len(r.Pods) == 0 {
		return nil
	}
	var out Pods
	type life struct {
		created, ready, deleted time.Duration // NotYet = did not happen
		before, after           int           // restarts: up to the run's start, and at most
	}
	lives := map[string]*life{}
	end := r.End()
	var took []float64
	for _, p := range r.Pods { // in order of time
		l := lives[p.Name]
		if l == nil {
			l = &life{created: NotYet, ready: NotYet, deleted: NotYet}
			lives[p.Name] = l
		}
		l.after = max(l.after, p.Restarts)
		if p.At <= 0 {
			l.before = max(l.before, p.Restarts)
		}
		if p.At > end {
			continue
		}
		switch p.Phase {
		case PodCreated:
			l.created = p.At
			if p.At > 0 {
				out.Created++
			}
		case PodReady:
			if !Happened(l.ready) && Happened(l.created) && l.created > 0 {
				took = append(took, (p.At - l.created).Seconds())
			}
			l.ready = p.At
		case PodDeleted:
			l.deleted = p.At
		case PodUnready:
			if p.At > 0 && !Happened(l.deleted) {
				out.Unready++
			}
		}
	}
	out.ReadyS = NewQ(took)
	for _, l := range lives {
		out.Restarts += l.after - l.before
	}
	told := 0 // a container that was not ready again has no phase to show it
	for _, w := range r.Warnings {
		if w.ID == WarnPodRestarted {
			told++
		}
	}
	out.Restarts = max(out.Restarts, told)
	if share, periods, ok := r.Throttled(); ok {
		out.ThrottledRatio, out.ThrottledPeriods = &share, periods
	}
	return &out
}

// Throttled is the share of its pods' CPU periods in which the kernel stopped
// them, by the kubelets' counters (run --throttling): of the periods in which they
// wanted CPU at all. ok is false where no counter was sampled twice.
//
// Source: cAdvisor's container_cpu_cfs_periods_total and
// container_cpu_cfs_throttled_periods_total, which are nr_periods and nr_throttled
// of the container's cpu.stat.
func (r *Run) Throttled() (share float64, periods int, ok bool) {
	type counter struct{ source, pod, container, name string }
	last := map[counter]float64{}
	all, stopped := 0.0, 0.0
	for i := range r.Samples {
		s := &r.Samples[i]
		k := counter{s.Source, s.Pod, s.Container, s.Name}
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
