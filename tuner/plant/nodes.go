package plant

import (
	"math"
	"time"
)

// Nodes is what pods stand on. A pod that finds no place waits for a node: one that
// was requested already, or a new one. A node on which no pod has been for Idle is
// removed, but for those that are always there.
//
// Pods fill nodes in the order of their creation, and the youngest leave first, as
// ReplicaSets delete them: so nodes are a stack, and n pods stand on the first
// ⌈n/PerNode⌉. A cluster that spreads its pods frees fewer nodes, unless somebody packs
// them anew.
type Nodes struct {
	Kept    int           // always there
	PerNode int           // pods that fit on one; at least 1
	Startup time.Duration // from the request of a node until it takes pods
	Idle    time.Duration // after which an empty node is removed
	Most    int           // nodes at most, by a quota; 0 = no bound
}

// never is later than any replay ends, and yet a time, in seconds.
const never = 1e9

// nodeStack is the nodes of one replay. The zero nodeStack has none: every pod finds
// its place.
type nodeStack struct {
	of    *Nodes
	kept  int
	added []addedNode // beyond those that are kept, in order
}

type addedNode struct {
	ready float64 // seconds
	empty float64 // since when no pod is on it; +Inf = one is
	stays bool    // in place of a kept one
}

// begin is the nodes on which n pods have long stood: no more than there may be, and
// the pods beyond them have no place.
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

// full says whether there are as many nodes as there may be.
func (s *nodeStack) full() bool { return s.of.Most > 0 && s.kept+len(s.added) >= s.of.Most }

func (s *nodeStack) places() int { return (s.kept + len(s.added)) * s.of.PerNode }

// place finds a place at time now for a pod beside the given number of others, and
// returns how long it waits for one.
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

// count lets empty nodes go and returns how many there are at time now, requested ones
// too, with so many pods.
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

// lose takes one node away at time now; one in its place is requested at once.
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

// later is a life that begins on a node only after so many seconds.
func (l Life) later(wait float64) Life {
	l.Scheduled, l.Started, l.ReadyAt = l.Scheduled+wait, l.Started+wait, l.ReadyAt+wait
	return l
}

// On returns the model of pods that stand on nodes, on the same tables.
func (m *Model) On(nodes *Nodes) *Model {
	d := *m
	d.Nodes = nodes
	return &d
}

// LoseNode takes a node away with the pods on it.
func (f *Fluid) LoseNode(at float64) {
	if f.m.Nodes != nil {
		f.nodes.lose(at)
		f.Lose(f.m.Nodes.PerNode, at)
	}
}

// LoseNode takes a node away with the pods on it.
func (e *Exact) LoseNode(at float64) {
	if e.m.Nodes != nil {
		e.nodes.lose(at)
		e.Lose(e.m.Nodes.PerNode, at)
	}
}

// draining is how many pods are deleted and still there.
func (f *Fluid) draining() int {
	n := 0.0
	for i := range f.leaving {
		if c := &f.leaving[i]; !math.IsInf(c.life.Deleted, -1) { // a lost pod has no place any more
			n += c.n
		}
	}
	return int(n + 0.5)
}

// Room is how many pods the most nodes take; ok is false where nothing bounds them.
func (n *Nodes) Room() (pods int, ok bool) {
	if n == nil || n.Most <= 0 {
		return 0, false
	}
	return max(n.Most, n.Kept) * n.PerNode, true
}
