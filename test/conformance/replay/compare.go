package replay

import (
	"fmt"
	"hash/fnv"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/hpatune/hpatune/test/conformance/gen"
)

// Decided compares what must always be equal: the sizes, and the type, status and reason
// of every condition, in order. It returns the first difference, or "".
func Decided(ours, theirs *gen.Result) string {
	switch {
	case ours.CurrentReplicas != theirs.CurrentReplicas:
		return fmt.Sprintf("currentReplicas: ours %d, theirs %d", ours.CurrentReplicas, theirs.CurrentReplicas)
	case ours.Replicas != theirs.Replicas:
		return fmt.Sprintf("replicas: ours %d, theirs %d", ours.Replicas, theirs.Replicas)
	case ours.DesiredReplicas != theirs.DesiredReplicas:
		return fmt.Sprintf("desiredReplicas: ours %d, theirs %d", ours.DesiredReplicas, theirs.DesiredReplicas)
	case ours.Scaled != theirs.Scaled:
		return fmt.Sprintf("scaled: ours %v, theirs %v", ours.Scaled, theirs.Scaled)
	case len(ours.Conditions) != len(theirs.Conditions):
		return fmt.Sprintf("conditions: ours %d, theirs %d", len(ours.Conditions), len(theirs.Conditions))
	}
	for i, o := range ours.Conditions {
		t := theirs.Conditions[i]
		if o.Type != t.Type || o.Status != t.Status || o.Reason != t.Reason {
			return fmt.Sprintf(
				"condition %d: ours %s=%s %s, theirs %s=%s %s",
				i,
				o.Type,
				o.Status,
				o.Reason,
				t.Type,
				t.Status,
				t.Reason,
			)
		}
	}
	return ""
}

// Told compares texts: the rescale's reason, the conditions' messages, the events and the
// error. It returns the first difference, or "".
func Told(ours, theirs *gen.Result) string {
	if ours.Reason != theirs.Reason {
		return fmt.Sprintf("reason: ours %q, theirs %q", ours.Reason, theirs.Reason)
	}
	for i, o := range ours.Conditions {
		if i >= len(theirs.Conditions) {
			break
		}
		if a, b := plain(o.Message), plain(theirs.Conditions[i].Message); a != b {
			return fmt.Sprintf("message of %s: ours %q, theirs %q", o.Type, a, b)
		}
	}
	a, b := steady(ours.Events), steady(theirs.Events)
	if len(a) != len(b) {
		return fmt.Sprintf("events: ours %v, theirs %v", a, b)
	}
	for i, o := range a {
		t := b[i]
		if o.Type != t.Type || o.Reason != t.Reason || plain(o.Message) != plain(t.Message) {
			return fmt.Sprintf("event %d: ours %v, theirs %v", i, o, t)
		}
	}
	if a, b := plain(ours.Error), plain(theirs.Error); a != b {
		return fmt.Sprintf("error: ours %q, theirs %q", a, b)
	}
	return ""
}

// Upstream, the pod that a text names is random (the order of a map), and so is the fault
// if pods have several.
var anyPod = regexp.MustCompile(
	`(missing request for \S+ in container \S* of|container \S+ not found in|missing pod-level request for \S+ in) Pod [a-z0-9-]+`,
)

func namesPod(s string) bool { return strings.Contains(s, " Pod ") && anyPod.MatchString(s) }

func plain(s string) string {
	if !namesPod(s) {
		return s
	}
	return anyPod.ReplaceAllString(s, "a request is missing in Pod X")
}

// steady drops FailedUpdateStatus if a text names such a pod: whether upstream then writes
// the status depends on chance, because only the pod's name may have changed.
func steady(events []gen.Event) []gen.Event {
	for _, e := range events {
		if namesPod(e.Message) {
			return slices.DeleteFunc(slices.Clone(events), func(e gen.Event) bool { return e.Reason == "FailedUpdateStatus" })
		}
	}
	return events
}

// Digest hashes everything that Decided and Told compare.
func Digest(results []gen.Result) uint64 {
	h := fnv.New64a()
	for i := range results {
		r := &results[i]
		fmt.Fprint(h, r.Tick, r.CurrentReplicas, r.Replicas, r.DesiredReplicas, r.Scaled, "|", r.Reason)
		for _, c := range r.Conditions {
			io.WriteString(h, "|c"+c.Type+c.Status+c.Reason+":"+plain(c.Message))
		}
		for _, e := range steady(r.Events) {
			io.WriteString(h, "|e"+e.Type+e.Reason+":"+plain(e.Message))
		}
		io.WriteString(h, "|x"+plain(r.Error)+"\n")
	}
	return h.Sum64()
}
