package results

// WarningID identifies what a Warning is about. Ids are stable; a run of another version
// may have others.
type WarningID string

// The warnings, by who doubts.
const (
	// the load generator
	WarnContentType     WarningID = "content-type"       // an event stream under another content type
	WarnOddFrames       WarningID = "odd-frames"         // frames that are no part of an answer
	WarnUsage           WarningID = "usage-not-believed" // a usage figure that cannot be true
	WarnNoEndMark       WarningID = "no-end-mark"        // and stream_end: lenient
	WarnNoFirstToken    WarningID = "no-first-token"     // no text
	WarnNotStreamed     WarningID = "not-streamed"       // a stream that came in one piece
	WarnShortAnswers    WarningID = "short-answers"      // fewer tokens than asked for
	WarnWorkerLost      WarningID = "worker-lost"        // a load generator of several
	WarnSandboxTooQuick WarningID = "sandbox-overdriven" // this machine does not keep up with the sandbox

	// the observer
	WarnObserverBlind WarningID = "observer-blind" // a source does not answer: see Gap
	WarnObserverLapse WarningID = "observer-lapse" // a metric lost its value
	WarnObserverLacks WarningID = "observer-lacks" // a source may not be read
	WarnHPAEdited     WarningID = "hpa-edited"
	WarnHPADeleted    WarningID = "hpa-deleted"
	WarnChangeUndone  WarningID = "change-undone" // what the run itself had changed
	WarnTargetScaled  WarningID = "target-scaled"
	WarnTargetChanged WarningID = "target-changed"
	WarnPodRestarted  WarningID = "pod-restarted"

	// whoever read the run
	WarnTornRecord WarningID = "torn-record"
	WarnTornPart   WarningID = "torn-part"
	WarnLogLines   WarningID = "log-lines" // of an imported log: no requests
	WarnLogDoubt   WarningID = "log-doubt"
)

// ReasonID identifies what a Reason of the trust line is about: one of these, or the
// WarningID of what somebody did to the HPA or its target during the run. Ids are stable.
type ReasonID string

// The reasons.
const (
	ReasonPartial     ReasonID = "partial"          // it did not end as planned
	ReasonTwice       ReasonID = "arrivals-twice"   // arrivals that are in the log more than once
	ReasonFew         ReasonID = "too-few-requests" // after warm-up
	ReasonImported    ReasonID = "imported"         // from a log that others wrote
	ReasonDelivered   ReasonID = "load-delivered"   // the schedule was sent
	ReasonLateness    ReasonID = "lateness"         // of the load generator
	ReasonCPU         ReasonID = "client-cpu"       // of the load generator
	ReasonNewReplicas ReasonID = "new-replicas"     // they get their share of the traffic
	ReasonForeign     ReasonID = "foreign-traffic"  // others used the servers, too
	ReasonGaps        ReasonID = "observer-gaps"    // what was to be watched was not visible
	ReasonFloor       ReasonID = "sandbox-floor"    // latency that the sandbox itself adds
	ReasonFroze       ReasonID = "replica-froze"    // a replica that answered nobody
	ReasonPodsDeleted ReasonID = "pods-deleted"     // by somebody other than the autoscaler
	ReasonSelfReplay  ReasonID = "self-replay"      // of a prediction: it does not reproduce the recording
)

// GapSource says which source could not be read in a Gap: one of these, or one with a name
// (Of), such as a metric of an HPA or a pod that is scraped.
type GapSource string

// The sources.
const (
	SourcePods       GapSource = "kube/pods"
	SourceTarget     GapSource = "kube/target"
	SourceHPA        GapSource = "kube/hpa"
	SourceEndpoints  GapSource = "kube/endpoints"
	SourceEvents     GapSource = "kube/events"
	SourceNodes      GapSource = "kube/nodes"
	SourceResources  GapSource = "metrics.k8s.io"
	SourceKubelet    GapSource = "kubelet"
	SourcePrometheus GapSource = "prometheus"
	SourceScrape     GapSource = "scrape"
	SourceSandbox    GapSource = "sandbox"
	SourceLoadgen    GapSource = "loadgen"
	SourceClient     GapSource = "client"
)

// Of is the part of a source that has a name of its own: scrape POD.
func (s GapSource) Of(name string) GapSource { return s + " " + GapSource(name) }

// SourceMetric is a metric of an HPA that is not of a resource, by its type in
// spec.metrics (Pods, Object, External).
func SourceMetric(kind, name string) GapSource { return GapSource(kind + metricOf + name) }

// metricOf stands between the two in SourceMetric.
const metricOf = " metric "
