package predict

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/tuner"
)

// Nodes describes the nodes whose cost is computed; without --nodes, none.
type Nodes struct {
	Kept    int           // nodes that stand in any case
	PerNode int           // pods that one takes
	Startup time.Duration // until a new one takes pods
	Idle    time.Duration // without pods until one is given back
	Most    int           // 0 = no limit
}

// mostNodes is twice what Kubernetes supports in a cluster (5,000), which keeps costs
// within the range of a number.
const mostNodes = 10_000

// nodes checks the flags about nodes; nil = none were given.
func (a *Ask) nodes() (*tuner.Nodes, error) {
	n := a.Nodes
	if !a.given("nodes") {
		for _, flag := range []string{"pods-per-node", "node-startup", "node-idle", "max-nodes"} {
			if a.given(flag) {
				return nil, failure.Inputf("--%s has no effect without --nodes\nTry: --nodes 2 --pods-per-node 4", flag)
			}
		}
		return nil, nil
	}
	switch {
	case n.Kept < 0 || n.Kept > mostNodes:
		return nil, failure.Inputf("--nodes %d: want 0 to 10,000", n.Kept)
	case n.PerNode > 10_000 || n.PerNode < 1 && a.given("pods-per-node"):
		return nil, failure.Inputf("--pods-per-node %d: want 1 to 10,000", n.PerNode)
	case n.PerNode < 1:
		return nil, failure.Inputf("--nodes %d: pass the number of pods that fit on a node, too\n"+
			"Try: --nodes %d --pods-per-node 4", n.Kept, n.Kept)
	case n.Startup < 0:
		return nil, failure.Inputf("--node-startup %v: want a duration of 0 or more", n.Startup)
	case n.Idle < 0:
		return nil, failure.Inputf("--node-idle %v: want a duration of 0 or more", n.Idle)
	case n.Most < 0 || n.Most == 0 && a.given("max-nodes") || n.Most > mostNodes || n.Most > 0 && n.Most < n.Kept:
		return nil, failure.Inputf("--max-nodes %d: want 1 to 10,000, and no fewer than --nodes %d", n.Most, n.Kept)
	}
	return &tuner.Nodes{Kept: n.Kept, PerNode: n.PerNode, Startup: n.Startup, Idle: n.Idle, Most: n.Most}, nil
}

// words are the flags about nodes and other prices as typed, without folders.
func (a *Ask) words() string {
	c := ""
	if n := a.Nodes; a.given("nodes") {
		c += fmt.Sprintf(" --nodes %d --pods-per-node %d --node-startup %v --node-idle %v", n.Kept, n.PerNode, n.Startup,
			n.Idle)
		if n.Most > 0 {
			c += fmt.Sprintf(" --max-nodes %d", n.Most)
		}
	}
	for _, p := range a.OtherPrices {
		c += " --other-price " + filepath.Base(p)
	}
	return c
}

// otherPrices are the price lists that the what-if table compares with: the given ones, or
// the built-in ones.
func (a *Ask) otherPrices(present tuner.Price) ([]tuner.Price, error) {
	names := a.OtherPrices
	if len(names) == 0 {
		for _, name := range tuner.PriceNames() {
			if name != present.Name {
				names = append(names, name)
			}
		}
	}
	var out []tuner.Price
	for _, name := range names {
		p, err := ReadPrice("other-price", name)
		if err != nil {
			return nil, err
		}
		if p.Currency != present.Currency && len(a.OtherPrices) > 0 {
			return nil, failure.Inputf("--other-price %s: its prices are in %s, and --price is in %s; "+
				"only one currency can be compared", name, p.Currency, present.Currency)
		}
		out = append(out, p)
	}
	return out, nil
}
