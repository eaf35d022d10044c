package results

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// A Tick is one step of a Timeline. Requests are counted at their scheduled
// arrival, whenever they ended. Floats, since the fluid plant has fractions.
//
// NaN = not known, in Spec, Desired, Pods, Ready and Waiting of a recorded run
// whose cluster was not observed; JSON has null there.
type Tick struct {
	// Arrivals = Shed + Done + Failed + Canceled + those in flight. Done were answered
	// successfully; Good met every per-request limit. Canceled were ended by hpatune;
	// Missed is how many of them had already waited longer than a limit.
	Arrivals, Shed, Done, Failed, Canceled, Missed, Good, Tokens float64
	Spec, Desired                                                float64 // at the tick's end
	Pods,
	Ready float64 // mean over the tick; Pods = billed: not yet gone, starting and draining too
	// Nodes is the number of billed nodes, including requested ones, in a replay that has
	// them (tune --nodes); else 0.
	Nodes float64
	InFlight,
	Waiting float64 // at the tick's end; Waiting = queued in the servers
	Warmup bool // most of it belongs to a warm-up: no objective is about it

	rise float64 // of a recording: how many more were ready at the tick's end than Ready, its mean
}

// Short reports whether fewer replicas were ready than the HPA wanted, at the tick's end. If
// either is unknown it returns false. A mean would join two shortages with a second or two
// between them: a pod becomes ready late in one tick, and the HPA wants more in the next.
func (t *Tick) Short() bool { return t.Ready+t.rise < t.Desired-1e-9 } // the sum has its rounding

// A Timeline is what happened, or what would have happened: one Tick every Step from run
// time 0, and latency totals of the answered requests (for a recorded run without its
// warm-up, which the ticks do include).
type Timeline struct {
	Step  time.Duration
	Ticks []Tick

	TTFT, ITL, TPOT, E2E, ICL, TTFTFromSent, E2EFromSent Hist
}

// Judged is how many arrivals show whether requests were good: all except those that
// hpatune ended before they had missed a limit.
func (t *Tick) Judged() float64 { return t.Arrivals - t.Canceled + t.Missed }

// End returns how long the run lasted in run time: what its meta.json says, or the last
// record.
func (r *Run) End() time.Duration {
	end := time.Duration(r.Meta.DurationS * float64(time.Second))
	for i := range r.Requests {
		end = max(end, r.Requests[i].Scheduled)
	}
	return end
}

// Timeline splits the run into ticks of step, by scheduled arrival. Good uses the limits of
// the run's own objectives; TimelineWithin takes others.
func (r *Run) Timeline(step time.Duration) Timeline {
	// Objectives of a run were parsed before it began; a bad one limits nothing.
	objectives, _ := ParseObjectives(r.Meta.Objectives)
	return r.TimelineWithin(step, LimitsOf(objectives))
}

// TimelineWithin is Timeline with Good judged by limits. A step of 0 or less
// is 1 s.
func (r *Run) TimelineWithin(step time.Duration, limits Limits) Timeline {
	if step <= 0 {
		step = time.Second
	}
	end := r.End()
	n := int((end + step - 1) / step)
	if len(r.Requests) > 0 {
		n = max(n, int(end/step)+1) // the arrival at the very end has a tick
	}
	t := Timeline{Step: step, Ticks: make([]Tick, n)}
	tickAt := func(at time.Duration) int { return min(max(int(at/step), 0), n-1) }

	change := make([]float64, n) // of requests in flight
	for i := range r.Requests {
		q := &r.Requests[i]
		k := &t.Ticks[tickAt(q.Scheduled)]
		k.Arrivals++
		k.Tokens += float64(q.Tokens)
		switch {
		case q.Outcome == Shed:
			k.Shed++
		case q.Outcome == Canceled:
			k.Canceled++
			if limits.missedBy(q) {
				k.Missed++
			}
		case q.Outcome.Failed():
			k.Failed++
		default:
			k.Done++
		}
		if limits.Good(q) {
			k.Good++
		}
		if Happened(q.Sent) {
			change[tickAt(q.Sent)]++
			if Happened(q.Done) && q.Done < time.Duration(n)*step {
				change[tickAt(q.Done)]--
			}
		}
		if r.warmup(q) {
			continue
		}
		if q.Outcome != OK {
			continue
		}
		for _, m := range latencies {
			if d, ok := m.OfRequest(q); ok {
				m.InTimeline(&t).Record(d)
			}
		}
	}
	inFlight := 0.0
	for i := range t.Ticks {
		inFlight += change[i]
		t.Ticks[i].InFlight = inFlight
	}

	sizes := r.sizes()
	for i := range t.Ticks {
		from, to := time.Duration(i)*step, time.Duration(i+1)*step
		k := &t.Ticks[i]
		k.Spec, k.Desired = sizes.spec.before(to), sizes.desired.before(to)
		k.Pods, k.Ready = sizes.pods.mean(from, to), sizes.ready.mean(from, to)
		k.rise = sizes.ready.before(to) - k.Ready
		k.Waiting = math.NaN()
		k.Warmup = r.Meta.warmup((from + to) / 2)
	}
	r.fillWaiting(&t)
	return t
}

// waitingNames are gauges of requests queued in a server.
var waitingNames = []string{"requests_waiting", "vllm:num_requests_waiting", "num_requests_waiting"}

// fillWaiting sums each pod's last queue length up to each tick's end.
func (r *Run) fillWaiting(t *Timeline) {
	last := map[string]float64{}
	i := 0
	known := false
	for k := range t.Ticks {
		end := time.Duration(k+1) * t.Step
		for ; i < len(r.Samples) && r.Samples[i].At < end; i++ {
			if s := &r.Samples[i]; slices.Contains(waitingNames, s.Name) {
				last[s.Pod] = s.Value
				known = true
			}
		}
		if !known {
			continue
		}
		sum := 0.0
		for _, v := range last {
			sum += v
		}
		t.Ticks[k].Waiting = sum
	}
}

// levels is a number that changes at instants: a step function, sorted by time.
type levels []level

type level struct {
	at time.Duration
	v  float64
}

// before returns the level that holds just before at; NaN where none is known.
func (ls levels) before(at time.Duration) float64 {
	i, _ := slices.BinarySearchFunc(ls, at, func(l level, at time.Duration) int { return cmp.Compare(l.at, at) })
	if i == 0 {
		return math.NaN()
	}
	return ls[i-1].v
}

// mean returns the mean level over [from, to); NaN where none is known.
func (ls levels) mean(from, to time.Duration) float64 {
	v := ls.before(from + 1)
	if math.IsNaN(v) || to <= from {
		return v
	}
	i, _ := slices.BinarySearchFunc(ls, from+1, func(l level, at time.Duration) int { return cmp.Compare(l.at, at) })
	sum, at := 0.0, from
	for ; i < len(ls) && ls[i].at < to; i++ {
		sum += v * float64(ls[i].at-at)
		v, at = ls[i].v, ls[i].at
	}
	return (sum + v*float64(to-at)) / float64(to-from)
}

// sizes are how large the workload was, over time; nil = not observed.
type sizes struct{ spec, desired, pods, ready levels }

const longAgo = time.Duration(math.MinInt64 / 2)

// life is one pod as it was seen.
type life struct {
	name, backend  string
	from, to       time.Duration // billed; to = forever where it was never seen to go
	ready          []span
	created, since time.Duration // since = first ready; NotYet = never
}

type span struct{ from, to time.Duration }

const forever = time.Duration(math.MaxInt64)

// lives reads the pods from the Pod records, by name in order of appearance. Billing starts
// with the first record of a pod and ends when it is gone. A deleted pod is not ready,
// whatever it reports: it gets no new traffic.
func (r *Run) lives() []*life {
	byName := map[string]*life{}
	var all []*life
	for _, p := range r.Pods {
		l := byName[p.Name]
		if l == nil {
			l = &life{name: p.Name, from: p.At, created: p.At, to: forever, since: NotYet}
			byName[p.Name] = l
			all = append(all, l)
		}
		if p.Backend != "" {
			l.backend = p.Backend
		}
		open := len(l.ready) > 0 && l.ready[len(l.ready)-1].to == forever
		switch p.Phase {
		case PodReady:
			if !open {
				l.ready = append(l.ready, span{p.At, forever})
			}
			if !Happened(l.since) {
				l.since = p.At
			}
		case PodUnready, PodDeleted, PodGone:
			if open {
				l.ready[len(l.ready)-1].to = p.At
			}
		}
		if p.Phase == PodGone && l.to == forever {
			l.to = p.At
		}
	}
	return all
}

func (r *Run) sizes() sizes {
	var s sizes
	if lives := r.lives(); len(lives) > 0 {
		var billed, ready []level
		for _, l := range lives {
			billed = append(billed, level{l.from, 1}, level{l.to, -1})
			for _, p := range l.ready {
				ready = append(ready, level{p.from, 1}, level{p.to, -1})
			}
		}
		s.pods, s.ready = accumulate(billed), accumulate(ready)
	} else {
		for _, e := range r.Endpoints {
			s.ready = append(s.ready, level{e.At, float64(len(e.Ready))})
		}
	}
	for i, y := range r.Syncs {
		if i == 0 { // what it was before the first sync that was seen
			s.spec = append(s.spec, level{longAgo, float64(y.Spec)})
			s.desired = append(s.desired, level{longAgo, float64(y.Spec)})
		}
		s.spec = append(s.spec, level{y.At, float64(y.Replicas)})
		s.desired = append(s.desired, level{y.At, float64(y.Desired)})
	}
	return s
}

// accumulate turns changes into levels, from 0 long ago.
func accumulate(changes []level) levels {
	slices.SortStableFunc(changes, func(a, b level) int { return cmp.Compare(a.at, b.at) })
	ls := levels{{longAgo, 0}}
	sum := 0.0
	for _, c := range changes {
		if c.at == forever {
			break
		}
		sum += c.v
		if last := &ls[len(ls)-1]; last.at == c.at {
			last.v = sum
		} else {
			ls = append(ls, level{c.at, sum})
		}
	}
	return ls
}
