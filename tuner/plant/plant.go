// Package plant simulates what the autoscaler acts on: replicas that start, serve, queue and
// drain, and the metrics that they export.
//
// There are two plants with one interface. Fluid moves fractions of requests second by second,
// with one queue per cohort (pods that became ready in the same step). It is fast enough to
// search a whole grid. Exact simulates every request as an event. It ranks the short list, and
// tests compare Fluid with it. Both share the life cycle of pods, the service laws and the
// metric pipes.
// the life cycle of pods, the service laws and the metric pipes.
// Times inside are float64 seconds since the start of the run. Counts are per replica if a
// name says so. tuner/MODEL.md has the equations.
// where a name says so. The equations are in tuner/MODEL.md.
package plant

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Balancer decides which replica gets the next request.
type Balancer int8

// The balancers.
const (
	RoundRobin       Balancer = iota // ready replicas in turn
	Random                           // a ready replica, independently (kube-proxy per connection, fresh connections)
	LeastConnections                 // the ready replica with the fewest in flight
	LeastWaiting                     // the ready replica with the shortest queue
	// the replica of the connection, which was chosen at random when it was opened: Connections
	Aged
)

// Balancers lists all balancers, in the order of the constants.
var Balancers = []Balancer{RoundRobin, Random, LeastConnections, LeastWaiting, Aged}

func (b Balancer) String() string {
	switch b {
	case RoundRobin:
		return "round-robin"
	case Random:
		return "random"
	case LeastConnections:
		return "least-connections"
	case LeastWaiting:
		return "least-waiting"
	case Aged:
		return "aged-connections"
	}
	return "unknown"
}

// Law is how one ready replica serves, as a table. It describes both slots and the iterations
// of a language-model server, and its readers need not know which.
type Law struct {
	// Rate[i] is the completions per second of one replica with i requests in service.
	// Rate[0] = 0, and len(Rate)-1 is the number of slots: more requests wait in the replica's own
	// queue, first in first out. Rate must not fall as i grows (cut a law at its peak).
	Rate []float64
	// Times is a sample of service times without any waiting, each with the same weight. With i
	// requests in service, all of them are stretched by one factor, so that their mean is
	// i/Rate[i] (Little's law).
	Times []ServiceTime
	// Queue is how many requests may wait at one replica; a request beyond it fails at once.
	// 0 = no bound.
	Queue int
	// Timeout and FirstToken are the client's timeouts, from the scheduled send to the end and
	// to the first token. A request that takes longer fails at that time and frees its place.
	// 0 = no timeout.
	Timeout, FirstToken time.Duration
	// Quota is the CPU limit; the zero Quota is no limit. Rate and Times are those at full
	// speed.
	Quota Quota
	// Between is the fewest and the most requests at once that the recording is consistent
	// with; zeros = Slots is known. Drawn days vary within it.
	Between [2]int `json:",omitzero"`
	// Young is how much longer requests take at a replica that has just become ready, while
	// caches and compilers warm up. It is sorted by age; nil = no longer. The fluid plant
	// ignores it.
	Young []Youth `json:",omitempty"`
	// Iterations is how a server of language models serves; nil = by slots. If set, Rate[i] is
	// the throughput with i requests in the server, and Times are those of requests served
	// alone (LanguageLaw).
	Iterations *Iterations `json:",omitempty"`
}

// Youth is the stretch of requests at a replica up to an age, counted from readiness.
type Youth struct {
	Until   time.Duration
	Stretch float64 // ≥ 1
}

// young returns the stretch at an age, in seconds since readiness.
func (l *Law) young(age float64) float64 {
	for _, y := range l.Young {
		if age < y.Until.Seconds() {
			return y.Stretch
		}
	}
	return 1
}

// ServiceTime is one request's service without waiting, in seconds.
type ServiceTime struct {
	Class  int16   // of the profile; the exact plant draws by class
	First  float64 // to the first token; equal to Total if answers do not stream or come in one piece
	Total  float64 // to the end
	Tokens float64 // tokens in the answer
	Prompt float64 `json:",omitempty"` // tokens in the prompt; 0 = unknown
	Gap    float64 `json:",omitempty"` // longest time between two tokens; 0 = unknown
	// Work is what the request costs under a CPU limit, in mean requests; 0 = in proportion to
	// Total. Waiting for a processor adds to its time but costs nothing.
	Work float64 `json:",omitempty"`
	// Streamed means that the answer had a first token, even if in one piece with the last, so
	// its TTFT counts. An answer with First before Total streamed in any case.
	Streamed bool `json:",omitempty"`
}

// hasFirst reports whether the answer has a time to its first token.
func (t *ServiceTime) hasFirst() bool { return t.Streamed || t.First < t.Total }

// SlotsLaw returns the law of a replica with the given number of independent slots, whose
// service times do not depend on how many are busy.
func SlotsLaw(slots int, times []ServiceTime) Law {
	mean := meanTotal(times)
	rate := make([]float64, slots+1)
	for i := range rate {
		rate[i] = float64(i) / mean
	}
	return Law{Rate: rate, Times: times}
}

// Slots returns how many requests one replica serves at once.
func (l *Law) Slots() int { return len(l.Rate) - 1 }

// Capacity returns the completions per second of one replica with all slots busy, within its
// CPU limit.
func (l *Law) Capacity() float64 { return min(l.Rate[len(l.Rate)-1], l.Quota.Most()) }

// limited reports whether the CPU limit bounds the capacity.
func (l *Law) limited() bool { return l.Quota.Most() < l.Rate[len(l.Rate)-1] }

// PhaseSample is one pod's measured cold start, phase by phase. The phases of one pod are kept
// together, because they depend on each other.
type PhaseSample struct {
	Schedule time.Duration // created → on a node (waiting for one included)
	Pull     time.Duration // → image there
	Start    time.Duration // → containers run
	Ready    time.Duration // → ready: loading, warm-up, probe
}

// Total is the time from creation to readiness.
func (p PhaseSample) Total() time.Duration { return p.Schedule + p.Pull + p.Start + p.Ready }

// Drain is how a deleted pod leaves. It gets no new requests, finishes those that it has, and
// is billed until it is gone.
type Drain struct {
	Min   time.Duration // the pod stays at least this long after its deletion
	Grace time.Duration // after it, requests in flight are cut off and fail; 0 = 30 s, Kubernetes' default
}

// Limits are the per-request limits that a request must meet to count in Tick.Good; 0 = none.
type Limits struct{ TTFT, ITL, TPOT, E2E time.Duration }

// Spec is everything a plant is made of.
type Spec struct {
	Step     time.Duration // of a tick; 0 = 1 s
	Law      Law
	Balancer Balancer
	// Connections are the clients', for Aged.
	Connections Connections
	Start       []PhaseSample
	Drain       Drain
	Pipes       []Pipe
	Limits      Limits
	// Hold is how long a proxy before the pods holds a request while no pod is ready. 0 = there
	// is no such proxy, and the request fails at once.
	Hold time.Duration
	// ArrivalCV2 is the squared coefficient of variation of the gaps between all arrivals:
	// 0 constant, 1 Poisson.
	ArrivalCV2 float64
	// NoiseSeen is the share (0..1) of the arrivals' variance that the counts per step already
	// contain: 1 for recorded counts, 0 for rates. The fluid plant must not count it twice.
	NoiseSeen float64
	Seed      uint64
	// Nodes is the nodes that pods run on; nil = every pod is scheduled at once.
	Nodes *Nodes
	// Admitted is how many pods a ResourceQuota admits; 0 = no quota.
	Admitted int
}

// admitted returns how many pods exist if wanted are desired: a ReplicaSet cannot create pods
// that a ResourceQuota refuses.
func (m *Model) admitted(wanted int) int {
	if m.Admitted > 0 {
		return min(wanted, m.Admitted)
	}
	return wanted
}

// Model is a Spec that was checked and compiled to tables. It is immutable, and all Fluids and
// Exacts share it.
type Model struct {
	Spec
	dt             float64 // seconds per tick
	cap            float64 // completions per second of one replica
	slots          float64
	full           float64    // bound of requests in the system of one replica, from its queue; +Inf = none
	wait           float64    // the longest that a client waits in a queue, seconds; +Inf = no timeout
	toEnd, toFirst float64    // the client's timeouts, seconds
	patience       []patience // by 1/ρ
	grace          float64
	drain          float64
	hold           float64
	ages           bool          // a pipe reads ages
	takes          [][]taken     // by pipe: the law's times for one that reads times, else nil
	times          []ServiceTime // condensed
	tokens         float64       // mean tokens of an answer
	pipes          []pipe
	// flow is the pipes as the fluid plant reads them: if the pods of a cohort are scraped
	// apart, they are read at all phases at once, half an interval later.
	flow []pipe
	// pools[k] serves n replicas if poolFor(n) = k.
	pools []*pool
	start []startTimes
	// inOrder is the index of the pod that takes the first cold start; -1: starts are drawn.
	inOrder int
	// byClass holds the law's times by the class of their request; −1 holds all.
	byClass map[int16][]ServiceTime
	sized   map[int16]*sizes // the same by size; a class without token counts has none
	// pace multiplies service times in the exact plant; 0 = 1.
	pace float64
	// waits multiplies service times under a CPU limit, but not CPU costs; 0 = 1.
	waits float64
}

type startTimes struct{ scheduled, started, ready float64 } // since creation, seconds

// Compile checks a Spec and builds its tables. It reports all problems at once.
func Compile(s Spec) (*Model, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("plant: "+format, args...)) }
	if s.Step == 0 {
		s.Step = time.Second
	}
	if s.Step < 0 {
		bad("step %v is negative; try 1s", s.Step)
	}
	if s.Drain.Grace == 0 {
		s.Drain.Grace = 30 * time.Second // terminationGracePeriodSeconds' default
	}
	s.Law.check(bad)
	if len(s.Start) == 0 {
		bad("no start-up sample; give at least one PhaseSample")
	}
	for i, p := range s.Start {
		if p.Schedule < 0 || p.Pull < 0 || p.Start < 0 || p.Ready < 0 {
			bad("start-up sample %d has a negative phase: %+v", i, p)
		}
	}
	if s.Hold < 0 {
		bad("hold %v is negative", s.Hold)
	}
	if len(s.Pipes) > MaxPipes {
		bad("%d metrics; at most %d are simulated", len(s.Pipes), MaxPipes)
	}
	if s.ArrivalCV2 < 0 || math.IsNaN(s.ArrivalCV2) {
		bad("arrival cv² %g is not a number ≥ 0", s.ArrivalCV2)
	}
	if !(s.NoiseSeen >= 0 && s.NoiseSeen <= 1) {
		bad("noise seen %g is not a ratio", s.NoiseSeen)
	}
	m := &Model{Spec: s, inOrder: -1, dt: s.Step.Seconds(), grace: s.Drain.Grace.Seconds(), drain: s.Drain.Min.Seconds(),
		hold: s.Hold.Seconds()}
	for i, p := range s.Pipes {
		c := p.compile(i, s.Step, bad)
		m.ages = m.ages || p.PerOldest != 0
		m.pipes, m.flow = append(m.pipes, c), append(m.flow, c.flowing(m.dt))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	m.cap, m.slots = s.Law.Capacity(), float64(s.Law.Slots())
	m.full, m.wait = math.Inf(1), math.Inf(1)
	m.toEnd, m.toFirst = math.Inf(1), math.Inf(1)
	if s.Law.Timeout > 0 {
		m.toEnd = s.Law.Timeout.Seconds()
	}
	if s.Law.FirstToken > 0 {
		m.toFirst = s.Law.FirstToken.Seconds()
	}
	m.wait = min(m.toEnd, m.toFirst)
	if s.Law.Queue > 0 {
		m.full = m.slots + float64(s.Law.Queue)
	}
	for _, p := range s.Start {
		m.start = append(m.start, p.times())
	}
	m.classify()
	m.times = s.Law.condensed(goodPoints)
	for _, t := range m.times {
		m.tokens += t.Tokens / float64(len(m.times))
	}
	m.compileTimes()
	m.compilePatience()
	m.compilePools()
	return m, nil
}

func (l *Law) check(bad func(string, ...any)) {
	if len(l.Rate) < 2 {
		bad("law has %d rates; it needs Rate[0] = 0 and one a slot", len(l.Rate))
		return
	}
	if l.Rate[0] != 0 {
		bad("law: Rate[0] is %g; nothing in service completes nothing", l.Rate[0])
	}
	if l.Iterations != nil {
		l.Iterations.check(bad)
	}
	for i := 1; i < len(l.Rate); i++ {
		if !(l.Rate[i] > 0) || math.IsInf(l.Rate[i], 0) || l.Rate[i] < l.Rate[i-1]*(1-1e-9) {
			bad("law: Rate[%d] is %g after %g; rates must be positive and must not fall", i, l.Rate[i], l.Rate[i-1])
			break
		}
	}
	if len(l.Times) == 0 {
		bad("law has no service times")
	}
	for i, t := range l.Times {
		if !(t.Total > 0) || math.IsInf(t.Total, 0) || !(t.First >= 0) || t.First > t.Total {
			bad("law: service time %d is first %g s, total %g s; need 0 ≤ first ≤ total, total > 0", i, t.First, t.Total)
			break
		}
	}
	l.Quota.check(bad)
	for i, y := range l.Young {
		if !(y.Stretch > 0) || y.Until <= 0 || i > 0 && y.Until <= l.Young[i-1].Until {
			bad("law: age %d is %+v; want ages in order and stretches above 0", i, y)
		}
	}
	if l.Queue < 0 || l.Timeout < 0 || l.FirstToken < 0 {
		bad("law: queue %d, timeout %v, first token %v; none may be negative", l.Queue, l.Timeout, l.FirstToken)
	}
}

// startOf returns the cold start of the i-th pod created in the run. It depends on seed and i
// alone, so that all candidates get the same starts.
func (m *Model) startOf(i int) startTimes {
	if m.inOrder >= 0 {
		return m.start[max(0, i-m.inOrder)%len(m.start)]
	}
	return m.start[mix(m.Seed, uint64(i))%uint64(len(m.start))]
}

// InOrder returns a model in which the k-th created pod starts as the k-th of the sample did,
// for a replay of the run from which the sample was taken. n is the number of pods at the
// start.
func (m *Model) InOrder(n int) *Model {
	d := *m
	d.inOrder = n
	return &d
}

// mix is splitmix64: a good hash of two numbers.
func mix(seed, i uint64) uint64 {
	z := seed + (i+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func meanTotal(times []ServiceTime) float64 {
	if len(times) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, t := range times {
		sum += t.Total
	}
	return sum / float64(len(times))
}
