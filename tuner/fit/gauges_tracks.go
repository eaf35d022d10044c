package fit

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// podTracks returns a Pods metric's samples by pod, for the time in which the pod was in
// traffic and watched.
func (s *service) podTracks(m *hpa.Metric) []track {
	ready, ended := s.watched()
	byPod := map[string]int{}
	var out []track
	for _, x := range gaugeSamples(s.log, m) {
		if x.Pod == "" {
			continue
		}
		at := x.At.Seconds()
		if e, ok := ended[x.Pod]; ok && at > e {
			continue
		}
		if r, ok := ready[x.Pod]; ok && at <= r {
			continue
		}
		i, ok := byPod[x.Pod]
		if !ok {
			k := s.serverOf(x.Pod)
			i = -1
			if k >= 0 {
				i = len(out)
				out = append(out, track{server: k})
			}
			byPod[x.Pod] = i
		}
		if i >= 0 {
			out[i].points = append(out[i].points, point{at, x.Value})
		}
	}
	for i := range out {
		out[i].points = s.held(m, out[i].points)
	}
	return slices.DeleteFunc(out, func(t track) bool { return len(t.points) < 3 })
}

// poolTrack returns a metric of the whole pool as one track: series of the same instant are
// summed. whole means that the metric itself is the pool's; otherwise the pods' samples are
// summed.
func (s *service) poolTrack(m *hpa.Metric, whole bool) []track {
	var points []point
	for _, x := range gaugeSamples(s.log, m) {
		if whole != (x.Pod == "") {
			continue
		}
		at := x.At.Seconds()
		if at < 0 {
			continue
		}
		if k := len(points) - 1; k >= 0 && points[k].at == at {
			points[k].value += x.Value
			continue
		}
		points = append(points, point{at, x.Value})
	}
	return []track{{s.held(m, points), all}}
}

// held fills in a series that was recorded only when its value changed: until the next value,
// it repeats the last one at every look. A look is the shortest time between two of its
// values.
func (s *service) held(m *hpa.Metric, points []point) []point {
	lost := lapsesOf(s.run, m)
	look, same := math.Inf(1), 0
	for i := 1; i < len(points); i++ {
		if look = min(look, points[i].at-points[i-1].at); points[i].value == points[i-1].value {
			same++
		}
	}
	if len(points) < gaugeLeast || same*20 > len(points) {
		return points
	}
	look = max(look, 1, (points[len(points)-1].at-points[0].at)/mostLooks)
	var out []point
	for i, p := range points {
		out = append(out, p)
		if i+1 == len(points) {
			break
		}
		for at := p.at + look; at < points[i+1].at-look/2; at += look {
			from, to := seconds(p.at), seconds(at)
			if s.log.hidden.meet(from, to) ||
				slices.ContainsFunc(lost, func(g results.Gap) bool { return g.From < to && g.To > from }) {
				break
			}
			out = append(out, point{at, p.value})
		}
	}
	return out
}

// gaugeSamples returns a metric's samples in order of time, from one source: a metrics API,
// which is what the autoscaler saw, is preferred to Prometheus and the pods. It leaves out the
// times in which the pods, or the metric, were not seen.
func gaugeSamples(l *log, m *hpa.Metric) []results.Sample {
	source := ""
	for _, x := range l.run.Samples {
		if sameName(x.Name, m.Name) && (source == "" || servedByAPI(x.Source) && !servedByAPI(source)) {
			source = x.Source
		}
	}
	lost := lapsesOf(l.run, m)
	var out []results.Sample
	for _, x := range l.run.Samples {
		if !sameName(x.Name, m.Name) || x.Source != source {
			continue
		}
		inside := slices.ContainsFunc(lost, func(g results.Gap) bool { return x.At > g.From && x.At < g.To })
		if at := x.At; !inside && !l.hidden.meet(at-time.Second, at) {
			out = append(out, x)
		}
	}
	slices.SortStableFunc(out, func(a, b results.Sample) int { return int(a.At - b.At) })
	return out
}

// servedByAPI reports whether a sample comes from one of the metrics APIs.
func servedByAPI(source string) bool { return strings.HasSuffix(source, ".metrics.k8s.io") }

// lapsesOf returns the times in which a metric had no value: its API had no series, its query
// returned nothing, or the value was not a number.
func lapsesOf(run *results.Run, m *hpa.Metric) (out []results.Gap) {
	for _, g := range run.Gaps {
		if strings.HasSuffix(string(g.Source), " "+m.Name) {
			out = append(out, g)
		}
	}
	return out
}

// lapsed says which parts of a metric are left out.
func lapsed(run *results.Run, m *hpa.Metric) (n notes) {
	var parts []string
	for _, g := range lapsesOf(run, m) {
		from, to := g.From.Round(time.Second), g.To.Round(time.Second)
		parts = append(parts, fmt.Sprintf("%v to %v (%s)", max(0, from), to, g.Why))
	}
	if len(parts) > 0 {
		n.warn("metric %s had no value from %s: these periods are not used", m.Name, strings.Join(parts, ", "))
	}
	return n
}

// variation returns the mean deviation of the tracks' values from their median.
func variation(tracks []track) float64 {
	var all []float64
	for _, t := range tracks {
		for _, p := range t.points {
			all = append(all, p.value)
		}
	}
	m := median(slices.Clone(all))
	sum := 0.0
	for _, v := range all {
		sum += math.Abs(v - m)
	}
	return sum / float64(max(1, len(all)))
}

// constant reports whether all points have one value.
func constant(tracks []track) (v float64, same bool) {
	first := true
	for _, t := range tracks {
		for _, p := range t.points {
			if !first && p.value != v {
				return 0, false
			}
			v, first = p.value, false
		}
	}
	return v, !first
}

// wholeNumbers reports whether all values are whole numbers: counts as read, not means of
// counts.
func wholeNumbers(tracks []track) bool {
	for _, t := range tracks {
		for _, p := range t.points {
			if math.Abs(p.value-math.Round(p.value)) > 1e-6 {
				return false
			}
		}
	}
	return true
}

// meanLevel returns the mean of all points, each with the same weight; 0 for none.
func meanLevel(tracks []track) float64 {
	sum, n := 0.0, 0
	for _, t := range tracks {
		for _, p := range t.points {
			sum, n = sum+p.value, n+1
		}
	}
	return sum / float64(max(1, n))
}
