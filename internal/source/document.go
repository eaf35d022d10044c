package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Limits against hostile input. Real files are far below: a complete dump of a cluster's
// HPAs is a few megabytes, and nothing is nested deeper than a CRD's schema. The worst file
// of this size (a list of single letters) takes 8 s and 1 GB.
const (
	MaxBytes = 8 << 20
	maxDepth = 100
	maxNodes = 1 << 20 // visited in one Decode or JSON, aliases expanded
)

// Document is one YAML document (or JSON value) of a file.
type Document struct {
	File string
	node *yaml.Node // never an alias nor a document node; nil = empty
}

// Parse splits a file into its documents: YAML, JSON, or JSON values that follow
// each other. Byte order marks are left out, and so are empty documents. After a
// syntax error the documents before it are returned with one Problem.
func Parse(file string, data []byte) ([]*Document, Problems) {
	data = Text(data)
	if len(data) > MaxBytes {
		return nil, Problems{
			{File: file, Text: fmt.Sprintf("%d bytes; at most %d are read", len(data), MaxBytes), Try: "split the file"},
		}
	}
	if p, ok := tooDeep(file, data); ok {
		return nil, Problems{p}
	}
	pieces, lines := values(data)
	if pieces == nil {
		return parse(file, data, 0)
	}
	var docs []*Document
	for i, piece := range pieces {
		got, problems := parse(file, piece, lines[i])
		if docs = append(docs, got...); len(problems) > 0 {
			return docs, problems
		}
	}
	return docs, nil
}

// parse reads documents of YAML that begin after some lines of their file.
func parse(file string, data []byte, after int) ([]*Document, Problems) {
	var docs []*Document
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var n yaml.Node
		err := dec.Decode(&n)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return docs, Problems{syntax(file, after, err)}
		}
		node := &n
		if n.Kind == yaml.DocumentNode {
			if len(n.Content) == 0 {
				continue
			}
			node = n.Content[0]
		}
		if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" {
			continue
		}
		shift(node, after)
		docs = append(docs, &Document{File: file, node: node})
	}
}

// shift moves the lines of a node, and of all in it, down.
func shift(n *yaml.Node, by int) {
	if by == 0 {
		return
	}
	n.Line += by
	for _, c := range n.Content {
		shift(c, by)
	}
}

// tooDeep rejects brackets nested so deeply that the YAML parser would spend its time and
// stack on them. Brackets in texts and comments count, too; nobody has a thousand of those
// open.
func tooDeep(file string, data []byte) (Problem, bool) {
	depth, line := 0, 1
	for _, c := range data {
		switch c {
		case '\n':
			line++
		case '[', '{':
			if depth++; depth > 10*maxDepth {
				return Problem{
					File: file,
					Line: line,
					Text: fmt.Sprintf("more than %d brackets are open", 10*maxDepth),
					Try:  "close them",
				}, true
			}
		case ']', '}':
			depth = max(0, depth-1)
		}
	}
	return Problem{}, false
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(?s:(.*))$`)

func syntax(file string, after int, err error) Problem {
	p := Problem{File: file, Text: err.Error(), Try: "check the indentation, the colons and the quotes above this line"}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		p.Line, _ = strconv.Atoi(m[1]) // "" = 0 = no line
		if p.Line > 0 {
			p.Line += after
		}
		p.Text = "not YAML: " + m[2]
	}
	return p
}

// Line returns the line of the field at path, or of the nearest existing field around it.
func (d *Document) Line(path string) int {
	n, line, _ := d.find(path)
	if line == 0 && n != nil {
		line = n.Line
	}
	return line
}

// Has reports whether the field at path exists and is not null.
func (d *Document) Has(path string) bool {
	n, _, ok := d.find(path)
	return ok && !isNull(n)
}

// Text returns the scalar at path as it is written, ok if there is one.
func (d *Document) Text(path string) (text string, ok bool) {
	n, _, ok := d.find(path)
	if !ok || n.Kind != yaml.ScalarNode || isNull(n) {
		return "", false
	}
	return n.Value, true
}

// Items returns the entries of the list at path as documents of their own;
// their paths start anew, their lines do not. nil if there is no list.
func (d *Document) Items(path string) []*Document {
	n, _, ok := d.find(path)
	if !ok || n.Kind != yaml.SequenceNode {
		return nil
	}
	var out []*Document
	for _, c := range n.Content {
		if c = follow(c); c != nil {
			out = append(out, &Document{File: d.File, node: c})
		}
	}
	return out
}

// Problem places a text at a path of the document.
func (d *Document) Problem(path, text, try string) Problem {
	return Problem{File: d.File, Line: d.Line(path), Path: path, Text: text, Try: try}
}

// find walks a path. Where it ends early, it returns the last node it reached
// and ok = false; line is that of the key that leads to the node.
func (d *Document) find(path string) (n *yaml.Node, line int, ok bool) {
	n = follow(d.node)
	if n == nil {
		return nil, 0, false
	}
	line = n.Line
	for path != "" {
		var seg string
		var index int
		seg, index, path = cut(path)
		var next *yaml.Node
		switch {
		case n.Kind == yaml.SequenceNode && seg == "" && index >= 0 && index < len(n.Content):
			next = n.Content[index]
			line = next.Line
		case n.Kind == yaml.MappingNode && seg != "":
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == seg {
					next, line = n.Content[i+1], n.Content[i].Line
				}
			}
		}
		if next = follow(next); next == nil {
			return n, line, false
		}
		n = next
	}
	return n, line, true
}

// cut takes the first segment off a path: a field (index -1) or [index].
// Keys that hold dots are written [key], as Kubernetes does.
func cut(path string) (seg string, index int, rest string) {
	if path[0] == '[' {
		inner, rest, ok := strings.Cut(path[1:], "]")
		rest = strings.TrimPrefix(rest, ".")
		if i, err := strconv.Atoi(inner); ok && err == nil {
			return "", i, rest
		}
		return inner, -1, rest
	}
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		return path, -1, ""
	}
	return path[:end], -1, strings.TrimPrefix(path[end:], ".")
}

// join adds a key to a path.
func join(path, key string) string {
	key = clip(key) // hostile keys of megabytes would be copied into every path below them
	switch {
	case strings.ContainsAny(key, ".[]/ ") || key == "":
		return path + "[" + key + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

// follow resolves aliases; nil for a chain that never ends.
func follow(n *yaml.Node) *yaml.Node {
	for range maxDepth {
		if n == nil || n.Kind != yaml.AliasNode {
			return n
		}
		n = n.Alias
	}
	return nil
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}
