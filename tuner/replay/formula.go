package replay

import (
	"errors"
	"math"
	"slices"
	"time"

	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
)

// Undefined counts the reconciles at which a formula of scalingModifiers had no value.
type Undefined struct {
	Reconciles int // at which it was evaluated
	Divided    int // of them by zero
	Failed     int // of them with any other error, or none of its triggers had a value
	First      time.Duration
	Why        string // of the first; "" = none
}

func (u *Undefined) note(at float64, err error) {
	u.Reconciles++
	if err == nil {
		return
	}
	if u.Why == "" {
		u.First, u.Why = seconds(at), err.Error()
	}
	if errors.Is(err, keda.ErrDivides) {
		u.Divided++
		return
	}
	u.Failed++
}

// exprsOf compiles what a loop computes: for each trigger, and last for the formula; nil for
// what it does not compute. Their texts have been compiled before.
func exprsOf(l *keda.Loop) []*keda.Expression {
	if l == nil {
		return nil
	}
	var out []*keda.Expression
	for i := range l.Triggers {
		var e *keda.Expression
		if d := l.Triggers[i].From; d != nil {
			e, _ = keda.Compile(d.Text, d.Names())
		}
		out = append(out, e)
	}
	var e *keda.Expression
	if l.Formula != nil && l.Formula.Computed {
		e, _ = keda.Compile(l.Formula.Text, l.Formula.Names)
	}
	return append(out, e)
}

// derived computes the i-th trigger's query. A part without any series leaves the query
// without one, and KEDA treats what is not a number in the same way (0/0 in PromQL is NaN).
//
// Source: kedacore/keda v2.21.0 pkg/scalers/prometheus_scaler.go (ExecutePromQuery).
func (a *autoscaler) derived(i int, now float64) keda.Reading {
	d, e := a.keda.loop.Triggers[i].From, a.w.exprs[i]
	if e == nil {
		return keda.Reading{Failed: true}
	}
	values := make(map[string]*float64, len(d.Parts))
	for k, name := range e.Names {
		pipe := slices.IndexFunc(a.w.Pipes, func(p plant.Pipe) bool { return p.Name == d.Parts[k].Name })
		if pipe < 0 {
			return keda.Reading{Failed: true}
		}
		v, some := a.value(pipe, now)
		if !some {
			return keda.Reading{Empty: true}
		}
		values[name] = &v
	}
	v, err := e.Float(values)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return keda.Reading{Empty: true}
	}
	return keda.Reading{Value: visible(v)}
}

// composite computes the formula over what was observed of the triggers, or returns what
// stands in for it if the formula has no value.
func (a *autoscaler) composite(seen []keda.Observed) (float64, error) {
	l, e := a.keda.loop, a.w.exprs[len(a.w.exprs)-1]
	if e == nil {
		return 0, errTrigger
	}
	values := make(map[string]*float64, len(seen))
	for i := range seen {
		if t := &l.Triggers[i]; !t.Resource && t.Name != "" {
			if values[t.Name] = nil; !seen[i].Nothing {
				values[t.Name] = &seen[i].Value
			}
		}
	}
	v, err := e.Value(values)
	if errors.Is(err, keda.ErrNoValue) && l.Fallback != nil {
		return float64(l.Fallback.Replicas) * l.Formula.Target, nil
	}
	return v, err
}
