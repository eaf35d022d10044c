package manifest

import (
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// HPA returns the HorizontalPodAutoscaler that KEDA makes of a ScaledObject, with
// the API server's defaults, and for each of its metrics the index of the
// trigger behind it (-1 for the metric of a formula). A trigger whose metric only
// its server knows (external, external-push) gets the name s<index>-external; see
// Trigger.Guessed.
//
// Source: kedacore/keda v2.21.0 controllers/keda/hpa.go (newHPAForScaledObject,
// getScaledObjectMetricSpecs) and the scalers under pkg/scalers.
func (o *ScaledObject) HPA() (h *autoscalingv2.HorizontalPodAutoscaler, origin []int, err error) {
	specs, origin, err := o.metrics()
	if err != nil {
		return nil, nil, err
	}
	h = &autoscalingv2.HorizontalPodAutoscaler{}
	h.APIVersion, h.Kind = "autoscaling/v2", kindHPA
	h.Name, h.Namespace, h.Annotations, h.Labels = o.HPAName(), o.Namespace, maps.Clone(o.Annotations), o.hpaLabels()
	h.OwnerReferences = []metav1.OwnerReference{
		{
			APIVersion:         "keda.sh/v1alpha1",
			Kind:               "ScaledObject",
			Name:               o.Name,
			UID:                o.UID,
			Controller:         new(true),
			BlockOwnerDeletion: new(true),
		},
	}
	h.Spec = autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: o.Target(),
		MinReplicas:    new(max(o.Min(), 1)),
		MaxReplicas:    o.Max(),
		Metrics:        specs,
		Behavior:       o.behavior(),
	}
	Default(&h.Spec)
	return h, origin, nil
}

// behavior is the written one, with the directions disabled that an annotation pauses.
func (o *ScaledObject) behavior() *autoscalingv2.HorizontalPodAutoscalerBehavior {
	var b *autoscalingv2.HorizontalPodAutoscalerBehavior
	if a := o.Spec.Advanced; a != nil && a.HorizontalPodAutoscalerConfig != nil {
		b = a.HorizontalPodAutoscalerConfig.Behavior.DeepCopy()
	}
	disabled := autoscalingv2.DisabledPolicySelect
	if o.switched(kedaPausedIn) {
		if b == nil {
			b = &autoscalingv2.HorizontalPodAutoscalerBehavior{}
		}
		if b.ScaleDown == nil {
			b.ScaleDown = &autoscalingv2.HPAScalingRules{}
		}
		b.ScaleDown.SelectPolicy = &disabled
	}
	if o.switched(kedaPausedOut) {
		if b == nil {
			b = &autoscalingv2.HorizontalPodAutoscalerBehavior{}
		}
		if b.ScaleUp == nil {
			b.ScaleUp = &autoscalingv2.HPAScalingRules{}
		}
		b.ScaleUp.SelectPolicy = &disabled
	}
	return b
}

// longestLabel is the API's limit for a label's value.
const longestLabel = 63

func (o *ScaledObject) hpaLabels() map[string]string {
	name := o.HPAName()
	if len(name) > longestLabel {
		name = strings.TrimRightFunc(
			name[:longestLabel],
			func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) },
		)
	}
	out := map[string]string{
		"app.kubernetes.io/name": name, "app.kubernetes.io/version": KEDAVersion,
		"app.kubernetes.io/part-of": o.Name, "app.kubernetes.io/managed-by": "keda-operator",
	}
	excluded := strings.Split(o.Annotations[kedaExcluded], ",")
	labels := maps.Clone(o.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[kedaOwner] = o.Name // the operator labels the ScaledObject first (ensureScaledObjectLabel)
	for k, v := range labels {
		if !slices.Contains(excluded, k) {
			out[k] = v
		}
	}
	return out
}

// metrics are the HPA's metrics, in KEDA's order: by type, then by trigger.
func (o *ScaledObject) metrics() (specs []autoscalingv2.MetricSpec, origin []int, err error) {
	type made struct {
		spec autoscalingv2.MetricSpec
		from int
	}
	var all []made
	var names []string
	for i := range o.Spec.Triggers {
		spec, err := o.Spec.Triggers[i].metric(i)
		if err != nil {
			return nil, nil, fmt.Errorf("triggers[%d]: %w", i, err)
		}
		if e := spec.External; e != nil {
			if o.Spec.Triggers[i].Guessed() {
				e.Metric.Name = o.recorded(i, e.Metric.Name)
			}
			if slices.Contains(names, e.Metric.Name) {
				return nil, nil, fmt.Errorf("metricName %s defined multiple times in ScaledObject %s", e.Metric.Name, o.Name)
			}
			e.Metric.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{kedaOwner: o.Name}}
			names = append(names, e.Metric.Name)
		}
		all = append(all, made{spec, i})
	}
	// KEDA sorts with sort.Slice, whose order among equals is what this call gives.
	sort.Slice(all, func(i, j int) bool { return all[i].spec.Type < all[j].spec.Type })
	if m := o.modifiers(); m != nil {
		target, err := strconv.ParseFloat(m.Target, 64)
		if err == nil && target > 0 {
			// Resource metrics stay; ContainerResource metrics do not (KEDA keeps those with .Resource).
			kept := slices.DeleteFunc(all, func(x made) bool { return x.spec.Resource == nil })
			q := resource.NewMilliQuantity(int64(target*1000), resource.DecimalSI)
			t := autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: q}
			if m.MetricType == autoscalingv2.ValueMetricType {
				t = autoscalingv2.MetricTarget{Type: autoscalingv2.ValueMetricType, Value: q}
			}
			composite := external("composite-metric", t)
			composite.External.Metric.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{kedaOwner: o.Name}}
			all = append(kept, made{composite, -1})
		}
	}
	for _, m := range all {
		specs, origin = append(specs, m.spec), append(origin, m.from)
	}
	return specs, origin, nil
}

// recorded is the name of a trigger's metric as KEDA wrote it to the status, if it did.
func (o *ScaledObject) recorded(index int, otherwise string) string {
	for _, name := range o.Status.ExternalMetricNames {
		if strings.HasPrefix(name, fmt.Sprintf("s%d-", index)) {
			return name
		}
	}
	return otherwise
}

func external(name string, t autoscalingv2.MetricTarget) autoscalingv2.MetricSpec {
	return autoscalingv2.MetricSpec{
		Type: autoscalingv2.ExternalMetricSourceType,
		External: &autoscalingv2.ExternalMetricSource{
			Metric: autoscalingv2.MetricIdentifier{Name: name}, Target: t,
		},
	}
}

// metric is the HPA's metric that a trigger's scaler requests.
func (t *Trigger) metric(index int) (out autoscalingv2.MetricSpec, err error) {
	if t.Type == "cpu" || t.Type == "memory" {
		return t.resourceMetric()
	}
	s, known := scalerOf(t.Type)
	if !known {
		return out, fmt.Errorf("type %q is not a scaler of KEDA %s", t.Type, KEDAVersion)
	}
	kind := t.MetricType
	switch kind {
	case "":
		kind = autoscalingv2.AverageValueMetricType
	case autoscalingv2.UtilizationMetricType:
		return out, fmt.Errorf("metricType Utilization is only for cpu and memory; for %s use AverageValue or Value", t.Type)
	}
	value, err := t.threshold(s)
	if err != nil {
		return out, err
	}
	q := resource.NewQuantity(int64(value), resource.DecimalSI)
	if !s.whole {
		milli := resource.MustParse(strconv.FormatFloat(value, 'f', 3, 64))
		q = &milli
	}
	target := autoscalingv2.MetricTarget{Type: kind}
	if kind == autoscalingv2.AverageValueMetricType {
		target.AverageValue = q
	} else {
		target.Value = q
	}
	return external(fmt.Sprintf("s%d-%s", index, s.name(t)), target), nil
}

// threshold is the scaler's target value; a value that cannot be a target counts as 0, as
// in KEDA.
//
// Source: pkg/scalers/scaler.go (quantityFromFloat64).
func (t *Trigger) threshold(s scaler) (float64, error) {
	text, field, has := "", "", false
	for _, field = range s.fields {
		if text, has = t.Metadata[field]; has {
			break
		}
	}
	if !has {
		if s.required {
			return 0, fmt.Errorf("metadata.%s is missing", s.fields[0])
		}
		return s.otherwise, nil
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		return 0, fmt.Errorf("metadata.%s: %q is not a number", field, text)
	}
	if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		return 0, nil
	}
	return v, nil
}

func (t *Trigger) resourceMetric() (out autoscalingv2.MetricSpec, err error) {
	target := autoscalingv2.MetricTarget{Type: t.MetricType}
	switch t.MetricType {
	case autoscalingv2.UtilizationMetricType:
		n, err := strconv.ParseInt(t.Metadata["value"], 10, 32)
		if err != nil {
			return out, fmt.Errorf("metadata.value: %q is not a whole percentage", t.Metadata["value"])
		}
		target.AverageUtilization = new(int32(n))
	case autoscalingv2.AverageValueMetricType:
		q, err := resource.ParseQuantity(t.Metadata["value"])
		if err != nil {
			return out, fmt.Errorf("metadata.value: %q is not a quantity", t.Metadata["value"])
		}
		target.AverageValue = &q
	default:
		return out, fmt.Errorf("metricType %q: for a %s trigger use Utilization or AverageValue", t.MetricType, t.Type)
	}
	if c := t.Metadata["containerName"]; c != "" {
		return autoscalingv2.MetricSpec{
			Type: autoscalingv2.ContainerResourceMetricSourceType,
			ContainerResource: &autoscalingv2.ContainerResourceMetricSource{
				Name: corev1.ResourceName(t.Type), Container: c, Target: target,
			},
		}, nil
	}
	return autoscalingv2.MetricSpec{
		Type: autoscalingv2.ResourceMetricSourceType,
		Resource: &autoscalingv2.ResourceMetricSource{
			Name: corev1.ResourceName(t.Type), Target: target,
		},
	}, nil
}

// scaler is how a trigger type names its metric and where its target is.
type scaler struct {
	kind string
	// named builds the metric's name behind "s<index>-": the words of the format are
	// metadata fields. "" = only the running scaler knows it.
	named     string
	fields    []string // the target's metadata field, and older names of it
	whole     bool     // the target is cut to a whole number
	required  bool
	otherwise float64 // the target where it is not said
}

// normal is how KEDA makes a metric's name from any text.
//
// Source: pkg/util/normalize_string.go.
func normal(s string) string {
	return strings.NewReplacer("/", "-", ".", "-", ":", "-", "%", "-", "(", "-", ")", "-").Replace(s)
}

// name is the metric's name without its index.
func (s scaler) name(t *Trigger) string {
	switch s.kind {
	case "cron":
		short := strings.NewReplacer(" ", "", "*", "x", "/", "Sl", "?", "Qm", ",", "Cm")
		return normal(
			fmt.Sprintf(
				"cron-%s-%s-%s",
				t.Metadata["timezone"],
				short.Replace(t.Metadata["start"]),
				short.Replace(t.Metadata["end"]),
			),
		)
	case "rabbitmq":
		return normal("rabbitmq-" + url.QueryEscape(t.Metadata["queueName"]))
	case "kafka", "apache-kafka":
		if t.Metadata["topic"] == "" {
			return normal(fmt.Sprintf("kafka-%s-topics", t.Metadata["consumerGroup"]))
		}
	case "aws-sqs-queue":
		u := t.Metadata["queueURL"]
		return normal("aws-sqs-" + u[strings.LastIndexByte(u, '/')+1:])
	}
	if s.named == "" {
		return s.kind
	}
	format, field, has := strings.Cut(s.named, " ")
	if !has {
		return format
	}
	return normal(format + t.Metadata[field])
}

// Guessed reports whether the metric's name cannot be known from the manifest alone; it is
// then what KEDA recorded in the status, or on the HPA.
func (t *Trigger) Guessed() bool {
	s, _ := scalerOf(t.Type)
	return s.named == "" && t.Type != "cron" && t.Type != "cpu" && t.Type != "memory"
}

func scalerOf(kind string) (scaler, bool) {
	i := slices.IndexFunc(scalers, func(s scaler) bool { return s.kind == kind })
	if i >= 0 {
		return scalers[i], true
	}
	if slices.Contains(otherScalers, kind) || kind == "cpu" || kind == "memory" {
		return scaler{
			kind:      kind,
			fields:    []string{"threshold", "value", "targetValue", "targetQueryValue", "queryValue"},
			otherwise: 1,
		}, true
	}
	return scaler{}, false
}

// scalers are the trigger types whose metric is known from the manifest.
//
// Source: GetMetricSpecForScaling of each pkg/scalers/*_scaler.go, v2.21.0.
var scalers = []scaler{
	{kind: "prometheus", named: "prometheus", fields: []string{"threshold"}, required: true},
	{kind: "cron", named: "cron", fields: []string{""}, otherwise: 1, whole: true},
	{kind: "metrics-api", named: "metric-api- valueLocation", fields: []string{"targetValue"}},
	{kind: "external", fields: []string{"threshold", "targetValue"}, otherwise: 1},
	{kind: "external-push", fields: []string{"threshold", "targetValue"}, otherwise: 1},
	{kind: "kafka", named: "kafka- topic", fields: []string{"lagThreshold"}, otherwise: 10, whole: true},
	{kind: "apache-kafka", named: "kafka- topic", fields: []string{"lagThreshold"}, otherwise: 10, whole: true},
	{kind: "rabbitmq", named: "rabbitmq- queueName", fields: []string{"value"}, otherwise: 20},
	{kind: "aws-sqs-queue", named: "aws-sqs- queueURL", fields: []string{"queueLength"}, otherwise: 5, whole: true},
	{kind: "loki", named: "loki", fields: []string{"threshold"}, required: true},
	{kind: "graphite", named: "graphite", fields: []string{"threshold"}, required: true},
	{kind: "postgresql", named: "postgresql", fields: []string{"targetQueryValue"}, required: true},
	{kind: "aws-cloudwatch", named: "aws-cloudwatch", fields: []string{"targetMetricValue"}, required: true},
	{
		kind:      "redis-streams",
		named:     "redis-streams- stream",
		fields:    []string{"pendingEntriesCount", "streamLength", "lagCount"},
		otherwise: 5,
		whole:     true,
	},
	{kind: "mssql", named: "mssql", fields: []string{"targetValue"}, required: true},
	{kind: "dynatrace", named: "dynatrace", fields: []string{"threshold"}, required: true},
	{kind: "solarwinds", named: "solarwinds", fields: []string{"targetValue"}, required: true},
}

// otherScalers are the other trigger types of KEDA.
//
// Source: pkg/scaling/scalers_builder.go (buildScaler), v2.21.0.
var otherScalers = strings.Fields(`activemq arangodb artemis-queue aws-dynamodb aws-dynamodb-streams aws-kinesis-stream
azure-app-insights azure-blob azure-cosmosdb azure-data-explorer azure-eventhub azure-log-analytics azure-monitor
azure-pipelines azure-queue azure-servicebus beanstalkd cassandra clickhouse couchdb datadog elastic-forecast
elasticsearch etcd external-mock forgejo-runner gcp-cloudtasks gcp-pubsub gcp-spanner gcp-stackdriver gcp-storage
github-runner huawei-cloudeye ibmmq influxdb kubernetes-resource kubernetes-workload liiklus mongodb mysql
nats-jetstream new-relic nsq opensearch openstack-metric openstack-swift predictkube pulsar redis redis-cluster
redis-cluster-streams redis-sentinel redis-sentinel-streams selenium-grid solace-direct-messaging solace-event-queue
solr splunk splunk-observability sumologic temporal`)

// triggerTypes are all that KEDA knows.
func triggerTypes() []string {
	out := slices.Concat([]string{"cpu", "memory"}, otherScalers)
	for _, s := range scalers {
		out = append(out, s.kind)
	}
	return out
}
