package sim

// Capacity is the highest rate a pod, in requests a second, at which n pods of a fixed size keep every
// objective's share of requests within its limit at a constant load, found by bisection between
// nothing and top; 0 where even a nearly idle pod does not.
func (w *World) Capacity(n int, top float64) float64 {
	holds := func(rate float64) bool {
		flat := *w
		flat.Load = Load{CV2: w.Load.CV2, Stages: []Stage{Flat("flat", 900, rate*float64(n))}}
		flat.Record = Recording{}
		met := 0
		for seed := range uint64(3) {
			if flat.Run(Options{Seed: 900 + seed, Fixed: n}).Met {
				met++
			}
		}
		return met >= 2
	}
	lo, hi := 0.0, top
	for range 10 {
		if mid := (lo + hi) / 2; holds(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}
