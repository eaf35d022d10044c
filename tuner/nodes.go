package tuner

import (
	"fmt"
	"math"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// Nodes is what pods stand on; see plant.Nodes.
type Nodes = plant.Nodes

// places is the largest number of replicas that may be recommended, given a limit (0 =
// none): as many as the largest number of nodes has room for.
func places(n *Nodes, limit int32) int32 {
	pods, bounded := n.Room()
	if room := int32(min(int64(pods), math.MaxInt32)); bounded && (limit <= 0 || room < limit) {
		return room
	}
	return limit
}

// onNodes puts the pods of every candidate on nodes; from then on, the cost is that of
// nodes. The recorded run was replayed without nodes, since what its pods waited for is
// part of their recorded start. It returns what was assumed.
func (b *bench) onNodes(n *Nodes) []string {
	if n == nil {
		return nil
	}
	began := b.world.Replicas
	world, waited := b.world.On(*n)
	*b = *b.with(world)
	b.goals.node = b.perNode() // the worth of a node in replica-hours
	if rate, ok := b.rate(); ok && rate > 0 {
		b.goals.node = b.price.PerNodeHour(b.replica, n.PerNode) / rate
	}
	most := ""
	if n.Most > 0 {
		most = fmt.Sprintf(", %d at most", n.Most)
	}
	said := []string{
		fmt.Sprintf(
			"nodes that are always there: %d%s; pods on a node: %d; a node takes %s to start, and is removed after %s "+
				"without pods",
			n.Kept,
			most,
			n.PerNode,
			figure.Time(n.Startup.Seconds()),
			figure.Time(n.Idle.Seconds()),
		),
	}
	if world.Replicas < began {
		said = append(said, fmt.Sprintf("the run began with %d replicas, and the nodes stated have room for %d; "+
			"the replays begin with these", began, world.Replicas))
	}
	if waited > 0 {
		said = append(
			said,
			fmt.Sprintf("%d of %d recorded pods waited for a node; the replay leaves out those waits "+
				"and adds those of the nodes stated", waited, len(world.Start)),
		)
	}
	if b.price.Node <= 0 && b.price.Covers(b.replica) {
		said = append(
			said,
			fmt.Sprintf(
				"a full node (pods on it: %d) costs as much as its replicas; to change this, set node: PRICE in the price list",
				n.PerNode,
			),
		)
	}
	return said
}

// perNode is the number of pods that fit on a node; 0 = there are no nodes.
func (b *bench) perNode() float64 {
	if b.world.Nodes == nil {
		return 0
	}
	return float64(b.world.Nodes.PerNode)
}

// paid is what a timeline costs, in replica-hours: those of its pods, or the cost of its
// nodes divided by the price of a replica.
func (g goals) paid(a *tally) float64 {
	if g.node > 0 {
		return a.nodeSeconds / 3600 * g.node
	}
	return a.hours()
}

// bill is the cost of a day at a price list.
func (b *bench) bill(p Price, o *outcome) float64 {
	if n := b.world.Nodes; n != nil {
		return o.nodes * p.PerNodeHour(b.replica, n.PerNode)
	}
	return o.hours * p.PerReplicaHour(b.replica)
}

// monthly is the cost of n replicas that run for a month: their own, or that of their
// nodes.
func (b *bench) monthly(n float64) float64 {
	if s := b.world.Nodes; s != nil {
		nodes := max(float64(s.Kept), math.Ceil(n/float64(s.PerNode)))
		return nodes * b.price.PerNodeHour(b.replica, s.PerNode) * HoursPerMonth
	}
	return b.price.Month(b.replica, n)
}

// nodeLost asks what losing a node at the peak would change, if there are nodes.
func (b *bench) nodeLost() (loss replay.Loss, ok bool) {
	at, ok := b.peakAt()
	return replay.Loss{At: at, Node: true}, ok && b.world.Nodes != nil
}
