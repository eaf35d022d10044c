package sandbox

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	stale "github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// monitor scrapes the pods' own metrics, each pod at a phase of its own, and answers PromQL
// over them with Prometheus' own engine. It replaces the Prometheus, the adapter and KEDA's
// metrics server of a cluster.
type monitor struct {
	workload  *workload
	namespace string // the label of all series
	every     time.Duration
	engine    *promql.Engine

	mu     sync.Mutex
	due    map[string]time.Duration // of each pod's next scrape
	series map[string]*track        // by labels
	of     map[string][]string      // the series of each pod that is there
}

// track is one series.
type track struct {
	labels labels.Labels
	points []chunks.Sample
}

const (
	monitorStep = time.Second      // how often it looks whether a scrape is due
	monitorKeep = 30 * time.Minute // how far back a query can look
)

func newMonitor(w *workload, namespace string, every time.Duration) *monitor {
	return &monitor{
		workload: w, namespace: namespace, every: every,
		engine: promql.NewEngine(promql.EngineOpts{
			MaxSamples: 1e6, Timeout: 10 * time.Second, EnableAtModifier: true, EnableNegativeOffset: true,
			Parser: parser.NewParser(parser.Options{}),
		}),
		due: map[string]time.Duration{}, series: map[string]*track{}, of: map[string][]string{},
	}
}

// begin scrapes the first pods as they were before the run: idle.
func (m *monitor) begin() {
	for _, p := range m.running() {
		phase := m.phase(p.name)
		for at := phase - 2*m.every; at < 0; at += m.every {
			m.scrape(p, at)
		}
		m.due[p.name] = phase
	}
}

// phase is when a pod is scraped, counted from multiples of the interval: as
// Prometheus spreads its targets by a hash of their labels.
func (m *monitor) phase(pod string) time.Duration {
	h := labels.FromStrings("pod", pod).Hash()
	return time.Duration(h % uint64(m.every))
}

// run scrapes what is due until ctx is done.
func (m *monitor) run(ctx context.Context) {
	for at := time.Duration(0); m.workload.wait(ctx, at); at += monitorStep {
		now := m.workload.now()
		pods := m.running()
		m.mu.Lock()
		m.forget(pods, now)
		m.mu.Unlock()
		for _, p := range pods {
			m.mu.Lock()
			due, known := m.due[p.name]
			if !known {
				phase := m.phase(p.name)
				due = phase + (now-phase+m.every-1)/m.every*m.every
			}
			scrape := due <= now
			if scrape {
				due += m.every
			}
			m.due[p.name] = due
			m.mu.Unlock()
			if scrape {
				m.scrape(p, now)
			}
		}
	}
}

func (m *monitor) running() []*pod {
	m.workload.mu.Lock()
	defer m.workload.mu.Unlock()
	var out []*pod
	for _, p := range m.workload.pods {
		if p.running {
			out = append(out, p)
		}
	}
	return out
}

// forget ends the series of pods that are gone, as a failing scrape does.
func (m *monitor) forget(pods []*pod, now time.Duration) {
	for name, keys := range m.of {
		if slices.ContainsFunc(pods, func(p *pod) bool { return p.name == name }) {
			continue
		}
		for _, k := range keys {
			m.series[k].add(m.millis(now), math.Float64frombits(stale.StaleNaN))
		}
		delete(m.of, name)
		delete(m.due, name)
	}
}

func (m *monitor) millis(at time.Duration) int64 {
	return m.workload.clock.Start.UnixMilli() + at.Milliseconds()
}

// scrape takes what a pod's /metrics says.
func (m *monitor) scrape(p *pod, at time.Duration) {
	families, err := p.replica.metrics.registry.Gather()
	if err != nil {
		return // as a scrape that fails
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.millis(at)
	m.of[p.name] = m.of[p.name][:0]
	put := func(name string, of *dto.Metric, extra []string, v float64) {
		text := []string{model.MetricNameLabel, name, "pod", p.name, "namespace", m.namespace, "container", container,
			"instance", p.address, "job", m.workload.service.Name}
		for _, l := range of.GetLabel() {
			text = append(text, l.GetName(), l.GetValue())
		}
		set := labels.FromStrings(append(text, extra...)...)
		key := set.String()
		s := m.series[key]
		if s == nil {
			s = &track{labels: set}
			m.series[key] = s
		}
		s.add(t, v)
		s.trim(m.millis(at - monitorKeep))
		m.of[p.name] = append(m.of[p.name], key)
	}
	for _, f := range families {
		for _, x := range f.GetMetric() {
			switch {
			case x.Histogram != nil:
				for _, b := range x.Histogram.GetBucket() {
					le := strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64)
					put(f.GetName()+"_bucket", x, []string{"le", le}, float64(b.GetCumulativeCount()))
				}
				put(f.GetName()+"_bucket", x, []string{"le", "+Inf"}, float64(x.Histogram.GetSampleCount()))
				put(f.GetName()+"_sum", x, nil, x.Histogram.GetSampleSum())
				put(f.GetName()+"_count", x, nil, float64(x.Histogram.GetSampleCount()))
			case x.Counter != nil:
				put(f.GetName(), x, nil, x.Counter.GetValue())
			case x.Gauge != nil:
				put(f.GetName(), x, nil, x.Gauge.GetValue())
			}
		}
	}
}

func (s *track) add(t int64, v float64) { s.points = append(s.points, sampled{t, v}) }

func (s *track) trim(before int64) {
	i := 0
	for i < len(s.points)-1 && s.points[i].T() < before {
		i++
	}
	s.points = s.points[i:]
}

// ask evaluates PromQL now.
func (m *monitor) ask(ctx context.Context, query string) ([]labelled, error) {
	return m.askAt(ctx, query, m.workload.now())
}

// askAt evaluates PromQL at an instant of the run, and returns the result's series: by
// pod, where they have that label. A scalar is one series.
func (m *monitor) askAt(ctx context.Context, query string, at time.Duration) ([]labelled, error) {
	q, err := m.engine.NewInstantQuery(ctx, m, nil, query, time.UnixMilli(m.millis(at)))
	if err != nil {
		return nil, err
	}
	defer q.Close()
	result := q.Exec(ctx)
	if result.Err != nil {
		return nil, result.Err
	}
	switch v := result.Value.(type) {
	case promql.Vector:
		var out []labelled
		for _, s := range v {
			if s.H == nil {
				out = append(out, labelled{s.Metric.Get("pod"), s.F})
			}
		}
		return out, nil
	case promql.Scalar:
		return []labelled{{"", v.V}}, nil
	}
	return nil, fmt.Errorf("the result is a %s, want an instant vector", result.Value.Type())
}

// labelled is a value of a query's result.
type labelled struct {
	pod   string // "" = of none
	value float64
}

// names are the metrics that the pods tell, sorted.
func (m *monitor) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, s := range m.series {
		out = append(out, s.labels.Get(model.MetricNameLabel))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// named is the name under which the pods tell a metric: adapters write _ for :.
func (m *monitor) named(metric string) (string, error) {
	names := m.names()
	plain := func(s string) string { return strings.ReplaceAll(s, ":", "_") }
	i := slices.IndexFunc(names, func(n string) bool { return plain(n) == plain(metric) })
	if i < 0 {
		return "", fmt.Errorf(
			"the sandbox's pods do not export %s; they export %s",
			metric,
			strings.Join(gauges(names), ", "),
		)
	}
	return names[i], nil
}

// gauges leaves out the parts of histograms.
func gauges(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		return strings.HasSuffix(n, "_bucket") || strings.HasSuffix(n, "_sum") || strings.HasSuffix(n, "_count")
	})
}

// Querier implements storage.Queryable.
func (m *monitor) Querier(from, to int64) (storage.Querier, error) {
	return &querier{storage.NoopQuerier(), m, from, to}, nil
}

// querier is a look at the series of a stretch of time, in milliseconds.
type querier struct {
	storage.Querier
	monitor  *monitor
	from, to int64
}

// Select implements storage.Querier.
func (q *querier) Select(
	_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher,
) storage.SeriesSet {
	q.monitor.mu.Lock()
	defer q.monitor.mu.Unlock()
	var found []storage.Series
	for _, s := range q.monitor.series {
		if !slices.ContainsFunc(matchers, func(x *labels.Matcher) bool { return !x.Matches(s.labels.Get(x.Name)) }) {
			found = append(found, storage.NewListSeries(s.labels, s.between(q.from, q.to)))
		}
	}
	slices.SortFunc(found, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return &seriesSet{storage.EmptySeriesSet(), found, -1}
}

func (s *track) between(from, to int64) []chunks.Sample {
	var out []chunks.Sample
	for _, p := range s.points {
		if p.T() >= from && p.T() <= to {
			out = append(out, p)
		}
	}
	return out
}

// seriesSet is a list of series in storage's form.
type seriesSet struct {
	storage.SeriesSet
	list []storage.Series
	at   int
}

func (s *seriesSet) Next() bool         { s.at++; return s.at < len(s.list) }
func (s *seriesSet) At() storage.Series { return s.list[s.at] }

// sampled is a value of a series in tsdb's form.
type sampled struct {
	t int64
	v float64
}

func (p sampled) T() int64                      { return p.t }
func (p sampled) ST() int64                     { return 0 }
func (p sampled) F() float64                    { return p.v }
func (p sampled) H() *histogram.Histogram       { return nil }
func (p sampled) FH() *histogram.FloatHistogram { return nil }
func (p sampled) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (p sampled) Copy() chunks.Sample           { return p }
