package fit

// throttledNotes says how often pods were stopped, and whether the law knows why.
func throttledNotes(s *service) notes {
	var n notes
	share, periods, ok := s.run.Throttled()
	if !ok {
		return n
	}
	n.quality("throttled", share, periods, "share of the pods' CPU periods in which their limit stopped them")
	switch {
	case share > 0.02 && s.law.Quota.Cores == 0:
		n.warn("pods were stopped by their CPU limit in %.0f %% of the periods, and CPU samples do not show that it "+
			"binds: short stops are not in the replay", 100*share)
	case share > 0.1:
		n.warn("pods were stopped by their CPU limit in %.0f %% of the periods: a higher limit may be worth more than "+
			"any change of the HPA", 100*share)
	}
	return n
}
