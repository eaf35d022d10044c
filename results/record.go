package results

import "time"

// A Record is one thing that happened in a run. The set is closed: Request,
// Sample, Pod, Sync, Endpoints, Event, Gap, Offset, Warning and Name.
//
// Records are state with its time. Instants are offsets from the run's start
// (Clock.At), in run time; negative means before it.
type Record interface{ record() }

// Emit takes one record of a run. It must be safe for concurrent use, must not
// block its caller, and must not keep pointers into the record that the caller
// will write to.
type Emit func(Record)

func (Request) record()   {}
func (Sample) record()    {}
func (Pod) record()       {}
func (Sync) record()      {}
func (Endpoints) record() {}
func (Event) record()     {}
func (Gap) record()       {}
func (Offset) record()    {}
func (Warning) record()   {}
func (Name) record()      {}

// NotYet marks an instant of a Request that did not happen: no first token,
// never sent. Real instants of requests are never negative enough to meet it.
const NotYet = time.Duration(-1 << 63)

// Happened reports whether the instant d of a Request happened.
func Happened(d time.Duration) bool { return d != NotYet }

// Request is one arrival and what became of it, one row of requests/*.parquet.
type Request struct {
	Arrival int   // global index in the schedule; the shards of a fleet keep it
	Stage   int16 // index into Meta.Stages
	Class   int16 // index into Meta.Classes

	// Instants from the run's start, each NotYet where it did not happen.
	// First and Last are the first and the last chunk with content of a
	// streamed answer; for an answer in one piece both are NotYet. Done is the
	// end, good or bad: last byte, error, time-out, cancellation.
	Scheduled, Sent, First, Last, Done time.Duration

	GapMax time.Duration // longest gap between two pieces with content; 0 with fewer than two
	// Pieces is how many times content came: what came within 1 ms came together,
	// at the instant of its first byte, and counts once, however many chunks and
	// tokens it held. 0 = not counted.
	Pieces int

	Prompt     int         // prompt tokens asked for, or those of usage; 0 = unknown
	Tokens     int         // tokens answered; see TokensFrom
	TokensFrom TokenSource // where Tokens comes from

	Outcome Outcome
	Code    int   // HTTP status, gRPC code; 0 = none came
	Err     int32 // index into Meta.Errors; -1 = none
	Backend int32 // index into Meta.Backends; -1 = not visible
	NewConn bool  // the request opened its connection
}

// TokenSource says where a token count comes from.
type TokenSource int8

// The sources of token counts.
const (
	TokensNone   TokenSource = iota // not counted
	TokensUsage                     // the server's usage figure
	TokensChunks                    // content chunks counted: chunks, not tokens
)

// Outcome is how a request ended.
type Outcome int8

// The outcomes.
const (
	OK        Outcome = iota // a good answer
	Shed                     // never sent: the in-flight cap was reached
	Timeout                  // a deadline passed: connect, first token, idle or total
	Connect                  // no connection: DNS, refused, TLS
	Reset                    // the connection broke before the end of the answer
	HTTP429                  // 429 Too Many Requests
	HTTP4xx                  // any other 4xx
	HTTP5xx                  // any 5xx
	InBand                   // a 200 with an error inside, or of the wrong shape
	Truncated                // the answer ended without its end mark
	Canceled                 // ended by us: Ctrl-C, abort rule
)

// outcomeNames are the words of INTERFACES.md, in the order of the constants.
var outcomeNames = [...]string{
	"ok",
	"shed",
	"timeout",
	"connect",
	"reset",
	"http_429",
	"http_4xx",
	"http_5xx",
	"in_band",
	"truncated",
	"canceled",
}

// Outcomes is the number of outcomes: Outcome values are 0..Outcomes-1.
const Outcomes = len(outcomeNames)

func (o Outcome) String() string {
	if o < 0 || int(o) >= len(outcomeNames) {
		return "unknown"
	}
	return outcomeNames[o]
}

// Failed reports whether the outcome is neither OK nor Shed.
func (o Outcome) Failed() bool { return o != OK && o != Shed }

var tokenSourceNames = [...]string{"none", "usage", "chunks"}

func (s TokenSource) String() string {
	if s < 0 || int(s) >= len(tokenSourceNames) {
		return "unknown"
	}
	return tokenSourceNames[s]
}

// Sample is one number at one time: anything numeric and periodic, live or
// imported, one row of samples/*.parquet.
type Sample struct {
	At        time.Duration
	Source    string // "metrics.k8s.io", "prometheus", "custom.metrics.k8s.io", "client", …
	Name      string // metric name as its source spells it, unit included ("cpu_milli", "memory_bytes")
	Pod       string // "" = not of one pod
	Container string
	Value     float64
	Window    time.Duration // averaged over; 0 = an instant
	SampledAt time.Duration // when the source took it; NotYet = it does not say
}

// Names and sources of samples that more than one place knows.
const (
	SampleCPU    = "cpu_milli"    // of the metrics API, thousandths of a core
	SampleMemory = "memory_bytes" // of the metrics API
	FromClient   = "client"       // the load generator's own
	FromLog      = "log"          // of an imported log
)

// RescaleEvent is the reason of the event that the HPA's controller writes of a rescale.
const RescaleEvent = "SuccessfulRescale"

// PodPhase is a step in a pod's life, in the order of a cold start.
type PodPhase string

// The phases, in the order of a cold start.
const (
	PodCreated     PodPhase = "created"
	PodScheduled   PodPhase = "scheduled"
	PodNodeAdded   PodPhase = "node_added"
	PodPulled      PodPhase = "pulled"
	PodStarted     PodPhase = "started" // containers run
	PodReady       PodPhase = "ready"
	PodUnready     PodPhase = "unready"
	PodFirstAnswer PodPhase = "first_answer" // first good answer seen by the client
	PodDeleted     PodPhase = "deleted"      // deletionTimestamp set: draining
	PodGone        PodPhase = "gone"         // no longer there, no longer billed
)

// Pod is a pod that entered a phase.
type Pod struct {
	At       time.Duration
	Name     string
	Phase    PodPhase
	Node     string
	Backend  string // address the client sees it under, "ip:port"; "" = unknown
	Restarts int
}

// Sync is one reconcile of the HPA as far as it could be seen: the sandbox sees
// all of it, a cluster shows what its status says. It is a scenario
// observation (tuner/scenario) with what was decided.
type Sync struct {
	At       time.Duration
	Spec     int32 // spec.replicas of the scale, before
	Status   int32 // status.replicas of the scale
	Desired  int32 // status.desiredReplicas, after
	Replicas int32 // spec.replicas, after
	Reason   string
	Selector string
	// Conditions after the reconcile.
	Conditions []Condition
	// Pods as they were, matching the selector.
	Pods []PodState
	// Metrics holds one reading per entry of spec.metrics, in order.
	Metrics []Reading
	Err     string // what the reconcile returned; "" = nothing
	Restart bool   // the controller lost its memory before it
}

// Rescaled reports whether the reconcile changed the size.
func (s Sync) Rescaled() bool { return s.Replicas != s.Spec }

// Condition is a condition of the HPA's status, in Kubernetes' own words.
type Condition struct{ Type, Status, Reason, Message string }

// PodState is a pod as the HPA controller sees it.
type PodState struct {
	Name       string
	Phase      string // Pending, Running, Succeeded, Failed, Unknown
	Ready      string // True, False, Unknown; "" = no Ready condition
	ReadySince time.Duration
	Started    time.Duration // status.startTime; NotYet = nil
	Deleted    bool
	Containers []ContainerState
	// Pod-level requests, in milli; -1 = none.
	PodCPUMilli, PodMemoryBytes int64
}

// ContainerState is what the HPA controller needs of a container.
type ContainerState struct {
	Name string
	// Requests; -1 = none.
	CPUMilli, MemoryBytes int64
	Init, Sidecar         bool
}

// Reading is what one metric said at a sync.
type Reading struct {
	Metric string // the metric's name
	// Pods has the per-pod values of Resource, ContainerResource and Pods metrics.
	Pods []PodValue
	// Values has the series of Object (one) and External (any number), in milli.
	Values []int64
	Err    string
}

// PodValue is one pod's value of a metric.
type PodValue struct {
	Pod       string
	Container string // "" = the pod's one value
	Milli     int64  // millicores, bytes×1000, thousandths
	At        time.Duration
	Window    time.Duration
}

// Endpoints is who gets traffic from At on.
type Endpoints struct {
	At    time.Duration
	Ready []string // addresses "ip:port", sorted
}

// Event is something said about an object: colour, never state.
type Event struct {
	At      time.Duration
	Source  string // component
	Object  string // Kind/name
	Type    string // Normal, Warning
	Reason  string
	Message string
}

// Gap is a stretch in which a source was blind.
type Gap struct {
	Source   GapSource
	From, To time.Duration
	Why      string
}

// Offset is the clock offset of one shard of a fleet against the first.
type Offset struct {
	At     time.Duration
	Shard  int
	Offset time.Duration // add to the shard's times
	Error  time.Duration // ± bound
}

// Warning is a doubt: not an error, but a person should see it.
type Warning struct {
	At   time.Duration
	ID   WarningID
	Text string
}

// Table names a table that records point into by index.
type Table string

// The tables.
const (
	ErrorTable   Table = "errors"   // Meta.Errors, by Request.Err
	BackendTable Table = "backends" // Meta.Backends, by Request.Backend
)

// Name puts an entry into a table: the error text or the backend behind an
// index. It is emitted before the first Request that uses the index, so that
// a run that was killed can still tell its errors apart.
type Name struct {
	Table   Table
	Index   int32
	Text    string // error: folded text; backend: pod name, or address where no more is known
	Address string // backends: "ip:port"
}
