package observer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/results"
)

// Prometheus records the answers to PromQL queries: a Source.
type Prometheus struct {
	Clock   results.Clock
	Queries []Query
	engines []string // presets that were found
	empty   []string // names of extra queries that have no series now
	where   string
	api     promv1.API
}

// Query is a PromQL instant query; each of its series becomes a sample.
type Query struct {
	Name   string // of the samples
	PromQL string // %s stands for the matchers of the namespace and the pods
}

// preset is what is worth recording of an engine, if it has the series probe.
type preset struct {
	engine, probe string
	queries       []Query
}

// presets are found by asking which series exist. Histograms become the mean
// over the last minute, as sum over count.
//
// Names: vLLM docs/usage/metrics; BentoML's default metrics; Triton
// docs/user_guide/metrics.md; KServe's queue-proxy and pythonserver; DCGM
// exporter's default counters.
var presets = []preset{
	{
		"vLLM",
		"vllm:num_requests_running",
		[]Query{
			{"vllm:num_requests_running", `sum by (pod) (vllm:num_requests_running{%s})`},
			{"vllm:num_requests_waiting", `sum by (pod) (vllm:num_requests_waiting{%s})`},
			{"vllm:kv_cache_usage_perc", `max by (pod) (vllm:kv_cache_usage_perc{%s})`},
			{"vllm:generation_tokens_total", `sum by (pod) (vllm:generation_tokens_total{%s})`},
			{"vllm:prompt_tokens_total", `sum by (pod) (vllm:prompt_tokens_total{%s})`},
			{
				"vllm:time_to_first_token_seconds:mean1m",
				`sum by (pod) (rate(vllm:time_to_first_token_seconds_sum{%s}[1m])) / sum by (pod) (rate(vllm:time_to_first_token_seconds_count{%s}[1m]))`,
			},
			{
				"vllm:request_queue_time_seconds:mean1m",
				`sum by (pod) (rate(vllm:request_queue_time_seconds_sum{%s}[1m])) / sum by (pod) (rate(vllm:request_queue_time_seconds_count{%s}[1m]))`,
			},
		},
	},
	{
		"BentoML",
		"bentoml_service_request_in_progress",
		[]Query{
			{"bentoml_service_request_in_progress", `sum by (pod) (bentoml_service_request_in_progress{%s})`},
			{"bentoml_service_request_total", `sum by (pod) (bentoml_service_request_total{%s})`},
			{
				"bentoml_service_request_duration_seconds:mean1m",
				`sum by (pod) (rate(bentoml_service_request_duration_seconds_sum{%s}[1m])) / sum by (pod) (rate(bentoml_service_request_duration_seconds_count{%s}[1m]))`,
			},
		},
	},
	{"Triton", "nv_inference_request_success", []Query{
		{"nv_inference_request_success", `sum by (pod) (nv_inference_request_success{%s})`},
		{"nv_inference_pending_request_count", `sum by (pod) (nv_inference_pending_request_count{%s})`},
		{"nv_inference_queue_duration_us", `sum by (pod) (nv_inference_queue_duration_us{%s})`},
		{"nv_gpu_utilization", `max by (pod) (nv_gpu_utilization{%s})`},
	}},
	{
		"KServe",
		"request_predict_seconds_count",
		[]Query{
			{"request_predict_seconds_count", `sum by (pod) (request_predict_seconds_count{%s})`},
			{
				"request_predict_seconds:mean1m",
				`sum by (pod) (rate(request_predict_seconds_sum{%s}[1m])) / sum by (pod) (rate(request_predict_seconds_count{%s}[1m]))`,
			},
		},
	},
	{"DCGM", "DCGM_FI_DEV_GPU_UTIL", []Query{
		{"DCGM_FI_DEV_GPU_UTIL", `max by (pod) (DCGM_FI_DEV_GPU_UTIL{%s})`},
		{"DCGM_FI_DEV_FB_USED", `sum by (pod) (DCGM_FI_DEV_FB_USED{%s})`},
	}},
	{
		"cAdvisor",
		"container_cpu_cfs_periods_total",
		[]Query{
			{"container_cpu_cfs_periods_total", `sum by (pod) (container_cpu_cfs_periods_total{%s,container!=""})`},
			{
				"container_cpu_cfs_throttled_periods_total",
				`sum by (pod) (container_cpu_cfs_throttled_periods_total{%s,container!=""})`,
			},
		},
	},
}

// ParseQuery reads NAME=PROMQL; without a NAME= the expression names itself.
func ParseQuery(text string) (Query, error) {
	text = strings.TrimSpace(text)
	q := Query{text, text}
	if name, promQL, ok := strings.Cut(
		text,
		"=",
	); ok && !strings.HasPrefix(promQL, "=") &&
		queryName.MatchString(strings.TrimSpace(name)) {
		q = Query{strings.TrimSpace(name), strings.TrimSpace(promQL)}
	}
	if q.PromQL == "" {
		return Query{}, errors.New("no expression; try queue=sum(vllm:num_requests_waiting)")
	}
	return q, nil
}

// queryName is what may stand before the = of a named query.
var queryName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_:.-]*$`)

// NewPrometheus finds out what a Prometheus knows of the subject's pods, and
// asks each of the extra queries once: one that it refuses is an error, one
// without series is reported by Describe. access says where it is and how to
// log in.
func NewPrometheus(
	ctx context.Context,
	c *kube.Cluster,
	s *kube.Subject,
	access PrometheusAccess,
	extra []Query,
) (*Prometheus, error) {
	client, where, err := access.client(c)
	if err != nil {
		return nil, err
	}
	p := &Prometheus{where: where, api: promv1.NewAPI(client)}
	pods := s.Target.Name + "-.*"
	matchers := fmt.Sprintf(`namespace=%q,pod=~%q`, s.Namespace, pods)
	for _, preset := range presets {
		n, err := p.series(ctx, preset.probe, matchers)
		if err != nil {
			return nil, fmt.Errorf("prometheus %s: %w", where, err)
		}
		if n == 0 {
			continue
		}
		p.engines = append(p.engines, preset.engine)
		for _, q := range preset.queries {
			q.PromQL = strings.ReplaceAll(q.PromQL, "%s", matchers)
			p.Queries = append(p.Queries, q)
		}
	}
	for _, q := range extra {
		list, err := p.query(ctx, q.PromQL)
		if err != nil {
			return nil, fmt.Errorf("prometheus %s: %s: %w", where, q.Name, err)
		}
		if len(list) == 0 {
			p.empty = append(p.empty, q.Name)
		}
		p.Queries = append(p.Queries, q)
	}
	return p, nil
}

// Describe says what was found, for a person.
func (p *Prometheus) Describe() string {
	text := p.where + " has no known series of these pods (they need the labels namespace and pod)"
	if len(p.engines) > 0 {
		text = fmt.Sprintf("%s has series of %s", p.where, strings.Join(p.engines, ", "))
	}
	text += fmt.Sprintf("; %d queries", len(p.Queries))
	if len(p.empty) > 0 {
		text += "; no series yet: " + strings.Join(p.empty, ", ")
	}
	return text
}

func (p *Prometheus) series(ctx context.Context, name, matchers string) (int, error) {
	list, err := p.query(ctx, fmt.Sprintf("count(%s{%s})", name, matchers))
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return int(list[0].value), nil
}

type promSample struct {
	labels model.Metric
	value  float64
	at     time.Time
}

func (s promSample) label(name model.LabelName) string { return string(s.labels[name]) }

// query asks an instant query and returns its series ordered by pod. A scalar is
// one series without labels.
func (p *Prometheus) query(ctx context.Context, promQL string) ([]promSample, error) {
	value, _, _, err := p.api.Query(ctx, promQL, time.Time{}) // the zero time: Prometheus' own now
	if err != nil {
		return nil, explainProm(err)
	}
	switch v := value.(type) {
	case model.Vector:
		out := make([]promSample, len(v))
		for i, s := range v {
			out[i] = promSample{s.Metric, float64(s.Value), s.Timestamp.Time()}
		}
		slices.SortFunc(out, func(a, b promSample) int { return cmp.Compare(a.label("pod"), b.label("pod")) })
		return out, nil
	case *model.Scalar:
		return []promSample{{nil, float64(v.Value), v.Timestamp.Time()}}, nil
	}
	return nil, fmt.Errorf(
		"the result is a %s, want an instant vector; remove the range ([5m]) or wrap it in rate()",
		value.Type(),
	)
}

// explainProm puts the reason that the server gave, which the client keeps in
// Detail for answers that are not JSON, into the error's text.
func explainProm(err error) error {
	var e *promv1.Error
	if !errors.As(err, &e) {
		return err
	}
	text := strings.Join(strings.Fields(e.Detail), " ")
	switch {
	case strings.HasSuffix(e.Msg, "401") || strings.HasSuffix(e.Msg, "403"):
		return fmt.Errorf("%s: %.200s; pass credentials with --prometheus-config FILE", e.Msg, cmp.Or(text, "access denied"))
	case e.Type == promv1.ErrBadResponse:
		return fmt.Errorf("not a Prometheus API (%s); check the address", e.Msg)
	case text != "":
		return fmt.Errorf("%s: %.200s", e.Msg, text)
	}
	return fmt.Errorf("refused: %s", e.Msg)
}

// promEvery is how often the queries are asked: a usual scrape interval.
const promEvery = 5 * time.Second

// Observe asks the queries until ctx is done.
func (p *Prometheus) Observe(ctx context.Context, emit results.Emit) error {
	var blind time.Time
	for ctx.Err() == nil {
		began := time.Now()
		var failed error
		for _, q := range p.Queries {
			list, err := p.query(ctx, q.PromQL)
			if err != nil {
				failed = fmt.Errorf("%s: %w", q.Name, err)
				break
			}
			at := p.Clock.At(time.Now())
			for _, s := range list {
				if math.IsNaN(s.value) || math.IsInf(s.value, 0) {
					continue // a mean of nothing
				}
				emit(
					results.Sample{
						At:        at,
						Source:    "prometheus",
						Name:      q.Name,
						Pod:       s.label("pod"),
						Container: s.label("container"),
						Value:     s.value,
						SampledAt: results.NotYet,
					},
				)
			}
		}
		switch {
		case failed != nil && blind.IsZero() && ctx.Err() == nil:
			blind = began
			emit(
				results.Warning{At: p.Clock.At(began), ID: "observer-blind", Text: fmt.Sprintf("prometheus: %v; retrying", failed)},
			)
		case failed == nil && !blind.IsZero():
			emit(
				results.Gap{Source: "prometheus", From: p.Clock.At(blind), To: p.Clock.At(time.Now()), Why: "it did not answer"},
			)
			blind = time.Time{}
		}
		sleep(ctx, p.Clock.Wall(promEvery)-time.Since(began))
	}
	if !blind.IsZero() {
		emit(results.Gap{Source: "prometheus", From: p.Clock.At(blind), To: p.Clock.At(time.Now()), Why: "it did not answer"})
	}
	return nil
}
