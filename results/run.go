// Package results holds the records of a run and what follows from them: the
// timeline, the figures, the objectives and the verdicts.
//
// A Timeline is either measured (Run.Timeline) or simulated (tuner/replay). Both are
// judged by the same code.
package results

import "time"

// Schema is the version of the run folder and of `report -o json`.
const Schema = "hpatune.run/v1"

// Run is a recorded run, as read back from its folder.
type Run struct {
	Meta      Meta
	Profile   []byte            // profile.yaml as used
	Cluster   map[string][]byte // observed objects verbatim, by file name: "hpa.yaml", "target.yaml"; nil = none
	Requests  []Request         // by Arrival
	Samples   []Sample          // by At
	Pods      []Pod
	Syncs     []Sync
	Endpoints []Endpoints
	Events    []Event
	Gaps      []Gap
	Offsets   []Offset
	Warnings  []Warning
}

// Meta is meta.json: what a run was, apart from what happened in it.
// Times are seconds of run time where they are numbers.
type Meta struct {
	Schema  string    `json:"schema"`
	Run     string    `json:"run"` // the folder's name
	Version string    `json:"version"`
	Start   time.Time `json:"start"`
	Speed   float64   `json:"speed"`
	Seed    int64     `json:"seed"`
	// Partial is true until the run has ended as planned.
	Partial    bool     `json:"partial"`
	Why        string   `json:"why,omitempty"` // why it is partial: "interrupted", "abort: …", "disk full"
	DurationS  float64  `json:"duration_s"`    // how long it really ran; 0 while it runs
	Profile    string   `json:"profile"`
	Represents string   `json:"represents,omitempty"` // day, week or ""
	Objectives []string `json:"objectives,omitempty"`
	AtZero     string   `json:"at_zero,omitempty"` // what a request meets while no pod is ready: AtZero reads it

	Target   Target      `json:"target"`
	Workload Workload    `json:"workload"`
	HPA      HPAContext  `json:"hpa"`
	Client   Client      `json:"client"`
	Stages   []StageInfo `json:"stages"`
	Classes  []string    `json:"classes"`
	Backends []Backend   `json:"backends,omitempty"`
	// Queries are the PromQL of recorded samples whose name is not the query itself.
	Queries  map[string]string `json:"queries,omitempty"`
	Errors   []string          `json:"errors,omitempty"`   // folded error texts
	Context  map[string]string `json:"context,omitempty"`  // anything else worth knowing: image, digest, model, node type
	Capacity *Capacity         `json:"capacity,omitempty"` // of a capacity search
}

// Capacity is the highest rate at which the objectives held, at a fixed size,
// in requests a second of run time.
type Capacity struct {
	PerSec      float64  `json:"per_s"`
	LoPerSec    float64  `json:"lo_per_s"`
	HiPerSec    *float64 `json:"hi_per_s"` // lowest rate that was seen to fail; null = none did
	Why         string   `json:"why,omitempty"`
	PeakPerSec  float64  `json:"peak_per_s"`  // throughput where nobody minds the latency
	Concurrency int      `json:"concurrency"` // requests in flight that it takes
}

// TargetKind says what stood behind the address that the load went to.
type TargetKind string

// The kinds of target.
const (
	OfSandbox TargetKind = "sandbox" // hpatune's own workload on this machine
	OfURL     TargetKind = "url"     // an address, nothing known of its pods
	OfHPA     TargetKind = "hpa"     // a workload on a cluster under its HPA
	OfFixed   TargetKind = "fixed"   // a workload on a cluster at a fixed size
	OfLog     TargetKind = "log"     // not known: the requests are from a log that others wrote
)

// ConnectionMode says who opens connections, and so which replica gets what.
type ConnectionMode string

// The modes.
const (
	Realistic   ConnectionMode = "realistic" // pools of clients, renewed by age
	Pinned      ConnectionMode = "pinned"    // pools that are kept for the whole run
	Fresh       ConnectionMode = "fresh"     // a new connection for every request
	ToEndpoints ConnectionMode = "endpoints" // to every ready pod in turn
)

// SandboxController is HPAContext.Controller where the sandbox scaled.
const SandboxController = "sandbox"

// Target is where the load went.
type Target struct {
	Kind        TargetKind     `json:"kind"`
	URL         string         `json:"url,omitempty"` // without user info, query values or tokens
	Protocol    string         `json:"protocol"`
	Streams     bool           `json:"streams"`
	Connections ConnectionMode `json:"connections"`
}

// Workload is one replica of the scaled workload. Zero = unknown.
type Workload struct {
	Name          string `json:"name,omitempty"` // Deployment/inference-endpoint
	Namespace     string `json:"namespace,omitempty"`
	CPUMilli      int64  `json:"cpu_milli,omitempty"` // request
	CPULimitMilli int64  `json:"cpu_limit_milli,omitempty"`
	MemoryBytes   int64  `json:"memory_bytes,omitempty"` // request
	GPUs          int64  `json:"gpus,omitempty"`
	Image         string `json:"image,omitempty"`
	// Quotas are those of the namespace that count these pods.
	Quotas []Quota `json:"quotas,omitempty"`
}

// HPAContext is the autoscaler that was at work. Empty Name = none.
type HPAContext struct {
	Name       string `json:"name,omitempty"`
	Controller string `json:"controller,omitempty"` // kube-controller-manager, sandbox, none, unknown
	Kubernetes string `json:"kubernetes,omitempty"` // v1.37.2
	// Controller flags where known, else the defaults and Assumed = true.
	SyncPeriodS              float64 `json:"sync_period_s,omitempty"`
	Tolerance                float64 `json:"tolerance,omitempty"`
	DownscaleStabilizationS  float64 `json:"downscale_stabilization_s,omitempty"`
	CPUInitializationPeriodS float64 `json:"cpu_initialization_period_s,omitempty"`
	InitialReadinessDelayS   float64 `json:"initial_readiness_delay_s,omitempty"`
	Assumed                  bool    `json:"assumed,omitempty"`
	MetricWindowS            float64 `json:"metric_window_s,omitempty"` // metrics pipeline's window, 0 = unknown
}

// Client is the load generator's own condition.
type Client struct {
	CPURatio    float64 `json:"cpu_ratio"` // CPU seconds per wall second and core while loading; 0 = not measured
	CPUMeasured bool    `json:"cpu_measured"`
	Pacer       string  `json:"pacer"`       // nanosleep, portable
	Connections int     `json:"connections"` // opened in all
	InFlightCap int     `json:"in_flight_cap"`
	MaxInFlight int     `json:"max_in_flight"`
	Aborted     string  `json:"aborted,omitempty"` // the abort rule that fired
	// FloorS is the latency that the test bed itself adds (sandbox only), p99 in run-time seconds; 0 = not measured.
	FloorS float64 `json:"floor_s,omitempty"`
	// ForeignRatio is (served by the server − sent by us) / sent by us; null = not checked.
	ForeignRatio *float64 `json:"foreign_ratio"`
}

// StageInfo is a stage of the profile as it was scheduled.
type StageInfo struct {
	Name     string  `json:"name"`
	Shape    string  `json:"shape"` // rate, ramp, sine, trace
	FromS    float64 `json:"from_s"`
	ToS      float64 `json:"to_s"`
	Warmup   bool    `json:"warmup"`
	Arrivals int     `json:"arrivals"`
}

// Backend is one server that answered.
type Backend struct {
	Name     string   `json:"backend"` // pod name, or address where no more is known
	Address  string   `json:"address,omitempty"`
	ReadyAtS *float64 `json:"ready_at_s"` // null = unknown, or before the run
}

// warmup reports whether the instant at belongs to a warm-up stage.
func (m *Meta) warmup(at time.Duration) bool {
	for _, s := range m.Stages {
		if s.Warmup && at.Seconds() >= s.FromS && at.Seconds() < s.ToS {
			return true
		}
	}
	return false
}
