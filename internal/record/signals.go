package record

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/hpatune/hpatune/internal/sandbox"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// asker queries the sandbox's Prometheus.
type asker = func(promQL string) ([]float64, error)

// signalsOf makes the External metrics of a ScaledObject's HPA from its triggers, by name,
// as KEDA's scalers do; none for an HPA without a ScaledObject. now is the time of day of the
// run, for cron triggers.
func signalsOf(h *manifest.HPA, now func() time.Time) (map[string]sandbox.Signal, error) {
	if h.Scaled == nil {
		return nil, nil
	}
	o := h.Scaled.Scaled
	out := map[string]sandbox.Signal{}
	for i, m := range h.Config.Metrics {
		if m.Source != hpa.External {
			continue
		}
		var err error
		if t := h.Scaled.Trigger(i); t != nil {
			out[m.Name], err = signalOf(t, now)
		} else {
			out[m.Name], err = compositeOf(o, now)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// signalOf is the value of a trigger's scaler.
//
// Source: kedacore/keda v2.21.0 pkg/scalers/prometheus_scaler.go (ExecutePromQuery),
// metrics_api_scaler.go (getMetricValue, aggregateMetricsFromMultipleEndpoints), cron_scaler.go.
func signalOf(t *manifest.Trigger, now func() time.Time) (sandbox.Signal, error) {
	switch t.Type {
	case "prometheus":
		return promSignal(t.Metadata["query"], t.Metadata["ignoreNullValues"] != "false"), nil
	case "metrics-api":
		return pageSignal(t)
	case "cron":
		c := t.Cron()
		if _, err := c.At(time.Time{}); err != nil {
			return nil, fmt.Errorf("trigger cron: %w", err)
		}
		return func(asker) (float64, error) { return c.At(now()) }, nil
	}
	return nil, fmt.Errorf(
		"trigger of type %s: the sandbox has cpu, memory, prometheus and metrics-api, which it reads from "+
			"its own pods, and cron",
		t.Type,
	)
}

// promSignal is a query's one value; nullIsZero = none, NaN and infinity count as 0.
func promSignal(query string, nullIsZero bool) sandbox.Signal {
	return func(ask asker) (float64, error) {
		list, err := ask(query)
		switch {
		case err != nil:
			return 0, err
		case len(list) > 1:
			return 0, fmt.Errorf("the query %s has %d series; KEDA wants one", query, len(list))
		case len(list) == 1 && !math.IsNaN(list[0]) && !math.IsInf(list[0], 0):
			return list[0], nil
		case nullIsZero && len(list) == 0:
			return 0, sandbox.NoSeries{Query: query}
		case nullIsZero:
			return 0, nil
		case len(list) == 0:
			return 0, fmt.Errorf("the query %s has no series", query)
		}
		return 0, fmt.Errorf("the query %s gives %v", query, list[0])
	}
}

// pageSignal is a value on the pods' /metrics: of all pods, or of the one that the Service
// happens to pick.
func pageSignal(t *manifest.Trigger) (sandbox.Signal, error) {
	if f := t.Metadata["format"]; f != "prometheus" {
		return nil, fmt.Errorf(
			"trigger metrics-api: the sandbox's pods expose metrics in Prometheus' format; set format: prometheus",
		)
	}
	metric := t.Metadata["valueLocation"]
	if t.Metadata["aggregateFromKubeServiceEndpoints"] == "true" {
		kinds := map[string]string{"": "avg", "average": "avg", "sum": "sum", "max": "max", "min": "min"}
		op, known := kinds[t.Metadata["aggregationType"]]
		if !known {
			return nil, fmt.Errorf(
				"trigger metrics-api: aggregationType %q; want average, sum, max or min",
				t.Metadata["aggregationType"],
			)
		}
		return promSignal(op+"("+metric+")", false), nil
	}
	var turn atomic.Int64
	return func(ask asker) (float64, error) {
		list, err := ask(metric)
		if err == nil && len(list) == 0 {
			err = fmt.Errorf("no pod exports %s", metric)
		}
		if err != nil {
			return 0, err
		}
		return list[int(turn.Add(1))%len(list)], nil
	}, nil
}

// compositeOf is the value of a ScaledObject's formula over its triggers.
func compositeOf(o *manifest.ScaledObject, now func() time.Time) (sandbox.Signal, error) {
	f, err := o.Formula()
	if err != nil {
		return nil, fmt.Errorf("scalingModifiers: %w", err)
	}
	if f == nil {
		return nil, fmt.Errorf("ScaledObject %s: a metric without a trigger", o.Name)
	}
	of := map[string]sandbox.Signal{}
	for i := range o.Spec.Triggers {
		t := &o.Spec.Triggers[i]
		if t.Name == "" || t.Type == "cpu" || t.Type == "memory" {
			continue
		}
		if of[t.Name], err = signalOf(t, now); err != nil {
			return nil, err
		}
	}
	return func(ask asker) (float64, error) {
		values := map[string]*float64{}
		for name, signal := range of {
			v, err := signal(ask)
			if none := (sandbox.NoSeries{}); errors.As(err, &none) {
				v, err = 0, nil
			}
			if err != nil {
				return 0, fmt.Errorf("trigger %s: %w", name, err)
			}
			values[name] = &v
		}
		return o.Composite(f, values)
	}, nil
}
