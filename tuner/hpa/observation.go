package hpa

import "time"

// Observation is what the controller sees at one reconcile. All times count from the caller's origin.
type Observation struct {
	At time.Duration // now
	// Spec is the HPA; nil means unchanged since the last Step. The first Step needs one.
	Spec           *Config
	SpecReplicas   int32  // the scale subresource's spec.replicas: "current" in the controller
	StatusReplicas int32  // its status.replicas
	Selector       string // its status.selector, for texts; "" is an error, as upstream's
	// SelectorErr is why the selector cannot be used: a parse error, or an *AmbiguousError.
	SelectorErr    error
	ScaleGetErr    error // the scale subresource could not be read
	ScaleUpdateErr error // writing it would fail, after Conflicts
	Conflicts      int   // how many writes of the scale meet a conflict first
	StatusErr      error // writing the HPA's status would fail
	Pods           []Pod // those that the selector matches
	Metrics        []Reading
}

// AmbiguousError means that other HPAs match the same pods: all of those HPAs stop.
type AmbiguousError struct{ Keys string } // Keys as upstream prints them: "[{a default} {b default}]"

// Error is the message in upstream's words, without the selector that Step adds.
func (e *AmbiguousError) Error() string {
	return "controlled by more than one HPA (e.g. " + e.Keys + ")"
}

// Pod is one pod, or Count identical ones.
type Pod struct {
	Name       string
	Containers []Container   // may be shared between pods
	ReadySince time.Duration // lastTransitionTime of the Ready condition
	StartTime  time.Duration // status.startTime
	Level      *PodLevel     // spec.resources; nil: none
	Count      int32         // 0 is read as 1
	Phase      Phase
	Ready      Ready
	Deleted    bool // deletionTimestamp is set
	NotStarted bool // status.startTime is absent
}

// Phase is a pod's phase.
type Phase uint8

// The phases.
const (
	Running Phase = iota
	Pending
	Succeeded
	Failed
	PhaseUnknown
)

var phaseNames = [...]string{"Running", "Pending", "Succeeded", "Failed", "Unknown"}

// String returns the API's word.
func (p Phase) String() string { return phaseNames[min(int(p), len(phaseNames)-1)] }

// ParsePhase returns the Phase for the API's word.
func ParsePhase(s string) (Phase, bool) {
	for i, n := range phaseNames {
		if n == s {
			return Phase(i), true
		}
	}
	return 0, false
}

// Ready is the status of a pod's Ready condition.
type Ready uint8

// The states of readiness. ReadyAbsent: the pod has no such condition.
const (
	ReadyTrue Ready = iota
	ReadyFalse
	ReadyUnknown
	ReadyAbsent
)

var readyNames = [...]string{"True", "False", "Unknown", ""}

// String returns the API's word, "" for an absent condition.
func (r Ready) String() string { return readyNames[min(int(r), len(readyNames)-1)] }

// ParseReady returns the Ready for the API's word; "" is ReadyAbsent.
func ParseReady(s string) (Ready, bool) {
	for i, n := range readyNames {
		if n == s {
			return Ready(i), true
		}
	}
	return 0, false
}

// Container is what a container requests. A request can be 0 and present, hence Has…
type Container struct {
	Name      string
	CPU       int64 // millicores
	Memory    int64 // bytes × 1000
	HasCPU    bool
	HasMemory bool
	Init      bool // an init container …
	Sidecar   bool // … that is restartable: it counts like a container
}

// PodLevel is spec.resources.requests of a pod, and its overhead.
type PodLevel struct {
	CPU, Memory                 int64 // millicores, bytes × 1000
	HasCPU, HasMemory           bool
	OverheadCPU, OverheadMemory int64 // spec.overhead: 1.37 adds it to pod-level requests
}

// Reading is what the metrics API answered for one entry of Config.Metrics.
type Reading struct {
	Err error // the API's own error, without the controller's "unable to …" around it
	// Samples holds the value of Observation.Pods[i] at index i (Resource, ContainerResource,
	// Pods). It may be shorter: pods beyond its end have no sample.
	Samples []Sample
	// Ghosts are the values, in thousandths, of pods that the metrics API listed and that are not
	// in the pod list.
	Ghosts []int64
	// Listed means that the API listed something, perhaps without a usable sample; a list with
	// samples or ghosts always counts as listed. An empty list is an error of its own.
	Listed bool
	// Series are the values, in thousandths, of an External metric's series; an Object metric has one.
	Series []int64
}

// Sample is one pod's value.
type Sample struct {
	Milli  int64         // thousandths; memory is bytes × 1000
	At     time.Duration // timestamp
	Window time.Duration // the span before At that it averages
	OK     bool          // false: the pod has no sample
}
