package promql

import "github.com/prometheus/prometheus/promql/parser"

// syntax is Prometheus' own, with what its feature flags add: a query that needs one is
// not wrong.
var syntax = parser.NewParser(parser.Options{
	EnableExperimentalFunctions: true, ExperimentalDurationExpr: true,
	EnableExtendedRangeSelectors: true, EnableBinopFillModifiers: true,
})

// Check returns Prometheus' parse error of a query, or nil. Other servers accept more:
// MetricsQL has functions and forms that this rejects.
func Check(query string) error {
	_, err := syntax.ParseExpr(query)
	return err
}
