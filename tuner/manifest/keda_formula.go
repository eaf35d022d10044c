package manifest

import (
	"errors"

	"github.com/hpatune/hpatune/tuner/keda"
)

// Formula compiles the formula of a ScaledObject as KEDA does; nil if it has none.
func (o *ScaledObject) Formula() (*keda.Expression, error) {
	m := o.modifiers()
	if m == nil {
		return nil, nil
	}
	if m.Formula == "" {
		return nil, errors.New("formula is missing")
	}
	return keda.Compile(m.Formula, o.formulaNames())
}

// formulaNames are the triggers that a formula may read.
func (o *ScaledObject) formulaNames() (names []string) {
	for _, t := range o.Spec.Triggers {
		if t.Type != "cpu" && t.Type != "memory" && t.Name != "" {
			names = append(names, t.Name)
		}
	}
	return names
}

// Composite returns the value of the formula's metric for the triggers' values; if the
// formula has none, fallback.replicas times the target.
func (o *ScaledObject) Composite(f *keda.Expression, values map[string]*float64) (float64, error) {
	v, err := f.Value(values)
	if !errors.Is(err, keda.ErrNoValue) || o.Spec.Fallback == nil {
		return v, err
	}
	target, err := number(o.modifiers().Target)
	return float64(o.Spec.Fallback.Replicas) * target, err
}

// divides finds values for which a formula divides by zero: all at one, all at zero, and
// each alone at zero. always is true if it does so for all of them.
func divides(f *keda.Expression) (at string, always bool) {
	one, none := 1.0, 0.0
	try := func(zero func(string) bool) bool {
		values := map[string]*float64{}
		for _, n := range f.Names {
			if values[n] = &one; zero(n) {
				values[n] = &none
			}
		}
		_, err := f.Value(values)
		return errors.Is(err, keda.ErrDivides)
	}
	if try(func(string) bool { return false }) {
		return "", true
	}
	for _, name := range f.Names {
		if try(func(n string) bool { return n == name }) {
			return name + " is 0", false
		}
	}
	if try(func(string) bool { return true }) {
		return "all its triggers are 0", false
	}
	return "", false
}
