package promql

import "github.com/prometheus/prometheus/promql/parser"

// Matcher is a label by which a query selects series.
type Matcher struct {
	Label   string
	Text    string // as written: model_name=~"a|b"
	Matches func(value string) bool
}

// matchersOf are a selector's labels, without the metric's name and a histogram's le.
func matchersOf(v *parser.VectorSelector) (out []Matcher) {
	for _, m := range v.LabelMatchers {
		if m.Name != "__name__" && m.Name != "le" {
			out = append(out, Matcher{m.Name, m.String(), m.Matches})
		}
	}
	return out
}

// Labels are those of a series as Prometheus writes it, x{a="1",b="2"}; nil if it is none.
func Labels(series string) map[string]string {
	e, err := syntax.ParseExpr(series)
	v, ok := e.(*parser.VectorSelector)
	if err != nil || !ok {
		return nil
	}
	out := map[string]string{}
	for _, m := range v.LabelMatchers {
		if m.Name != "__name__" && m.Type.String() == "=" {
			out[m.Name] = m.Value
		}
	}
	return out
}
