package hpa

// text is a message in pieces: it is put together only when somebody reads it.
type text struct {
	form     form
	n, m     int32
	metric   *Metric
	selector string
	fault    Fault
	err      error
}

type form uint8

// returned is the error of a reconcile, kept in the Decision so that making it costs nothing.
type returned struct{ text }

// Fault is why a metric gave no proposal. It is a value: the texts are made when asked for.
type Fault struct {
	Code      FaultCode
	Pod       string // the first by name of the pods at fault
	Container string
	Err       error // the API's own, for FaultAPI
}

// FaultCode is the kind of a Fault.
type FaultCode uint8

// The faults.
const (
	OK                  FaultCode = iota
	FaultAPI                      // the metrics API answered with an error
	FaultNothingListed            // … with an empty list
	FaultNoPods                   // the selector matches no pod
	FaultNoSamples                // no pod that counts has a sample
	FaultNoRequest                // a container has no request
	FaultNoContainer              // a pod has no such container
	FaultNoPodRequest             // pod-level requests lack the resource
	FaultNothingMatched           // requests sum to zero
	FaultNoTarget                 // the target has no usable value
	FaultUnknownSource            // no such metric source
)
