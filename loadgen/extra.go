package loadgen

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/hpatune/hpatune/profiles"
)

// An extra is what the profile adds to the bodies of one class. The zero value
// adds nothing.
type extra struct {
	fields map[string]any
	json   []byte // `,"name":value,…`, by name; null ones left out
}

// says reports whether the profile has one of the fields, be it null.
func (e extra) says(names ...string) bool {
	for _, name := range names {
		if _, ok := e.fields[name]; ok {
			return true
		}
	}
	return false
}

// extraOf is what the profile adds to the body of an item.
func (p *protocol) extraOf(it item) extra {
	if p.extras == nil {
		return extra{}
	}
	return p.extras[min(int(it.Class), len(p.extras)-1)]
}

// merge makes bodies carry the target's and the classes' request fields.
func (p *protocol) merge(t profiles.Target, classes []profiles.Class) error {
	some := len(t.Request) > 0
	for _, c := range classes {
		some = some || len(c.Request) > 0
	}
	if !some || p.write == nil {
		return nil
	}
	if len(classes) == 0 {
		classes = []profiles.Class{{}}
	}
	for _, c := range classes {
		e := extra{fields: map[string]any{}}
		maps.Copy(e.fields, t.Request)
		maps.Copy(e.fields, c.Request)
		for _, name := range slices.Sorted(maps.Keys(e.fields)) {
			if e.fields[name] == nil {
				continue
			}
			v, err := json.Marshal(e.fields[name])
			if err != nil {
				return fmt.Errorf("request field %s: %w", name, err)
			}
			e.json = append(e.json, `,"`...)
			e.json = appendEscaped(e.json, name)
			e.json = append(append(e.json, `":`...), v...)
		}
		p.extras = append(p.extras, e)
	}
	plain := p.write
	p.write = func(dst []byte, it item) []byte {
		dst = plain(dst, it)
		dst = append(dst[:len(dst)-1], p.extraOf(it).json...) // over the closing brace
		return append(dst, '}')
	}
	return nil
}
