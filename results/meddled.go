package results

import (
	"fmt"
	"slices"
	"time"

	"github.com/hpatune/hpatune/internal/figure"
)

// Meddling is something that somebody other than the autoscaler did to the HPA, its target
// or the pods during the run.
type Meddling struct {
	At   time.Duration
	ID   ReasonID // a WarningID of the recorder, or ReasonPodsDeleted
	Text string   // for the trust line
	// Ends means that later data is not evidence of the configuration that ran.
	Ends bool
}

// meddlings are the recorder's warnings that report one.
var meddlings = map[WarningID]struct {
	id   WarningID
	text string // with the instant
	ends bool
}{
	WarnHPAEdited: {
		WarnHPAEdited,
		"the HPA was changed during the run, at %s: later data is from another configuration",
		true,
	},
	WarnChangeUndone: {
		WarnHPAEdited,
		"somebody else changed what this run had set, at %s: later data is from another configuration",
		true,
	},
	WarnHPADeleted: {
		WarnHPADeleted,
		"the HPA was deleted during the run, at %s: nothing scaled the target after that",
		true,
	},
	WarnTargetScaled: {
		WarnTargetScaled,
		"somebody else scaled the target during the run, at %s: later sizes are not the HPA's",
		true,
	},
	WarnTargetChanged: {
		WarnTargetChanged,
		"the pod template was changed during the run, at %s: later data is from other pods",
		true,
	},
	WarnPodRestarted: {
		WarnPodRestarted,
		"a container was restarted during the run, at %s: its requests were lost, and its CPU use is that of a start",
		false,
	},
}

// Meddled returns what others did during the run, in order of time, each kind once.
func (r *Run) Meddled() []Meddling {
	var out []Meddling
	seen := map[WarningID]bool{}
	for _, w := range r.Warnings {
		m, ok := meddlings[w.ID]
		if !ok || seen[m.id] {
			continue
		}
		seen[m.id] = true
		out = append(out, Meddling{w.At, ReasonID(m.id), fmt.Sprintf(m.text, w.At.Round(time.Second)), m.ends})
	}
	if m, ok := r.deletions(); ok {
		out = append(out, m)
	}
	slices.SortStableFunc(out, func(a, b Meddling) int { return int(a.At - b.At) })
	return out
}

// Edited returns when somebody first changed what the run is evidence of; ok is false if
// nobody did.
func (r *Run) Edited() (at time.Duration, ok bool) {
	for _, m := range r.Meddled() {
		if m.Ends {
			return m.At, true
		}
	}
	return 0, false
}

// downLag is the longest time from a decision to scale down until its pods are deleted: the
// workload's own controller acts in between.
const downLag = 15 * time.Second

// deletions finds pods that were deleted although the target was not scaled down: an
// eviction, a drained node, kubectl delete pod. It needs all decisions and all pods; if
// some could not be watched, it finds none.
func (r *Run) deletions() (Meddling, bool) {
	if len(r.Syncs) == 0 || slices.ContainsFunc(r.Gaps, func(g Gap) bool { return g.HidesDecisions() || g.HidesPods() }) {
		return Meddling{}, false
	}
	for _, m := range r.Warnings { // a rollout and a size set by hand delete pods, too
		if id := meddlings[m.ID].id; id != "" && id != WarnPodRestarted {
			return Meddling{}, false
		}
	}
	type down struct{ from, to time.Duration } // when a pod that is taken away may be deleted
	var downs []down
	for i := range r.Syncs {
		s := &r.Syncs[i]
		// KEDA's own loop goes to zero between two reconciles: the next one finds it.
		before, since := int32(r.standing()), time.Duration(0) // at the start, some are still to go
		if i > 0 {
			before, since = r.Syncs[i-1].Replicas, r.Syncs[i-1].At
		}
		for range before - s.Spec {
			downs = append(downs, down{since, s.At + downLag})
		}
		for range s.Spec - s.Replicas {
			downs = append(downs, down{s.At - 2*time.Second, s.At + downLag})
		}
	}
	var lost []string
	first := time.Duration(0)
	end := r.End()
	for _, p := range r.Pods {
		if p.Phase != PodDeleted || p.At <= 0 || p.At > end {
			continue
		}
		// The decision that explains it is the oldest one that is still open.
		i := slices.IndexFunc(downs, func(d down) bool { return d.from <= p.At && p.At <= d.to })
		if i >= 0 {
			downs = slices.Delete(downs, i, i+1)
			continue
		}
		if len(lost) == 0 {
			first = p.At
		}
		lost = append(lost, p.Name)
	}
	if len(lost) == 0 {
		return Meddling{}, false
	}
	text := fmt.Sprintf(
		"pod %s was deleted during the run, at %s, not by the HPA (an eviction, a node drain or a person)",
		lost[0],
		first.Round(time.Second),
	)
	if len(lost) > 1 {
		text = fmt.Sprintf(
			"%d pods were deleted during the run, the first at %s, not by the HPA (an eviction, a node drain or a person)",
			len(lost),
			first.Round(time.Second),
		)
	}
	return Meddling{At: first, ID: ReasonPodsDeleted, Text: text}, true
}

// standing is how many pods there were when the run began.
func (r *Run) standing() int {
	there := map[string]bool{}
	for _, p := range r.Pods {
		if p.At <= 0 {
			there[p.Name] = p.Phase != PodDeleted
		}
	}
	n := 0
	for _, is := range there {
		if is {
			n++
		}
	}
	return n
}

// trustMeddled: was the cluster the same during the whole run?
func trustMeddled(r *Run, _ Summary, _ Limits) []Reason {
	var out []Reason
	for _, m := range r.Meddled() {
		at := m.At.Seconds()
		out = append(out, Reason{ID: m.ID, Verdict: Unverified, Value: &at, Text: m.Text})
	}
	return out
}

// Freeze is a period in which a replica that normally answers had requests inside and
// answered nothing.
type Freeze struct {
	Backend string // as Meta.Backends names it
	From    time.Duration
	Length  time.Duration
	Inside  int // requests that were inside from its beginning to its end
}

const (
	// freezeLeast is the shortest period that counts as a freeze: garbage collections and
	// the periods of a CPU quota are shorter.
	freezeLeast = time.Second
	// freezeInside is how many requests must be inside all the time: one or two long
	// answers can go without a sign of life for long.
	freezeInside = 3
	// freezeTimes is how many times longer than nearly all (95 %) of the replica's
	// other pauses with as many inside it must be, and freezePauses how many of
	// those there must be to compare with.
	freezeTimes  = 8
	freezePauses = 20
)

// Freezes returns the stretches in which a replica stood still, in order of time.
// A sign of life is a first token or the end of an answer. It needs visible
// backends.
func (r *Run) Freezes() []Freeze {
	byBackend := make([][]*Request, len(r.Meta.Backends))
	for i := range r.Requests {
		if q := &r.Requests[i]; Happened(q.Sent) && Happened(q.Done) && q.Backend >= 0 && int(q.Backend) < len(byBackend) {
			byBackend[q.Backend] = append(byBackend[q.Backend], q)
		}
	}
	var out []Freeze
	for b, requests := range byBackend {
		name := r.Meta.Backends[b].Name
		if name == "" {
			name = r.Meta.Backends[b].Address
		}
		out = append(out, freezes(name, requests)...)
	}
	slices.SortStableFunc(out, func(a, b Freeze) int { return int(a.From - b.From) })
	return out
}

// freezes finds those of one replica.
func freezes(backend string, requests []*Request) []Freeze {
	var signs []time.Duration
	for _, q := range requests {
		if Happened(q.First) {
			signs = append(signs, q.First)
		}
		if q.Outcome == OK {
			signs = append(signs, q.Done)
		}
	}
	slices.Sort(signs)
	slices.SortFunc(requests, func(a, b *Request) int { return int(a.Sent - b.Sent) })
	var pauses []Freeze
	open, next := []*Request{}, 0
	for i := 0; i+1 < len(signs); i++ {
		from, to := signs[i], signs[i+1]
		for next < len(requests) && requests[next].Sent <= from {
			open = append(open, requests[next])
			next++
		}
		open = slices.DeleteFunc(open, func(q *Request) bool { return q.Done <= from })
		inside := 0
		for _, q := range open {
			if q.Done >= to {
				inside++
			}
		}
		if inside >= freezeInside {
			pauses = append(pauses, Freeze{backend, from, to - from, inside})
		}
	}
	if len(pauses) < freezePauses {
		return nil
	}
	lengths := make([]float64, len(pauses))
	for i, p := range pauses {
		lengths[i] = p.Length.Seconds()
	}
	usual := Percentile(lengths, 0.95)
	return slices.DeleteFunc(pauses, func(p Freeze) bool {
		return p.Length < freezeLeast || p.Length.Seconds() < freezeTimes*usual
	})
}

// trustFrozen: did every replica that had requests work on them?
func trustFrozen(r *Run, _ Summary, _ Limits) []Reason {
	found := r.Freezes()
	if len(found) == 0 {
		return nil
	}
	longest := slices.MaxFunc(found, func(a, b Freeze) int { return int(a.Length - b.Length) })
	text := fmt.Sprintf(
		"replica %s answered nothing for %s, from %s on, while it had %d requests",
		longest.Backend,
		figure.Time(longest.Length.Seconds()),
		longest.From.Round(time.Second),
		longest.Inside,
	)
	if len(found) > 1 {
		text += fmt.Sprintf("; this happened %d times", len(found))
	}
	return []Reason{reason(ReasonFroze, Unverified, longest.Length.Seconds(), freezeLeast.Seconds(), "%s", text)}
}
