package sim

import (
	"math"
	"math/rand/v2"
)

// Balancer is how a request finds its pod.
type Balancer int

// The balancers.
const (
	RoundRobin Balancer = iota
	Random
	LeastConnections // fewest in flight, ties at random
	LeastWaiting     // fewest queued, ties at random
	PrefixAffine     // llm-d's endpoint picker: prefix, queue and in flight scored and weighed
	Aged             // connections opened to a pod at random, kept, used again, closed at an age
)

var balancerWords = [...]string{"round robin", "random", "least connections", "least waiting", "prefix-affine",
	"aged connections"}

func (b Balancer) String() string { return balancerWords[b] }

// connectionAge is how long a connection is used: the load generator's default.
const connectionAge = 10.0

// connection is an HTTP/1.1 connection of the client: one request at a time.
type connection struct {
	pod    *pod
	opened float64
	busy   bool
}

type balancer struct {
	kind   Balancer
	r      *rand.Rand
	places float64 // requests that a pod holds at once
	turn   int
	conns  []connection
	idle   []int // last used on top
	best   []*pod
	opens  int
}

// pick chooses among the pods that get traffic; nil if there is none.
func (b *balancer) pick(now float64, ready []*pod, q *request) *pod {
	q.connection, q.newConn = -1, false
	if len(ready) == 0 {
		return nil
	}
	switch b.kind {
	case RoundRobin:
		b.turn++
		return ready[b.turn%len(ready)]
	case Random:
		return ready[b.r.IntN(len(ready))]
	case LeastConnections:
		return b.least(ready, func(p *pod) float64 { return float64(p.inFlight) })
	case LeastWaiting:
		return b.least(ready, func(p *pod) float64 {
			p.server.advance(now)
			_, w := p.server.counts()
			return float64(w)
		})
	case PrefixAffine:
		return b.scored(now, ready, q)
	}
	return b.connected(now, ready, q)
}

func (b *balancer) least(ready []*pod, of func(*pod) float64) *pod {
	least := math.Inf(1)
	b.best = b.best[:0]
	for _, p := range ready {
		v := of(p)
		if v < least {
			least, b.best = v, b.best[:0]
		}
		if v == least {
			b.best = append(b.best, p)
		}
	}
	return b.best[b.r.IntN(len(b.best))]
}

// scored adds up the scores of the inference gateway's scorers, with llm-d's default weights: 3
// times the share of the prompt that is in the prefix cache, 2 times the queue score (1 for the
// shortest queue, 0 for the longest), and 2 times the share of free memory.
func (b *balancer) scored(now float64, ready []*pod, q *request) *pod {
	shortest, longest := math.Inf(1), 0.0
	for _, p := range ready {
		p.server.advance(now)
		_, w := p.server.counts()
		p.waiting = float64(w)
		shortest, longest = min(shortest, p.waiting), max(longest, p.waiting)
	}
	p := b.least(ready, func(p *pod) float64 {
		s := 2.0
		if longest > shortest {
			s = 2 * (longest - p.waiting) / (longest - shortest)
		}
		running, _ := p.server.counts()
		s += 2 * (1 - float64(running)/b.places)
		if q.prefix > 0 && p.prefixes.has(q.prefix) {
			s += 3 * float64(q.shared) / float64(q.prompt)
		}
		return -s
	})
	if q.prefix > 0 {
		p.prefixes.use(q.prefix)
	}
	return p
}

// connected takes the idle connection that was used last, or opens one to a pod at random.
func (b *balancer) connected(now float64, ready []*pod, q *request) *pod {
	for n := len(b.idle); n > 0; n = len(b.idle) {
		i := b.idle[n-1]
		b.idle = b.idle[:n-1]
		c := &b.conns[i]
		if now-c.opened > connectionAge || c.pod.deleted <= now {
			continue
		}
		c.busy, q.connection = true, i
		return c.pod
	}
	b.conns = append(b.conns, connection{ready[b.r.IntN(len(ready))], now, true})
	q.connection, q.newConn = len(b.conns)-1, true
	b.opens++
	return b.conns[q.connection].pod
}

// end returns a request's connection to the pool.
func (b *balancer) end(q *request) {
	if q.connection >= 0 {
		b.conns[q.connection].busy = false
		b.idle = append(b.idle, q.connection)
	}
}

// recent remembers the last few prefixes of a pod.
type recent struct{ ids []int }

const keptPrefixes = 16

func (x *recent) has(id int) bool {
	for _, v := range x.ids {
		if v == id {
			return true
		}
	}
	return false
}

func (x *recent) use(id int) {
	for i, v := range x.ids {
		if v == id {
			x.ids = append(append(x.ids[:i], x.ids[i+1:]...), id)
			return
		}
	}
	if len(x.ids) >= keptPrefixes {
		x.ids = x.ids[:copy(x.ids, x.ids[1:])]
	}
	x.ids = append(x.ids, id)
}
