package live

import (
	"time"

	"github.com/hpatune/hpatune/results"
)

// ttft and e2e are the latencies that a view keeps.
var ttft, e2e = results.TTFT, results.E2E

// limit is a latency limit to draw: that of the first objective that has one.
type limit struct {
	metric *results.Metric // ttft or e2e; nil = none
	text   string          // the objective, as written
	stat   float64         // the quantile that it limits, 0..1
	at     time.Duration
}

// firstLatencyLimit finds the first objective that limits a quantile of a drawn latency. It
// judges nothing; package results gives verdicts.
func firstLatencyLimit(objectives []string) limit {
	for _, text := range objectives {
		o, err := results.ParseObjective(text)
		if err != nil || o.Stat < 0 {
			continue
		}
		if m := o.Of(); m == ttft || m == e2e {
			return limit{m, o.Text, o.Stat, time.Duration(o.Limit * float64(time.Second))}
		}
	}
	return limit{}
}
