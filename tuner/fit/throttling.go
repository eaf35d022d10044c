package fit

import "github.com/hpatune/hpatune/internal/figure"

// throttledNotes says how often pods were throttled, and whether the law explains it.
func throttledNotes(s *service) notes {
	var n notes
	share, periods, ok := s.run.Throttled()
	if !ok {
		return n
	}
	n.quality("throttled", share, periods, "share of CPU periods in which the limit throttled the pods")
	switch {
	case share > 0.02 && s.law.Quota.Cores == 0:
		n.warn("the CPU limit throttled the pods in %s of the periods, but the CPU samples stay below "+
			"it: the replay does not include short throttling", figure.Percent(share))
	case share > 0.1:
		n.warn("the CPU limit throttled the pods in %s of the periods: a higher limit may help more than "+
			"any change of the HPA", figure.Percent(share))
	}
	return n
}
