package source

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Rewrite returns a YAML document with some scalars replaced, its comments kept:
// change is called for each scalar with its path (stages[2].ramp.from) and text,
// and returns the new text, or ok false to leave it. set adds or replaces fields
// by path, of maps alone (target.model); maps that are missing on the way are
// made.
func Rewrite(data []byte, change func(path, text string) (string, bool), set map[string]string) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("is not a map of fields")
	}
	root := doc.Content[0]
	if change != nil {
		rewrite(root, "", change)
	}
	for path, text := range set {
		at := root
		names := strings.Split(path, ".")
		for _, name := range names[:len(names)-1] {
			at = member(at, name, &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
			if at.Kind != yaml.MappingNode {
				return nil, fmt.Errorf("%s: is not a map of fields", path)
			}
		}
		v := member(at, names[len(names)-1], &yaml.Node{Kind: yaml.ScalarNode})
		// Its comments stay.
		v.Kind, v.Tag, v.Value, v.Style, v.Content, v.Alias = yaml.ScalarNode, "!!str", text, 0, nil, nil
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(&doc); err != nil {
		return nil, err
	}
	return out.Bytes(), e.Close()
}

// member returns a map's field, which it adds where there is none.
func member(m *yaml.Node, name string, otherwise *yaml.Node) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == name {
			if v := follow(m.Content[i+1]); v != nil {
				return v
			}
		}
	}
	m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, otherwise)
	return otherwise
}

func rewrite(n *yaml.Node, path string, change func(path, text string) (string, bool)) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			rewrite(n.Content[i+1], join(path, n.Content[i].Value), change)
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			rewrite(c, fmt.Sprintf("%s[%d]", path, i), change)
		}
	case yaml.ScalarNode:
		if text, ok := change(path, n.Value); ok {
			n.Value, n.Tag, n.Style = text, "", 0
		}
	}
}
