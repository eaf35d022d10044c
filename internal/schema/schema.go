// Package schema generates JSON Schemas of the files that hpatune reads and writes
// from the Go types that it uses for them.
package schema

import (
	"encoding"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
)

// documents are the documents that have a JSON Schema, and the types that they are
// read into or written from.
var documents = map[string]reflect.Type{
	"profile":        reflect.TypeFor[profiles.Profile](),
	"recommendation": reflect.TypeFor[tuner.Recommendation](),
	"run":            reflect.TypeFor[results.Summary](),
}

// Names are the documents that have a schema, sorted.
func Names() []string { return slices.Sorted(maps.Keys(documents)) }

// Of is the JSON Schema (draft 2020-12) of a document; ok is false where the name
// is none of Names.
func Of(name string) (schema map[string]any, ok bool) {
	t, ok := documents[name]
	if !ok {
		return nil, false
	}
	// A profile's unknown fields are mistakes; JSON that hpatune writes may gain some.
	out := object{"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "hpatune " + name}
	for k, v := range of(t, name == "profile") {
		out[k] = v
	}
	return out, true
}

type object = map[string]any

// written are the types whose documents look unlike their fields.
var written = map[reflect.Type]object{
	reflect.TypeFor[time.Duration](): {
		"type":        "string",
		"pattern":     `^\s*[+-]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+\s*$`,
		"description": "30s, 5m, 1h30m",
	},
	reflect.TypeFor[time.Time](): {"type": "string", "format": "date-time"},
	reflect.TypeFor[profiles.Rate](): {
		"type":        []string{"string", "integer"},
		"pattern":     `^\s*\d+(\.\d+)?\s*(/\s*[smh])?\s*$`,
		"description": "5/s, 300/m, 90/h; 0 needs no unit",
	},
	reflect.TypeFor[profiles.Ratio](): {"type": []string{"string", "number"}, "description": "50% or 0.5"},
	reflect.TypeFor[profiles.Tokens](): {
		"oneOf": []object{{"type": "integer", "minimum": 0}, {"type": "object", "additionalProperties": false,
			"properties": object{"mean": object{"type": "number", "minimum": 0}, "cv": object{"type": "number", "minimum": 0}}}},
	},
	reflect.TypeFor[profiles.Process](): {
		"oneOf": []object{
			{"enum": []profiles.Law{profiles.Poisson, profiles.Even}},
			{
				"type":                 "object",
				"additionalProperties": false,
				"properties": object{
					"gamma": object{
						"type":       "object",
						"required":   []string{"cv"},
						"properties": object{"cv": object{"type": "number", "exclusiveMinimum": 0}},
					},
					"poisson":  object{},
					"constant": object{},
				},
			},
		},
	},
}

// choices are the values of fields that take one of a few, by type and name.
var choices = map[string][]string{
	"Target.protocol":    profiles.Protocols,
	"Target.stream_end":  profiles.StreamEnds,
	"Connections.mode":   profiles.ConnectionModes,
	"Trace.time":         profiles.TraceTimes,
	"Profile.represents": {"day", "week"},
}

// of is the schema of a type by its json tags; strict refuses fields that
// it does not have.
func of(t reflect.Type, strict bool) object {
	if s, ok := written[t]; ok {
		return s
	}
	ptr := reflect.PointerTo(t)
	switch {
	case t.Kind() == reflect.Pointer:
		return nullable(of(t.Elem(), strict))
	case ptr.Implements(reflect.TypeFor[json.Marshaler]()):
		return object{} // whatever it writes
	case ptr.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Struct:
		properties := object{}
		members(t, strict, properties)
		s := object{"type": "object", "properties": properties}
		if strict {
			s["additionalProperties"] = false
		}
		return s
	case reflect.Slice:
		s := object{"type": "array", "items": of(t.Elem(), strict)}
		if !strict { // a nil one is written as null
			return nullable(s)
		}
		return s
	case reflect.Map:
		s := object{"type": "object", "additionalProperties": of(t.Elem(), strict)}
		if !strict {
			return nullable(s)
		}
		return s
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Interface:
		return object{}
	}
	return object{"type": "integer"}
}

// nullable lets a value be null, too.
func nullable(s object) object {
	if kind, ok := s["type"].(string); ok {
		n := object{}
		for k, v := range s {
			n[k] = v
		}
		n["type"] = []string{kind, "null"}
		return n
	}
	if len(s) == 0 {
		return s
	}
	return object{"anyOf": []object{s, {"type": "null"}}}
}

// members adds the fields of a struct, those of embedded ones as its own.
func members(t reflect.Type, strict bool, to object) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			members(f.Type, strict, to)
			continue
		case !f.IsExported() || name == "-" || name == "" && strict:
			continue
		case name == "":
			name = f.Name
		}
		s := of(f.Type, strict)
		if values := choices[t.Name()+"."+name]; values != nil {
			s = object{"enum": slices.Clone(values)}
		}
		to[name] = s
	}
}
