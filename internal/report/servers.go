package report

import (
	"fmt"

	"github.com/hpatune/hpatune/results"
)

// serverNames are what the servers' histograms measure, as the latency table names it.
var serverNames = map[string]string{
	"ttft": "TTFT", "e2e": "E2E", "queue": "waiting in the server", "itl": "ITL, of each token",
}

// servers prints the servers' own times beside the client's.
func (p *printer) servers(list []results.ServerTime) {
	if len(list) == 0 {
		return
	}
	p.line("\nServer histograms (%s), beside the client's times from the actual send:", list[0].Source)
	rows := [][]string{{"", "n", "server p50", "client p50", "server p95", "client p95"}}
	beyond := false
	for _, t := range list {
		rows = append(rows, []string{serverNames[t.Of], fmt.Sprint(t.N), bucketed(t.P50S, t.FinestS), secondsOr(t.ClientP50S),
			bucketed(t.P95S, t.FinestS), secondsOr(t.ClientP95S)})
		beyond = beyond || t.Beyond
	}
	p.table(rows)
	p.line(
		"  The rest of the client's time is spent on the network, in the load balancer and in queues before the servers. Server times are only as exact as their buckets.",
	)
	if beyond {
		p.line("  A quantile beyond the last bucket is printed as that bucket's bound; the real one is longer.")
	}
}

// bucketed is a quantile of a histogram: below its least bound, only that is known.
func bucketed(v, finest float64) string {
	if v < finest {
		return "< " + seconds(finest)
	}
	return seconds(v)
}

func secondsOr(v *float64) string {
	if v == nil {
		return dash
	}
	return seconds(*v)
}
