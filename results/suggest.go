package results

import (
	"fmt"
	"time"
)

// Suggestion is an objective for a run that has none.
type Suggestion struct {
	Stage     string // the quietest: fewest arrivals a second, warm-up left out
	Metric    string // ttft, or e2e where no first token was seen
	Q         Q      // of the metric in that stage, in seconds
	Objective string // twice the stage's p95
}

// Suggest makes an objective of what the run measured in its quietest stage; ok is
// false where no stage has an answer.
func Suggest(r *Run) (s Suggestion, ok bool) {
	sum := Summarize(r, nil)
	var quiet *StageSummary
	for i := range sum.Stages {
		st := &sum.Stages[i]
		if st.Warmup || st.LatencyS.E2E == nil || st.ToS <= st.FromS {
			continue
		}
		if quiet == nil || float64(st.Scheduled)/(st.ToS-st.FromS) < float64(quiet.Scheduled)/(quiet.ToS-quiet.FromS) {
			quiet = st
		}
	}
	if quiet == nil {
		return s, false
	}
	m := TTFT
	if *m.Quantiles(&quiet.LatencyS) == nil {
		m = E2E
	}
	q := **m.Quantiles(&quiet.LatencyS)
	limit := time.Duration(q.P95*2*1e3+1) * time.Millisecond
	return Suggestion{quiet.Name, m.Name, q, fmt.Sprintf("%s.p95 < %s", m.Name, limit)}, true
}
