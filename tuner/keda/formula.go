package keda

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

// Expression is a compiled formula over named values.
type Expression struct {
	program *vm.Program
	// Names are the values that it may read, in their order.
	Names []string
}

// ErrNoValue means that a formula returned nil, which KEDA replaces by fallback.replicas ×
// target.
var ErrNoValue = errors.New("the formula has no value")

// ErrDivides means that a formula divided by zero.
var ErrDivides = errors.New("formula: it divides by zero")

// Compile compiles a formula of scalingModifiers as KEDA does. Positions in its errors are
// those in the text as written.
//
// Source: kedacore/keda v2.21.0 apis/keda/v1alpha1/scaledobject_webhook.go
// (ValidateAndCompileScalingModifiers, castToFloatIfNecessary).
func Compile(text string, names []string) (*Expression, error) {
	e := &Expression{Names: names}
	env := map[string]float64{}
	for _, n := range names {
		env[n] = -1
	}
	var err error
	if e.program, err = expr.Compile(asFloat(text), expr.Env(env)); err != nil {
		if _, raw := expr.Compile(text, expr.Env(env)); raw != nil {
			err = raw
		}
		return nil, fmt.Errorf("it does not compile: %s", firstLine(err))
	}
	if _, err = expr.Run(e.program, env); err != nil {
		return nil, fmt.Errorf("it cannot be evaluated: %s", firstLine(err))
	}
	return e, nil
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

// Value evaluates a formula over values by name. nil is a trigger that has failed longer
// than fallback.failureThreshold under fallback.behavior scalingModifiers. The result is
// truncated to thousandths, as the HPA gets it. Value returns ErrNoValue for nil, and
// ErrDivides for a division by zero.
//
// Source: pkg/scaling/modifiers/formula.go (calculateScalingModifiersFormula).
func (e *Expression) Value(values map[string]*float64) (float64, error) {
	v, err := e.Float(values)
	if err != nil {
		return 0, err
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, ErrDivides
	}
	return float64(int64(v*1000)) / 1000, nil
}

// Float is Value without rounding; a division by zero gives an infinite value or NaN.
func (e *Expression) Float(values map[string]*float64) (float64, error) {
	env := make(map[string]any, len(values))
	for name, v := range values {
		if env[name] = any(nil); v != nil {
			env[name] = *v
		}
	}
	out, err := expr.Run(e.program, env)
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
	return v, nil
}

// Derived is the value of a query that a run did not record, computed from metrics that it
// did record: sum(a) / sum(b) of the pods' a and b.
type Derived struct {
	Text  string // an expression over v0, v1, …: the values of Parts
	Parts []Part
}

// Names are the names of the parts in Text.
func (d *Derived) Names() (names []string) {
	for i := range d.Parts {
		names = append(names, fmt.Sprintf("v%d", i))
	}
	return names
}

// Part is a metric of the pods, or of the pool, as one number.
type Part struct {
	Name   string // sum(vllm:num_requests_waiting)
	Metric string // as recorded
	Pool   string // sum, avg, max or count over the pods; "" = the metric is one number
	// Over is the range of avg_over_time, or of rate; 0 = the value at the last scrape.
	Over time.Duration `json:",omitempty"`
	Rate bool          `json:",omitempty"` // per second, of a counter
	// Times means that it is a time of the requests that were measured in Over: a quantile of
	// the histogram Metric, or its mean.
	Times    bool    `json:",omitempty"`
	Quantile float64 `json:",omitempty"` // 0 = the mean
	// Unseen are labels that the query selects by and that the run did not record.
	Unseen []string `json:",omitempty"`
}
