package hpa

// requester sums what pods request of one resource, for one metric.
type requester struct {
	memory, cpu bool
	container   string
	podLevel    bool
	lenient     bool // before 1.35 a container that is not there requests nothing
	// The pods of a Deployment share one slice of containers, so the last result is cached.
	last  *Container
	n     int
	sum   int64
	fault FaultCode
	at    string // the container at fault
}

// of returns the pod's request in thousandths, or which part of it is missing. Source:
// replica_calculator.go, calculateRequests.
func (q *requester) of(p *Pod) (int64, FaultCode) {
	if q.podLevel && q.container == "" && p.Level != nil && (p.Level.HasCPU || p.Level.HasMemory) {
		return q.level(p)
	}
	cs := p.Containers
	if len(cs) == 0 {
		if q.container != "" && !q.lenient {
			q.at = q.container
			return 0, FaultNoContainer
		}
		return 0, OK
	}
	if q.last == &cs[0] && q.n == len(cs) {
		return q.sum, q.fault
	}
	q.last, q.n = &cs[0], len(cs)
	q.sum, q.fault = q.containers(cs)
	return q.sum, q.fault
}

// containers looks at containers first, then at sidecars; ordinary init containers do not count.
// Source: replica_calculator.go, calculatePodRequestsFromContainers.
func (q *requester) containers(cs []Container) (sum int64, fault FaultCode) {
	for _, sidecars := range [2]bool{false, true} {
		for i := range cs {
			c := &cs[i]
			if c.Sidecar != sidecars || c.Init && !c.Sidecar || q.container != "" && q.container != c.Name {
				continue
			}
			request, ok := q.request(c)
			if !ok {
				q.at = c.Name
				return 0, FaultNoRequest
			}
			sum += request
			if q.container != "" {
				return sum, OK
			}
		}
	}
	if q.container != "" && !q.lenient {
		q.at = q.container
		return 0, FaultNoContainer
	}
	return sum, OK
}

func (q *requester) request(c *Container) (int64, bool) {
	switch {
	case q.cpu:
		return c.CPU, c.HasCPU
	case q.memory:
		return c.Memory, c.HasMemory
	}
	return 0, false
}

// level is the scheduler's view of a pod with pod-level requests: that value, or the sum that its
// containers need if the resource is not among them, plus the overhead. Source:
// component-helpers/resource/helpers.go, PodRequests.
func (q *requester) level(p *Pod) (int64, FaultCode) {
	var sum, overhead int64
	var found bool
	switch {
	case q.cpu && p.Level.HasCPU:
		sum, overhead, found = p.Level.CPU, p.Level.OverheadCPU, true
	case q.memory && p.Level.HasMemory:
		sum, overhead, found = p.Level.Memory, p.Level.OverheadMemory, true
	default:
		if q.cpu {
			overhead = p.Level.OverheadCPU
		} else if q.memory {
			overhead = p.Level.OverheadMemory
		}
		sum, found = q.aggregate(p.Containers)
	}
	if !found && overhead == 0 {
		q.at = ""
		return 0, FaultNoPodRequest
	}
	return sum + overhead, OK
}

// aggregate is the larger of two sums: the requests of containers and sidecars, and the most that
// an init container needs together with the sidecars that start before it.
func (q *requester) aggregate(cs []Container) (most int64, found bool) {
	var sum, before, initial int64
	for i := range cs {
		c := &cs[i]
		request, ok := q.request(c)
		found = found || ok
		switch {
		case c.Sidecar:
			sum += request
			before += request
			initial = max(initial, before)
		case c.Init:
			initial = max(initial, request+before)
		default:
			sum += request
		}
	}
	return max(sum, initial), found
}
