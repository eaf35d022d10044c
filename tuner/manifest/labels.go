package manifest

import "k8s.io/apimachinery/pkg/labels"

// Labels is a parsed label selector in text form, as a scale's status.selector is.
type Labels struct{ s labels.Selector }

// ParseLabels parses a selector as the controller does ("app=web,tier in (a,b)").
func ParseLabels(s string) (Labels, error) {
	p, err := labels.Parse(s)
	return Labels{p}, err
}

// Matches says whether a pod with these labels is selected.
func (l Labels) Matches(set map[string]string) bool { return l.s.Matches(labels.Set(set)) }

// String returns the selector in its canonical form: by key, values sorted.
func (l Labels) String() string { return l.s.String() }
