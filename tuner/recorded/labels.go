package recorded

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hpatune/hpatune/internal/promql"
)

// Labels by which Prometheus tells namespaces and pods apart. They are not on a pod's page:
// whoever scrapes it adds them.
var (
	ofNamespace = []string{"namespace", "kubernetes_namespace"}
	ofPodName   = []string{"pod", "pod_name", "kubernetes_pod_name"}
)

// selects compares the labels by which a query selects a metric with those of what was
// recorded. why says what the query would leave out, "" if it is nothing; unseen are the
// labels of which the run does not say what they were.
func (a *archive) selects(metric string, by []promql.Matcher) (why string, unseen []string) {
	for _, m := range by {
		var values []string
		what := "recorded series of " + metric
		switch ns := a.run.Meta.Workload.Namespace; {
		case slices.Contains(ofNamespace, m.Label) && ns != "" && !m.Matches(ns):
			return fmt.Sprintf("%s is not the namespace of the run (%s)", m.Text, ns), nil
		case slices.Contains(ofNamespace, m.Label) && ns != "":
			continue
		case slices.Contains(ofPodName, m.Label):
			values, what = a.pods[metric], "recorded pods"
		default:
			values = a.labels(metric, m.Label)
		}
		if len(values) == 0 {
			unseen = append(unseen, m.Label)
			continue
		}
		n := 0
		for _, v := range values {
			if m.Matches(v) {
				n++
			}
		}
		if n < len(values) {
			return fmt.Sprintf("%s selects %d of the %d %s, and the replay has only all of them together", m.Text, n,
				len(values), what), nil
		}
	}
	return "", unseen
}

// labels are the values of a label on the recorded series of a metric, one for each series;
// nil = none of them has it, or the series were not recorded.
func (a *archive) labels(metric, label string) (values []string) {
	has := false
	for _, series := range a.series[metric] {
		v, ok := series[label]
		values, has = append(values, v), has || ok
	}
	if !has {
		return nil
	}
	return values
}

// note keeps the pod and the labels of a sample. A name with labels (x{model_name="m"}) is a
// series on a pod's page that is a part of the metric x.
func (a *archive) note(name, pod string) {
	if pod == "" {
		return
	}
	metric, _, labelled := strings.Cut(name, "{")
	if !labelled {
		if !slices.Contains(a.pods[name], pod) {
			a.pods[name] = append(a.pods[name], pod)
		}
		return
	}
	if a.noted[name] || strings.HasSuffix(metric, "_bucket") {
		return
	}
	a.noted[name] = true
	if labels := promql.Labels(name); len(labels) > 0 {
		a.series[metric] = append(a.series[metric], labels)
	}
}
