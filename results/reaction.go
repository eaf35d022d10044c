package results

import (
	"cmp"
	"slices"
	"time"
)

// Reaction is how one rise of the load was answered, taken apart: where each
// second went, from the load's step to the traffic that the new replica got.
// Instants are offsets from the run's start, NotYet where a step was not seen;
// each is the first after the one before it.
type Reaction struct {
	Stage string // whose load called for more
	From  int32  // replicas before
	To    int32  // replicas after the decision

	Load     time.Duration // the stage began
	Metric   time.Duration // the first sample that is beyond all of the minute before Load was taken
	Decision time.Duration // the HPA wrote the new size
	Created  time.Duration // the first new pod
	Started  time.Duration // its containers run
	Ready    time.Duration // it is ready
	Traffic  time.Duration // the first answer from it, or, where that is not visible, its address among the endpoints
	Answered bool          // Traffic is an answer, not only an endpoint
}

// ReactionS is a Reaction in seconds of run time; null = not seen.
type ReactionS struct {
	Stage      string   `json:"stage"`
	From       int32    `json:"from_replicas"`
	To         int32    `json:"to_replicas"`
	LoadS      float64  `json:"load_s"`
	MetricS    *float64 `json:"metric_s"`
	DecisionS  float64  `json:"decision_s"`
	CreatedS   *float64 `json:"created_s"`
	StartedS   *float64 `json:"started_s"`
	ReadyS     *float64 `json:"ready_s"`
	TrafficS   *float64 `json:"traffic_s"`
	TrafficWas string   `json:"traffic_was,omitempty"` // answer, endpoint
}

func (x *Reaction) inSeconds() ReactionS {
	of := func(d time.Duration) *float64 {
		if !Happened(d) {
			return nil
		}
		v := d.Seconds()
		return &v
	}
	s := ReactionS{
		x.Stage,
		x.From,
		x.To,
		x.Load.Seconds(),
		of(x.Metric),
		x.Decision.Seconds(),
		of(x.Created),
		of(x.Started),
		of(x.Ready),
		of(x.Traffic),
		"",
	}
	switch {
	case x.Answered:
		s.TrafficWas = "answer"
	case s.TrafficS != nil:
		s.TrafficWas = "endpoint"
	}
	return s
}

// Reactions takes the run's reaction times apart: one for each stage in which
// the HPA scaled up first after the stage's begin. Stages that it answered
// with nothing have none, and so have later rescales of one stage: they answer
// the same load.
func (r *Run) Reactions() []Reaction {
	var out []Reaction
	for _, st := range r.Meta.Stages {
		from, to := seconds(st.FromS), seconds(st.ToS)
		for i := range r.Syncs {
			s := &r.Syncs[i]
			if s.At < from || s.At >= to || s.Replicas <= s.Spec {
				continue
			}
			x := Reaction{
				Stage:    st.Name,
				From:     s.Spec,
				To:       s.Replicas,
				Load:     from,
				Decision: s.At,
				Metric:   NotYet,
				Created:  NotYet,
				Started:  NotYet,
				Ready:    NotYet,
				Traffic:  NotYet,
			}
			x.Metric = r.metricMoved(from, s)
			r.firstPod(&x)
			out = append(out, x)
			break
		}
	}
	return out
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// metricMoved returns when the first sample was taken that shows the new load
// and that the decision can have had: above every sample of its series in the
// minute before the step, by a tenth.
func (r *Run) metricMoved(load time.Duration, decision *Sync) time.Duration {
	// Samples are kept to the microsecond, syncs to the nanosecond.
	had := func(s *Sample, taken time.Duration) bool { // our own look may have come after the decision
		if s.At <= decision.At {
			return true
		}
		for _, m := range decision.Metrics {
			if slices.ContainsFunc(
				m.Pods,
				func(v PodValue) bool { return v.Pod == s.Pod && (v.At-taken).Abs() < time.Millisecond },
			) {
				return true
			}
		}
		return false
	}
	names := map[string]bool{}
	for i := range r.Syncs {
		for _, m := range r.Syncs[i].Metrics {
			names[m.Metric] = true
		}
	}
	type series struct{ name, pod, container string }
	before := map[series]float64{}
	at := NotYet
	for _, s := range r.Samples {
		metric := s.Name
		switch s.Name {
		case SampleCPU:
			metric = "cpu"
		case SampleMemory:
			metric = "memory"
		}
		if !names[metric] {
			continue
		}
		key := series{s.Name, s.Pod, s.Container}
		taken := s.At
		if Happened(s.SampledAt) {
			taken = s.SampledAt
		}
		old, known := before[key]
		switch {
		case taken <= load && taken > load-time.Minute:
			before[key] = max(old, s.Value)
		case taken > load && known && s.Value > old*1.1 && (at == NotYet || taken < at) && had(&s, taken):
			at = taken
		}
	}
	return at
}

// firstPod follows the first pod that was created after the decision.
func (r *Run) firstPod(x *Reaction) {
	pods := slices.Clone(r.Pods)
	slices.SortStableFunc(pods, func(a, b Pod) int { return cmp.Compare(a.At, b.At) })
	name, address := "", ""
	for _, p := range pods {
		// Creation has whole seconds at worst.
		if name == "" && p.Phase == PodCreated && p.At > x.Decision-time.Second {
			name, x.Created = p.Name, p.At
		}
		if name == "" || p.Name != name {
			continue
		}
		set := func(to *time.Duration) {
			if *to == NotYet {
				*to = p.At
			}
		}
		switch p.Phase {
		case PodStarted:
			set(&x.Started)
		case PodReady:
			set(&x.Ready)
		case PodFirstAnswer:
			set(&x.Traffic)
			x.Answered = true
		}
		address = cmp.Or(p.Backend, address)
	}
	if at, ok := r.firstAnswer(name, address, x.Decision); ok && !x.Answered {
		x.Traffic, x.Answered = at, true
	}
	if x.Answered || address == "" {
		return
	}
	for _, e := range r.Endpoints {
		if e.At > x.Decision &&
			slices.ContainsFunc(e.Ready, func(a string) bool { return a == address || hostOf(a) == address }) {
			x.Traffic = e.At
			return
		}
	}
}

// firstAnswer returns when the first good answer that names the pod, or its address, ended, of
// those sent after from. It serves runs whose records of pods do not tell (PodFirstAnswer),
// such as the sandbox's. ok is false if no answer names it.
func (r *Run) firstAnswer(pod, address string, from time.Duration) (at time.Duration, ok bool) {
	backend := slices.IndexFunc(r.Meta.Backends, func(b Backend) bool {
		return slices.ContainsFunc([]string{b.Name, b.Address}, func(s string) bool {
			return s != "" && (s == pod || s == address || hostOf(s) == address)
		})
	})
	for i := range r.Requests {
		q := &r.Requests[i]
		if backend >= 0 && int(q.Backend) == backend && q.Outcome == OK && q.Sent > from && (!ok || q.Done < at) {
			at, ok = q.Done, true
		}
	}
	return at, ok
}

// hostOf is "ip:port" without its port.
func hostOf(address string) string {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == ':' {
			return address[:i]
		}
	}
	return address
}
