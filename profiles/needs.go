package profiles

import (
	"io/fs"
	"path"
	"slices"
)

// Needs returns the names in Files without which the profile cannot be sent: bodies,
// prompts and traces, sorted, without duplicates.
func (p *Profile) Needs() ([]string, error) {
	if p.Files == nil {
		return nil, nil
	}
	names := []string{p.Target.Body, p.Prompts.File}
	for _, s := range p.Stages {
		if s.Trace != nil {
			names = append(names, s.Trace.File)
		}
	}
	if dir := p.Target.Files; dir != "" {
		list, err := fs.ReadDir(p.Files, path.Clean(dir))
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			if e.Type().IsRegular() {
				names = append(names, path.Join(dir, e.Name()))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(slices.DeleteFunc(names, func(s string) bool { return s == "" })), nil
}
