package hpa

// Condition is one of the HPA's status.conditions.
type Condition struct {
	Type   ConditionType
	Status Status
	Reason Reason
	msg    text
	seeded *seedText
}

// ConditionType is a condition's type. None marks an unused place.
type ConditionType uint8

// The condition types.
const (
	None ConditionType = iota
	AbleToScale
	ScalingActive
	ScalingLimited
	ScaledToZero
)

var conditionNames = [...]string{"", "AbleToScale", "ScalingActive", "ScalingLimited", "ScaledToZero"}

// String returns the API's word.
func (t ConditionType) String() string { return conditionNames[min(int(t), len(conditionNames)-1)] }

// ParseConditionType returns the type for the API's word.
func ParseConditionType(s string) (ConditionType, bool) {
	for i, n := range conditionNames {
		if n == s && s != "" {
			return ConditionType(i), true
		}
	}
	return None, false
}

// Status is a condition's status.
type Status uint8

// The statuses.
const (
	StatusUnknown Status = iota
	True
	False
)

var statusNames = [...]string{"Unknown", "True", "False"}

// String returns the API's word.
func (s Status) String() string { return statusNames[min(int(s), len(statusNames)-1)] }

// ParseStatus returns the status for the API's word.
func ParseStatus(s string) (Status, bool) {
	for i, n := range statusNames {
		if n == s {
			return Status(i), true
		}
	}
	return 0, false
}

// Reason is upstream's word for why: of conditions, events, and (the last four) rescales.
type Reason uint8

// The reasons.
const (
	NoReason Reason = iota
	SucceededGetScale
	FailedGetScale
	ReadyForNewScale
	ScaleUpStabilized
	ScaleDownStabilized
	SucceededRescale
	FailedUpdateScale
	ValidMetricFound
	FailedGetResourceMetric
	FailedGetContainerResourceMetric
	FailedGetPodsMetric
	FailedGetObjectMetric
	FailedGetExternalMetric
	InvalidMetricSourceType
	InvalidSelector
	AmbiguousSelector
	ScalingDisabled
	ScaleUpLimit
	ScaleDownLimit
	TooManyReplicas
	TooFewReplicas
	DesiredWithinRange
	ScaledToZeroReason
	NotScaledToZero
	SuccessfulRescale
	FailedRescale
	SelectorRequired
	FailedComputeMetricsReplicas
	FailedUpdateStatus
	AboveTarget
	BelowTarget
	AboveMaxReplicas
	BelowMinReplicas
)

var reasonNames = [...]string{
	"",
	"SucceededGetScale",
	"FailedGetScale",
	"ReadyForNewScale",
	"ScaleUpStabilized",
	"ScaleDownStabilized",
	"SucceededRescale",
	"FailedUpdateScale",
	"ValidMetricFound",
	"FailedGetResourceMetric",
	"FailedGetContainerResourceMetric",
	"FailedGetPodsMetric",
	"FailedGetObjectMetric",
	"FailedGetExternalMetric",
	"InvalidMetricSourceType",
	"InvalidSelector",
	"AmbiguousSelector",
	"ScalingDisabled",
	"ScaleUpLimit",
	"ScaleDownLimit",
	"TooManyReplicas",
	"TooFewReplicas",
	"DesiredWithinRange",
	"ScaledToZero",
	"NotScaledToZero",
	"SuccessfulRescale",
	"FailedRescale",
	"SelectorRequired",
	"FailedComputeMetricsReplicas",
	"FailedUpdateStatus",
	"above target",
	"All metrics below target",
	"Current number of replicas above Spec.MaxReplicas",
	"Current number of replicas below Spec.MinReplicas",
}

// String returns upstream's word.
func (r Reason) String() string { return reasonNames[min(int(r), len(reasonNames)-1)] }

// Event is an event that the controller emits on the HPA.
type Event struct {
	Reason Reason
	msg    text
}

// Warning says whether the event's type is Warning; SuccessfulRescale alone is Normal.
func (e Event) Warning() bool { return e.Reason != SuccessfulRescale }

// Type returns the event's type in the API's words.
func (e Event) Type() string {
	if e.Warning() {
		return "Warning"
	}
	return "Normal"
}

// seedText is the text of a seeded condition (see Remember) whose reason is not one of Reason's.
type seedText struct{ reason, message string }
