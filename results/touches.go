package results

import "slices"

// Which metrics a reason of the trust line affects, by subject.
var (
	ofLatency  = []string{"ttft", "itl", "icl", "tpot", "e2e", "ttft_from_sent", "e2e_from_sent", "goodput"}
	ofSchedule = []string{"ttft", "e2e", "goodput"} // what counts from the scheduled send
	ofReplicas = replicaMetrics()
)

// touches are the metrics that each reason affects, by its id; a reason that is not listed
// affects all of them.
var touches = map[ReasonID][]string{
	ReasonLateness: ofSchedule,
	ReasonCPU:      ofLatency,
	ReasonFloor:    ofLatency,
	ReasonGaps:     ofReplicas,
}

// replicaMetrics are the metrics that no request is counted for: sizes, costs
// and times of the autoscaler.
func replicaMetrics() []string {
	var names []string
	for _, m := range metrics {
		if m.OfRequest == nil && m.CountRequest == nil {
			names = append(names, m.Name)
		}
	}
	return names
}

// touched are the names of the metrics that a reason affects.
func touched(id ReasonID) []string {
	if names, some := touches[id]; some {
		return names
	}
	var all []string
	for _, m := range metrics {
		all = append(all, m.Name)
	}
	return all
}

// Spoils reports whether a reason for which the run is INVALID affects a metric of one of
// the objectives. Lateness, for one, does not affect an error_rate. Without objectives, any
// such reason does.
func (t Trust) Spoils(objectives []Objective) bool {
	if t.Verdict != Invalid || len(objectives) == 0 {
		return t.Verdict == Invalid
	}
	for _, r := range t.Reasons {
		if r.Verdict != Invalid {
			continue
		}
		for _, o := range objectives {
			if slices.Contains(r.Touches, o.Metric) {
				return true
			}
		}
	}
	return false
}

// Doubt adds a reason for which the run is INVALID and which affects all metrics.
func (t *Trust) Doubt(id ReasonID, text string) {
	t.Reasons = append(t.Reasons, Reason{ID: id, Verdict: Invalid, Text: text, Touches: touched(id)})
	t.Verdict = Invalid
}
