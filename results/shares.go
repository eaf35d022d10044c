package results

import (
	"cmp"
	"slices"
	"time"
)

// BackendShare is the traffic that one backend got while it was ready.
type BackendShare struct {
	Backend  string   `json:"backend"`
	ReadyAtS *float64 `json:"ready_at_s"` // nil = unknown; negative = before the run
	Requests int      `json:"requests"`   // all it got
	// Share is its part of the requests that were sent while it was ready;
	// FairShare what an even spread over the ready backends would have given
	// it. nil = none were sent, or it is not known when it was ready.
	Share     *float64 `json:"share"`
	FairShare *float64 `json:"fair_share"`

	expected float64 // requests that the fair share is
	opened   float64 // connections that an even spread would have opened to it meanwhile
}

// shareDelay is how long after it became ready a backend's share counts from:
// the time that endpoints take to spread.
const shareDelay = 5 * time.Second

// Shares returns the traffic of each backend that was seen, warm-up left out,
// by the time it became ready.
func (r *Run) Shares() []BackendShare {
	out := []BackendShare{}
	if len(r.Meta.Backends) == 0 {
		return out
	}
	got := make([][]time.Duration, len(r.Meta.Backends)) // when each was sent something
	var sent, opened []time.Duration
	for i := range r.Requests {
		q := &r.Requests[i]
		if !Happened(q.Sent) || r.warmup(q) || q.Backend < 0 || int(q.Backend) >= len(got) {
			continue
		}
		sent = append(sent, q.Sent)
		if q.NewConn {
			opened = append(opened, q.Sent)
		}
		got[q.Backend] = append(got[q.Backend], q.Sent)
	}
	slices.Sort(sent)
	slices.Sort(opened)

	spans := r.readySpans()
	var changes []level
	for _, ss := range spans {
		for _, p := range ss {
			changes = append(changes, level{p.from, 1}, level{p.to, -1})
		}
	}
	ready := accumulate(changes)
	// fair[i] is what one ready backend's even part of the first i is.
	even := func(at []time.Duration) []float64 {
		fair := make([]float64, len(at)+1)
		for i, t := range at {
			fair[i+1] = fair[i]
			if n := ready.before(t + 1); n > 0 {
				fair[i+1] += 1 / n
			}
		}
		return fair
	}
	fair, fairOpened := even(sent), even(opened)
	rank := func(of []time.Duration, at time.Duration) int {
		i, _ := slices.BinarySearch(of, at)
		return i
	}
	for b, backend := range r.Meta.Backends {
		s := BackendShare{Backend: backend.Name, ReadyAtS: backend.ReadyAtS, Requests: len(got[b])}
		if ss := spans[b]; len(ss) > 0 {
			first := ss[0].from.Seconds()
			s.ReadyAtS = &first
			mine, all := 0, 0
			for _, p := range ss {
				from := p.from
				if from > 0 {
					from += shareDelay
				}
				to := max(p.to, from)
				i, j := rank(sent, from), rank(sent, to)
				all += j - i
				s.expected += fair[j] - fair[i]
				s.opened += fairOpened[rank(opened, to)] - fairOpened[rank(opened, from)]
				for _, at := range got[b] {
					if at >= from && at < p.to {
						mine++
					}
				}
			}
			if all > 0 {
				s.Share, s.FairShare = number(float64(mine)/float64(all)), number(s.expected/float64(all))
			}
		}
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b BackendShare) int {
		at := func(s BackendShare) float64 {
			if s.ReadyAtS == nil {
				return 0
			}
			return *s.ReadyAtS
		}
		return cmp.Compare(at(a), at(b))
	})
	return out
}

// readySpans returns when each backend of the table was ready, by the Pod
// records, or else by the Endpoints, or else by its own ReadyAtS; nil = not
// known.
func (r *Run) readySpans() [][]span {
	spans := make([][]span, len(r.Meta.Backends))
	byName := map[string]*life{}
	for _, l := range r.lives() {
		byName[l.name] = l
		if l.backend != "" {
			byName[l.backend] = l
		}
	}
	for b, backend := range r.Meta.Backends {
		l := byName[backend.Name]
		if l == nil {
			l = byName[backend.Address]
		}
		switch {
		case l != nil:
			spans[b] = l.ready
		case len(r.Endpoints) > 0:
			spans[b] = r.endpointSpans(cmp.Or(backend.Address, backend.Name))
		case backend.ReadyAtS != nil:
			spans[b] = []span{{time.Duration(*backend.ReadyAtS * float64(time.Second)), forever}}
		}
	}
	return spans
}

func (r *Run) endpointSpans(address string) []span {
	var ss []span
	open := false
	for i, e := range r.Endpoints {
		in := slices.Contains(e.Ready, address)
		if in && !open {
			at := e.At
			if i == 0 {
				at = min(at, 0) // it was there when we first looked
			}
			ss = append(ss, span{at, forever})
		}
		if !in && open {
			ss[len(ss)-1].to = e.At
		}
		open = in
	}
	return ss
}
