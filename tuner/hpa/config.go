package hpa

import (
	"slices"
	"time"
)

// Config is the spec of one autoscaling/v2 HorizontalPodAutoscaler with the API server's defaults
// filled in, as the controller reads it. scaleTargetRef is not part of it (see [Identity]).
//
// Do not change a Config after you gave it to a Controller; give it a Clone.
type Config struct {
	MinReplicas int32 // spec.minReplicas; the API server turns an absent one into 1
	MaxReplicas int32 // spec.maxReplicas
	Metrics     []Metric
	// Behavior is true if spec.behavior is present, even as {}: the controller then normalizes on
	// another code path (events, policies, both windows). If it is false, ScaleUp and ScaleDown are
	// not read.
	Behavior  bool
	ScaleUp   Rules
	ScaleDown Rules
}

// Rules is spec.behavior.scaleUp or scaleDown.
type Rules struct {
	Window    time.Duration // stabilizationWindowSeconds
	WindowSet bool          // false: for scale-down the controller's flag counts, for scale-up 0
	Select    Select
	Policies  []Policy
	// Tolerance is a ratio (0.1 = 10 %) around 1.0 in which usage counts as on target.
	Tolerance    float64
	ToleranceSet bool // false: the controller's flag
}

// Select is selectPolicy: which of several policies counts.
type Select uint8

// The select policies. Max is the largest change and the default, Min the smallest.
const (
	Max Select = iota
	Min
	Disabled
)

var selectNames = [...]string{"Max", "Min", "Disabled"}

// String returns the API's word.
func (s Select) String() string { return selectNames[min(int(s), len(selectNames)-1)] }

// ParseSelect returns the Select for the API's word; "" is Max, as the API server defaults it.
func ParseSelect(s string) (Select, bool) {
	if s == "" {
		return Max, true
	}
	i := slices.Index(selectNames[:], s)
	return Select(max(i, 0)), i >= 0
}

// Policy is one scaling policy: Value pods or percent within any Period.
type Policy struct {
	Type   PolicyType
	Value  int32
	Period time.Duration // whole seconds, 1…1800 s
}

// PolicyType is the unit of a policy's value.
type PolicyType uint8

// The policy types.
const (
	PodsPolicy PolicyType = iota
	PercentPolicy
)

// String returns the API's word.
func (t PolicyType) String() string {
	if t == PercentPolicy {
		return "Percent"
	}
	return "Pods"
}

// Source is a metric's type: where its value comes from.
type Source uint8

// The metric sources, in the API's words.
const (
	Resource Source = iota
	ContainerResource
	Pods
	Object
	External
)

var sourceNames = [...]string{"Resource", "ContainerResource", "Pods", "Object", "External"}

// String returns the API's word.
func (s Source) String() string {
	if int(s) < len(sourceNames) {
		return sourceNames[s]
	}
	return "Unknown"
}

// ParseSource returns the Source for the API's word.
func ParseSource(s string) (Source, bool) {
	i := slices.Index(sourceNames[:], s)
	return Source(max(i, 0)), i >= 0
}

// Metric is one entry of spec.metrics. It is comparable.
type Metric struct {
	Source    Source
	Name      string // the resource's ("cpu") or the metric's name
	Container string // ContainerResource only
	Object    ObjectRef
	// Selector is the metric's label selector in the text form of SelectorText. SelectorSet
	// distinguishes an absent selector from an empty one: upstream's reasons print them
	// differently.
	Selector    string
	SelectorSet bool
	// SelectorErr is why the selector is invalid, in upstream's words; "" if it is valid. The API
	// server accepts such an HPA, and the metric then fails at every reconcile.
	SelectorErr string
	Target      Target
}

// ObjectRef is describedObject of an Object metric.
type ObjectRef struct{ APIVersion, Kind, Name string }

// Target is a metric's target. Fields that are not set are 0, which no valid target is.
type Target struct {
	Type         TargetType
	Utilization  int32 // averageUtilization, percent of request
	AverageMilli int64 // averageValue, thousandths, rounded up as Quantity.MilliValue does; memory is bytes × 1000
	ValueMilli   int64 // value, likewise
}

// TargetType is target.type. The controller looks at it for Object metrics only.
type TargetType uint8

// The target types.
const (
	Utilization TargetType = iota
	AverageValue
	Value
)

var targetNames = [...]string{"Utilization", "AverageValue", "Value"}

// String returns the API's word.
func (t TargetType) String() string { return targetNames[min(int(t), len(targetNames)-1)] }

// ParseTargetType returns the TargetType for the API's word.
func ParseTargetType(s string) (TargetType, bool) {
	i := slices.Index(targetNames[:], s)
	return TargetType(max(i, 0)), i >= 0
}

// DefaultScaleUp returns spec.behavior.scaleUp as the API server fills it when behavior is
// present: no window, Max of 4 pods and 100 percent per 15 s.
// Source: pkg/apis/autoscaling/v2/defaults.go.
func DefaultScaleUp() Rules {
	return Rules{WindowSet: true, Policies: []Policy{
		{PodsPolicy, 4, 15 * time.Second}, {PercentPolicy, 100, 15 * time.Second}}}
}

// DefaultScaleDown returns spec.behavior.scaleDown as the API server fills it: 100 percent per
// 15 s, the window left to the controller's flag.
// Source: pkg/apis/autoscaling/v2/defaults.go.
func DefaultScaleDown() Rules {
	return Rules{Policies: []Policy{{PercentPolicy, 100, 15 * time.Second}}}
}

// DefaultMetrics returns spec.metrics as the API server fills an empty list: cpu at 80 percent.
func DefaultMetrics() []Metric {
	return []Metric{{Source: Resource, Name: "cpu", Target: Target{Type: Utilization, Utilization: 80}}}
}

// DefaultConfig returns the spec of an HPA that sets only maxReplicas.
func DefaultConfig(maxReplicas int32) Config {
	return Config{MinReplicas: 1, MaxReplicas: maxReplicas, Metrics: DefaultMetrics()}
}

// Clone returns a deep copy.
func (c *Config) Clone() Config {
	d := *c
	d.Metrics = slices.Clone(c.Metrics)
	d.ScaleUp.Policies = slices.Clone(c.ScaleUp.Policies)
	d.ScaleDown.Policies = slices.Clone(c.ScaleDown.Policies)
	return d
}

// Equal reports whether both mean the same to the controller: without Behavior, the rules are not
// compared.
func (c *Config) Equal(d *Config) bool {
	return c.MinReplicas == d.MinReplicas && c.MaxReplicas == d.MaxReplicas && slices.Equal(c.Metrics, d.Metrics) &&
		c.Behavior == d.Behavior && (!c.Behavior || c.ScaleUp.Equal(&d.ScaleUp) && c.ScaleDown.Equal(&d.ScaleDown))
}

// Equal reports whether both rules mean the same: a value that is not set is not compared.
func (r *Rules) Equal(s *Rules) bool {
	return r.WindowSet == s.WindowSet && (!r.WindowSet || r.Window == s.Window) && r.Select == s.Select &&
		slices.Equal(
			r.Policies,
			s.Policies,
		) && r.ToleranceSet == s.ToleranceSet && (!r.ToleranceSet || r.Tolerance == s.Tolerance)
}

// Outside reports whether a metric is Object or External: only then can the HPA scale up from zero.
func (c *Config) Outside() bool {
	return slices.ContainsFunc(c.Metrics, func(m Metric) bool { return m.Source == Object || m.Source == External })
}
