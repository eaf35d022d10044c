package secrets

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Profile returns a load profile in the form in which it may be stored. Values below
// `headers:` are judged by their names, all other values and the comments by Text. A
// profile without secrets is returned byte for byte; otherwise its order and comments are
// kept.
//
// It returns an error, and nothing to store, if the text is not valid YAML before or
// afterwards.
func Profile(text []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("the profile is not stored: %w", err)
	}
	if !strike(&doc, false) {
		return text, nil
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(&doc); err != nil {
		return nil, fmt.Errorf("the profile is not stored: %w", err)
	}
	if err := yaml.Unmarshal(out.Bytes(), new(yaml.Node)); err != nil {
		return nil, fmt.Errorf("the profile is not stored: without its secrets it is not valid YAML: %w", err)
	}
	return out.Bytes(), nil
}

// strike removes the secrets from n, and reports whether there were any. headers means that
// n is a map of header names to values.
func strike(n *yaml.Node, headers bool) bool {
	found := false
	put := func(at *string, to string) {
		if *at != to {
			*at, found = to, true
		}
	}
	for _, comment := range []*string{&n.HeadComment, &n.LineComment, &n.FootComment} {
		put(comment, Text(*comment))
	}
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!str" {
			put(&n.Value, Text(n.Value))
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			found = strike(key, false) || found
			if headers && value.Kind == yaml.ScalarNode {
				if to := Header(key.Value, value.Value); to != value.Value {
					value.Tag, value.Style = "!!str", 0
					put(&value.Value, to)
				}
			}
			found = strike(value, strings.EqualFold(key.Value, "headers")) || found
		}
	default:
		for _, child := range n.Content {
			found = strike(child, headers) || found
		}
	}
	return found
}
