package report

import (
	"fmt"
	"slices"

	"github.com/hpatune/hpatune/results"
)

// serverNames are what the servers' histograms measure, as the latency table names it.
var serverNames = map[string]string{
	"ttft": "TTFT", "e2e": "E2E", "queue": "queueing in the server", "itl": "ITL, of each token",
}

// servers prints the servers' own times beside the client's.
func (p *printer) servers(list []results.ServerTime) {
	if len(list) == 0 {
		return
	}
	p.line("\n%s:", serversTitle(list))
	p.table(serverRows(list))
	p.line("  %s", serversNote(list))
}

// serverTable is the servers' times for the page.
type serverTable struct {
	Title, Note string
	Rows        [][]string
}

// serversTitle says what the servers' times are, and since when they are counted.
func serversTitle(list []results.ServerTime) string {
	from := 0.0
	for _, t := range list {
		from = max(from, t.FromS)
	}
	return fmt.Sprintf("Server histograms (%s) since %s, beside the client's times from the actual send",
		list[0].Source, clock(from))
}

// serverRows is the table of the servers' times, its head first.
func serverRows(list []results.ServerTime) [][]string {
	rows := [][]string{{"", "n", "server p50", "client p50", "server p95", "client p95"}}
	for _, t := range list {
		rows = append(rows, []string{serverNames[t.Of], fmt.Sprint(t.N), bucketed(t.P50S, t.FinestS), secondsOr(t.ClientP50S),
			bucketed(t.P95S, t.FinestS), secondsOr(t.ClientP95S)})
	}
	return rows
}

// serversNote says how to read the servers' times.
func serversNote(list []results.ServerTime) string {
	note := "The rest of the client's time is spent on the network, in the load balancer and in queues in front of the " +
		"servers. Server times are only as exact as their buckets."
	if slices.ContainsFunc(list, func(t results.ServerTime) bool { return t.Beyond }) {
		note += " A quantile above the last bucket is printed as that bucket's bound; the real one is longer."
	}
	return note
}

// bucketed is a quantile of a histogram. Below the lowest bound, that is all that is known.
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
