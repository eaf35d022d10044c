package kube

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
)

// merged is an HPA spec restored as far as nobody else has changed it.
type merged struct {
	Spec autoscalingv2.HorizontalPodAutoscalerSpec
	// Back are the fields that hold the original again; Theirs those that only
	// somebody else changed; Left those that both the run and somebody else
	// changed: theirs stays. Each is a path, with values where they matter.
	Back, Theirs, Left []string
}

// threeWay restores a spec: a field that still has the run's value gets the original's, and
// any other stays as it is. Metrics are matched by what they measure; other lists are one
// field.
func threeWay(original, applied, now *autoscalingv2.HorizontalPodAutoscalerSpec) (merged, error) {
	var m merged
	o, err := plain(original)
	if err != nil {
		return m, err
	}
	a, err := plain(applied)
	if err != nil {
		return m, err
	}
	n, err := plain(now)
	if err != nil {
		return m, err
	}
	out := m.field("spec", o, a, n)
	text, err := json.Marshal(out)
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(text, &m.Spec)
}

// plain is a spec as JSON sees it.
func plain(spec any) (out any, err error) {
	text, err := json.Marshal(spec)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	return out, err
}

// field merges one field; nil = absent.
func (m *merged) field(path string, original, applied, now any) any {
	switch {
	case reflect.DeepEqual(now, applied):
		if !reflect.DeepEqual(original, applied) {
			m.Back = append(m.Back, path)
		}
		return original
	case reflect.DeepEqual(now, original):
		return now
	}
	switch path {
	case "spec.metrics":
		if out, ok := m.metrics(path, original, applied, now); ok {
			return out
		}
	case "spec.triggers":
		if out, ok := m.triggers(path, original, applied, now); ok {
			return out
		}
	}
	n, isMap := now.(map[string]any)
	a, wasMap := applied.(map[string]any)
	o, _ := original.(map[string]any)
	if isMap && wasMap && (o != nil || original == nil) {
		return m.fields(path, o, a, n)
	}
	if reflect.DeepEqual(original, applied) {
		m.Theirs = append(m.Theirs, fmt.Sprintf("%s %s→%s", path, value(applied), value(now)))
	} else {
		m.Left = append(m.Left, fmt.Sprintf("%s (was %s, the run set %s, now %s)", path, value(original), value(applied),
			value(now)))
	}
	return now
}

func (m *merged) fields(path string, original, applied, now map[string]any) any {
	out := map[string]any{}
	for _, k := range keys(original, applied, now) {
		if v := m.field(path+"."+k, original[k], applied[k], now[k]); v != nil {
			out[k] = v
		}
	}
	return out
}

// metrics merges the lists of metrics by what they measure; false where a list
// names one twice.
func (m *merged) metrics(path string, original, applied, now any) (any, bool) {
	var maps [3]map[string]any
	var order []string
	for i, list := range []any{original, applied, now} {
		maps[i] = map[string]any{}
		elements, _ := list.([]any)
		for _, e := range elements {
			k := measured(e)
			if _, twice := maps[i][k]; twice {
				return nil, false
			}
			maps[i][k] = e
			if !slices.Contains(order, k) {
				order = append(order, k)
			}
		}
	}
	var out []any
	for _, k := range order {
		if v := m.field(path+"["+k+"]", maps[0][k], maps[1][k], maps[2][k]); v != nil {
			out = append(out, v)
		}
	}
	if out == nil {
		return nil, true
	}
	return out, true
}

// triggers merges the triggers of a ScaledObject by their place; false where a list
// has others than the next.
func (m *merged) triggers(path string, original, applied, now any) (any, bool) {
	o, _ := original.([]any)
	a, _ := applied.([]any)
	n, _ := now.([]any)
	if len(o) != len(n) || len(a) != len(n) {
		return nil, false
	}
	kind := func(trigger any) any {
		fields, _ := trigger.(map[string]any)
		return fields["type"]
	}
	for i := range n {
		if kind(o[i]) != kind(n[i]) || kind(a[i]) != kind(n[i]) {
			return nil, false
		}
	}
	out := make([]any, len(n))
	for i := range n {
		out[i] = m.field(fmt.Sprintf("%s[%d]", path, i), o[i], a[i], n[i])
	}
	return out, true
}

// measured identifies what a metric measures: everything except its target.
func measured(metric any) string {
	fields, _ := metric.(map[string]any)
	var words []string
	for _, k := range keys(fields) {
		source, ok := fields[k].(map[string]any)
		if !ok {
			continue
		}
		rest := map[string]any{}
		for name, v := range source {
			if name != "target" {
				rest[name] = v
			}
		}
		if name, ok := rest["name"].(string); ok && len(rest) == 1 {
			words = append(words, name)
			continue
		}
		words = append(words, k+value(rest))
	}
	return strings.Join(words, " ")
}

func keys(maps ...map[string]any) []string {
	var out []string
	for _, m := range maps {
		for k := range m {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// value is a field's for a person.
func value(v any) string {
	if v == nil {
		return "none"
	}
	return string(mustJSON(v))
}

func mustJSON(v any) []byte {
	b, _ := json.Marshal(v) // API types
	return b
}
