// Package promql finds the metrics that a PromQL expression reads, and checks its syntax.
// Finding needs no parser, so it also works for expressions that Prometheus would reject.
package promql

import "strings"

// Series is a metric that a PromQL expression reads.
type Series struct {
	Name   string
	Inside []string // functions and aggregations around it, the innermost last
}

// Has reports whether the series is inside one of the functions.
func (s Series) Has(names ...string) bool {
	for _, f := range s.Inside {
		for _, n := range names {
			if f == n {
				return true
			}
		}
	}
	return false
}

// notMetrics are keywords of PromQL that can stand where a metric could.
var notMetrics = map[string]bool{
	"and": true, "or": true, "unless": true, "bool": true, "offset": true, "atan2": true, "start": true, "end": true,
	"inf": true, "nan": true,
}

// labelLists are the keywords whose parentheses contain labels.
var labelLists = map[string]bool{
	"by": true, "without": true, "on": true, "ignoring": true, "group_left": true, "group_right": true,
}

// Read finds the metrics of a PromQL expression, and the functions around each. It does
// not parse: of an expression that Prometheus rejects, it returns what it recognises.
func Read(query string) (out []Series) {
	var around []string // a function a parenthesis; "" = plain parentheses
	word, skip := "", 0 // skip: depth of parentheses that hold labels
	flush := func(next byte) {
		w := strings.ToLower(word)
		if word != "" && next != '(' && skip == 0 && !notMetrics[w] && !labelLists[w] {
			out = append(out, Series{word, functions(around)})
		}
		if next != '(' {
			word = ""
		}
	}
	for i := 0; i < len(query); i++ {
		switch c := query[i]; {
		case c == '"' || c == '\'' || c == '`':
			flush(c)
			for i++; i < len(query) && query[i] != c; i++ {
				if query[i] == '\\' && c != '`' {
					i++
				}
			}
		case c == '{':
			inner := Closing(query, i, '}')
			if name := nameLabel(query[i:inner]); word == "" && name != "" && skip == 0 {
				out = append(out, Series{name, functions(around)})
			}
			flush(c)
			i = inner
		case c == '[':
			flush(c)
			i = Closing(query, i, ']')
		case c == '(':
			if skip > 0 || labelLists[strings.ToLower(word)] {
				skip++
			} else {
				around = append(around, strings.ToLower(word))
			}
			word = ""
		case c == ')':
			flush(c)
			if skip > 0 {
				skip--
			} else if len(around) > 0 {
				around = around[:len(around)-1]
			}
		case letter(c) || word != "" && c >= '0' && c <= '9':
			word += string(c)
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			// sum by (pod) (x), and sum (x): what follows decides what the word was.
			rest := strings.TrimLeft(query[i:], " \t\r\n")
			if rest != "" && rest[0] == '(' {
				continue
			}
			if low := strings.ToLower(word); aggregations[low] && startsWith(rest, "by", "without") {
				around = append(around, low) // sum by (…) (x): closes with x's own parenthesis
				word = ""
				i += len(query[i:]) - len(rest)
				j := Closing(query, i, ')') // the labels
				k := strings.IndexByte(query[j:], '(')
				if k < 0 {
					return out
				}
				i = j + k // x's parenthesis is this aggregation's
				continue
			}
			flush(c)
		case c >= '0' && c <= '9': // a number, or a duration such as 5m
			for i+1 < len(query) && (letter(query[i+1]) && query[i+1] != ':' || query[i+1] >= '0' && query[i+1] <= '9' ||
				query[i+1] == '.') {
				i++
			}
		default:
			flush(c)
		}
	}
	flush(0)
	return out
}

var aggregations = map[string]bool{
	"sum": true, "avg": true, "min": true, "max": true, "count": true, "group": true, "stddev": true, "stdvar": true,
	"topk": true, "bottomk": true, "quantile": true, "count_values": true, "limitk": true, "limit_ratio": true,
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == ':'
}

func startsWith(text string, words ...string) bool {
	for _, w := range words {
		if len(text) >= len(w) && strings.EqualFold(text[:len(w)], w) {
			return true
		}
	}
	return false
}

// Closing is where the bracket at i ends, strings left out; the last byte if it
// does not.
func Closing(query string, i int, end byte) int {
	quote := byte(0)
	for ; i < len(query); i++ {
		switch c := query[i]; {
		case quote != 0 && c == '\\' && quote != '`':
			i++
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
		case c == '"' || c == '\'' || c == '`':
			quote = c
		case c == end:
			return i
		}
	}
	return len(query) - 1
}

// nameLabel is the metric's name of {__name__="x", …} or {"x", …}.
func nameLabel(matchers string) string {
	for part := range strings.SplitSeq(strings.Trim(matchers, "{} "), ",") {
		part = strings.TrimSpace(part)
		if v, ok := strings.CutPrefix(part, "__name__="); ok {
			return strings.Trim(strings.TrimSpace(v), "\"'`~")
		}
		if len(part) > 1 && (part[0] == '"' || part[0] == '\'') && !strings.ContainsAny(part, "=~") {
			return strings.Trim(part, `"'`)
		}
	}
	return ""
}

func functions(around []string) (out []string) {
	for _, f := range around {
		if f != "" {
			out = append(out, f)
		}
	}
	return out
}

// Metrics are the names of the metrics that an expression reads, in their order.
func Metrics(query string) []string {
	var out []string
	for _, s := range Read(query) {
		out = append(out, s.Name)
	}
	return out
}
