package fit

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
)

// service is the log under a law: how a replica serves, and when each call got its slot by
// that law.
type service struct {
	*log
	law   plant.Law
	start []float64 // seconds, by index into log.calls
	// slowing is contained in the law's rates. alone is what each call would have taken by
	// itself, in seconds by index; nil if nothing slows down.
	slowing  slowing
	alone    []float64
	mean     float64     // of the law's times, seconds
	hidden   *hidden     // replicas behind one address; nil = visible
	outside  []string    // metrics that are measured in front of the pods
	asks     []keda.Part // triggers whose query reads a time of requests, by the metric's name
	costSeen float64     // core-seconds of a request by CPU samples; 0 = no CPU limit
	waited   bool        // calls were seen to wait for a slot
	atOnce   int         // requests that get a slot at once, by the starts; a law under a quota has more slots
	// own is what a call takes by itself if that differs from the measured time: a CPU limit
	// throttles some calls and not others. nil = it does not differ.
	own func(i int) plant.ServiceTime
}

// orEndless returns a client's timeout in seconds; +Inf for 0.
func orEndless(d time.Duration) float64 {
	if d <= 0 {
		return math.Inf(1)
	}
	return d.Seconds()
}

// serviceOf fits the law: slots from where waiting begins, service times from the calls
// themselves, slowing from how calls stretch as slots fill, the CPU limit, the client's
// timeouts, and the length of the queue.
//
// It returns an error if fewer than 20 requests were answered while the pods were watched.
func serviceOf(l *log, seed uint64) (service, notes, error) {
	slots, said, err := serviceBySlots(l, seed)
	if err != nil {
		return slots, said, err
	}
	if law, all, ok := languageOf(l, &slots); ok {
		s, said := languageService(l, &law, all)
		return s, said, nil
	}
	return slots, said, nil
}

// ShowBackends says how to record which replica answered.
const ShowBackends = "a response header that names the pod (connections.backend_header; the server can get its name from " +
	"the downward API)"

// fewestAnswers is how many answers are needed to learn what a request takes.
const fewestAnswers = 20

// serviceBySlots does what serviceOf does, for replicas that work on a number of requests at
// once, each at its own pace.
func serviceBySlots(l *log, seed uint64) (service, notes, error) {
	var n notes
	ok := l.good()
	if ok < fewestAnswers {
		return service{}, n, errors.New("fit: fewer than 20 requests were answered while the pods were observed, too " +
			"few to learn the service time; record a longer run")
	}
	switch {
	case l.visible:
	case len(l.traffic) > 0:
		n.warn(
			"the recording does not show which replica answered, so requests are compared with the number of ready replicas",
		)
	default:
		n.assume("all replicas are treated as one (the recording shows neither which one answered nor how many there were)")
	}
	streams := l.streams()
	patience, firstToken := patienceOf(l.run, streams)
	s := service{log: l}
	var found slots
	if !l.visible && len(l.traffic) > 0 {
		h := hiddenOf(l, streams, min(orEndless(patience), orEndless(firstToken)), seed)
		if v, said, ok := veiledOf(l, &h, seed); ok {
			n.add(said)
			n.quality("service", v.mean, len(v.law.Times), "mean service time at full speed in seconds, by what it costs")
			n.add(throttledNotes(&v))
			v.law.Timeout, v.law.FirstToken = patience, firstToken
			v.law.Queue, said = queueOf(l, v.law.Slots())
			n.add(said)
			return v, n, nil
		}
		found, s.hidden = h.slots, &h
	} else {
		found = slotsOf(l, streams)
	}
	slots := found.n
	s.atOnce, s.waited = slots, found.waited
	s.start = found.start
	if s.hidden != nil && s.hidden.off > hiddenOff {
		n.doubt("hidden-backends", ShowBackends,
			"the recording does not show which replica answered, and no combination of slots and balancer that was tried "+
				"reproduces the recorded latencies (%s off on average)", figure.Percent(math.Exp(s.hidden.off)-1))
	}
	var more notes
	s.slowing, more = slowingOf(&s, slots)
	if s.slowing.per > 0 && s.hidden == nil {
		found = slowedSlots(&s, found)
		slots, s.atOnce, s.start = found.n, found.n, found.start
		s.slowing, more = slowingOf(&s, slots)
	}
	// If services slow down, twice the slots are less than twice the capacity.
	few, many := float64(found.lo)/s.slowing.at(float64(found.lo)), float64(found.hi)/s.slowing.at(float64(found.hi))
	if found.waited && many > 1.5*few {
		settled := "a run that loads one replica in steps from idle to beyond saturation"
		if s.hidden != nil {
			settled = ShowBackends
		}
		n.doubt("slots", settled,
			"any number from %d to %d of requests at once explains the recorded latencies, so a replica's capacity is not "+
				"known", found.lo, found.hi)
	}
	if s.slowing.per > 0 {
		s.alone = s.over(func(n float64) float64 { return 1 / s.slowing.at(n) })
	}
	times, waited := s.times()
	s.mean = meanTotal(times)
	s.law = plant.SlotsLaw(slots, times)
	if found.waited && found.lo < found.hi {
		s.law.Between = [2]int{found.lo, found.hi}
	}
	for i := 1; i <= slots; i++ {
		s.law.Rate[i] = max(s.law.Rate[i-1], s.law.Rate[i]/s.slowing.at(float64(i)))
	}
	n.quality("service", meanTotal(times), len(times), "mean service time in seconds, without waiting")
	n.quality("slots", found.spread, ok, "%d at once (%d to %d explain the log as well); mean deviation of the service "+
		"time, in seconds", slots, found.lo, found.hi)
	if waited*50 < ok && s.law.Rate[slots] > 1.02*s.law.Rate[max(1, slots-1)] {
		n.warn("replicas were hardly ever full: they served up to %d requests at once, so that is a lower bound of their "+
			"capacity; a run beyond saturation would show it", slots)
	}
	n.add(more)
	s.law, s.own, more = limited(&s)
	n.add(more)
	n.add(throttledNotes(&s))
	if s.law.Young, more = youngOf(&s); s.law.Quota.Cores > 0 {
		s.law.Young, more = nil, notes{} // throttling causes it, not the pod's age
	}
	n.add(more)
	s.law.Timeout, s.law.FirstToken = patience, firstToken
	s.law.Queue, more = queueOf(l, slots)
	n.add(more)
	return s, n, nil
}

// times returns the sample of service times, at most 1,024 over the run: those of calls that
// did not wait, or of all calls if fewer than 50 did not. waited is how many did.
func (s *service) times() (sample []plant.ServiceTime, waited int) {
	measured, atOnce := 0, 0
	for i := range s.calls {
		if s.start[i] > s.calls[i].sent {
			waited++
		}
		if s.took(i) {
			measured++
			if s.start[i] == s.calls[i].sent {
				atOnce++
			}
		}
	}
	all := atOnce < 50 // hardly any call did not wait, so take all of them
	n := atOnce
	if all {
		n = measured
	}
	some := make([]sized, 0, n) // the times themselves would be most of what a fit holds in memory
	for i := range s.calls {
		if s.took(i) && (all || s.start[i] == s.calls[i].sent) {
			t := s.unstretched(i, s.alone)
			some = append(some, sized{t.Total, int32(i), t.Class})
		}
	}
	if len(some) > timesMost {
		some = evenly(some, timesMost, func(a, b sized) int {
			return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.total, b.total))
		})
	}
	for _, k := range some {
		sample = append(sample, s.unstretched(int(k.call), s.alone))
	}
	return sample, waited
}

// timesMost is how many service times a law keeps.
const timesMost = 1024

// sized is a call's class and service time in seconds.
type sized struct {
	total float64
	call  int32
	class int16
}

// took reports whether a call's service time was measured.
func (s *service) took(i int) bool { return s.calls[i].ok && s.calls[i].done > s.start[i] }

// ranked takes n of a sample, evenly by class and time. That way they keep its mean and
// quantiles, which n random ones would miss by 1/√n of the scatter.
func ranked(sample []plant.ServiceTime, n int) []plant.ServiceTime {
	if len(sample) <= n {
		return sample
	}
	return evenly(slices.Clone(sample), n, func(a, b plant.ServiceTime) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Total, b.Total))
	})
}

// evenly sorts a sample and returns n of it, the middles of n equal parts.
func evenly[T any](sample []T, n int, order func(a, b T) int) []T {
	slices.SortStableFunc(sample, order)
	out := make([]T, n)
	for i := range out {
		out[i] = sample[(2*i+1)*len(sample)/(2*n)]
	}
	return out
}

// ownTimes returns each arrival's own service time if it was measured, so that a replay of the
// run itself has the same requests; Total 0 = not measured. It takes out the slowdown by
// requests beside it, because the replay adds that again.
func (s *service) ownTimes(arrivals []profiles.Arrival) []plant.ServiceTime {
	if s.law.Iterations != nil {
		return nil // a request is described by its tokens, which the arrivals carry
	}
	of := make(map[int]int32, len(s.calls)) // the index of an arrival's last call
	for i := range s.calls {
		if s.took(i) {
			of[s.calls[i].request.Arrival] = int32(i)
		}
	}
	out := make([]plant.ServiceTime, len(arrivals))
	for i, a := range arrivals {
		k, ok := of[a.Index]
		switch {
		case !ok:
		case s.own != nil:
			out[i] = s.own(int(k))
		default:
			out[i] = s.unstretched(int(k), s.alone)
		}
	}
	return out
}

// reading is one pod's sample of a metric with what the pod did in its window.
type reading struct {
	value                  float64
	done, running, waiting float64 // completions' worth per second, in service, queued: means over the window
	work                   float64 // own work done per second, in mean requests; if services slow down
	window                 float64 // seconds
	at                     float64 // end of the window, seconds
	server                 int     // index into log.servers; 0 if they are not visible
}

// did returns what a server did between two times (seconds), by the fitted starts.
func (s *service) did(k int, from, to float64) reading {
	r := reading{window: max(0, to-from)}
	instant := to <= from
	for _, i := range s.servers[k].within(from) {
		c, start := &s.calls[i], s.start[i]
		if c.sent > to {
			break
		}
		if c.done <= from {
			continue
		}
		if instant {
			if start <= to && c.done > to {
				r.running++
				r.done += 1 / max(1e-3, c.done-start)
			} else if c.sent <= to && start > to {
				r.waiting++
			}
			continue
		}
		if d := min(c.done, to) - max(start, from); d > 0 {
			r.running += d
			r.done += d / max(1e-3, c.done-start)
			if s.alone != nil {
				r.work += s.alone[i] * d / max(1e-3, c.done-start) / s.mean
			}
		}
		if d := min(start, to) - max(c.sent, from); d > 0 {
			r.waiting += d
		}
	}
	if !instant {
		w := to - from
		r.running, r.done, r.work, r.waiting = r.running/w, r.done/w, r.work/w, r.waiting/w
	}
	return r
}
