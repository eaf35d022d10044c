package hpa

import "time"

// Decision is what one reconcile decided, with every intermediate number. Step fills it and reuses
// its slices; it is valid until the next Step that gets the same Decision.
type Decision struct {
	At          time.Duration
	From        int32 // spec.replicas before
	Status      int32 // status.replicas
	Desired     int32 // the HPA's status.desiredReplicas after
	Replicas    int32 // spec.replicas after
	Scaled      bool  // the scale was written
	Path        Path  // which way the reconcile went
	HasProposal bool
	Proposal    Proposal      // the largest over the metrics, before windows and limits; only with HasProposal
	Per         []Proposal    // one per metric, in spec order
	Stable      int32         // Proposal after the stabilization windows
	StableFrom  time.Duration // when the recommendation that decided Stable was made; At if it is this one
	Limited     int32         // Stable after rate policies and bounds
	Limit       int32         // the size that the policies allowed (NoLimit where none was asked)
	Policy      int8          // index of the policy that set Limit; -1: none (no behavior, Disabled)
	Up          bool          // Limit is an upper one
	// Conditions are the HPA's status.conditions after the reconcile, in their order; unused places
	// have Type None.
	Conditions [4]Condition
	Events     []Event
	Reason     Reason // of the rescale, what SuccessfulRescale says; see RescaleReason
	Err        error  // what the reconcile returned; valid as long as the Decision
	spec       *Config
	fault      returned
	rescale    text
}

// NoLimit is Decision.Limit where no limit was computed.
const NoLimit int32 = -1 << 31

// Path is the code path that a reconcile took.
type Path uint8

// The paths.
const (
	ByMetrics     Path = iota // metrics, windows, limits
	AboveMax                  // size above maxReplicas: cut at once
	BelowMin                  // size below minReplicas: raised at once
	AtZero                    // disabled: the target stands at zero
	NoScale                   // the scale could not be read
	NoComputation             // metrics or selector failed
)

// Proposal is the size that one metric asks for.
type Proposal struct {
	Metric   *Metric
	Replicas int32
	Fault    Fault   // Code is OK when Replicas counts
	Ratio    float64 // usage over target, of the last pass
	First    float64 // ratio of the first pass, without missing and unready pods
	// UsageMilli is what the status reports: average value per pod, or the value itself.
	UsageMilli  int64
	Utilization int32 // percent of request as reported; only for utilization targets
	Ready       int32 // pods counted as they are
	Unready     int32 // pods left out, or counted as 0 upward
	Missing     int32 // pods without a sample
	Ignored     int32 // failed or terminating pods
	Metered     int32 // values in the last pass
	Tolerated   bool  // the ratio was within tolerance
	Kept        bool  // correction for missing or unready pods would have turned the direction: size kept
}
