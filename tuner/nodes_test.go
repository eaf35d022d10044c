package tuner

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// Nodes are what is paid for: a replica less that frees none saves nothing, and a pod
// that waits for one is late.
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

	// Four minutes for a node are four minutes without the pod.
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

// A recording of more pods than the stated nodes take begins with those that they
// take, and says so; what verify reads of model.json does, too.
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
		{"a limit above it", &Nodes{Kept: 1, PerNode: 4, Most: 2}, 50, 8},
	} {
		if got := places(c.nodes, c.limit); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
