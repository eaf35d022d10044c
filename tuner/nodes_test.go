package tuner

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// Nodes are what is billed: removing a replica that frees no node saves nothing, and a pod
// that waits for a node is late.
func TestNodesAreWhatIsPaid(t *testing.T) {
	b := slowStart(t, 20*time.Second)
	var s replay.Scratch
	size := func(n int32) hpa.Config {
		c := hpa.DefaultConfig(n)
		c.MinReplicas = n
		return c
	}
	plain := b.try(size(6), 2, &s)
	said := b.onNodes(&Nodes{Kept: 1, PerNode: 3, Startup: 4 * time.Minute, Idle: 10 * time.Minute})
	if len(said) != 2 || !strings.Contains(said[1], "a full node (pods on it: 3)") {
		t.Errorf("assumed: %q", said)
	}
	span := b.world.Demand.Duration().Hours()
	for _, c := range []struct {
		pods  int32
		nodes float64
	}{{1, 1}, {3, 1}, {4, 2}, {5, 2}, {6, 2}, {7, 3}} {
		d := b.try(size(c.pods), 1, &s).days[0]
		if want := c.nodes * span; math.Abs(d.nodes-want) > 1e-6 || math.Abs(d.paid-3*want) > 1e-6 {
			t.Errorf("%d pods: %v node-hours, paid like %v replica-hours; want %v and %v", c.pods, d.nodes, d.paid, want, 3*want)
		}
	}
	five, six := b.try(size(5), 6, &s), b.try(size(6), 6, &s)
	if more := paired(five, six, paid, 1); more.Value != 0 || hoursOf(five) >= hoursOf(six) {
		t.Errorf("the sixth replica costs %v more, of %v and %v replica-hours", more.Value, hoursOf(five), hoursOf(six))
	}
	if p := b.pick(six); p.Predicted.NodeHours == nil || math.Abs(p.Predicted.NodeHours.Value-2*span) > 1e-6 ||
		math.Abs(*p.Predicted.USDMonth.Floor-b.price.Month(b.replica, 6)) > 1e-6 {
		t.Errorf("predicted of 6 replicas on 2 nodes: %+v", p.Predicted)
	}
	if plain.days[0].nodes != 0 || plain.days[0].paid != plain.days[0].hours {
		t.Errorf("without nodes: %+v", plain.days[0])
	}

	// Waiting four minutes for a node means four minutes without the pod.
	grows := cpuHPA(3, 12, 50)
	late, soon := b.try(grows, 4, &s), slowStart(t, 20*time.Second).try(grows, 4, &s)
	if a, z := mean(late.of(attainment)), mean(soon.of(attainment)); a >= z {
		t.Errorf("within limits %v where pods wait for nodes, and %v where they do not", a, z)
	}
	p := b.price
	p.Node = 1
	b = slowStart(t, 20*time.Second)
	b.price = p
	if said := b.onNodes(&Nodes{Kept: 1, PerNode: 3}); len(said) != 1 {
		t.Errorf("a node has a price, and there is one assumed: %q", said)
	}
	d := b.try(size(3), 1, &s).days[0]
	if got, want := d.paid*p.PerReplicaHour(b.replica), span; math.Abs(got-want) > 1e-9 {
		t.Errorf("a node at $1 an hour costs %v in %v hours", got, want)
	}
}

// If a recording has more pods than fit on the stated nodes, the replay starts with those that
// fit, and says so; so does verify when it reads model.json.
func TestABoundHoldsFromTheStart(t *testing.T) {
	b := slowStart(t, 20*time.Second)
	b.world.Replicas = 9
	said := b.onNodes(&Nodes{Kept: 1, PerNode: 2, Most: 2, Startup: time.Minute})
	if b.world.Replicas != 4 || !slices.ContainsFunc(said, func(s string) bool {
		return strings.HasPrefix(s, "the run began with 9 replicas, and the nodes stated have room for 4")
	}) {
		t.Errorf("begins with %d, assumed %q", b.world.Replicas, said)
	}
	var s replay.Scratch
	four := hpa.DefaultConfig(4)
	four.MinReplicas = 4
	if d := b.try(four, 1, &s).days[0]; math.Abs(d.nodes-2*b.world.Demand.Duration().Hours()) > 1e-6 {
		t.Errorf("%v node-hours, want those of two nodes", d.nodes)
	}
	w, err := replay.New(*b.world)
	if err != nil || w.Replicas != 4 || w.Nodes == nil {
		t.Errorf("the world of a model begins with %+v, %v", w, err)
	}
}

func hoursOf(t *trial) float64 { return mean(t.of(hours)) }

func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		name        string
		nodes       *Nodes
		limit, want int32
	}{
		{"no nodes are stated", nil, 7, 7},
		{"as many nodes as it takes", &Nodes{Kept: 1, PerNode: 4}, 0, 0},
		{"two nodes of four", &Nodes{Kept: 1, PerNode: 4, Most: 2}, 0, 8},
		{"a limit below that", &Nodes{Kept: 1, PerNode: 4, Most: 2}, 5, 5},
		{"one node", &Nodes{Kept: 1, PerNode: 4, Most: 1}, 0, 4},
		{"a limit of one", &Nodes{Kept: 1, PerNode: 4, Most: 2}, 1, 1},
		{"more than there are numbers", &Nodes{Kept: 1, PerNode: 4, Most: 1 << 30}, 0, math.MaxInt32},
		{"a limit above it", &Nodes{Kept: 1, PerNode: 4, Most: 2}, 50, 8},
	} {
		if got := places(c.nodes, c.limit); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestWhatIsAssumedOfNodes(t *testing.T) {
	starts := []plant.PhaseSample{{Schedule: time.Second}, {Schedule: 3 * time.Minute}, {Schedule: 2 * time.Minute}}
	nodes := Nodes{Kept: 2, PerNode: 3, Startup: 4 * time.Minute, Idle: 10 * time.Minute}
	listed := Price{CPU: 0.5, Node: 0.75}
	kept := "nodes that are always there: 2; pods on a node: 3; a node takes 4 m 00 s to start, and is removed after 10 m 00 s without pods"
	full := "a full node (pods on it: 3) costs as much as its replicas; to change this, set node: PRICE in the price list"
	late := "2 of 3 recorded pods waited for a node; the replay leaves out those waits and adds those of the nodes stated"
	for _, c := range []struct {
		sentence string
		most     int
		price    Price
		gpus     float64 // of one replica
		pods     int     // recorded pods
		worth    float64
		want     []string
	}{
		{"a node costs what fills it", 0, Price{CPU: 0.5}, 0, 1, 3, []string{kept, full}},
		{"pods waited for nodes", 0, Price{CPU: 0.5}, 0, 3, 3, []string{kept, late, full}},
		{"one pod waited", 0, Price{CPU: 0.5}, 0, 2, 3, []string{kept, strings.Replace(late, "2 of 3", "1 of 2", 1), full}},
		{"a node has a price: in replicas of half a dollar", 0, listed, 0, 1, 1.5, []string{kept}},
		{"a node for a dollar", 0, Price{CPU: 0.5, Node: 1}, 0, 1, 2, []string{kept}},
		{"one node at most", 1, listed, 0, 1, 1.5, []string{strings.Replace(kept, "2;", "2, 1 at most;", 1)}},
		{"replicas are free", 0, Price{Node: 0.75}, 0, 1, 3, []string{kept}},
		{"replicas for a dollar", 0, Price{CPU: 1, Node: 0.75}, 0, 1, 0.75, []string{kept}},
		{"no price covers the replica", 0, Price{CPU: 1}, 1, 1, 3, []string{kept}},
	} {
		w := clockwork(t, 10, func(w *replay.World) { w.Start = starts[:c.pods] })
		b := &bench{world: w, price: c.price, replica: Replica{CPUCores: 1, GPUs: c.gpus}}
		n := nodes
		n.Most = c.most
		if got := b.onNodes(&n); !slices.Equal(got, c.want) || b.goals.node != c.worth {
			t.Errorf("%s: a node is worth %v, assumed\n%s\nwant %v,\n%s", c.sentence, b.goals.node,
				strings.Join(got, "\n"), c.worth, strings.Join(c.want, "\n"))
		}
	}
	world := clockwork(t, 10, nil)
	b := &bench{world: world}
	if got := b.onNodes(nil); got != nil || b.world != world || b.perNode() != 0 {
		t.Errorf("no nodes: %q, %v pods on each", got, b.perNode())
	}
}

// What is billed: the hours of replicas, or the hours of nodes at a node's price.
func TestBills(t *testing.T) {
	b := &bench{world: &replay.World{}, price: Price{CPU: 0.5}, replica: Replica{CPUCores: 1}}
	nodes := *b
	nodes.world = &replay.World{Nodes: &Nodes{Kept: 2, PerNode: 4}}
	a := &tally{podSeconds: 7200, nodeSeconds: 1800}
	day := &outcome{hours: 3, nodes: 2}
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"without nodes, the hours of replicas", goals{}.paid(a), 2},
		{"with nodes, theirs, at what one is worth", goals{node: 4}.paid(a), 2},
		{"at half a replica, too", goals{node: 0.5}.paid(a), 0.25},
		{"a day's bill of replicas", b.bill(b.price, day), 1.5},
		{"and of nodes", nodes.bill(b.price, day), 4},
		{"a month of 3 replicas", b.monthly(3), 3 * 0.5 * 730},
		{"of 9 replicas on 3 nodes", nodes.monthly(9), 3 * 2 * 730},
		{"of 3 replicas on the 2 nodes that are always there", nodes.monthly(3), 2 * 2 * 730},
	} {
		if math.Abs(c.got-c.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestANodeIsLostAtThePeak(t *testing.T) {
	world := func(n *Nodes, load float64) *bench {
		return &bench{world: &replay.World{Nodes: n, Demand: replay.Demand{Step: time.Minute, Bins: []float64{0, load, 0}}}}
	}
	if lost, ok := world(&Nodes{PerNode: 2}, 9).nodeLost(); !ok || !lost.Node || lost.At != time.Minute {
		t.Errorf("%+v, %v, want a node lost after a minute", lost, ok)
	}
	if _, ok := world(nil, 9).nodeLost(); ok {
		t.Error("a node was lost where there is none")
	}
	if _, ok := world(&Nodes{PerNode: 2}, 0).nodeLost(); ok {
		t.Error("a node was lost at the peak of no load")
	}
}
