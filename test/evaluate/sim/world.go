// Package sim simulates a cluster that serves requests. It is written from first principles and
// shares no code with the product's own models: pods that start and terminate, a balancer, a server
// that queues and works, a metrics pipeline, a controller loop. It runs event by event and request
// by request, knows the truth, and writes what an observer and a load generator would have
// recorded.
//
// It uses two packages of the product: the records of a run (results), since it writes one, and the
// scaling core (tuner/hpa), which test/conformance compares with kube-controller-manager. Times are
// seconds from the start of the day, CPU is in cores, and counts are of one pod unless noted.
package sim

import (
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// World is one true cluster, its load and how it is recorded. It is immutable; Run simulates a day
// of it.
type World struct {
	Name     string
	Balancer Balancer
	Service  Service
	Startup  Startup
	Pod      Pod
	Metric   Pipeline
	Load     Load
	Text     Text

	// Objectives are judged on each day: a day is good if all of them hold.
	Objectives []Objective
	// Current is the hand-written configuration, under which recordings are made.
	Current hpa.Config
	Initial int // pods that are ready when a day begins; at least the configuration's minReplicas are

	Record Recording
}

// Pod is the request of one pod and its CPU use at rest.
type Pod struct {
	CPURequest, CPULimit float64 // cores; limit 0 = none
	MemoryBytes          int64
	IdleCores            float64 // burnt from the start of its containers on
}

// Objective is a limit on a quantile of a latency.
type Objective struct {
	Text     string // as the product reads it: "ttft.p95 < 2s"
	Metric   string // ttft, e2e, or tpot: seconds a token after the first
	Quantile float64
	Limit    float64
}

// Recording is what a recording can see.
type Recording struct {
	Hidden bool // no header says which pod answered
}

// Startup is how a new pod becomes ready: four phases, each lognormal around its median.
type Startup struct {
	Schedule, Pull, Start, Load float64 // medians
	Spread                      float64 // σ of the logarithm of each phase
	BurnCores                   float64 // CPU while it loads
	Tail                        float64 // this share of pods takes …
	TailTimes                   float64 // … so many times as long to load
}

// Pipeline is how metrics reach the controller.
type Pipeline struct {
	CPUEvery, CPUDelay float64 // metrics-server: interval, and how late it can be read
	GaugeEvery         float64 // Prometheus scrapes each pod; what it has can be read at once
}

// DefaultPipeline is metrics-server's and Prometheus' defaults.
func DefaultPipeline() Pipeline { return Pipeline{CPUEvery: 15, CPUDelay: 2, GaugeEvery: 15} }

// Names of the gauges that a configuration may scale on.
const (
	InFlight = "inference_in_flight"           // running + waiting
	Running  = "vllm:num_requests_running"     // in service
	Queue    = "vllm:num_requests_waiting"     // queued
	Total    = "inference_in_flight_total"     // External: the sum over pods
	QueueSum = "inference_requests_queue_size" // External: the sum over pods
)

func dur(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// whole is a time as API objects store it: truncated to seconds.
func whole(s float64) time.Duration { return dur(s).Truncate(time.Second) }
