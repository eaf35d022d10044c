package profiles

import (
	"fmt"
	"io/fs"
	"regexp"
	"strconv"

	"github.com/hpatune/hpatune/internal/source"
)

// Override is what the command line changes of a profile; the zero value changes nothing.
type Override struct {
	Model string
	Path  string
	// Rate is the new highest rate of the profile. The other rates are scaled with it, so
	// that the shape stays. 0 = unchanged.
	Rate Rate
}

// rates are the fields of a profile that hold a rate.
var rates = regexp.MustCompile(`^stages\[\d+\]\.(rate|ramp\.from|ramp\.to|sine\.mean|sine\.amplitude)$`)

// With returns p with o applied, and its YAML: data with the fields that o changes. name
// and fsys are those of Parse.
func (p *Profile) With(o Override, name string, data []byte, fsys fs.FS) (*Profile, []byte, error) {
	if o == (Override{}) {
		return p, data, nil
	}
	set := map[string]string{}
	if o.Model != "" {
		set["target.model"] = o.Model
	}
	if o.Path != "" {
		set["target.path"] = o.Path
	}
	var change func(path, text string) (string, bool)
	if o.Rate != 0 {
		peak := p.Peak()
		if !(peak > 0) {
			return nil, nil, fmt.Errorf("profile %s has no rate to change", p.Name)
		}
		by := float64(o.Rate / peak)
		change = func(path, text string) (string, bool) {
			if !rates.MatchString(path) {
				return "", false
			}
			r, err := ParseRate(text)
			return (r * Rate(by)).String(), err == nil
		}
		for i := range p.Stages {
			if t := p.Stages[i].Trace; t != nil {
				return nil, nil, fmt.Errorf("profile %s sends a trace, which has its own rate; try scale_rate: %s in its stage",
					p.Name, strconv.FormatFloat(t.ScaleRate*by, 'g', 4, 64))
			}
		}
	}
	data, err := source.Rewrite(data, change, set)
	if err != nil {
		return nil, nil, fmt.Errorf("profile %s: %w", name, err)
	}
	q, err := Parse(name, data, fsys)
	return q, data, err
}
