package observer

import (
	"slices"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/hpatune/hpatune/results"
)

// find returns the reading from which the controller computed a metric's status at a sync:
// the reading near the sync that gives the same number. This compares sums, not decisions;
// whether the core makes the same decision is up to the shadow.
func (x *metrics) find(
	i int,
	m *autoscalingv2.MetricSpec,
	current *autoscalingv2.MetricStatus,
	s *results.Sync,
) (results.Reading, bool) {
	r := results.Reading{Metric: metricName(m)}
	switch {
	case m.Resource != nil && current.Resource != nil:
		return x.resource(r, string(m.Resource.Name), "", current.Resource.Current.AverageValue, s)
	case m.ContainerResource != nil && current.ContainerResource != nil:
		return x.resource(
			r,
			string(m.ContainerResource.Name),
			m.ContainerResource.Container,
			current.ContainerResource.Current.AverageValue,
			s,
		)
	case m.Pods != nil && current.Pods != nil:
		return x.perPod(r, i, current.Pods.Current.AverageValue, s)
	case m.Object != nil && current.Object != nil:
		return x.total(r, i, current.Object.Current.Value, current.Object.Current.AverageValue, s)
	case m.External != nil && current.External != nil:
		return x.total(r, i, current.External.Current.Value, current.External.Current.AverageValue, s)
	}
	return r, false
}

// perPod finds the look at a Pods metric whose average is the status's. An
// adapter evaluates its query at every call, so the controller may have got what
// no look did: then every pod of the looks before and after has the status's
// average, from which the controller decides as from the values themselves.
func (x *metrics) perPod(r results.Reading, i int, want *resource.Quantity, s *results.Sync) (results.Reading, bool) {
	if want == nil {
		return r, false
	}
	looks := x.custom[i]
	for _, j := range near(len(looks), func(j int) time.Duration { return looks[j].at }, s.At) {
		var all, counted average
		for _, v := range looks[j].pods {
			all.add(v.Milli)
			if n := slices.IndexFunc(
				s.Pods,
				func(q results.PodState) bool { return q.Name == v.Pod },
			); n < 0 ||
				!s.Pods[n].Deleted && s.Pods[n].Phase == "Running" {
				counted.add(v.Milli)
			}
		}
		for _, a := range []average{counted, all} {
			if a.n > 0 && a.sum/a.n == want.MilliValue() {
				r.Pods = looks[j].pods
				return r, true
			}
		}
	}
	var counted []string
	for n, j := range near(len(looks), func(j int) time.Duration { return looks[j].at }, s.At) {
		if n > 0 && looks[j].at <= s.At {
			break // only the look before the sync and the one after it
		}
		var names []string
		for _, p := range s.Pods {
			has := slices.ContainsFunc(looks[j].pods, func(v results.PodValue) bool { return v.Pod == p.Name })
			if has && !p.Deleted && p.Phase == "Running" {
				names = append(names, p.Name)
			}
		}
		if n > 0 && !slices.Equal(names, counted) {
			return r, false // a pod got its first value meanwhile
		}
		counted = names
	}
	for _, name := range counted {
		r.Pods = append(r.Pods, results.PodValue{Pod: name, Milli: want.MilliValue(), At: s.At})
	}
	return r, len(r.Pods) > 0
}

// total finds what an Object or External metric said. A Value target's status
// has the total itself; of an AverageValue target's, the total is known up to
// a rounding, so there it takes the look that gives it, and without one (see
// perPod) the status's average times the pods that it was divided by.
func (x *metrics) total(
	r results.Reading,
	i int,
	value, average *resource.Quantity,
	s *results.Sync,
) (results.Reading, bool) {
	looks := x.custom[i]
	for _, j := range near(len(looks), func(j int) time.Duration { return looks[j].at }, s.At) {
		sum := int64(0)
		for _, v := range looks[j].series {
			sum += v
		}
		each := int64(0)
		if n := int64(s.Status); n > 0 {
			each = (sum + n - 1) / n
		}
		if average != nil && s.Status > 0 && each == average.MilliValue() ||
			average == nil && value != nil && sum == value.MilliValue() {
			r.Values = looks[j].series
			return r, len(r.Values) > 0
		}
	}
	switch {
	case average == nil && value != nil:
		r.Values = []int64{value.MilliValue()}
	case average != nil && s.Status > 0:
		r.Values = []int64{totalOf(average.MilliValue(), int64(s.Status), looks)}
	}
	return r, len(r.Values) > 0
}

// totalOf returns a total in thousandths of which the controller told the average over n
// replicas. The average is rounded up to a thousandth, so the total is in the n thousandths up
// to n·average. If the metric has shown nothing but whole numbers, it is the one among them:
// 4 over 6 replicas is told as 667m, and 6·667m = 4002m would be one replica more.
func totalOf(average, n int64, looks []customLook) int64 {
	most := average * n
	whole := most / 1000 * 1000
	for _, l := range looks {
		for _, v := range l.series {
			if v%1000 != 0 {
				return most
			}
		}
	}
	if len(looks) > 0 && whole > most-n {
		return whole
	}
	return most
}

// near lists indices of readings in the order in which the controller may have got them:
// the last before the sync, the first after, and then older ones.
func near(n int, at func(int) time.Duration, sync time.Duration) []int {
	before := -1
	for i := range n {
		if at(i) <= sync {
			before = i
		}
	}
	var out []int
	if before >= 0 {
		out = append(out, before)
	}
	if before+1 < n {
		out = append(out, before+1)
	}
	for i := before - 1; i >= 0 && i >= before-2; i-- {
		out = append(out, i)
	}
	return out
}

// resource finds the look at metrics.k8s.io whose average over some of the
// pods is the status's: over all, over the ready ones, or over those ready for
// a whole window. Which ones count is the controller's own rule; that the
// number is met to the milli says that the look is the right one.
func (x *metrics) resource(
	r results.Reading,
	name, container string,
	want *resource.Quantity,
	s *results.Sync,
) (results.Reading, bool) {
	if want == nil {
		return r, false
	}
	for _, i := range near(len(x.looks), func(i int) time.Duration { return x.looks[i].at }, s.At) {
		var all, ready, settled average
		values := map[string][]results.PodValue{}
		for _, p := range x.looks[i].pods {
			vs, sum, ok := p.values(name, container)
			if !ok {
				continue
			}
			values[p.name] = vs
			j := slices.IndexFunc(s.Pods, func(q results.PodState) bool { return q.Name == p.name })
			if j < 0 || s.Pods[j].Deleted || s.Pods[j].Phase != "Running" {
				continue
			}
			all.add(sum)
			if s.Pods[j].Ready == "True" {
				ready.add(sum)
				if p.at-p.window >= s.Pods[j].ReadySince {
					settled.add(sum)
				}
			}
		}
		for _, a := range []average{settled, ready, all} {
			if a.n > 0 && a.sum/a.n == want.MilliValue() {
				for _, p := range x.looks[i].pods {
					r.Pods = append(r.Pods, values[p.name]...)
				}
				return r, true
			}
		}
	}
	return r, false
}

type average struct{ sum, n int64 }

func (a *average) add(v int64) { a.sum += v; a.n++ }

// values returns a pod's values of a resource, by container; container "" = all. ok is
// false if the controller would treat the pod's metric as missing.
func (p *podMetrics) values(name, container string) (out []results.PodValue, sum int64, ok bool) {
	for _, c := range p.containers {
		if container != "" && c.name != container {
			continue
		}
		v, has := c.cpu, c.hasCPU
		if name == string(corev1.ResourceMemory) {
			v, has = c.memory, c.hasBytes
		}
		if !has {
			return nil, 0, false
		}
		out = append(out, results.PodValue{Pod: p.name, Container: c.name, Milli: v, At: p.at, Window: p.window})
		sum += v
	}
	return out, sum, len(out) > 0
}
