package fit

import (
	"container/heap"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/results"
)

// log is a run sorted by replica: which replica worked on which request, and when the pods
// existed. Nothing writes to it once readLog has returned it, so every part of the fit may
// read it in any order.
type log struct {
	run     *results.Run
	calls   []call       // by time sent
	servers []server     // replicas that answered, by Meta.Backends; a single one for all if they are not visible
	visible bool         // the log shows which replica answered, for at least 9 in 10 answered requests
	lives   []life       // of the pods, in order of first mention
	traffic [][2]float64 // each pod's time in traffic, seconds; the end is +Inf while it lasts
	hidden  stretches    // times in which the pods were not seen
}

// call is a request that a replica worked on. Times are seconds of run time.
type call struct {
	sent, first, done float64 // first = done if no first token was recorded
	// Requests in its replica when it came, without itself (in the mean replica, if replicas
	// are not visible).
	inside int
	server int // index into log.servers
	tokens float64
	class  int16
	ok     bool // it succeeded, and its pods were watched
	// streamed means that a first token was recorded, even if at the end, with an answer in one
	// piece.
	streamed bool
	request  *results.Request
}

// prompt returns the tokens of its prompt; 0 = not known.
func (c *call) prompt() float64 {
	if c.request == nil {
		return 0
	}
	return float64(c.request.Prompt)
}

// server is the calls of one replica, in order of arrival.
type server struct {
	backend int   // index into Meta.Backends; -1 = all of them behind one address
	calls   []int // indices into log.calls
	// latest[i] is the latest end of the calls up to the i-th.
	latest []float64
}

// within returns the calls without those at the front that had all ended by time from.
func (s *server) within(from float64) []int {
	i, _ := slices.BinarySearchFunc(s.latest, from, func(end, from float64) int {
		if end <= from {
			return -1
		}
		return 1
	})
	return s.calls[i:]
}

// life is when a pod first entered each phase; NotYet if it was not seen to.
type life struct {
	name                                                    string
	created, scheduled, pulled, started, ready, gone, ended time.Duration
}

// readLog sorts a run by replica. It leaves out requests that held no slot in a replica (shed,
// refused, never connected) and those without an end. If most requests name a replica, it also
// leaves out the few that do not. Where something holds requests while no pod is ready, a
// request that was sent before its pod was ready reached the pod when that was.
func readLog(run *results.Run) *log {
	l := &log{run: run, hidden: unseenPods(run), lives: livesOf(run.Pods)}
	for _, p := range l.lives {
		if results.Happened(p.ready) {
			span := [2]float64{p.ready.Seconds(), math.Inf(1)}
			if results.Happened(p.ended) {
				span[1] = p.ended.Seconds()
			}
			l.traffic = append(l.traffic, span)
		}
	}
	visible, answered := 0, 0
	for i := range run.Requests {
		if run.Requests[i].Backend >= 0 {
			visible++
		}
		if run.Requests[i].Outcome == results.OK {
			answered++
		}
	}
	l.visible = visible*10 >= answered*9 && visible > 0
	byBackend := map[int32]int{}
	opened := l.openedBy()
	l.calls = make([]call, 0, len(run.Requests))
	for i := range run.Requests {
		r := &run.Requests[i]
		switch r.Outcome {
		case results.Shed, results.Connect, results.HTTP429, results.HTTP4xx, results.HTTP5xx:
			continue // it held no slot
		}
		if !results.Happened(r.Sent) || !results.Happened(r.Done) {
			continue
		}
		backend := r.Backend
		if !l.visible {
			backend = -1
		} else if backend < 0 {
			continue
		}
		k, ok := byBackend[backend]
		if !ok {
			k = len(l.servers)
			byBackend[backend] = k
			l.servers = append(l.servers, server{backend: int(backend)})
		}
		c := call{sent: r.Sent.Seconds(), done: r.Done.Seconds(), server: k, class: r.Class, tokens: float64(r.Tokens),
			ok: r.Outcome == results.OK && !l.hidden.meet(r.Sent, r.Done), request: r}
		if at, ok := opened[backend]; ok {
			c.sent = min(max(c.sent, at), c.done)
		}
		c.first = c.done
		if results.Happened(r.First) {
			c.first, c.streamed = r.First.Seconds(), true
		}
		l.calls = append(l.calls, c)
	}
	slices.SortStableFunc(l.calls, func(a, b call) int { return sign(a.sent - b.sent) })
	for i := range l.calls {
		s := &l.servers[l.calls[i].server]
		s.calls = append(s.calls, i)
		end := l.calls[i].done
		if n := len(s.latest); n > 0 {
			end = max(end, s.latest[n-1])
		}
		s.latest = append(s.latest, end)
	}
	for _, s := range l.servers {
		var done floats
		for _, i := range s.calls {
			c := &l.calls[i]
			for len(done) > 0 && done[0] <= c.sent {
				heap.Pop(&done)
			}
			c.inside = len(done) / l.sharing(c.sent)
			heap.Push(&done, c.done)
		}
	}
	return l
}

// openedBy returns when the pod behind each backend became ready, in seconds, if something holds
// requests until then; nil if nothing does, or the replicas are not visible.
func (l *log) openedBy() map[int32]float64 {
	hold, err := results.AtZero(l.run.Meta.AtZero)
	if err != nil || hold == 0 || !l.visible {
		return nil
	}
	out := map[int32]float64{}
	for k, b := range l.run.Meta.Backends {
		// A backend is known by its pod's name, or by an address, which pods may have in turn.
		for _, same := range []func(p *results.Pod) bool{
			func(p *results.Pod) bool { return p.Name == b.Name },
			func(p *results.Pod) bool { return p.Backend != "" && (p.Backend == b.Name || p.Backend == b.Address) },
		} {
			at := slices.IndexFunc(l.run.Pods, func(p results.Pod) bool { return p.Phase == results.PodReady && same(&p) })
			if at >= 0 {
				out[int32(k)] = l.run.Pods[at].At.Seconds()
				break
			}
		}
	}
	return out
}

// livesOf returns each pod's life, in order of first mention.
func livesOf(pods []results.Pod) []life {
	index := map[string]int{}
	var out []life
	for i := range pods {
		p := &pods[i]
		k, ok := index[p.Name]
		if !ok {
			k = len(out)
			index[p.Name] = k
			out = append(out, life{p.Name, results.NotYet, results.NotYet, results.NotYet, results.NotYet, results.NotYet,
				results.NotYet, results.NotYet})
		}
		l := &out[k]
		set := func(at *time.Duration) {
			if *at == results.NotYet {
				*at = p.At
			}
		}
		switch p.Phase {
		case results.PodCreated:
			set(&l.created)
		case results.PodScheduled:
			set(&l.scheduled)
		case results.PodPulled:
			set(&l.pulled)
		case results.PodStarted:
			set(&l.started)
		case results.PodReady:
			set(&l.ready)
		case results.PodDeleted:
			set(&l.ended)
		case results.PodGone:
			set(&l.gone)
		}
	}
	return out
}

// sharing returns how many ready replicas a server stands for at time t (seconds): 1, or all
// of them if the log does not show which one answered.
func (l *log) sharing(t float64) int {
	if l.visible || len(l.traffic) == 0 {
		return 1
	}
	n := 0
	for _, r := range l.traffic {
		if r[0] <= t && t < r[1] {
			n++
		}
	}
	return max(1, n)
}

// insideAt returns how many requests were in a server at time at, in seconds.
func (l *log) insideAt(server int, at float64) int {
	n := 0
	for _, i := range l.servers[server].within(at) {
		if c := &l.calls[i]; c.sent > at {
			break
		} else if c.done > at {
			n++
		}
	}
	return n
}

// streams reports whether most successful answers had a first token before their end.
func (l *log) streams() bool {
	ok, streamed := 0, 0
	for i := range l.calls {
		if c := &l.calls[i]; c.ok {
			ok++
			if c.first < c.done {
				streamed++
			}
		}
	}
	return streamed*2 > ok
}

// good returns how many calls succeeded while their pods were watched.
func (l *log) good() int {
	n := 0
	for i := range l.calls {
		if l.calls[i].ok {
			n++
		}
	}
	return n
}

// stretch is consecutive calls during which the same replicas answered.
type stretch struct {
	from, to int // indices into log.calls
	servers  []int
}

// stable cuts the log wherever a replica answers for the first or the last time.
func (l *log) stable() []stretch {
	first, last := make([]int, len(l.servers)), make([]int, len(l.servers))
	cuts := []int{0, len(l.calls)}
	for k, s := range l.servers {
		first[k], last[k] = s.calls[0], s.calls[len(s.calls)-1]+1
		cuts = append(cuts, first[k], last[k])
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var out []stretch
	for i := 0; i+1 < len(cuts); i++ {
		s := stretch{from: cuts[i], to: cuts[i+1]}
		for k := range l.servers {
			if first[k] <= s.from && last[k] >= s.to {
				s.servers = append(s.servers, k)
			}
		}
		out = append(out, s)
	}
	return out
}

// serverOf finds the server of a pod, by its name or address; -1 = it never answered, or
// replicas are not visible.
func (l *log) serverOf(pod string) int {
	address := ""
	for i := range l.run.Pods {
		if p := &l.run.Pods[i]; p.Name == pod && p.Backend != "" {
			address = p.Backend
		}
	}
	for k, s := range l.servers {
		if s.backend < 0 || s.backend >= len(l.run.Meta.Backends) {
			continue
		}
		b := l.run.Meta.Backends[s.backend]
		if b.Name == pod || address != "" && (b.Address == address || b.Name == address) || strings.HasPrefix(b.Name,
			pod+":") {
			return k
		}
	}
	return -1
}

// watched returns the times, in seconds, at which pods became ready and were deleted, by name.
// A pod that was not seen to do so is not in the map.
func (l *log) watched() (ready, ended map[string]float64) {
	ready, ended = map[string]float64{}, map[string]float64{}
	for _, p := range l.lives {
		if results.Happened(p.ready) {
			ready[p.name] = p.ready.Seconds()
		}
		if results.Happened(p.ended) {
			ended[p.name] = p.ended.Seconds()
		}
	}
	return ready, ended
}
