package source

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Decode fills the struct that v points to by its json tags, strictly: unknown fields,
// duplicate keys and values of the wrong kind are Problems, all reported at once, and the
// rest is still filled.
//
// Besides the plain kinds it knows time.Duration ("1m30s"), types with UnmarshalText (a
// Hint error gives the Try), with UnmarshalSource (which read their Value themselves) and
// with UnmarshalJSON. null leaves a field as it is. A struct with OtherNames says what to
// write instead of other tools' names.
func (d *Document) Decode(v any) Problems {
	dec := &decoder{file: d.File, budget: maxNodes}
	if d.node != nil {
		dec.value(d.node, "", reflect.ValueOf(v).Elem(), 0)
	}
	return dec.problems.Sort()
}

// unmarshaler is a type that reads its own Value: one that may be written as a
// scalar or as a map.
type unmarshaler interface{ UnmarshalSource(v Value) }

// Value is one value of a document while it is decoded.
type Value struct {
	Path  string
	dec   *decoder
	node  *yaml.Node
	depth int
}

// Scalar returns the text of a scalar; ok is false for maps and lists.
func (v Value) Scalar() (text string, ok bool) { return v.node.Value, v.node.Kind == yaml.ScalarNode }

// Decode fills what p points to from this value, reporting into the same Problems.
func (v Value) Decode(p any) { v.dec.value(v.node, v.Path, reflect.ValueOf(p).Elem(), v.depth+1) }

// Problem reports something wrong with this value.
func (v Value) Problem(text, try string) { v.dec.problem(v.node, v.Path, text, try) }

type decoder struct {
	file     string
	problems Problems
	budget   int
}

func (d *decoder) problem(n *yaml.Node, path, text, try string) {
	const enough = 100 // nobody reads more, and a hostile file could make millions
	switch len(d.problems) {
	case enough:
		return
	case enough - 1:
		text, try = "and more; only the first hundred are listed", ""
	}
	d.problems = append(d.problems, Problem{File: d.file, Line: n.Line, Path: path, Text: text, Try: try})
}

// spend takes one node from the budget; false = the document is too big.
func (d *decoder) spend(n *yaml.Node, path string, depth int) bool {
	if d.budget <= 0 {
		return false
	}
	if depth > maxDepth {
		d.problem(n, path[:min(len(path), 80)], fmt.Sprintf("nested deeper than %d", maxDepth), "")
		return false
	}
	if d.budget--; d.budget == 0 {
		d.problem(
			n,
			path[:min(len(path), 80)],
			fmt.Sprintf("more than %d values once aliases are expanded", maxNodes),
			"write less, or fewer aliases",
		)
		return false
	}
	return true
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	anyType      = reflect.TypeFor[any]()
)

func (d *decoder) value(n *yaml.Node, path string, to reflect.Value, depth int) {
	at := n
	if n = follow(n); n == nil {
		d.problem(at, path, "an alias that never ends", "")
		return
	}
	if !d.spend(n, path, depth) || isNull(n) {
		return
	}
	if to.Kind() == reflect.Pointer {
		into, before := to, len(d.problems)
		if to.IsNil() {
			into = reflect.New(to.Type().Elem())
		}
		d.value(n, path, into.Elem(), depth+1)
		// A value that could not be read is absent, not 0; of a struct the rest counts.
		if len(d.problems) == before || to.Type().Elem().Kind() == reflect.Struct {
			to.Set(into)
		}
		return
	}
	if to.Type() == durationType {
		d.duration(n, path, to)
		return
	}
	switch u := to.Addr().Interface().(type) {
	case unmarshaler:
		u.UnmarshalSource(Value{Path: path, dec: d, node: n, depth: depth})
		return
	case json.Unmarshaler: // before text: Kubernetes' IntOrString and Quantity want the JSON kind
		b, ok := d.json(n, path, depth)
		if !ok {
			return
		}
		if err := u.UnmarshalJSON(b); err != nil {
			d.problem(n, path, fmt.Sprintf("%s: %s", clip(string(b)), strings.TrimPrefix(err.Error(), "json: ")), "")
		}
		return
	case encoding.TextUnmarshaler:
		if n.Kind != yaml.ScalarNode {
			d.wrong(n, path, "one value")
			return
		}
		if err := u.UnmarshalText([]byte(n.Value)); err != nil {
			var h *Hint
			if errors.As(err, &h) {
				d.problem(n, path, h.Text, h.Try)
			} else {
				d.problem(n, path, err.Error(), "")
			}
		}
		return
	}
	switch to.Kind() {
	case reflect.Struct:
		d.object(n, path, to, depth)
	case reflect.Map:
		d.mapping(n, path, to, depth)
	case reflect.Slice:
		d.list(n, path, to, depth)
	case reflect.Interface:
		b, ok := d.json(n, path, depth)
		if ok && to.Type() == anyType {
			var v any
			if json.Unmarshal(b, &v) == nil {
				to.Set(reflect.ValueOf(&v).Elem())
			}
		}
	default:
		d.scalar(n, path, to)
	}
}

// wrong reports a value of another kind than wanted.
func (d *decoder) wrong(n *yaml.Node, path, want string) {
	found, try := clip(n.Value), ""
	switch {
	case n.Kind == yaml.MappingNode:
		found = "a map"
	case n.Kind == yaml.SequenceNode:
		found = "a list"
		if want == "one value" || want == "text" {
			try = "write one value, without the dash or brackets"
		}
	case want == "text":
		found = map[string]string{"!!int": "number ", "!!float": "number ", "!!bool": "truth value ",
			"!!timestamp": "date "}[n.ShortTag()] + clip(
			n.Value,
		)
		try = strconv.Quote(n.Value)
	case n.ShortTag() == "!!str":
		found = strconv.Quote(clip(n.Value))
		x, err := strconv.ParseFloat(n.Value, 64)
		if err == nil && !math.IsNaN(x) && !math.IsInf(x, 0) && strings.Contains(want, "number") {
			try = n.Value + ", without quotes"
		}
	}
	if found == "" {
		found = "nothing"
	}
	d.problem(n, path, "is "+found+", should be "+want, try)
}

func (d *decoder) duration(n *yaml.Node, path string, to reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		d.wrong(n, path, "a duration like 30s or 1h15m")
		return
	}
	v, err := ParseDuration(n.Value)
	if err != nil {
		var h *Hint
		errors.As(err, &h)
		d.problem(n, path, h.Text, h.Try)
		return
	}
	to.SetInt(int64(v))
}

// ParseDuration reads what time.ParseDuration does; its errors are Hints.
func ParseDuration(s string) (time.Duration, error) {
	v, err := time.ParseDuration(strings.TrimSpace(s))
	if err == nil {
		return v, nil
	}
	if f, ferr := strconv.ParseFloat(s, 64); ferr == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
		return 0, &Hint{fmt.Sprintf("duration %s has no unit", clip(s)), clip(s) + "s"}
	}
	return 0, &Hint{fmt.Sprintf("%q is not a duration", clip(s)), "30s, 5m or 1h30m"}
}

func (d *decoder) scalar(n *yaml.Node, path string, to reflect.Value) {
	tag := n.ShortTag()
	isScalar := n.Kind == yaml.ScalarNode
	switch to.Kind() {
	case reflect.String:
		if !isScalar || tag != "!!str" {
			d.wrong(n, path, "text")
			return
		}
		to.SetString(n.Value)
	case reflect.Bool:
		var b bool
		if !isScalar || tag != "!!bool" || n.Decode(&b) != nil {
			d.wrong(n, path, "true or false")
			return
		}
		to.SetBool(b)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var i int64
		if !isScalar || tag != "!!int" {
			d.wrong(n, path, "a whole number")
			return
		}
		if n.Decode(&i) != nil || to.OverflowInt(i) {
			d.problem(
				n,
				path,
				fmt.Sprintf("%s is out of range", clip(n.Value)),
				fmt.Sprintf("at most %d", int64(1)<<(to.Type().Bits()-1)-1),
			)
			return
		}
		to.SetInt(i)
	case reflect.Float64:
		var f float64
		if !isScalar || (tag != "!!int" && tag != "!!float") || n.Decode(&f) != nil {
			d.wrong(n, path, "a number")
			return
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			d.problem(n, path, fmt.Sprintf("%s is not a finite number", clip(n.Value)), "")
			return
		}
		to.SetFloat(f)
	default:
		d.problem(n, path, "cannot be set from a file", "leave it out")
	}
}

func (d *decoder) list(n *yaml.Node, path string, to reflect.Value, depth int) {
	if n.Kind != yaml.SequenceNode {
		d.wrong(n, path, "a list")
		return
	}
	to.Set(reflect.MakeSlice(to.Type(), 0, 0)) // empty is not nil: `policies: []` is refused where none is defaulted
	for i, c := range n.Content {
		if d.budget <= 0 {
			return
		}
		v := reflect.New(to.Type().Elem()).Elem()
		d.value(c, fmt.Sprintf("%s[%d]", path, i), v, depth+1)
		to.Set(reflect.Append(to, v))
	}
}

func (d *decoder) mapping(n *yaml.Node, path string, to reflect.Value, depth int) {
	out := reflect.MakeMap(to.Type())
	d.pairs(n, path, depth, func(key string, _, v *yaml.Node, at string) {
		e := reflect.New(to.Type().Elem()).Elem()
		d.value(v, at, e, depth+1)
		out.SetMapIndex(reflect.ValueOf(key).Convert(to.Type().Key()), e)
	})
	to.Set(out)
}

func (d *decoder) object(n *yaml.Node, path string, to reflect.Value, depth int) {
	known := map[string][]int{}
	var names []string
	fields(to.Type(), nil, func(name string, index []int) {
		known[name] = index
		names = append(names, name)
	})
	if _, ok := known["file"]; ok && n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" { // the file's name alone
		d.problem(n, path, "is "+strconv.Quote(clip(n.Value))+", should be a map of fields", "{file: "+clip(n.Value)+"}")
		return
	}
	d.pairs(n, path, depth, func(key string, k, v *yaml.Node, at string) {
		index, ok := known[key]
		if !ok {
			text, try := fmt.Sprintf("unknown field %q", clip(key)), ""
			if other, ok := reflect.Zero(to.Type()).Interface().(interface{ OtherNames() map[string]string }); ok &&
				other.OtherNames()[key] != "" {
				try = other.OtherNames()[key]
			} else if near := Nearest(
				key,
				names,
			); near != "" {
				try = near
			} else if len(
				names,
			) <= 20 {
				slices.Sort(names)
				try = "one of " + strings.Join(names, ", ")
			}
			d.problem(k, at, text, try)
			return
		}
		d.value(v, at, to.FieldByIndex(index), depth+1)
	})
}

// fields calls f for each json field of a struct, embedded ones included.
func fields(t reflect.Type, index []int, f func(name string, index []int)) {
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, opts, _ := strings.Cut(sf.Tag.Get("json"), ",")
		at := append(slices.Clone(index), i)
		switch {
		case sf.Anonymous && sf.Type.Kind() == reflect.Struct && (tag == "" || strings.Contains(opts, "inline") && tag == ""):
			fields(sf.Type, at, f)
		case tag != "" && tag != "-" && sf.IsExported():
			f(tag, at)
		}
	}
}

// pairs visits a map's entries in their order, merge keys (<<) behind the
// map's own, and reports keys that are written twice or are not text.
func (d *decoder) pairs(n *yaml.Node, path string, depth int, visit func(key string, k, v *yaml.Node, at string)) {
	seen := map[string]int{}
	d.own(n, path, depth, seen, visit)
}

func (d *decoder) own(
	n *yaml.Node,
	path string,
	depth int,
	seen map[string]int,
	visit func(key string, k, v *yaml.Node, at string),
) {
	if n.Kind != yaml.MappingNode {
		d.wrong(n, path, "a map of fields")
		return
	}
	var merged []*yaml.Node
	mine := map[string]int{}
	for i := 0; i+1 < len(n.Content) && d.budget > 0; i += 2 {
		k, v := follow(n.Content[i]), n.Content[i+1]
		switch {
		case k == nil || k.Kind != yaml.ScalarNode:
			d.problem(n.Content[i], path, "a field's name should be text, not a map or list", "")
			continue
		case k.ShortTag() == "!!merge":
			merged = append(merged, v)
			continue
		}
		at := join(path, k.Value)
		if first, twice := mine[k.Value]; twice {
			d.problem(k, at, fmt.Sprintf("is written twice; first on line %d", first), "keep one of them")
			continue
		}
		mine[k.Value] = k.Line
		if seen[k.Value] > 0 {
			continue // a merged map's entry that is overridden
		}
		seen[k.Value] = k.Line
		visit(k.Value, k, v, at)
	}
	for _, v := range merged {
		m := follow(v)
		if m == nil || !d.spend(m, path, depth+1) {
			continue
		}
		if m.Kind == yaml.SequenceNode {
			for _, c := range m.Content {
				if c = follow(c); c != nil && d.spend(c, path, depth+1) {
					d.own(c, path, depth+1, seen, visit)
				}
			}
			continue
		}
		d.own(m, path, depth+1, seen, visit)
	}
}

// clip shortens a value that is quoted in a text.
func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:57], "") + "..."
	}
	return s
}
