// Package replay runs the autoscaler and its plant in virtual time. It computes
// how a recorded load would have been served under another configuration.
//
// It replays the offered load, not the recorded CPU use: the CPU use of a cluster
// at its limit does not show how much load there was (tuner/MODEL.md).
package replay

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
)

// World is everything that a replay needs except the configuration: what arrived, how a
// replica serves, starts and leaves, and what the autoscaler sees of it.
//
// A World is immutable after New returned it, and shared by all candidates and workers.
type World struct {
	Demand   Demand
	Service  plant.Law
	Balancer plant.Balancer
	// Connections are the clients', if they decide who gets a request (plant.Aged).
	Connections plant.Connections
	Start       []plant.PhaseSample // cold starts as measured
	Drain       plant.Drain
	Pipes       []plant.Pipe // the metrics there are, by name
	Limits      plant.Limits // per-request limits that Tick.Good counts
	// Hold is how long a request waits while no pod is ready; 0 = it is refused.
	Hold time.Duration `json:",omitempty"`
	// Loop is KEDA's own loop next to the HPA; nil = there is only the HPA. Its Min is the
	// ScaledObject's; a configuration whose MinReplicas is above 1 overrides it.
	Loop *keda.Loop `json:",omitempty"`
	// Wall is the wall time of run time 0, which cron triggers need.
	Wall time.Time `json:",omitzero"`
	// Recorded are metrics that are played as a run recorded them; see keda.Trigger.Foreign.
	Recorded []Recorded `json:",omitempty"`
	// Outside names the Object and External metrics that are measured in front of the pods,
	// so that they exist while no pod runs.
	Outside []string `json:",omitempty"`

	Params   hpa.Params
	Sync     Sync
	Replicas int32      // ready when the replay begins, and the scale's spec.replicas
	Memory   hpa.Memory // the controller's, when the replay begins
	// Containers are a pod's, with their requests.
	Containers []hpa.Container
	Seed       uint64
	Doubt      Doubt
	// Losses are ready pods that die, in order of time. No recording has any; they are for
	// what-if questions.
	Losses []Loss `json:"-"`
	// Nodes is what pods run on; nil = there is always room.
	Nodes *plant.Nodes `json:",omitempty"`
	// Admitted is the number of pods that the namespace's quotas allow; 0 = no quota.
	Admitted int32 `json:",omitempty"`

	model *plant.Model
	// halves are how far the rate is averaged to either side, in bins; see Demand.halves.
	halves []int
	// exprs are those of Loop's triggers (Trigger.From) and, last, of its formula; nil = none.
	exprs []*keda.Expression
	spans [][]keda.Span   // when each cron trigger of Loop is active; nil = it fails, or is none
	syncs []time.Duration // when to reconcile; nil = by Sync's Phase and Slip
}

// Sync is when the controller reconciles: at Phase, then every
// Params.SyncPeriod + Slip.
type Sync struct {
	Phase time.Duration
	// Slip is how long a reconcile takes. It is not zero: without it, ages would equal
	// windows exactly, which never happens in a cluster.
	Slip time.Duration
	// Recorded are the instants at which a recorded controller reconciled, in
	// order. AsRecorded replays at these; every other replay at Phase and Slip.
	Recorded []time.Duration
	// Poll is when KEDA's loop first polls the triggers; then every Loop.Polling.
	Poll time.Duration `json:",omitempty"`
	// PollAfter is how long a poll came after a reconcile when the recording began, 0 to
	// SyncPeriod; 0 = not known. Other days keep it: KEDA makes its HPA when it begins to poll,
	// and the controller reconciles the HPA from then on.
	PollAfter time.Duration `json:",omitempty"`
}

// polls returns when KEDA's loop first polls on a day whose first reconcile is at phase.
func (s *Sync) polls(phase, period, every time.Duration, r *rand.Rand) time.Duration {
	if s.PollAfter == 0 {
		return time.Duration(r.Int64N(int64(every)))
	}
	return (phase + s.PollAfter + period*time.Duration(r.Int64N(max(1, int64(every/period))))) % every
}

// DefaultSlip is a reconcile's own time: a few API calls.
const DefaultSlip = 20 * time.Millisecond

// Demand is the offered load, binned once. Shed and failed arrivals are in it.
type Demand struct {
	Step time.Duration // of a bin, and of the replay's ticks; 0 = 1 s
	Bins []float64     // arrivals in each
	// Arrivals are the same arrivals exactly, by At; if nil, the exact plant draws them
	// from the bins.
	Arrivals []profiles.Arrival
	// Times are the arrivals' own service times, as far as they were measured, one per
	// arrival; Total 0 = not measured. nil = none.
	Times  []plant.ServiceTime
	Source DemandSource
	// Censored are periods in which the source could not see all arrivals.
	Censored []Span
	// Breaks are where the rate may jump: the starts of the profile's stages. A redrawn day
	// jumps there, too. nil = nowhere.
	Breaks []time.Duration
	// CV2 is the squared coefficient of variation of the gaps between arrivals
	// at an even rate: 0 constant, 1 Poisson.
	CV2 float64
}

// Span is a stretch of run time.
type Span struct {
	From, To time.Duration
	Why      string
}

// DemandSource says where the offered load comes from, best first.
type DemandSource int8

// How the offered load is known.
const (
	FromSchedule DemandSource = iota // the load generator's own schedule: exact
	FromGateway                      // an arrival counter before the replicas
	FromGauge                        // completions + change of what is in flight
	FromUsage                        // CPU over CPU a request: a lower bound
)

func (s DemandSource) String() string {
	if s < 0 || s > FromUsage {
		return "unknown"
	}
	return [...]string{"schedule", "gateway", "gauge", "usage"}[s]
}

// Duration is how long the demand lasts.
func (d *Demand) Duration() time.Duration { return time.Duration(len(d.Bins)) * d.Step }

// noise is the share of the arrivals' variance that is in the bins themselves: the variance
// of neighbours' differences relative to what CV2 predicts from their mean. It is about 1
// for counts and 0 for smooth rates.
func (d *Demand) noise() float64 {
	sum, diff := 0.0, 0.0
	for i, b := range d.Bins {
		sum += b
		if i > 0 {
			diff += (b - d.Bins[i-1]) * (b - d.Bins[i-1]) / 2
		}
	}
	if sum == 0 || d.CV2 == 0 {
		return 0
	}
	return min(1, diff/sum/d.CV2)
}

// Bin counts arrivals into bins of the given step over duration. An arrival at or after the
// end counts in the last bin.
func Bin(arrivals []profiles.Arrival, step, duration time.Duration) []float64 {
	bins := make([]float64, max(1, int((duration+step-1)/step)))
	for _, a := range arrivals {
		bins[min(max(int(a.At/step), 0), len(bins)-1)]++
	}
	return bins
}

// New checks w, compiles its tables and returns it ready for Simulate. It reports all
// problems at once.
func New(w World) (*World, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("world: "+format, args...)) }
	if w.Demand.Step == 0 {
		w.Demand.Step = time.Second
	}
	if w.Params == (hpa.Params{}) {
		w.Params = hpa.DefaultParams()
	}
	if w.Params.SyncPeriod <= 0 {
		bad("sync period %v; Kubernetes' default is 15s", w.Params.SyncPeriod)
	}
	if w.Sync.Slip == 0 {
		w.Sync.Slip = DefaultSlip
	}
	if w.Sync.Phase < 0 || w.Sync.Slip < 0 || w.Sync.Poll < 0 {
		bad("sync phase %v, slip %v, poll %v; none may be negative", w.Sync.Phase, w.Sync.Slip, w.Sync.Poll)
	}
	if w.Loop != nil && w.Loop.Polling <= 0 {
		bad("polling interval %v; KEDA's default is %v", w.Loop.Polling, keda.DefaultPolling)
	}
	if len(w.Demand.Bins) == 0 {
		bad("no demand: no bins")
	}
	for i, b := range w.Demand.Bins {
		if !(b >= 0) || math.IsInf(b, 0) {
			bad("demand bin %d is %g arrivals", i, b)
			break
		}
	}
	if !slices.IsSortedFunc(w.Demand.Arrivals, func(a, b profiles.Arrival) int { return int(a.At - b.At) }) {
		bad("arrivals are not in order of their time")
	}
	if t := w.Demand.Times; t != nil && len(t) != len(w.Demand.Arrivals) {
		bad("%d service times for %d arrivals", len(t), len(w.Demand.Arrivals))
	}
	if w.Replicas < 0 {
		bad("%d replicas at the start", w.Replicas)
	}
	if err := hpa.New(w.Params).Remember(w.Memory); err != nil {
		bad("the controller's memory: %w", err)
	}
	m, err := plant.Compile(plant.Spec{
		Step:        w.Demand.Step,
		Law:         w.Service,
		Balancer:    w.Balancer,
		Connections: w.Connections,
		Start:       w.Start,
		Drain:       w.Drain,
		Pipes:       w.Pipes,
		Limits:      w.Limits,
		Hold:        w.Hold,
		ArrivalCV2:  w.Demand.CV2,
		NoiseSeen:   w.Demand.noise(),
		Seed:        w.Seed,
		Nodes:       w.Nodes,
		Admitted:    int(w.Admitted),
	})
	if err = errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	w.model = m
	w.Drain = m.Drain
	w.Replicas = w.standing()
	w.halves = w.Demand.halves()
	w.spans = w.spansOf(w.Loop)
	w.exprs = exprsOf(w.Loop)
	return &w, nil
}

// Scaled returns the world with k times the load, with the same tables. The exact plant
// then draws its arrivals from the bins.
func (w *World) Scaled(k float64) *World {
	s := *w
	s.Demand.Bins = slices.Clone(w.Demand.Bins)
	for i := range s.Demand.Bins {
		s.Demand.Bins[i] *= k
	}
	if k != 1 {
		s.Demand.Arrivals, s.Demand.Times = nil, nil
	}
	return &s
}

// Under returns the world with another loop of KEDA's beside the HPA; nil = with
// none, and with the metrics outside of the pods as they are.
func (w *World) Under(l *keda.Loop) *World {
	d := *w
	if d.Loop = l; l != nil {
		d.Outside = l.Outside()
	}
	d.spans = w.spansOf(l)
	d.exprs = exprsOf(l)
	return &d
}

// Luck returns the world with other luck, with the same tables and the same arrivals: other
// cold starts from the sample, other phases of scrapes and reconciles, and other parameters
// within their uncertainty. The same seed gives the same world.
func (w *World) Luck(seed uint64) *World {
	d, _ := w.luck(seed)
	return d
}

// luck also returns the generator, for further draws.
func (w *World) luck(seed uint64) (*World, *rand.Rand) {
	d := *w
	r := rand.New(rand.NewPCG(seed, 0x6472617773))
	d.Seed = r.Uint64()
	d.Sync.Phase = time.Duration(r.Int64N(int64(w.Params.SyncPeriod)))
	phases := make([]time.Duration, len(w.Pipes))
	d.Pipes = slices.Clone(w.Pipes)
	for i, p := range w.Pipes {
		every := p.Every
		if every == 0 {
			every = 15 * time.Second
		}
		phases[i] = time.Duration(r.Int64N(int64(every)))
		d.Pipes[i].Phase = phases[i]
	}
	if w.Loop != nil {
		d.Sync.Poll = w.Sync.polls(d.Sync.Phase, w.Params.SyncPeriod, w.Loop.Polling, rand.New(rand.NewPCG(seed, 0x6b656461)))
	}
	vary := rand.New(rand.NewPCG(seed, 0x646f756274)) // its own: doubt does not change the luck
	a := plant.Another{Seed: d.Seed, Phases: phases, Pace: about(vary, w.Doubt.Service), Resample: w.Doubt.Starts}
	for i := range w.Pipes {
		s := 0.0
		if i < len(w.Doubt.Pipes) {
			s = w.Doubt.Pipes[i]
		}
		a.Slopes = append(a.Slopes, about(vary, s))
	}
	a.Waits = about(vary, w.Doubt.Waits)
	a.Bucket = min(max(vary.NormFloat64(), -3), 3)
	if lo, hi := w.Service.Between[0], w.Service.Between[1]; hi > lo {
		a.AtOnce = lo + vary.IntN(hi-lo+1) - w.Service.Slots()
	}
	d.model = w.model.Draw(a)
	return &d, r
}

// Draw returns the world on another day of the same kind: other luck, and new arrivals
// around the same rate. The same seed gives the same world, so that candidates can be
// compared on common days.
func (w *World) Draw(seed uint64) *World {
	d, r := w.luck(seed)
	rates := w.Demand.smooth(w.Demand.Bins, w.halves)
	// The error is drawn from a source of its own: doubt does not change the luck.
	w.Demand.doubt(rates, w.Doubt.Rate, rand.New(rand.NewPCG(seed, 0x72617465)))
	d.Demand.Bins = rates
	if w.Demand.CV2 > 0 { // else they come evenly: a count in each bin would round the rate
		for i, rate := range rates {
			d.Demand.Bins[i] = count(r, rate, w.Demand.CV2)
		}
	}
	d.Demand.Arrivals, d.Demand.Times = nil, nil
	return d
}

// AsRecorded returns the world for a replay of the run to which it was fitted: cold starts
// come in the recorded order, and reconciles at their recorded times.
func (w *World) AsRecorded() *World {
	r := *w
	r.model = w.model.InOrder(int(w.Replicas))
	r.syncs = w.Sync.Recorded
	return &r
}

// AsRecordedWith is AsRecorded with other luck in what no recording shows: which replica
// the balancer chose, and when each pod's gauges were read. Arrivals, cold starts,
// reconciles and the known scrapes stay.
func (w *World) AsRecordedWith(seed uint64) *World {
	r := w.AsRecorded()
	r.Seed = seed
	r.model = w.model.Draw(plant.Another{Seed: seed}).InOrder(int(w.Replicas))
	return r
}

// NoContainer is what Blind says of a metric of a container that no pod has.
const NoContainer = "no pod has a container of that name"

// Blind names the metrics of cfg that the world does not have: nothing was recorded of
// them, or the pods have no such container.
func (w *World) Blind(cfg *hpa.Config) []string {
	var out []string
	for _, m := range cfg.Metrics {
		switch {
		case w.given(&m):
		case w.pipe(&m) < 0:
			out = append(out, m.Source.String()+" metric "+m.Key())
		case m.Source == hpa.ContainerResource && !slices.ContainsFunc(w.Containers,
			func(c hpa.Container) bool { return c.Name == m.Container }):
			out = append(out, m.Source.String()+" metric "+m.Key()+": "+NoContainer)
		}
	}
	return out
}

func (w *World) pipe(m *hpa.Metric) int {
	return slices.IndexFunc(w.Pipes, func(p plant.Pipe) bool { return p.Name == m.Name })
}

// Sum adds up the ticks of a timeline, starting at a step.
func Sum(ticks []results.Tick, from int) results.Tick {
	var s results.Tick
	for i := from; i < len(ticks); i++ {
		t := &ticks[i]
		s.Arrivals += t.Arrivals
		s.Shed += t.Shed
		s.Done += t.Done
		s.Failed += t.Failed
		s.Good += t.Good
		s.Tokens += t.Tokens
		s.Spec += t.Spec
		s.Desired += t.Desired
		s.Pods += t.Pods
		s.Ready += t.Ready
		s.InFlight += t.InFlight
		s.Waiting += t.Waiting
	}
	return s
}
