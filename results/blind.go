package results

import "strings"

// HidesDecisions reports whether the gap's source is one of what the autoscaler
// reads or does: its HPA, its target, the pods, or a metrics API.
func (g Gap) HidesDecisions() bool {
	switch g.Source {
	case "kube/hpa", "kube/target", "kube/pods":
		return true
	}
	return strings.Contains(g.Source, "metrics.k8s.io") ||
		strings.Contains(g.Source, " metric ") // Pods, Object and External metrics by name
}

// HidesPods reports whether in the gap nobody saw which pods there were, or
// which of them got traffic.
func (g Gap) HidesPods() bool { return g.Source == "kube/pods" || g.Source == "kube/endpoints" }
