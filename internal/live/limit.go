package live

import (
	"strings"
	"time"
)

// limit is a latency limit to draw: that of the first objective that has one.
type limit struct {
	metric string // "ttft", "e2e"; "" = none
	text   string // the objective, as written
	at     time.Duration
}

// firstLatencyLimit finds the first objective of the form ttft.STAT < LIMIT or
// e2e.STAT < LIMIT. It judges nothing: verdicts are results' to give.
func firstLatencyLimit(objectives []string) limit {
	for _, o := range objectives {
		fields := strings.Fields(strings.ReplaceAll(strings.ReplaceAll(o, "<=", " < "), "<", " < "))
		metric, _, _ := strings.Cut(o, ".")
		if metric != "ttft" && metric != "e2e" {
			continue
		}
		for i, f := range fields {
			if f == "<" && i+1 < len(fields) {
				if d, err := time.ParseDuration(fields[i+1]); err == nil {
					return limit{metric, o, d}
				}
			}
		}
	}
	return limit{}
}
