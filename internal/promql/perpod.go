package promql

import (
	"slices"

	"github.com/prometheus/prometheus/promql/parser"
)

// PerPod reports whether a query has one series for each pod, if each pod exports one series
// of the metrics that it reads. A query that Prometheus rejects has none.
func PerPod(query string) bool {
	e, err := syntax.ParseExpr(query)
	return err == nil && perPod(e)
}

func perPod(e parser.Expr) bool {
	switch e := e.(type) {
	case *parser.VectorSelector:
		return !onePod(e)
	case *parser.MatrixSelector:
		v, ok := e.VectorSelector.(*parser.VectorSelector)
		return ok && !onePod(v)
	case *parser.SubqueryExpr:
		return perPod(e.Expr)
	case *parser.ParenExpr:
		return perPod(e.Expr)
	case *parser.UnaryExpr:
		return perPod(e.Expr)
	case *parser.StepInvariantExpr:
		return perPod(e.Expr)
	case *parser.Call:
		switch e.Func.Name {
		case "scalar", "vector", "absent", "absent_over_time", "time":
			return false
		}
		return slices.ContainsFunc([]parser.Expr(e.Args), perPod)
	case *parser.BinaryExpr:
		if e.Op == parser.LAND || e.Op == parser.LUNLESS {
			return perPod(e.LHS)
		}
		return perPod(e.LHS) || perPod(e.RHS)
	case *parser.AggregateExpr:
		switch {
		case e.Op == parser.TOPK || e.Op == parser.BOTTOMK || e.Op == parser.LIMITK:
			n, ok := e.Param.(*parser.NumberLiteral)
			return perPod(e.Expr) && !(ok && n.Val == 1 && len(e.Grouping) == 0)
		case e.Without:
			return perPod(e.Expr) && !slices.ContainsFunc(e.Grouping, tellsPods)
		}
		return perPod(e.Expr) && slices.ContainsFunc(e.Grouping, tellsPods)
	}
	return false
}

func tellsPods(label string) bool { return slices.Contains(ofPod, label) }

// onePod reports whether a selector names one pod.
func onePod(v *parser.VectorSelector) bool {
	for _, m := range v.LabelMatchers {
		if tellsPods(m.Name) && m.Type.String() == "=" && m.Value != "" {
			return true
		}
	}
	return false
}
