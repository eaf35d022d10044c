package sandbox

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// Signal is where an External metric comes from: it asks the sandbox's Prometheus,
// which returns the values of a query's series, and makes one number of them. Its
// error is what the external metrics API answers.
type Signal func(ask func(promQL string) ([]float64, error)) (float64, error)

// NoSeries is the error of a Signal that has no series and counts as 0 nevertheless.
type NoSeries struct{ Query string }

func (e NoSeries) Error() string { return "the query " + e.Query + " has no series" }

// emptyAfter is how long a query has no series before that is a warning: pods need a scrape
// or two to show theirs.
const emptyAfter = time.Minute

const (
	adapterWindow = time.Minute     // the controller's, of a Pods metric whose adapter names none
	signalsEvery  = 5 * time.Second // how often what the metrics APIs serve is recorded
)

// signals serves Pods, Object and External metrics, as an adapter over Prometheus and
// KEDA's metrics server do.
type signals struct {
	monitor  *monitor
	external map[string]Signal
	metrics  []hpa.Metric // those of the HPA that it serves
}

// served are the metrics of an HPA that stand on no kubelet.
func served(c *hpa.Config) []hpa.Metric {
	return slices.DeleteFunc(slices.Clone(c.Metrics), func(m hpa.Metric) bool {
		return m.Source == hpa.Resource || m.Source == hpa.ContainerResource
	})
}

// check reports the metrics that the sandbox has not.
func (s *signals) check() error {
	var errs []error
	for _, m := range s.metrics {
		if m.Source == hpa.External && s.external[m.Name] != nil {
			continue
		}
		if _, err := s.monitor.named(m.Name); err != nil {
			errs = append(errs, fmt.Errorf("hpa: %s metric: %w", m.Source, err))
		}
	}
	return errors.Join(errs...)
}

// shareOf says whether a metric is a share, of which a pod's largest counts.
func shareOf(name string) bool {
	return strings.HasSuffix(name, "_perc") || strings.HasSuffix(name, "_ratio")
}

// pods are a Pods metric's values by pod, in thousandths.
func (s *signals) pods(ctx context.Context, m *hpa.Metric) (map[string]int64, error) {
	name, err := s.monitor.named(m.Name)
	if err != nil {
		return nil, err
	}
	op := "sum"
	if shareOf(name) {
		op = "max"
	}
	list, err := s.monitor.ask(ctx, fmt.Sprintf("%s by (pod) ({__name__=%q})", op, name))
	out := map[string]int64{}
	for _, x := range list {
		if !math.IsNaN(x.value) {
			out[x.pod] = thousandths(x.value)
		}
	}
	return out, err
}

// total is an Object or External metric's value, in thousandths.
func (s *signals) total(ctx context.Context, m *hpa.Metric) (int64, error) {
	ask := func(query string) ([]float64, error) {
		list, err := s.monitor.ask(ctx, query)
		out := make([]float64, len(list))
		for i, x := range list {
			out[i] = x.value
		}
		return out, err
	}
	signal := s.external[m.Name]
	if m.Source != hpa.External || signal == nil {
		signal = func(ask func(string) ([]float64, error)) (float64, error) {
			name, err := s.monitor.named(m.Name)
			if err != nil {
				return 0, err
			}
			list, err := ask(fmt.Sprintf("sum({__name__=%q})", name))
			if err == nil && len(list) != 1 {
				err = fmt.Errorf("%s has no series", m.Name)
			}
			if err != nil {
				return 0, err
			}
			return list[0], nil
		}
	}
	v, err := signal(ask)
	if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
		err = fmt.Errorf("%s is %v", m.Name, v)
	}
	if err != nil {
		return 0, err
	}
	return thousandths(v), nil
}

// countsAsZero reports whether an answer is that of a query without series that counts as 0.
func countsAsZero(err error) bool {
	var none NoSeries
	return errors.As(err, &none)
}

// thousandths is a value as the metrics APIs' quantities are read: rounded up.
func thousandths(v float64) int64 { return int64(math.Ceil(v*1000 - 1e-6)) }

// apiAnswer is what a metrics API answered for a metric, in thousandths.
type apiAnswer struct {
	pods  map[string]int64
	total int64
	err   error
}

// fetch asks for all metrics, by name. That takes a while, in which pods go on.
func (s *signals) fetch(ctx context.Context) map[string]apiAnswer {
	out := map[string]apiAnswer{}
	for i := range s.metrics {
		m := &s.metrics[i]
		var a apiAnswer
		if m.Source == hpa.Pods {
			a.pods, a.err = s.pods(ctx, m)
		} else {
			if a.total, a.err = s.total(ctx, m); countsAsZero(a.err) {
				a.err = nil
			}
		}
		out[m.Source.String()+m.Name] = a
	}
	return out
}

// reading is what was answered for m, for the core and for the record.
func (a apiAnswer) reading(m *hpa.Metric, pods []results.PodState, now time.Duration) (hpa.Reading, results.Reading) {
	record := results.Reading{Metric: m.Name}
	if a.err != nil {
		record.Err = a.err.Error()
		return hpa.Reading{Err: a.err}, record
	}
	if m.Source != hpa.Pods {
		record.Values = []int64{a.total}
		return hpa.Reading{Series: record.Values, Listed: true}, record
	}
	values := a.pods
	at := now.Truncate(time.Second)
	reading := hpa.Reading{Samples: make([]hpa.Sample, len(pods)), Listed: len(values) > 0}
	for i, p := range pods {
		if v, ok := values[p.Name]; ok {
			reading.Samples[i] = hpa.Sample{Milli: v, At: at, Window: adapterWindow, OK: true}
			record.Pods = append(record.Pods, results.PodValue{Pod: p.Name, Milli: v, At: at, Window: adapterWindow})
		}
	}
	return reading, record
}

// run records what the metrics APIs serve, as it changes, until ctx is done; a
// metric that they cannot serve is said once, and is a gap until they can.
func (s *signals) run(ctx context.Context, w *workload) {
	if len(s.metrics) == 0 {
		return
	}
	last := map[string]int64{}
	blind := map[string]results.Gap{}
	said := map[results.GapSource]bool{}
	empty := map[string]time.Duration{}
	for at := time.Duration(0); w.wait(ctx, at); at += signalsEvery {
		for i := range s.metrics {
			m := &s.metrics[i]
			err := s.record(ctx, w, m, last)
			source := results.SourceMetric(m.Source.String(), m.Name)
			switch none := err; {
			case !countsAsZero(none):
				empty[m.Name] = at
			case at-empty[m.Name] >= emptyAfter && !said[source]:
				said[source] = true
				w.emit(results.Warning{At: w.now(), ID: results.WarnObserverBlind,
					Text: fmt.Sprintf("%s: %v for %s; KEDA counts that as 0, as if there were no load (ignoreNullValues is true "+
						"by default)", source, none, figure.Duration(emptyAfter))})
			}
			if countsAsZero(err) {
				err = nil
			}
			g, was := blind[m.Name]
			switch now := w.now(); {
			case ctx.Err() != nil:
			case err != nil && !was:
				blind[m.Name] = results.Gap{Source: source, From: now, Why: err.Error()}
				if !said[source] {
					said[source] = true
					w.emit(results.Warning{At: now, ID: results.WarnObserverBlind,
						Text: fmt.Sprintf("%s: %v; retrying", source, err)})
				}
			case err == nil && was:
				delete(blind, m.Name)
				g.To = now
				w.emit(g)
			}
		}
	}
	for _, m := range s.metrics {
		if g, ok := blind[m.Name]; ok {
			g.To = w.now()
			w.emit(g)
		}
	}
}

// record emits a metric's values where they have changed since the last look.
func (s *signals) record(ctx context.Context, w *workload, m *hpa.Metric, last map[string]int64) error {
	now := w.now()
	told := func(source, pod string, v int64, sampled time.Duration) {
		key := m.Name + "\x00" + pod
		if was, ok := last[key]; ok && was == v {
			return
		}
		last[key] = v
		w.emit(results.Sample{At: now, Source: source, Name: m.Name, Pod: pod, Value: float64(v) / 1000, SampledAt: sampled})
	}
	if m.Source == hpa.Pods {
		values, err := s.pods(ctx, m)
		for _, p := range s.monitor.running() {
			if v, ok := values[p.name]; ok {
				told("custom.metrics.k8s.io", p.name, v, now)
			}
		}
		return err
	}
	v, err := s.total(ctx, m)
	if err != nil && !countsAsZero(err) {
		return err
	}
	source := "custom.metrics.k8s.io"
	if m.Source == hpa.External {
		source = "external.metrics.k8s.io"
	}
	told(source, "", v, results.NotYet)
	return err
}
