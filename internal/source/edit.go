package source

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Edit is one change of a document.
type Edit struct {
	Path  string // spec.minReplicaCount; maps on the way are made, list entries must be there
	Value []byte // the new value as YAML, comments kept; nil = only the note
	Note  string // a comment above the field, "" = none; lines are kept
	Drop  bool   // the field of a map is removed, if it is there; Value and Note are not used
}

// Edited returns the document with these edits as YAML: everything else, its
// comments and its order stay as they were written. head is a comment above all.
func (d *Document) Edited(head string, edits []Edit) ([]byte, error) {
	root := clone(d.node, map[*yaml.Node]*yaml.Node{})
	for _, e := range edits {
		key, err := place(root, e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
		if e.Note != "" && key != nil {
			key.HeadComment = strings.TrimLeft(key.HeadComment+"\n"+comment(e.Note), "\n")
		}
	}
	doc := &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}}
	if head != "" {
		doc.HeadComment = comment(head) + "\n"
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(doc); err != nil {
		return nil, err
	}
	return b.Bytes(), enc.Close()
}

func comment(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimRight("# "+strings.TrimRight(line, "\r\n"), " "))
	}
	return strings.Join(lines, "\n")
}

// place sets a value and returns the node that a comment belongs to.
func place(n *yaml.Node, e Edit) (*yaml.Node, error) {
	path := e.Path
	var key *yaml.Node
	for path != "" {
		seg, index, rest := cut(path)
		path = rest
		switch {
		case n.Kind == yaml.SequenceNode && index >= 0 && index < len(n.Content):
			n = n.Content[index]
			key = n
		case n.Kind == yaml.MappingNode && seg != "":
			k, v := child(n, seg)
			if e.Drop && path == "" && v != nil {
				n.Content = slices.DeleteFunc(n.Content, func(c *yaml.Node) bool { return c == k || c == v })
				return nil, nil
			}
			if v == nil {
				if e.Value == nil {
					return nil, nil // nothing to comment
				}
				k = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: seg}
				v = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
				n.Content = append(n.Content, k, v)
				n.Style &^= yaml.FlowStyle // a comment needs lines of its own
			}
			key, n = k, v
		default:
			return nil, fmt.Errorf("there is no such field to change")
		}
	}
	if e.Value == nil {
		return key, nil
	}
	var v yaml.Node
	if err := yaml.Unmarshal(e.Value, &v); err != nil {
		return nil, err
	}
	if len(v.Content) == 0 {
		return nil, fmt.Errorf("no value")
	}
	head, line, foot := n.HeadComment, n.LineComment, n.FootComment
	was := n.Style
	*n = *v.Content[0]
	if n.Kind == yaml.ScalarNode {
		n.HeadComment, n.LineComment, n.FootComment = head, line, foot
		if was&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 { // text stays text
			n.Tag, n.Style = "!!str", was
		}
	}
	return key, nil
}

func child(n *yaml.Node, name string) (key, value *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

// clone copies a tree; aliases point into the copy, and so keep their anchors.
func clone(n *yaml.Node, done map[*yaml.Node]*yaml.Node) *yaml.Node {
	if n == nil {
		return nil
	}
	if c := done[n]; c != nil {
		return c
	}
	c := *n
	done[n] = &c
	c.Content = nil
	for _, x := range n.Content {
		c.Content = append(c.Content, clone(x, done))
	}
	c.Alias = clone(n.Alias, done)
	return &c
}
