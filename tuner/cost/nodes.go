package cost

// PerNodeHour returns the hourly cost of a node that holds this number of replicas: the
// price list's own price of a node, else that of all the replicas that fit on it.
//
// A node of four replicas at $0.07 each costs 0.28, unless the price list says 0.31.
func (p Price) PerNodeHour(r Replica, replicas int) float64 {
	if p.Node > 0 {
		return p.Node
	}
	return float64(replicas) * p.PerReplicaHour(r)
}
