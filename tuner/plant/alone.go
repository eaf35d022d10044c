package plant

import (
	"math"
	"slices"

	"github.com/hpatune/hpatune/results"
)

// Serve plays requests, in order of time, through one replica of the law. The clients never
// time out. It calls told with the time of each request's first token and of its end, in
// seconds since the request arrived. seed sets the phase of the periods of a CPU limit, and
// draws the service times of requests that have none of their own.
func (l *Law) Serve(requests []Request, seed uint64, told func(index int, first, took float64)) {
	l.ServeBehind(RoundRobin, 1, requests, seed, told)
}

// ServeBehind is Serve for n ≥ 1 replicas, which are idle at first, behind a balancer. seed also
// sets the balancer's choices.
func (l *Law) ServeBehind(b Balancer, n int, requests []Request, seed uint64,
	told func(index int, first, took float64),
) {
	m := &Model{Spec: Spec{Law: *l, Balancer: b}, dt: 1, toEnd: math.Inf(1), toFirst: math.Inf(1), wait: math.Inf(1)}
	m.Law.Queue, m.Law.Young = 0, nil
	if slices.ContainsFunc(requests, func(r Request) bool { return r.Time.Total == 0 }) {
		m.classify()
	}
	var e Exact
	e.watch = func(c *call, first, took float64) { told(int(c.index), first, took) }
	e.Reset(m, n, seed, make([]results.Tick, 1), nil)
	for i := range requests {
		e.arrive(&requests[i], requests[i].At, 0)
	}
	e.Finish()
}
