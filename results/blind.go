package results

import "strings"

// HidesDecisions reports whether the gap's source is something that the autoscaler reads or
// does: its HPA, its target, the pods, or a metrics API.
func (g Gap) HidesDecisions() bool {
	switch g.Source {
	case SourceHPA, SourceTarget, SourcePods:
		return true
	}
	return strings.Contains(string(g.Source), string(SourceResources)) ||
		strings.Contains(string(g.Source), metricOf) // Pods, Object and External metrics by name
}

// HidesPods reports whether, during the gap, it is unknown which pods there were or which
// of them got traffic.
func (g Gap) HidesPods() bool { return g.Source == SourcePods || g.Source == SourceEndpoints }
