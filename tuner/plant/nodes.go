package plant

import (
	"math"
	"time"
)

// Nodes is the nodes that pods run on. A pod that fits on no node waits for one: one that was
// already requested, or a new one. A node without pods is removed after Idle, unless it is one
// of the Kept ones.
//
// Pods fill nodes in the order of their creation, and ReplicaSets delete the youngest pods
// first. So nodes are a stack, and n pods run on the first ⌈n/PerNode⌉. A cluster that spreads
// its pods frees fewer nodes, unless something consolidates them.
type Nodes struct {
	Kept    int           // nodes that are always there
	PerNode int           // pods that fit on one; at least 1
	Startup time.Duration // from the request for a node until it accepts pods
	Idle    time.Duration // after which an empty node is removed
	Most    int           // nodes at most, by a quota; 0 = no bound
}

// never is a time later than the end of any replay, in seconds.
const never = 1e9

// nodeStack is the nodes of one replay. In the zero nodeStack every pod is scheduled at once.
type nodeStack struct {
	of    *Nodes
	kept  int
	added []addedNode // beyond the kept ones, in order
}

type addedNode struct {
	ready float64 // seconds
	empty float64 // since when it has no pods; +Inf = it has pods
	stays bool    // replaces a kept one
}

// begin sets up the nodes on which n pods have run for a long time, up to the bound. Pods that
// do not fit stay pending.
func (s *nodeStack) begin(of *Nodes, n int) {
	s.of, s.added = of, s.added[:0]
	if of == nil {
		return
	}
	s.kept = of.Kept
	for s.places() < n && !s.full() {
		s.added = append(s.added, addedNode{ready: math.Inf(-1), empty: math.Inf(1)})
	}
}

// full reports whether the number of nodes has reached its bound.
func (s *nodeStack) full() bool { return s.of.Most > 0 && s.kept+len(s.added) >= s.of.Most }

func (s *nodeStack) places() int { return (s.kept + len(s.added)) * s.of.PerNode }

// place schedules a pod at time now beside the given number of others, and returns how long
// the pod waits for a node.
func (s *nodeStack) place(others int, now float64) (wait float64) {
	if s.of == nil {
		return 0
	}
	for s.places() <= others {
		if s.full() {
			return never
		}
		s.added = append(s.added, addedNode{ready: now + s.of.Startup.Seconds(), empty: math.Inf(1)})
	}
	i := others/s.of.PerNode - s.kept
	if i < 0 {
		return 0
	}
	s.added[i].empty = math.Inf(1)
	return max(0, s.added[i].ready-now)
}

// count removes idle nodes and returns how many there are at time now with the given number of
// pods. Requested nodes count, too.
func (s *nodeStack) count(pods int, now float64) float64 {
	if s.of == nil {
		return 0
	}
	for i := range s.added {
		switch n := &s.added[i]; {
		case pods > (s.kept+i)*s.of.PerNode:
			n.empty = math.Inf(1)
		case math.IsInf(n.empty, 1):
			n.empty = now
		}
	}
	for k := len(s.added) - 1; k >= 0; k-- {
		if n := &s.added[k]; n.stays || now-max(n.empty, n.ready) < s.of.Idle.Seconds() {
			break
		}
		s.added = s.added[:k]
	}
	return float64(s.kept + len(s.added))
}

// lose removes one node at time now and requests a replacement at once.
func (s *nodeStack) lose(now float64) {
	if s.of == nil {
		return
	}
	again := addedNode{ready: now + s.of.Startup.Seconds(), empty: math.Inf(1)}
	switch {
	case s.kept > 0:
		s.kept--
		again.stays = true
	case len(s.added) > 0:
		s.added = append(s.added[:0], s.added[1:]...)
	}
	s.added = append(s.added, again)
}

// later returns a life that starts on a node only after wait seconds.
func (l Life) later(wait float64) Life {
	l.Scheduled, l.Started, l.ReadyAt = l.Scheduled+wait, l.Started+wait, l.ReadyAt+wait
	return l
}

// On returns the model with its pods on the given nodes, on the same tables.
func (m *Model) On(nodes *Nodes) *Model {
	d := *m
	d.Nodes = nodes
	return &d
}

// LoseNode removes a node with the pods on it.
func (f *Fluid) LoseNode(at float64) {
	if f.m.Nodes != nil {
		f.nodes.lose(at)
		f.Lose(f.m.Nodes.PerNode, at)
	}
}

// LoseNode removes a node with the pods on it.
func (e *Exact) LoseNode(at float64) {
	if e.m.Nodes != nil {
		e.nodes.lose(at)
		e.Lose(e.m.Nodes.PerNode, at)
	}
}

// draining returns how many pods are deleted but not gone yet.
func (f *Fluid) draining() int {
	n := 0.0
	for i := range f.leaving {
		if c := &f.leaving[i]; !math.IsInf(c.life.Deleted, -1) { // a lost pod no longer takes up room
			n += c.n
		}
	}
	return int(n + 0.5)
}

// Room returns how many pods fit on Most nodes; ok is false if the nodes have no bound.
func (n *Nodes) Room() (pods int, ok bool) {
	if n == nil || n.Most <= 0 {
		return 0, false
	}
	return max(n.Most, n.Kept) * n.PerNode, true
}
