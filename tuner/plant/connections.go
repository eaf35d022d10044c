package plant

import (
	"math"
	"time"
)

// Connections says how clients keep connections, for the Aged balancer. A new connection
// reaches a ready replica at random (kube-proxy), and every request on it goes to that
// replica. A request takes the idle connection of its pool that was used last, or opens a new
// one. A connection takes no more requests once it reaches its age. When a replica is deleted,
// its connections are closed.
//
// Source: loadgen/conns.go for hpatune's own generator (max_age 10 s, 32 pools). HTTP clients
// of most languages keep one pool, with a stack of idle connections.
type Connections struct {
	Pools int           // used in turn; 0 = 1
	Age   time.Duration // a connection lives for 75 to 100 % of it; 0 = it never ages
}

// conn is one open connection.
type conn struct {
	pod   int     // index of the server in order of creation
	until float64 // takes no requests after this time, seconds
	pool  int32
}

// none is the connection of a call that has no connection.
const none = int32(-1)

// wired picks the replica for a request by the request's connection.
func (e *Exact) wired(r *Request) (*server, int32) {
	// Every server is played up to now first, to know which connections are idle.
	for _, list := range [][]*server{e.ready, e.leaving} {
		for _, s := range list {
			e.advance(s, r.At)
			e.expire(s)
		}
	}
	pools := max(1, e.m.Connections.Pools)
	for len(e.idle) < pools {
		e.idle = append(e.idle, nil)
	}
	pool := int(e.turn % uint64(pools))
	e.turn++
	for stack := &e.idle[pool]; len(*stack) > 0; {
		k := (*stack)[len(*stack)-1]
		*stack = (*stack)[:len(*stack)-1]
		if c := &e.conns[k]; r.At <= c.until {
			for _, s := range e.ready {
				if s.index == c.pod {
					return s, k
				}
			}
		}
	}
	n := uint64(len(e.conns))
	s := e.ready[mix(e.seed^0x636f6e6e, n)%uint64(len(e.ready))]
	c := conn{pod: s.index, until: math.Inf(1), pool: int32(pool)}
	if age := e.m.Connections.Age.Seconds(); age > 0 {
		u := float64(mix(e.seed^0x616765, n)>>11) / (1 << 53)
		life := 0.75 + 0.25*u
		if r.At < age { // spread the ends of the first connections over a whole age
			life = u
		}
		c.until = r.At + age*life
	}
	e.conns = append(e.conns, c)
	return s, int32(n)
}

// hangUp returns a call's connection to its pool, or closes it if the request was cut off.
func (e *Exact) hangUp(c *call, cut bool) {
	if c.conn == none || cut {
		return
	}
	pool := e.conns[c.conn].pool
	e.idle[pool] = append(e.idle[pool], c.conn)
}
