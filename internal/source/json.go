package source

import (
	"encoding/json"
	"math"

	"go.yaml.in/yaml/v3"
)

// JSON returns the document as JSON, with its maps' keys sorted.
func (d *Document) JSON() ([]byte, Problems) {
	if d.node == nil {
		return []byte("null"), nil
	}
	dec := &decoder{file: d.File, budget: maxNodes}
	b, _ := dec.json(d.node, "", 0)
	return b, dec.problems.Sort()
}

func (d *decoder) json(n *yaml.Node, path string, depth int) ([]byte, bool) {
	before := len(d.problems)
	v := d.plain(n, path, depth)
	if len(d.problems) > before || d.budget <= 0 {
		return nil, false
	}
	b, err := json.Marshal(v)
	if err != nil {
		d.problem(n, path, err.Error(), "")
		return nil, false
	}
	return b, true
}

func (d *decoder) plain(n *yaml.Node, path string, depth int) any {
	at := n
	if n = follow(n); n == nil {
		d.problem(at, path, "an alias that never ends", "")
		return nil
	}
	if !d.spend(n, path, depth) {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		d.pairs(n, path, depth, func(key string, _, v *yaml.Node, at string) { out[key] = d.plain(v, at, depth+1) })
		return out
	case yaml.SequenceNode:
		out := []any{}
		for _, c := range n.Content {
			if d.budget <= 0 {
				break
			}
			out = append(out, d.plain(c, path+"[]", depth+1))
		}
		return out
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool", "!!int", "!!float":
		var v any
		if err := n.Decode(&v); err != nil {
			d.problem(n, path, "not a value: "+clip(n.Value), "")
			return nil
		}
		if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
			d.problem(n, path, clip(n.Value)+" is not a finite number", "")
			return nil
		}
		return v
	}
	return n.Value
}
