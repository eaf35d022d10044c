package gen

import (
	"fmt"
	"math"
)

// makePods lists about as many pods as wanted: old ones stay, and some change.
func (w *writer) makePods(now int64) {
	n := max(0, w.size+one(w.dice, 0, 0, 0, 0, 1, -1, 2))
	if len(w.pods) > n {
		w.pods = w.pods[:n]
	}
	for len(w.pods) < n {
		w.serial++
		w.pods = append(w.pods, w.pod(fmt.Sprintf("p%d", w.serial), now))
	}
	for i := range w.pods {
		if w.chance(0.08) {
			w.pods[i] = w.pod(w.pods[i].Name, now)
		}
	}
}

// pod returns a pod: usually an old, ready one, otherwise one at an edge of the readiness rules.
func (w *writer) pod(name string, now int64) Pod {
	p := Pod{Name: name, Phase: "Running", Ready: "True", Labels: map[string]string{"app": "web"}}
	start := now - int64(w.in(700, 4000))
	if w.chance(0.4) { // young, exactly at the end of the initialization period, or just past it
		start = now - one(w.dice, w.cpuInit, w.cpuInit-1, w.cpuInit+1, w.cpuInit-15, int64(w.in(0, 400)))
	}
	since := start + one(w.dice, 0, 1, 5, 20, w.delay, w.delay-1, w.delay+1, int64(w.in(0, 300)))
	since = min(max(since, start), now)
	p.StartTime, p.Transition = ref(float64(start)), ref(float64(since))
	switch w.IntN(28) {
	case 0, 1:
		p.Ready = "False"
	case 2:
		p.Ready = "False"
		if w.chance(0.5) { // was ready once, long ago
			p.Transition = ref(float64(now - int64(w.in(0, 60))))
		}
	case 3:
		p.Ready = "Unknown"
	case 4:
		p.Phase, p.Ready = "Pending", one(w.dice, "", "False")
		if w.chance(0.7) {
			p.StartTime = nil
		}
	case 5:
		p.Phase = one(w.dice, "Failed", "Succeeded", "Unknown")
		p.Ready = one(w.dice, "False", "True", "")
	case 6:
		p.Deleted = true
	case 7:
		if w.chance(0.5) {
			p.Ready, p.Transition = "", nil
		} else {
			p.StartTime = nil
		}
	case 8:
		if w.chance(0.3) {
			p.Labels = map[string]string{"app": one(w.dice, "api", "other")}
		}
	case 9:
		if w.chance(0.4) {
			p.PodCPUMilli = ref(int64(w.in(1, 3000)))
		}
		if w.chance(0.4) {
			p.PodMemoryBytes = ref(int64(w.in(1, 1<<30)))
		}
	case 10:
		if w.chance(0.25) && w.complete() { // containers of its own; at most one kind of missing request among all pods
			p.Containers = []Container{
				{Name: "app", CPUMilli: ref(int64(w.in(1, 2000))), MemoryBytes: ref(int64(w.in(1, 1<<29)))},
			}
			if w.chance(0.5) {
				p.Containers = append(
					p.Containers,
					Container{Name: "extra", CPUMilli: ref(int64(w.in(1, 500))), MemoryBytes: ref(int64(w.in(1, 1<<20)))},
				)
			}
		}
	}
	if w.chance(0.02) {
		p.Containers = append([]Container(nil), w.per...)
		for i := range p.Containers {
			if p.Containers[i].CPUMilli != nil {
				p.Containers[i].CPUMilli = ref(*p.Containers[i].CPUMilli * 2)
			}
		}
	}
	return p
}

// complete reports whether every default container has all requests.
func (w *writer) complete() bool {
	for _, c := range w.per {
		if !c.Init && (c.CPUMilli == nil || c.MemoryBytes == nil) {
			return false
		}
	}
	return true
}

// ratio picks usage divided by target: an edge of the tolerance, a round number, or the
// ratio that turns n pods into the wanted size.
func (w *writer) ratio(n int) float64 {
	switch w.IntN(12) {
	case 0:
		return 1 + w.up
	case 1:
		return max(0, 1-w.down)
	case 2:
		return one(w.dice, 1, 1, 2, 0.5, 0, 3, 10)
	case 3:
		return 1 + w.up + one(w.dice, 0.001, 0.01, -0.01, 0.02)
	case 4:
		return max(0, 1-w.down+one(w.dice, -0.001, -0.01, 0.01, -0.02))
	case 5:
		return w.Float64() * 3
	}
	return float64(w.size) / float64(max(n, 1)) * one(w.dice, 1, 1, 1, 0.97, 1.03)
}

// values writes the answers of the metrics APIs.
func (w *writer) values(o *Observation, now int64) {
	done := map[string]bool{}
	for i := range w.spec.metrics {
		m := &w.spec.metrics[i]
		bad := w.chance(w.trouble*0.8) || w.chance(0.01)
		switch m.source {
		case "Resource", "ContainerResource":
			if !done["resource"] {
				done["resource"] = true
				w.resource(o, m, now, bad)
			}
		case "Pods":
			if o.PodsMetrics == nil {
				o.PodsMetrics = map[string]PodsMetric{}
			}
			o.PodsMetrics[m.key] = w.podValues(m, bad)
		case "Object":
			if o.Objects == nil {
				o.Objects = map[string]ObjectMetric{}
			}
			if bad {
				o.Objects[m.key] = ObjectMetric{Error: "the server could not find the metric"}
			} else {
				o.Objects[m.key] = ObjectMetric{Milli: w.total(m)}
			}
		case "External":
			if o.External == nil {
				o.External = map[string]SeriesMetric{}
			}
			switch {
			case bad && w.chance(0.5):
				o.External[m.key] = SeriesMetric{Error: "no such series"}
			case bad:
				o.External[m.key] = SeriesMetric{}
			default:
				o.External[m.key] = SeriesMetric{Milli: w.split(w.total(m))}
			}
		}
	}
}

// sampled returns the pods that have a value this time, sometimes with pods that do not exist.
func (w *writer) sampled() []string {
	miss := one(w.dice, 0, 0, 0, 0.1, 0.3)
	var names []string
	for _, p := range w.pods {
		if p.Labels["app"] != "web" && w.chance(0.5) || w.chance(miss) {
			continue
		}
		if (p.Phase == "Pending" || p.Phase == "Failed" || p.Phase == "Succeeded") && w.chance(0.8) {
			continue
		}
		names = append(names, p.Name)
	}
	if w.chance(0.08) {
		for range w.in(1, 3) {
			names = append(names, fmt.Sprintf("ghost%d", len(names)))
		}
	}
	return names
}

// spread returns n values around each; if exact, all are equal.
func (w *writer) spread(each float64, n int) []int64 {
	out := make([]int64, n)
	even := w.chance(0.5)
	for i := range out {
		v := each
		if !even {
			v *= 0.7 + 0.6*w.Float64()
		}
		out[i] = whole(v)
	}
	return out
}

// whole rounds to an int64; values beyond ±4e18 are cut.
func whole(v float64) int64 {
	return int64(math.Round(min(max(v, -4e18), 4e18)))
}

func (w *writer) resource(o *Observation, m *metric, now int64, bad bool) {
	if bad {
		switch w.IntN(3) {
		case 0:
			o.Resource = &ResourceMetrics{
				Error: "the server is currently unable to handle the request (get pods.metrics.k8s.io)",
			}
		case 1:
			o.Resource = &ResourceMetrics{}
		}
		return // otherwise it is missing
	}
	names := w.sampled()
	r := w.ratio(len(w.pods))
	// What each pod uses of each resource, in thousandths; the spec's metrics decide how much.
	each := map[string]float64{"cpu": 50, "memory": 5e9}
	for i := range w.spec.metrics {
		k := &w.spec.metrics[i]
		if k.resource == "" {
			continue
		}
		if k != m && w.chance(0.5) {
			r = w.ratio(len(w.pods))
		}
		if k.percent > 0 {
			each[k.resource] = float64(w.request(k.resource, k.container)) * float64(k.percent) / 100 * r
		} else {
			each[k.resource] = float64(k.milli) * r
		}
	}
	if w.chance(0.005) {
		each["memory"] = one(w.dice, 9e15, 9e18, 4e18)
		each["cpu"] = one(w.dice, 9e15, 4e18, 1e17)
	}
	cpus, mems := w.spread(each["cpu"], len(names)), w.spread(each["memory"]/1000, len(names))
	for i := range mems {
		mems[i] = min(mems[i], 9e15) // in thousandths it must fit an int64
	}
	res := &ResourceMetrics{}
	gap := one(w.dice, 0, 0, 0, 0, 0.1)
	for i, name := range names {
		window := int64(one(w.dice, 15, 15, 15, 30, 10, 60))
		s := PodSample{
			Pod:           name,
			Timestamp:     float64(now - int64(one(w.dice, 0, 1, 5, 15, w.in(0, 90)))),
			WindowSeconds: float64(window),
		}
		for _, p := range w.pods {
			if p.Name == name && p.Transition != nil && w.chance(0.3) { // its window begins exactly then
				s.Timestamp = *p.Transition + float64(window+int64(one(w.dice, 0, -1, 1)))
			}
		}
		left := Container{Name: "app", CPUMilli: ref(cpus[i]), MemoryBytes: ref(mems[i])}
		s.Containers = []Container{left}
		for _, c := range w.per[1:] {
			if c.Init {
				continue
			}
			share := one(w.dice, 0, 0.1, 0.5)
			if m.container == c.Name {
				share = 1
			}
			u := Container{
				Name:        c.Name,
				CPUMilli:    ref(whole(float64(cpus[i]) * share)),
				MemoryBytes: ref(whole(float64(mems[i]) * share)),
			}
			if m.container == "" {
				s.Containers[0].CPUMilli = ref(max(0, *s.Containers[0].CPUMilli-*u.CPUMilli))
				s.Containers[0].MemoryBytes = ref(max(0, *s.Containers[0].MemoryBytes-*u.MemoryBytes))
			}
			s.Containers = append(s.Containers, u)
		}
		if w.chance(gap) {
			switch w.IntN(3) {
			case 0:
				s.Containers[w.IntN(len(s.Containers))].CPUMilli = nil
			case 1:
				s.Containers[w.IntN(len(s.Containers))].MemoryBytes = nil
			case 2:
				s.Containers = nil
			}
		}
		res.Pods = append(res.Pods, s)
	}
	if len(res.Pods) > 1 && w.chance(0.01) { // one pod twice: the later entry counts
		i := w.IntN(len(res.Pods) - 1)
		res.Pods[i].Pod = res.Pods[i+1].Pod
	}
	if res.Pods != nil {
		o.Resource = res
	}
}

func (w *writer) podValues(m *metric, bad bool) PodsMetric {
	if bad && w.chance(0.5) {
		return PodsMetric{Error: "the server could not find the metric " + m.name + " for pods"}
	}
	if bad {
		return PodsMetric{}
	}
	names := w.sampled()
	each := float64(m.milli) * w.ratio(len(w.pods))
	if w.chance(0.004) {
		each = one(w.dice, 4e18, 1e15, -1000)
	}
	var out PodsMetric
	for i, v := range w.spread(each, len(names)) {
		p := PodValue{Pod: names[i], Milli: v}
		if w.chance(0.5) {
			p.WindowSeconds = ref[int64](60)
		}
		out.Values = append(out.Values, p)
	}
	if n := len(out.Values); n > 1 && w.chance(0.01) {
		i := w.IntN(n - 1)
		out.Values[i].Pod = out.Values[i+1].Pod
	}
	return out
}

// total returns the value of an Object or External metric.
func (w *writer) total(m *metric) int64 {
	switch {
	case w.chance(0.008):
		return one[int64](
			w.dice,
			math.MaxInt64,
			math.MaxInt64-5,
			math.MaxInt64/3,
			-1,
			-5000,
			1e15,
			math.MaxInt32*1000,
			math.MinInt64/2,
		)
	case w.chance(0.05) || w.zero && w.chance(0.3):
		return one[int64](w.dice, 0, 0, 0, 1, m.milli-1, m.milli)
	}
	v := float64(m.milli) * w.ratio(len(w.pods))
	if m.average {
		v *= float64(max(len(w.pods), 1))
	}
	return whole(v)
}

// split divides a total into series.
func (w *writer) split(total int64) []int64 {
	n := one(w.dice, 1, 1, 2, 3)
	if total > math.MaxInt64/4 && w.chance(0.7) {
		return []int64{total, total}[:one(w.dice, 1, 2)]
	}
	out := make([]int64, n)
	for i := range n - 1 {
		if total > 0 {
			out[i] = w.Int64N(total)
		}
		total -= out[i]
	}
	out[n-1] = total
	return out
}
