package advice

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hpatune/hpatune/internal/promql"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

const signalYAML = "signal.yaml"

// signal adds the files for a change of the signal, if one is advised: a ScaledObject with
// its queries, and the rule that an adapter would need instead; an HPA if the signals are
// resources.
func (a *Advice) signal(r *tuner.Recommendation) {
	for i := range r.Signals {
		if g := &r.Signals[i]; g.Advised && g.Config != nil {
			var queries map[string]string
			if a.options.Run != nil {
				queries = a.options.Run.Meta.Queries
			}
			a.Files = append(a.Files, File{signalYAML, signalOf(g, a.options.Meta, queries)})
			return
		}
	}
}

// queryOf is the PromQL for a metric: the one that recorded it, by its name in queries,
// else its own name; of metrics of single pods, the sum over the pods. A computed signal's
// name is PromQL over such names.
func queryOf(m *hpa.Metric, ns string, queries map[string]string) string {
	if of, isMean := strings.CutSuffix(m.Name, results.MeanSuffix); isMean && m.Source == hpa.Pods {
		// Pods without a request in the minute have no mean: NaN >= 0 leaves them out.
		of += "_%s{namespace=" + strconv.Quote(ns) + "}[1m]"
		return fmt.Sprintf("sum(rate(%s) / rate(%s) >= 0)", fmt.Sprintf(of, "sum"), fmt.Sprintf(of, "count"))
	}
	if strings.Contains(m.Name, "(") {
		return composedQuery(m.Name, ns, queries)
	}
	parts := strings.Split(m.Name, tuner.SumSign)
	for i, name := range parts {
		query, recorded := queries[name]
		switch ofPods := m.Source == hpa.Pods || len(parts) > 1; {
		case recorded && ofPods:
			query = "sum(" + query + ")"
		case recorded:
		case ofPods:
			query = fmt.Sprintf("sum(%s{namespace=%q})", name, ns)
		default:
			query = name
		}
		parts[i] = query
	}
	return strings.Join(parts, " + ")
}

// composedQuery puts the queries behind recorded names, or the namespace, into PromQL.
func composedQuery(text, ns string, queries map[string]string) string {
	metrics := promql.Metrics(text)
	slices.Sort(metrics)
	var old []string
	for _, m := range slices.Compact(metrics) {
		query, recorded := queries[m]
		if !recorded {
			query = fmt.Sprintf("%s{namespace=%q}", m, ns)
		}
		for _, end := range []string{")", "[", " "} { // a name is not the beginning of another one
			old = append(old, m+end, query+end)
		}
	}
	return strings.TrimSpace(strings.NewReplacer(old...).Replace(text + " "))
}

// quoted is text in YAML's single quotes.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// signalOf is the manifest that scales on a signal. queries are the PromQL behind
// recorded names, for those that are not metrics' own.
func signalOf(g *tuner.SignalRow, meta manifest.Meta, queries map[string]string) []byte {
	c := g.Config
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Scales on %s, which the recorded HPA does not use.\n", g.Name)
	if u := g.USDMonth; u != nil {
		fmt.Fprintf(
			&b,
			"# Predicted monthly cost compared with the recommended settings: %+.2f, for the same objectives.\n",
			u.Value,
		)
	}
	for i := range c.Metrics {
		if s := c.Metrics[i].Source; s == hpa.Resource || s == hpa.ContainerResource {
			b.Write(manifest.V2(c, meta, nil))
			return b.Bytes()
		}
	}
	ns := meta.Namespace
	if ns == "" {
		ns = "default"
	}
	b.WriteString("# Delete the HPA first: two autoscalers on one target work against each other.\n" +
		"# Set serverAddress to your Prometheus, and run each query there once.\n")
	fmt.Fprintf(
		&b,
		"apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: %s\n  namespace: %s\nspec:\n",
		meta.Name,
		ns,
	)
	fmt.Fprintf(
		&b,
		"  scaleTargetRef:\n    apiVersion: %s\n    kind: %s\n    name: %s\n",
		meta.Target.APIVersion,
		meta.Target.Kind,
		meta.Target.Name,
	)
	fmt.Fprintf(&b, "  minReplicaCount: %d\n  maxReplicaCount: %d\n  triggers:\n", c.MinReplicas, c.MaxReplicas)
	for i := range c.Metrics {
		m := &c.Metrics[i]
		kind, milli := "AverageValue", m.Target.AverageMilli
		if milli == 0 {
			kind, milli = "Value", m.Target.ValueMilli
		}
		fmt.Fprintf(
			&b,
			"    - type: prometheus\n      metricType: %s\n      metadata:\n        serverAddress: "+
				"http://prometheus.monitoring:9090\n"+
				"        query: %s\n        threshold: \"%g\"\n",
			kind,
			quoted(queryOf(m, ns, queries)),
			float64(milli)/1000,
		)
	}
	for i := range c.Metrics {
		if m := &c.Metrics[i]; m.Source == hpa.Pods && queries[m.Name] == "" &&
			!strings.HasSuffix(m.Name, results.MeanSuffix) {
			fmt.Fprintf(&b, "# With prometheus-adapter and an HPA on Pods metric %s instead:\n", m.Name)
			for line := range strings.Lines(fmt.Sprintf("rules:\n  - seriesQuery: '%s{namespace!=\"\",pod!=\"\"}'\n"+
				"    resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}\n"+
				"    metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'\n", m.Name)) {
				b.WriteString("#   " + line)
			}
		}
	}
	return b.Bytes()
}
