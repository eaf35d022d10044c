package tuner

import "github.com/hpatune/hpatune/results"

// Costs returns what a run's replicas cost on average, per hour and per month of 730 hours,
// based on their requests: the figures usd_hour and usd_month, in the price's currency. It
// returns nil if the requests, the replicas or the length of the run are unknown.
func Costs(run *results.Run, price Price) []results.Figure {
	w := run.Meta.Workload
	replica := Replica{
		CPUCores: float64(w.CPUMilli) / 1000,
		MemoryGB: float64(w.MemoryBytes) / (1 << 30),
		GPUs:     float64(w.GPUs),
	}
	hours, span := run.Replicas().Hours, run.End().Hours()
	if !replica.Known() || hours == nil || span <= 0 {
		return nil
	}
	hour := *hours / span * price.PerReplicaHour(replica)
	perHour := results.Exactly(results.USDHour.Name, hour, len(run.Pods), results.Money)
	perMonth := results.Exactly(results.USDMonth.Name, hour*HoursPerMonth, len(run.Pods), results.Money)
	perHour.Currency, perMonth.Currency = price.Currency, price.Currency
	return []results.Figure{perHour, perMonth}
}
