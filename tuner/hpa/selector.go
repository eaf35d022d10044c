package hpa

import (
	"maps"
	"slices"
	"strings"
)

// Requirement is one of a label selector's matchExpressions.
type Requirement struct {
	Key, Operator string // Operator: In, NotIn, Exists, DoesNotExist
	Values        []string
}

// SelectorText returns a label selector in the text form that Metric.Selector holds, which is
// the one of labels.Selector ("a=b,c in (d,e),!f"): matchLabels by key, then matchExpressions in
// their order, values as given.
func SelectorText(matchLabels map[string]string, expressions []Requirement) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(matchLabels)) {
		parts = append(parts, k+"="+matchLabels[k])
	}
	for _, e := range expressions {
		switch e.Operator {
		case "In":
			parts = append(parts, e.Key+" in ("+strings.Join(e.Values, ",")+")")
		case "NotIn":
			parts = append(parts, e.Key+" notin ("+strings.Join(e.Values, ",")+")")
		case "Exists":
			parts = append(parts, e.Key)
		case "DoesNotExist":
			parts = append(parts, "!"+e.Key)
		}
	}
	return strings.Join(parts, ",")
}

// ParseSelectorText parses a selector in the form of SelectorText.
func ParseSelectorText(s string) (matchLabels map[string]string, expressions []Requirement) {
	matchLabels = map[string]string{}
	for _, part := range splitSelector(s) {
		if key, values, ok := set(part, " in ("); ok {
			expressions = append(expressions, Requirement{key, "In", values})
		} else if key, values, ok := set(part, " notin ("); ok {
			expressions = append(expressions, Requirement{key, "NotIn", values})
		} else if key, value, ok := strings.Cut(part, "="); ok {
			matchLabels[key] = strings.TrimPrefix(value, "=")
		} else if key, ok := strings.CutPrefix(part, "!"); ok {
			expressions = append(expressions, Requirement{Key: key, Operator: "DoesNotExist"})
		} else {
			expressions = append(expressions, Requirement{Key: part, Operator: "Exists"})
		}
	}
	return matchLabels, expressions
}

func set(part, operator string) (key string, values []string, ok bool) {
	key, rest, ok := strings.Cut(part, operator)
	if !ok {
		return "", nil, false
	}
	return key, strings.Split(strings.TrimSuffix(rest, ")"), ","), true
}

// splitSelector splits at commas outside of parentheses.
func splitSelector(s string) (parts []string) {
	depth, from := 0, 0
	for i, r := range s {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			parts = append(parts, strings.TrimSpace(s[from:i]))
			from = i + 1
		}
	}
	if rest := strings.TrimSpace(s[from:]); rest != "" {
		parts = append(parts, rest)
	}
	return parts
}

// selectorString prints the selector as upstream's texts do, with %+v of a *LabelSelector.
// Source: apimachinery/pkg/apis/meta/v1/generated.pb.go, LabelSelector.String.
func (m *Metric) selectorString() string {
	if !m.SelectorSet {
		return "nil"
	}
	labels, expressions := ParseSelectorText(m.Selector)
	var b strings.Builder
	b.WriteString("&LabelSelector{MatchLabels:map[string]string{")
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString(k + ": " + labels[k] + ",")
	}
	b.WriteString("},MatchExpressions:[]LabelSelectorRequirement{")
	for _, e := range expressions {
		b.WriteString(
			"LabelSelectorRequirement{Key:" + e.Key + ",Operator:" + e.Operator + ",Values:[" + strings.Join(
				e.Values,
				" ",
			) + "],},",
		)
	}
	b.WriteString("},}")
	return b.String()
}
