// Package gen writes random autoscaling scenarios in the interchange format of
// `hpatune decide`, from a seed.
//
// It knows the format but none of the rules: what must be decided comes from the real
// controller (package reference), never from this package.
package gen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// A Scenario is one HPA, its target, and what its controller sees at each reconcile. The
// JSON form is the one that `hpatune decide` reads.
type Scenario struct {
	ID              string          `json:"id"`
	HPA             json.RawMessage `json:"hpa"`
	Controller      *Controller     `json:"controller,omitempty"`
	FeatureGates    map[string]bool `json:"featureGates,omitempty"`
	Start           string          `json:"start,omitempty"`       // RFC 3339
	TickSeconds     float64         `json:"tickSeconds,omitempty"` // 0 = syncPeriod
	InitialReplicas int32           `json:"initialReplicas"`
	Containers      []Container     `json:"containers,omitempty"` // of pods that list none
	InitialState    *InitialState   `json:"initialState,omitempty"`
	Observations    []Observation   `json:"observations"`
}

// Controller holds the flags of kube-controller-manager; nil means its defaults.
type Controller struct {
	Tolerance               *float64  `json:"tolerance,omitempty"`
	DownscaleStabilization  *Duration `json:"downscaleStabilization,omitempty"`
	CPUInitializationPeriod *Duration `json:"cpuInitializationPeriod,omitempty"`
	InitialReadinessDelay   *Duration `json:"initialReadinessDelay,omitempty"`
	SyncPeriod              *Duration `json:"syncPeriod,omitempty"`
}

// A Container is one container of a pod or of a metric. CPU and memory are its requests in
// a pod, and its usage in a metric.
type Container struct {
	Name        string `json:"name"`
	CPUMilli    *int64 `json:"cpuMilli,omitempty"`
	MemoryBytes *int64 `json:"memoryBytes,omitempty"`
	Init        bool   `json:"init,omitempty"`
	Sidecar     bool   `json:"sidecar,omitempty"` // a restartable init container
}

// InitialState is what the controller remembers, and the part of the HPA's status that
// outlives a controller. Times are in seconds since start.
type InitialState struct {
	Recommendations []Recommendation `json:"recommendations,omitempty"`
	ScaleUpEvents   []Change         `json:"scaleUpEvents,omitempty"`
	ScaleDownEvents []Change         `json:"scaleDownEvents,omitempty"`
	Conditions      []Condition      `json:"conditions,omitempty"`
	LastScaleTime   *float64         `json:"lastScaleTime,omitempty"`
	DesiredReplicas int32            `json:"desiredReplicas,omitempty"`
	CurrentReplicas int32            `json:"currentReplicas,omitempty"`
}

// A Recommendation is a proposal before stabilization and limits.
type Recommendation struct {
	At       float64 `json:"at"`
	Replicas int32   `json:"replicas"`
}

// A Change is a rescale by the HPA itself; Change is positive.
type Change struct {
	At     float64 `json:"at"`
	Change int32   `json:"change"`
}

// A Condition is one condition of the HPA's status.
type Condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// An Observation is one reconcile.
type Observation struct {
	At             *float64                `json:"at,omitempty"` // seconds since start; nil = index × tickSeconds
	SpecReplicas   *int32                  `json:"specReplicas,omitempty"`
	StatusReplicas *int32                  `json:"statusReplicas,omitempty"`
	Selector       *string                 `json:"selector,omitempty"`
	Pods           *[]Pod                  `json:"pods,omitempty"` // nil = unchanged
	Resource       *ResourceMetrics        `json:"resourceMetrics,omitempty"`
	PodsMetrics    map[string]PodsMetric   `json:"podsMetrics,omitempty"`
	Objects        map[string]ObjectMetric `json:"objectMetrics,omitempty"`
	External       map[string]SeriesMetric `json:"externalMetrics,omitempty"`
	ScaleGetError  string                  `json:"scaleGetError,omitempty"`
	UpdateError    string                  `json:"scaleUpdateError,omitempty"`
	Conflicts      int                     `json:"scaleConflicts,omitempty"`
	StatusError    string                  `json:"statusError,omitempty"`
	HPA            json.RawMessage         `json:"hpa,omitempty"` // edited before this reconcile
	Restart        bool                    `json:"restart,omitempty"`
}

// A Pod is a pod as the informer has it. Times are whole seconds since start, because the
// API stores no fractions.
type Pod struct {
	Name           string            `json:"name"`
	Phase          string            `json:"phase"`
	Ready          string            `json:"ready"` // True, False, Unknown; "" = no Ready condition
	Transition     *float64          `json:"readyTransition,omitempty"`
	StartTime      *float64          `json:"startTime,omitempty"`
	Deleted        bool              `json:"deleted,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
	Containers     []Container       `json:"containers,omitempty"`
	PodCPUMilli    *int64            `json:"podCpuMilli,omitempty"`
	PodMemoryBytes *int64            `json:"podMemoryBytes,omitempty"`
}

// ResourceMetrics is the answer of metrics.k8s.io.
type ResourceMetrics struct {
	Error string      `json:"error,omitempty"`
	Pods  []PodSample `json:"pods,omitempty"`
}

// A PodSample is the usage of one pod's containers.
type PodSample struct {
	Pod           string      `json:"pod"`
	Timestamp     float64     `json:"timestamp"`
	WindowSeconds float64     `json:"windowSeconds"`
	Containers    []Container `json:"containers"`
}

// A PodsMetric is the answer of custom.metrics.k8s.io for pods.
type PodsMetric struct {
	Error  string     `json:"error,omitempty"`
	Values []PodValue `json:"values,omitempty"`
}

// A PodValue is one pod's value in thousandths.
type PodValue struct {
	Pod           string `json:"pod"`
	Milli         int64  `json:"milli"`
	WindowSeconds *int64 `json:"windowSeconds,omitempty"`
}

// An ObjectMetric is the answer of custom.metrics.k8s.io for one object.
type ObjectMetric struct {
	Error string `json:"error,omitempty"`
	Milli int64  `json:"milli"`
}

// A SeriesMetric is the answer of external.metrics.k8s.io: one value per series.
type SeriesMetric struct {
	Error string  `json:"error,omitempty"`
	Milli []int64 `json:"milli,omitempty"`
}

// Duration is a time.Duration. In JSON it reads "5m" or a number of seconds, and writes "5m0s".
type Duration time.Duration

// UnmarshalJSON reads a Go duration string or a number of seconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var sec float64
	if err := json.Unmarshal(b, &sec); err == nil {
		*d = Duration(Seconds(sec))
		return nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("duration %s: neither a string nor a number", b)
	}
	v, err := time.ParseDuration(s)
	*d = Duration(v)
	return err
}

// MarshalJSON writes the duration as a Go duration string.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// Seconds converts seconds to a duration, rounded to milliseconds as in the format.
func Seconds(s float64) time.Duration {
	ms := s * 1000
	if ms < 0 {
		return time.Duration(ms-0.5) * time.Millisecond
	}
	return time.Duration(ms+0.5) * time.Millisecond
}

// Parse reads one scenario. An unknown field is an error, so that no part of a file is
// silently left out of the comparison.
func Parse(b []byte) (*Scenario, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var s Scenario
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("scenario %q: more than one JSON object", s.ID)
	}
	return &s, nil
}

// Sync returns the controller's period between two reconciles.
func (s *Scenario) Sync() time.Duration {
	if s.Controller != nil && s.Controller.SyncPeriod != nil {
		return time.Duration(*s.Controller.SyncPeriod)
	}
	return 15 * time.Second // --horizontal-pod-autoscaler-sync-period's default
}

// At returns when observation i happens, as time since the scenario's start.
func (s *Scenario) At(i int) time.Duration {
	if at := s.Observations[i].At; at != nil {
		return Seconds(*at)
	}
	if s.TickSeconds > 0 {
		return Seconds(float64(i) * s.TickSeconds)
	}
	return time.Duration(i) * s.Sync()
}

// A Result is what one reconcile did, in the output form of `hpatune decide`
// (the fields that can be seen from outside the controller).
type Result struct {
	Tick            int         `json:"tick"`
	CurrentReplicas int32       `json:"currentReplicas"`
	DesiredReplicas int32       `json:"desiredReplicas"` // status.desiredReplicas afterwards
	Replicas        int32       `json:"replicas"`        // spec.replicas of the target afterwards
	Scaled          bool        `json:"scaled"`
	Reason          string      `json:"reason,omitempty"`
	Conditions      []Condition `json:"conditions"`
	Events          []Event     `json:"events"`
	Error           string      `json:"error,omitempty"`
}

// An Event is an event as the recorder received it, before any rate limit.
type Event struct {
	Type    string `json:"type"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}
