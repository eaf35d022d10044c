package results

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Join puts runs of one workload on one clock, one after the other: runs of a workload at
// several fixed sizes become one run in which somebody scaled it by hand. Arrivals and
// stages are renumbered. What was recorded of the cluster keeps its time, so a pod that
// appeared between two runs starts there. The runs are not changed, but share memory with
// the result.
//
// It returns an error if the runs are of different workloads, or sent different requests.
func Join(runs ...*Run) (*Run, error) {
	first := runs[0]
	out := &Run{Meta: first.Meta, Profile: first.Profile}
	m := &out.Meta
	m.Errors, m.Backends, m.Stages = nil, nil, nil
	m.Client = Client{Pacer: m.Client.Pacer, CPUMeasured: true, ForeignRatio: m.Client.ForeignRatio}
	names := newTables()
	next := 0
	ordered := slices.SortedFunc(slices.Values(runs), func(a, b *Run) int { return a.Meta.Start.Compare(b.Meta.Start) })
	for k, s := range ordered {
		switch {
		case s.Meta.Workload.Name != m.Workload.Name || s.Meta.Workload.Namespace != m.Workload.Namespace ||
			s.Meta.Speed != m.Speed:
			return nil, fmt.Errorf(
				"join: %s is a run of %s/%s and %s a run of %s/%s; pass runs of one workload",
				first.Meta.Run,
				m.Workload.Namespace,
				m.Workload.Name,
				s.Meta.Run,
				s.Meta.Workload.Namespace,
				s.Meta.Workload.Name,
			)
		case !s.Meta.Workload.same(m.Workload):
			return nil, fmt.Errorf(
				"join: the workload changed between %s and %s: %+v, then %+v",
				first.Meta.Run,
				s.Meta.Run,
				m.Workload,
				s.Meta.Workload,
			)
		case !slices.Equal(s.Meta.Classes, m.Classes) || s.Meta.Target.Streams != m.Target.Streams ||
			s.Meta.Target.Protocol != m.Target.Protocol:
			return nil, fmt.Errorf(
				"join: %s and %s did not send the same requests; pass runs of one profile",
				first.Meta.Run,
				s.Meta.Run,
			)
		}
		// On the clock of the first argument, not of the earliest: its times stay.
		shift := Clock{Start: m.Start, Speed: m.Speed}.At(s.Meta.Start)
		if k > 0 {
			out.vanished(s, shift)
		}
		stages := int16(len(m.Stages))
		for _, st := range s.Meta.Stages {
			st.FromS, st.ToS = st.FromS+shift.Seconds(), st.ToS+shift.Seconds()
			m.Stages = append(m.Stages, st)
		}
		offset := 0
		if s != first {
			next = max(next, arrivalsOf(first))
			offset = next
			next += arrivalsOf(s)
		}
		names.add(m, &s.Meta)
		for _, q := range s.Requests {
			q.Arrival, q.Stage = q.Arrival+offset, q.Stage+stages
			out.Requests = append(out.Requests, names.placed(q, shift))
		}
		own := s.Meta
		own.DurationS += shift.Seconds()
		mergeMeta(m, own)
		out.mergeRecords(s, shift)
	}
	slices.SortStableFunc(out.Requests, func(a, b Request) int { return cmp.Compare(a.Scheduled, b.Scheduled) })
	return out, nil
}

// arrivalsOf is one more than the last arrival's index.
func arrivalsOf(r *Run) int {
	n := 0
	for i := range r.Requests {
		n = max(n, r.Requests[i].Arrival+1)
	}
	return n
}

// vanished records the end of pods that the runs so far had and the next one does not have:
// they ended between the two, at an unknown time.
func (r *Run) vanished(next *Run, shift time.Duration) {
	there := map[string]bool{}
	for i := range next.Pods {
		there[next.Pods[i].Name] = true
	}
	for i := range r.Pods {
		if p := r.Pods[i]; !there[p.Name] {
			there[p.Name] = true
			r.Pods = append(
				r.Pods,
				Pod{
					At:      min(shift, max(p.At, time.Duration(r.Meta.DurationS*float64(time.Second)))),
					Name:    p.Name,
					Phase:   PodDeleted,
					Node:    p.Node,
					Backend: p.Backend,
				},
			)
		}
	}
}
