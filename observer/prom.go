package observer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

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
	ask     func(ctx context.Context, path string, q url.Values) ([]byte, error)
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
	{"vLLM", "vllm:num_requests_running", []Query{
		{"vllm:num_requests_running", `sum by (pod) (vllm:num_requests_running{%s})`},
		{"vllm:num_requests_waiting", `sum by (pod) (vllm:num_requests_waiting{%s})`},
		{"vllm:kv_cache_usage_perc", `max by (pod) (vllm:kv_cache_usage_perc{%s})`},
		{"vllm:generation_tokens_total", `sum by (pod) (vllm:generation_tokens_total{%s})`},
		{"vllm:prompt_tokens_total", `sum by (pod) (vllm:prompt_tokens_total{%s})`},
		{"vllm:time_to_first_token_seconds:mean1m", `sum by (pod) (rate(vllm:time_to_first_token_seconds_sum{%s}[1m])) / sum by (pod) (rate(vllm:time_to_first_token_seconds_count{%s}[1m]))`},
		{"vllm:request_queue_time_seconds:mean1m", `sum by (pod) (rate(vllm:request_queue_time_seconds_sum{%s}[1m])) / sum by (pod) (rate(vllm:request_queue_time_seconds_count{%s}[1m]))`},
	}},
	{"BentoML", "bentoml_service_request_in_progress", []Query{
		{"bentoml_service_request_in_progress", `sum by (pod) (bentoml_service_request_in_progress{%s})`},
		{"bentoml_service_request_total", `sum by (pod) (bentoml_service_request_total{%s})`},
		{"bentoml_service_request_duration_seconds:mean1m", `sum by (pod) (rate(bentoml_service_request_duration_seconds_sum{%s}[1m])) / sum by (pod) (rate(bentoml_service_request_duration_seconds_count{%s}[1m]))`},
	}},
	{"Triton", "nv_inference_request_success", []Query{
		{"nv_inference_request_success", `sum by (pod) (nv_inference_request_success{%s})`},
		{"nv_inference_pending_request_count", `sum by (pod) (nv_inference_pending_request_count{%s})`},
		{"nv_inference_queue_duration_us", `sum by (pod) (nv_inference_queue_duration_us{%s})`},
		{"nv_gpu_utilization", `max by (pod) (nv_gpu_utilization{%s})`},
	}},
	{"KServe", "request_predict_seconds_count", []Query{
		{"request_predict_seconds_count", `sum by (pod) (request_predict_seconds_count{%s})`},
		{"request_predict_seconds:mean1m", `sum by (pod) (rate(request_predict_seconds_sum{%s}[1m])) / sum by (pod) (rate(request_predict_seconds_count{%s}[1m]))`},
	}},
	{"DCGM", "DCGM_FI_DEV_GPU_UTIL", []Query{
		{"DCGM_FI_DEV_GPU_UTIL", `max by (pod) (DCGM_FI_DEV_GPU_UTIL{%s})`},
		{"DCGM_FI_DEV_FB_USED", `sum by (pod) (DCGM_FI_DEV_FB_USED{%s})`},
	}},
	{"cAdvisor", "container_cpu_cfs_periods_total", []Query{
		{"container_cpu_cfs_periods_total", `sum by (pod) (container_cpu_cfs_periods_total{%s,container!=""})`},
		{"container_cpu_cfs_throttled_periods_total", `sum by (pod) (container_cpu_cfs_throttled_periods_total{%s,container!=""})`},
	}},
}

// ParseQuery reads NAME=PROMQL; without a NAME= the expression names itself.
func ParseQuery(text string) (Query, error) {
	text = strings.TrimSpace(text)
	q := Query{text, text}
	if name, promQL, ok := strings.Cut(text, "="); ok && !strings.HasPrefix(promQL, "=") && queryName.MatchString(strings.TrimSpace(name)) {
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
// without series is reported by Describe. where is its URL, or
// NAMESPACE/SERVICE:PORT, which is asked through the API server.
func NewPrometheus(ctx context.Context, c *kube.Cluster, s *kube.Subject, where string, extra []Query) (*Prometheus, error) {
	p := &Prometheus{where: where}
	if strings.Contains(where, "://") {
		base, err := url.Parse(where)
		if err != nil {
			return nil, fmt.Errorf("prometheus %s: %w", where, err)
		}
		p.ask = func(ctx context.Context, path string, q url.Values) ([]byte, error) {
			return httpGet(ctx, base.JoinPath(path), q)
		}
	} else {
		ns, rest, ok := strings.Cut(where, "/")
		service, port, has := strings.Cut(rest, ":")
		if !ok || !has || ns == "" || service == "" || port == "" {
			return nil, fmt.Errorf("prometheus %q: want a URL or NAMESPACE/SERVICE:PORT; try monitoring/prometheus:9090", where)
		}
		base := "/api/v1/namespaces/" + ns + "/services/" + service + ":" + port + "/proxy/"
		p.ask = func(ctx context.Context, path string, q url.Values) ([]byte, error) {
			body, err := c.Raw(ctx, base+path, q)
			return body, kube.Explain(err, "run --prometheus")
		}
	}
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
	text := p.where + " has no series of these pods that are known here (labels namespace and pod are needed)"
	if len(p.engines) > 0 {
		text = fmt.Sprintf("%s has series of %s", p.where, strings.Join(p.engines, ", "))
	}
	text += fmt.Sprintf("; %d queries", len(p.Queries))
	if len(p.empty) > 0 {
		text += "; no series yet: " + strings.Join(p.empty, ", ")
	}
	return text
}

// httpGet asks a Prometheus that is reached directly.
func httpGet(ctx context.Context, u *url.URL, q url.Values) ([]byte, error) {
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, 32<<20))
	if err == nil && r.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s: %.200s", u.Path, r.Status, body)
	}
	return body, err
}

func (p *Prometheus) series(ctx context.Context, name, matchers string) (int, error) {
	list, err := p.query(ctx, fmt.Sprintf("count(%s{%s})", name, matchers))
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return int(list[0].value), nil
}

type promSample struct {
	labels map[string]string
	value  float64
	at     time.Time
}

// query asks an instant query and reads its vector.
func (p *Prometheus) query(ctx context.Context, promQL string) ([]promSample, error) {
	body, err := p.ask(ctx, "api/v1/query", url.Values{"query": {promQL}})
	if err != nil {
		return nil, err
	}
	return parseVector(body)
}

// parseVector reads the answer to an instant query.
func parseVector(body []byte) ([]promSample, error) {
	var answer struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Data   struct {
			ResultType string `json:"resultType"`
			Result     []struct {
				Metric map[string]string  `json:"metric"`
				Value  [2]json.RawMessage `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("not what a Prometheus answers: %w", err)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("refused: %s", cmp.Or(answer.Error, answer.Status))
	}
	if answer.Data.ResultType != "vector" {
		return nil, fmt.Errorf("the answer is a %s; a vector was asked for", answer.Data.ResultType)
	}
	var out []promSample
	for _, r := range answer.Data.Result {
		var at float64
		var text string
		if err := json.Unmarshal(r.Value[0], &at); err != nil {
			return nil, fmt.Errorf("time of a sample: %w", err)
		}
		if err := json.Unmarshal(r.Value[1], &text); err != nil {
			return nil, fmt.Errorf("value of a sample: %w", err)
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("value of a sample: %w", err)
		}
		out = append(out, promSample{r.Metric, v, time.UnixMilli(int64(at * 1000))})
	}
	slices.SortFunc(out, func(a, b promSample) int { return cmp.Compare(a.labels["pod"], b.labels["pod"]) })
	return out, nil
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
				emit(results.Sample{At: at, Source: "prometheus", Name: q.Name, Pod: s.labels["pod"], Container: s.labels["container"], Value: s.value, SampledAt: results.NotYet})
			}
		}
		switch {
		case failed != nil && blind.IsZero() && ctx.Err() == nil:
			blind = began
			emit(results.Warning{At: p.Clock.At(began), ID: "observer-blind", Text: fmt.Sprintf("prometheus: %v; trying again", failed)})
		case failed == nil && !blind.IsZero():
			emit(results.Gap{Source: "prometheus", From: p.Clock.At(blind), To: p.Clock.At(time.Now()), Why: "it did not answer"})
			blind = time.Time{}
		}
		sleep(ctx, p.Clock.Wall(promEvery)-time.Since(began))
	}
	if !blind.IsZero() {
		emit(results.Gap{Source: "prometheus", From: p.Clock.At(blind), To: p.Clock.At(time.Now()), Why: "it did not answer"})
	}
	return nil
}
