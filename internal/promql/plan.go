package promql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// Plan is a query as arithmetic over single numbers of a pool of pods.
type Plan struct {
	Text  string // over v0, v1, …: the values of Parts
	Parts []Part
}

// Part is one number: a metric of all pods, aggregated.
type Part struct {
	Name   string // the part of the query: sum(vllm:num_requests_waiting)
	Metric string
	Pool   string        // sum, avg, max or count; "" = the metric is known as one number
	Over   time.Duration // the range of avg_over_time or rate; 0 = an instant value
	Rate   bool          // a counter's rate per second
	// Times means that it is a quantile of the histogram Metric over all pods, or its mean, of
	// what was measured in the range Over.
	Times    bool
	Quantile float64 // 0 = the mean
	Select   []Matcher
}

// Same returns a query as Prometheus prints it, so that two that differ in spaces are equal;
// the text itself if Prometheus rejects it.
func Same(query string) string {
	e, err := syntax.ParseExpr(query)
	if err != nil {
		return query
	}
	return e.String()
}

// PlanOf plans a query: numbers, + − * /, sum, avg, max and count over a metric of the pods as
// it is now (no offset, no @), over its avg_over_time or over a counter's rate, scalar, and
// "or vector(0)"; a quantile of a histogram's rate, and its mean, the rate of the sum over that of the
// count. known returns the name under which a query's value is known, if it is. The
// error names the part of the query that is not read.
func PlanOf(query string, known func(query string) (string, bool)) (Plan, error) {
	e, err := syntax.ParseExpr(query)
	if err != nil {
		return Plan{}, fmt.Errorf("rejected by Prometheus: %w", err)
	}
	p := planner{known: known}
	p.Text, err = p.plan(e)
	return p.Plan, err
}

type planner struct {
	Plan
	known func(string) (string, bool)
}

// add returns the variable of a part.
func (p *planner) add(x Part) string {
	i := slices.IndexFunc(p.Parts, func(o Part) bool { return o.Name == x.Name })
	if i < 0 {
		i = len(p.Parts)
		p.Parts = append(p.Parts, x)
	}
	return fmt.Sprintf("v%d", i)
}

func (p *planner) plan(e parser.Expr) (string, error) {
	text := e.String()
	if name, ok := p.known(text); ok {
		return p.add(Part{Name: name, Metric: name}), nil
	}
	switch e := e.(type) {
	case *parser.NumberLiteral:
		return strconv.FormatFloat(e.Val, 'f', -1, 64), nil
	case *parser.ParenExpr:
		return p.plan(e.Expr)
	case *parser.StepInvariantExpr:
		return p.plan(e.Expr)
	case *parser.UnaryExpr:
		x, err := p.plan(e.Expr)
		return "(" + e.Op.String() + x + ")", err
	case *parser.Call:
		switch e.Func.Name {
		case "scalar", "vector":
			return p.plan(e.Args[0])
		case "histogram_quantile":
			x, err := quantileOf(e)
			if err != nil {
				return "", err
			}
			return p.add(x), nil
		}
	case *parser.BinaryExpr:
		return p.binary(e)
	case *parser.AggregateExpr:
		return p.aggregate(e)
	case *parser.VectorSelector:
		return "", fmt.Errorf("%s: one series per pod; aggregate it: sum(%s)", text, text)
	}
	return "", fmt.Errorf("%s: not computed from single metrics", text)
}

// quantileOf reads histogram_quantile(φ, sum by (le) (rate(x_bucket[2m]))).
func quantileOf(e *parser.Call) (Part, error) {
	q, ok := bare(e.Args[0]).(*parser.NumberLiteral)
	if !ok || !(q.Val > 0 && q.Val < 1) {
		return Part{}, fmt.Errorf("%s: its quantile is not a number between 0 and 1", e)
	}
	sum, ok := bare(e.Args[1]).(*parser.AggregateExpr)
	if !ok || sum.Op != parser.SUM || sum.Without || slices.ContainsFunc(sum.Grouping, tellsPods) ||
		!slices.Contains(sum.Grouping, "le") {
		return Part{}, fmt.Errorf("%s: of quantiles only those of all pods are computed: "+
			"histogram_quantile(0.95, sum by (le) (rate(…_bucket[2m])))", e)
	}
	v, over := rateOf(sum.Expr)
	family, ok := strings.CutSuffix(nowOf(v), "_bucket")
	if !ok {
		return Part{}, fmt.Errorf("%s: only the rate of a histogram's buckets, as it is now, is computed", e)
	}
	return Part{Name: e.String(), Metric: family, Over: over, Times: true, Quantile: q.Val, Select: matchersOf(v)}, nil
}

// meanOf reads sum(rate(x_sum[2m])) / sum(rate(x_count[2m])), the mean of a histogram; ok is
// false if a division is not that.
func meanOf(e *parser.BinaryExpr) (x Part, ok bool) {
	var by []Matcher
	side := func(e parser.Expr, end string) (family string, over time.Duration) {
		sum, ok := bare(e).(*parser.AggregateExpr)
		if !ok || sum.Op != parser.SUM || sum.Without || slices.ContainsFunc(sum.Grouping, tellsPods) {
			return "", 0
		}
		v, over := rateOf(sum.Expr)
		if family, ok = strings.CutSuffix(nowOf(v), end); !ok {
			return "", 0
		}
		by = append(by, matchersOf(v)...)
		return family, over
	}
	of, over := side(e.LHS, "_sum")
	too, same := side(e.RHS, "_count")
	if e.Op != parser.DIV || of == "" || of != too || over != same {
		return Part{}, false
	}
	return Part{Name: e.String(), Metric: of, Over: over, Times: true, Select: by}, true
}

// rateOf returns the selector and the range of rate(x[2m]); nil for anything else.
func rateOf(e parser.Expr) (v *parser.VectorSelector, over time.Duration) {
	call, ok := bare(e).(*parser.Call)
	if !ok || call.Func.Name != "rate" {
		return nil, 0
	}
	m, ok := call.Args[0].(*parser.MatrixSelector)
	if !ok {
		return nil, 0
	}
	v, _ = m.VectorSelector.(*parser.VectorSelector)
	return v, m.Range
}

// bare is an expression without the parentheses around it.
func bare(e parser.Expr) parser.Expr {
	for {
		switch x := e.(type) {
		case *parser.ParenExpr:
			e = x.Expr
		case *parser.StepInvariantExpr:
			e = x.Expr
		default:
			return e
		}
	}
}

func (p *planner) binary(e *parser.BinaryExpr) (string, error) {
	if x, ok := meanOf(e); ok {
		return p.add(x), nil
	}
	switch e.Op {
	case parser.ADD, parser.SUB, parser.MUL, parser.DIV:
	case parser.LOR:
		if e.RHS.String() == "vector(0)" { // no series counts as 0 anyway
			return p.plan(e.LHS)
		}
		return "", fmt.Errorf("%s: only \"or vector(0)\" is computed", e)
	default:
		return "", fmt.Errorf("%s: of operators only + - * / are computed", e)
	}
	x, err := p.plan(e.LHS)
	if err != nil {
		return "", err
	}
	y, err := p.plan(e.RHS)
	return "(" + x + " " + e.Op.String() + " " + y + ")", err
}

// ofPod are labels that tell pods apart: an aggregate by them is one series per pod.
var ofPod = []string{"pod", "instance", "pod_name", "kubernetes_pod_name"}

func (p *planner) aggregate(e *parser.AggregateExpr) (string, error) {
	outer := e
	text := e.String()
	perPod := slices.ContainsFunc(e.Grouping, func(l string) bool { return slices.Contains(ofPod, l) })
	if e.Without || perPod {
		return "", fmt.Errorf("%s: its series are of single pods", text)
	}
	switch e.Op {
	case parser.SUM, parser.AVG, parser.MAX, parser.COUNT:
	default:
		return "", fmt.Errorf("%s: of aggregations only sum, avg, max and count are computed", text)
	}
	x := Part{Name: text, Pool: e.Op.String()}
	switch e := bare(e.Expr).(type) {
	case *parser.VectorSelector:
		x.Metric, x.Select = nowOf(e), matchersOf(e)
	case *parser.Call:
		rate := e.Func.Name == "rate"
		if !rate && e.Func.Name != "avg_over_time" {
			return "", fmt.Errorf("%s: of functions only rate and avg_over_time are computed", text)
		}
		if m, ok := e.Args[0].(*parser.MatrixSelector); ok {
			x.Over, x.Rate = m.Range, rate
			if v, ok := m.VectorSelector.(*parser.VectorSelector); ok {
				x.Metric, x.Select = nowOf(v), matchersOf(v)
			}
		}
	case *parser.AggregateExpr:
		if x := outer.Op; (x == parser.SUM || x == parser.MAX) && e.Op == x && !e.Without { // sum(sum by (pod) (x))
			return p.aggregate(&parser.AggregateExpr{Op: x, Expr: e.Expr})
		}
	}
	if x.Metric == "" {
		return "", fmt.Errorf("%s: only the aggregate of one metric, as it is now, is computed", text)
	}
	return p.add(x), nil
}

// nowOf is the metric that a selector reads, "" if it reads another time than now, or is nil.
func nowOf(v *parser.VectorSelector) string {
	if v == nil || v.OriginalOffset != 0 || v.OriginalOffsetExpr != nil || v.Timestamp != nil || v.StartOrEnd != 0 {
		return ""
	}
	return v.Name
}
