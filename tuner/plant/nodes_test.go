package plant

import (
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

func TestNodeStack(t *testing.T) {
	n := Nodes{Kept: 1, PerNode: 2, Startup: 240 * time.Second, Idle: 600 * time.Second}
	type step struct {
		at     float64
		others int // a pod is placed beside this many; -1 = none is
		pods   int // afterwards
		wait   float64
		nodes  float64
	}
	for _, c := range []struct {
		name  string
		nodes Nodes
		old   int
		steps []step
	}{
		{"a place on what is kept", n, 1, []step{{at: 10, others: 1, pods: 2, nodes: 1}}},
		{"a pod beyond it waits for a node, and is paid for from its request", n, 2, []step{{10, 2, 3, 240, 2}}},
		{"the next one waits with it for what is left", n, 2, []step{{10, 2, 3, 240, 2}, {110, 3, 4, 140, 2}}},
		{"a third requests another", n, 2, []step{{10, 2, 3, 240, 2}, {110, 4, 5, 240, 3}}},
		{"once it is there, nobody waits", n, 2, []step{{10, 2, 3, 240, 2}, {300, 3, 4, 0, 2}}},
		{"an empty node is kept for a while", n, 3, []step{{10, -1, 2, 0, 2}, {609, -1, 2, 0, 2}, {610, -1, 2, 0, 1}}},
		{"and is used again meanwhile", n, 3, []step{{10, -1, 2, 0, 2}, {500, 2, 3, 0, 2}, {700, -1, 3, 0, 2}}},
		{"a node is not removed before it came", n, 2, []step{{10, 2, 3, 240, 2}, {20, -1, 2, 0, 2}, {800, -1, 2, 0, 2}, {850, -1, 2, 0, 1}}},
		{"a replica less that frees no node", n, 4, []step{{10, -1, 3, 0, 2}, {5000, -1, 3, 0, 2}}},
		{"a quota leaves it pending", Nodes{Kept: 1, PerNode: 2, Most: 1}, 2, []step{{10, 2, 3, never, 1}}},
		{"no more nodes than a bound, whatever stood at the start", Nodes{Kept: 1, PerNode: 2, Most: 2}, 8, []step{{10, -1, 8, 0, 2}, {20, 4, 5, never, 2}}},
		{"what runs has its nodes, whatever is kept", Nodes{PerNode: 2}, 5, []step{{10, -1, 5, 0, 3}}},
	} {
		var s nodeStack
		s.begin(&c.nodes, c.old)
		for _, x := range c.steps {
			wait := 0.0
			if x.others >= 0 {
				wait = s.place(x.others, x.at)
			}
			if nodes := s.count(x.pods, x.at); wait != x.wait || nodes != x.nodes {
				t.Errorf("%s, at %v: waits %v s, %v nodes; want %v s, %v", c.name, x.at, wait, nodes, x.wait, x.nodes)
			}
		}
	}
	var none nodeStack
	none.begin(nil, 3)
	if none.place(100, 1) != 0 || none.count(3, 1) != 0 {
		t.Error("without nodes a pod waits, or a node is counted")
	}
}

// Both plants let pods wait for nodes, and lose a node with its pods.
func TestPodsWaitForNodes(t *testing.T) {
	m, err := Compile(Spec{Law: SlotsLaw(4, []ServiceTime{{First: 1, Total: 1}}), Start: []PhaseSample{{Ready: 20 * time.Second}},
		ArrivalCV2: 1, NoiseSeen: 1, Nodes: &Nodes{Kept: 2, PerNode: 2, Startup: 60 * time.Second, Idle: 30 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	const seconds = 400
	exact, fluid := make([]results.Tick, seconds), make([]results.Tick, seconds)
	var e Exact
	var f Fluid
	e.Reset(m, 2, 1, exact, nil)
	f.Reset(m, 2, nil)
	for i := range seconds {
		for _, p := range []interface {
			Scale(n int, at float64)
			LoseNode(at float64)
		}{&e, &f} {
			switch i {
			case 10: // two places are left
				p.Scale(5, 10)
			case 150:
				p.Scale(2, 150)
			case 250:
				p.LoseNode(250)
			}
		}
		e.Step(nil)
		f.Step(0, &fluid[i])
	}
	for _, c := range []struct {
		at           int
		ready, nodes float64
		why          string
	}{
		{9, 2, 2, "at rest"},
		{20, 2, 3, "a third node is requested"},
		{35, 4, 3, "those with a place are ready after 20 s"},
		{85, 4, 3, "the fifth waits for its node and then starts"},
		{95, 5, 3, "ready 60 + 20 s after it was created"},
		{170, 2, 3, "a node is empty"},
		{190, 2, 2, "and gone after half a minute"},
		{255, 0, 2, "a node is lost with both pods; another is requested"},
		{275, 2, 2, "they found places on the node that is left"},
	} {
		for _, p := range []struct {
			name  string
			ticks []results.Tick
		}{{"exact", exact}, {"fluid", fluid}} {
			if k := p.ticks[c.at]; k.Ready != c.ready || k.Nodes != c.nodes {
				t.Errorf("%s at %d s (%s): %v ready on %v nodes, want %v on %v", p.name, c.at, c.why, k.Ready, k.Nodes, c.ready, c.nodes)
			}
		}
	}
}
