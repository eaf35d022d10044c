package manifest

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

// Formula is a compiled formula of scalingModifiers.
type Formula struct {
	program *vm.Program
	// Names are the triggers that it may read, in their order.
	Names []string
}

// ErrNoValue means that a formula returned nil, which KEDA replaces by fallback.replicas ×
// target.
var ErrNoValue = errors.New("the formula has no value")

// Formula compiles the formula of a ScaledObject as KEDA does; nil if it has none.
//
// Source: kedacore/keda v2.21.0 apis/keda/v1alpha1/scaledobject_webhook.go
// (ValidateAndCompileScalingModifiers, castToFloatIfNecessary).
func (o *ScaledObject) Formula() (*Formula, error) {
	m := o.modifiers()
	if m == nil {
		return nil, nil
	}
	if m.Formula == "" {
		return nil, errors.New("formula is missing")
	}
	f := &Formula{}
	env := map[string]float64{}
	for _, t := range o.Spec.Triggers {
		if t.Type != "cpu" && t.Type != "memory" && t.Name != "" {
			env[t.Name], f.Names = -1, append(f.Names, t.Name)
		}
	}
	var err error
	if f.program, err = expr.Compile(asFloat(m.Formula), expr.Env(env)); err != nil {
		return nil, fmt.Errorf("it does not compile: %s", firstLine(err))
	}
	if _, err = expr.Run(f.program, env); err != nil {
		return nil, fmt.Errorf("it cannot be evaluated: %s", firstLine(err))
	}
	return f, nil
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// asFloat casts a formula's result, so that 3 and a ? 1 : 2 are numbers.
func asFloat(formula string) string {
	switch {
	case strings.Contains(formula, "??"):
		if strings.HasPrefix(formula, "let _kedaCompositeResult = ") {
			return formula
		}
		return fmt.Sprintf(
			"let _kedaCompositeResult = (%s); _kedaCompositeResult == nil ? nil : float(_kedaCompositeResult)",
			formula,
		)
	case strings.HasPrefix(formula, "float("):
		return formula
	}
	return "float(" + formula + ")"
}

// Value evaluates a formula over the triggers' values, by trigger name. nil is a trigger
// that has failed longer than fallback.failureThreshold under fallback.behavior
// scalingModifiers. The result is truncated to thousandths, as the HPA gets it. Value
// returns ErrNoValue for nil, and an error for a division by zero.
//
// Source: pkg/scaling/modifiers/formula.go (calculateScalingModifiersFormula).
func (f *Formula) Value(values map[string]*float64) (float64, error) {
	env := make(map[string]any, len(values))
	for name, v := range values {
		if env[name] = any(nil); v != nil {
			env[name] = *v
		}
	}
	out, err := expr.Run(f.program, env)
	if err != nil {
		return 0, fmt.Errorf("formula: %s", firstLine(err))
	}
	if out == nil {
		return 0, ErrNoValue
	}
	v, ok := out.(float64)
	if !ok {
		return 0, fmt.Errorf("formula: its result is %T, not a number", out)
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, errors.New("formula: it divides by zero")
	}
	return float64(int64(v*1000)) / 1000, nil
}

// Composite returns the value of the formula's metric for the triggers' values; if the
// formula has none, fallback.replicas times the target.
func (o *ScaledObject) Composite(f *Formula, values map[string]*float64) (float64, error) {
	v, err := f.Value(values)
	if !errors.Is(err, ErrNoValue) || o.Spec.Fallback == nil {
		return v, err
	}
	target, err := number(o.modifiers().Target)
	return float64(o.Spec.Fallback.Replicas) * target, err
}

// divides finds values for which a formula divides by zero: all at one, all at zero, and
// each alone at zero. always is true if it does so for all of them.
func (f *Formula) divides() (at string, always bool) {
	one, none := 1.0, 0.0
	try := func(zero func(string) bool) bool {
		values := map[string]*float64{}
		for _, n := range f.Names {
			if values[n] = &one; zero(n) {
				values[n] = &none
			}
		}
		_, err := f.Value(values)
		return err != nil && strings.Contains(err.Error(), "divides by zero")
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
