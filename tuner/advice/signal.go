package advice

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"sigs.k8s.io/yaml"

	"github.com/hpatune/hpatune/internal/figure"
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
			text := signalOf(g, a.options.Meta, queries)
			if a.options.Scaled != nil {
				text = triggersOf(g, a.options.Scaled, queries)
			}
			if u := g.USDMonth; u != nil {
				text = append(
					fmt.Appendf(nil, "# Predicted monthly cost compared with the recommended settings: %s, for the same objectives.\n",
						figure.Difference(u.Value, cmp.Or(r.Price.Currency, "USD"))),
					text...)
			}
			a.Files = append(a.Files, File{signalYAML, text})
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

// signalHead is what stands above a manifest that scales on a signal.
func signalHead(g *tuner.SignalRow) (b bytes.Buffer) {
	fmt.Fprintf(&b, "# Scales on %s, which the recorded HPA does not use.\n", g.Name)
	return b
}

// behaviorOf is a configuration's behavior as a ScaledObject's spec.advanced has it; nil =
// none.
func behaviorOf(c *hpa.Config) map[string]any {
	behavior := manifest.ToV2(c, autoscalingv2.CrossVersionObjectReference{}).Behavior
	if behavior == nil {
		return nil
	}
	return map[string]any{"horizontalPodAutoscalerConfig": map[string]any{"behavior": behavior}}
}

// triggersOf is a ScaledObject with its triggers replaced by those of a signal. The rest of it
// is kept, and the address of Prometheus, with what authenticates, is that of its own query.
func triggersOf(g *tuner.SignalRow, d *manifest.Doc, queries map[string]string) []byte {
	c, b, o := g.Config, signalHead(g), d.Scaled
	fmt.Fprintf(
		&b,
		"# It replaces the triggers of ScaledObject %s; everything else of it is kept. Run each query once.\n",
		o.Name,
	)
	var object map[string]any
	if data, problems := d.JSON(); len(problems) > 0 || json.Unmarshal(data, &object) != nil {
		return signalOf(g, manifest.Meta{Name: o.Name, Namespace: o.Namespace, Target: o.Target()}, queries)
	}
	for _, path := range manifest.ServerFields {
		of := object
		if field, ok := strings.CutPrefix(path, "metadata."); ok {
			of, _ = object["metadata"].(map[string]any)
			path = field
		}
		delete(of, path)
	}
	spec, _ := object["spec"].(map[string]any)
	prometheus := map[string]any{"serverAddress": "http://prometheus.monitoring:9090"}
	var auth any
	for _, t := range o.Spec.Triggers {
		if t.Type == "prometheus" {
			for k, v := range t.Metadata {
				if k != "query" && k != "threshold" && k != "activationThreshold" {
					prometheus[k] = v
				}
			}
			if t.AuthenticationRef != nil {
				auth = t.AuthenticationRef
			}
			break
		}
	}
	var triggers []any
	for i := range c.Metrics {
		m := &c.Metrics[i]
		t := map[string]any{"type": "prometheus", "metricType": "AverageValue"}
		if m.Source == hpa.Resource {
			t["type"], t["metadata"] = m.Name, map[string]any{"value": quantityText(m)}
			if m.Target.Utilization > 0 {
				t["metricType"] = "Utilization"
			}
		} else {
			metadata := maps.Clone(prometheus)
			metadata["query"], metadata["threshold"] = queryOf(m, o.Namespace, queries), quantityText(m)
			if t["metadata"] = metadata; m.Target.ValueMilli > 0 {
				t["metricType"] = "Value"
			}
			if auth != nil {
				t["authenticationRef"] = auth
			}
		}
		triggers = append(triggers, t)
	}
	spec["triggers"], spec["minReplicaCount"], spec["maxReplicaCount"] = triggers, c.MinReplicas, c.MaxReplicas
	if idle, _ := spec["idleReplicaCount"].(float64); idle == 0 {
		delete(spec, "idleReplicaCount") // nothing would scale up from zero by what the pods export
	}
	advanced, _ := spec["advanced"].(map[string]any)
	delete(advanced, "scalingModifiers")
	if behavior := behaviorOf(c); behavior != nil {
		if advanced == nil {
			advanced = map[string]any{}
		}
		if config, ok := advanced["horizontalPodAutoscalerConfig"].(map[string]any); ok {
			maps.Copy(config, behavior["horizontalPodAutoscalerConfig"].(map[string]any))
		} else {
			maps.Copy(advanced, behavior)
		}
		spec["advanced"] = advanced
	}
	text, err := yaml.Marshal(object)
	if err != nil {
		return nil
	}
	b.Write(text)
	return b.Bytes()
}

// quantityText is a metric's target as a trigger has it.
func quantityText(m *hpa.Metric) string {
	if m.Target.Utilization > 0 {
		return strconv.Itoa(int(m.Target.Utilization))
	}
	return strconv.FormatFloat(float64(max(m.Target.AverageMilli, m.Target.ValueMilli))/1000, 'f', -1, 64)
}

// signalOf is the manifest that scales on a signal. queries are the PromQL behind
// recorded names, for those that are not metrics' own.
func signalOf(g *tuner.SignalRow, meta manifest.Meta, queries map[string]string) []byte {
	c, b := g.Config, signalHead(g)
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
	fmt.Fprintf(&b, "  minReplicaCount: %d\n  maxReplicaCount: %d\n", c.MinReplicas, c.MaxReplicas)
	if behavior := behaviorOf(c); behavior != nil {
		text, err := yaml.Marshal(map[string]any{"advanced": behavior})
		for line := range strings.Lines(string(text)) {
			if err == nil {
				b.WriteString("  " + line)
			}
		}
	}
	b.WriteString("  triggers:\n")
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
