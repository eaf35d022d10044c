package observer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
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
	PromQL string
	// Buckets means that the series are the buckets of a histogram, which are read every
	// bucketsEvery, and once more at the end.
	Buckets bool
	// Idle means that the query returns NaN without load: a mean of nothing.
	Idle bool
}

// ParseQuery reads NAME=PROMQL; without a NAME= the expression names itself.
func ParseQuery(text string) (Query, error) {
	text = strings.TrimSpace(text)
	q := Query{Name: text, PromQL: text}
	if name, promQL, ok := strings.Cut(
		text,
		"=",
	); ok && !strings.HasPrefix(promQL, "=") &&
		queryName.MatchString(strings.TrimSpace(name)) {
		q = Query{Name: strings.TrimSpace(name), PromQL: strings.TrimSpace(promQL)}
	}
	if q.PromQL == "" {
		return Query{}, errors.New("no expression; try queue=sum(vllm:num_requests_waiting)")
	}
	return q, nil
}

// queryName is what may come before the = of a named query.
var queryName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_:.-]*$`)

// NewPrometheus finds out what a Prometheus knows about the subject's pods, and runs each
// of the extra queries once: a rejected query is an error, one without series is reported
// by Describe. access says where it is and how to log in.
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
	for _, e := range engines {
		n, err := p.series(ctx, e.probe, matchers)
		if err != nil {
			return nil, fmt.Errorf("prometheus %s: %w", where, err)
		}
		if n == 0 {
			continue
		}
		p.engines = append(p.engines, e.name)
		for _, f := range e.families {
			p.Queries = append(p.Queries, f.queries(matchers)...)
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

// query runs an instant query and returns its series ordered by pod. A scalar is one series
// without labels.
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

// explainProm adds the server's reason, which the client keeps in Detail for answers that
// are not JSON, to the error's text.
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

// promEvery is the interval of the queries: a usual scrape interval.
const promEvery = 5 * time.Second

// bucketsEvery is how often the buckets of histograms are read; their differences over
// minutes are what is used.
const bucketsEvery = 30 * time.Second

// Observe asks the queries until ctx is done.
func (p *Prometheus) Observe(ctx context.Context, emit results.Emit) error {
	var blind time.Time
	buckets := time.Duration(math.MinInt64 / 2) // when they were read last
	had := map[string]bool{}
	gone := newLapses("prometheus", emit)
	ask := func(ctx context.Context, withBuckets bool) error {
		lost := map[string]string{}
		for _, q := range p.Queries {
			if q.Buckets && !withBuckets {
				continue
			}
			list, err := p.query(ctx, q.PromQL)
			if err != nil {
				return fmt.Errorf("%s: %w", q.Name, err)
			}
			found, why := p.record(&q, list, emit)
			if !found && had[q.Name] && !q.Idle && !q.Buckets {
				lost[q.Name] = why
			}
			had[q.Name] = had[q.Name] || found
		}
		gone.look(p.Clock.At(time.Now()), lost)
		return nil
	}
	for ctx.Err() == nil {
		began := time.Now()
		at := p.Clock.At(began)
		withBuckets := at-buckets >= bucketsEvery
		failed := ask(ctx, withBuckets)
		if withBuckets && failed == nil {
			buckets = at
		}
		switch {
		case failed != nil && blind.IsZero() && ctx.Err() == nil:
			blind = began
			emit(
				results.Warning{
					At:   p.Clock.At(began),
					ID:   results.WarnObserverBlind,
					Text: fmt.Sprintf("prometheus: %v; retrying", failed),
				},
			)
		case failed == nil && !blind.IsZero():
			emit(
				results.Gap{
					Source: results.SourcePrometheus,
					From:   p.Clock.At(blind),
					To:     p.Clock.At(time.Now()),
					Why:    "it did not answer",
				},
			)
			blind = time.Time{}
		}
		sleep(ctx, p.Clock.Wall(promEvery)-time.Since(began))
	}
	end := p.Clock.At(time.Now())
	gone.close(end)
	if !blind.IsZero() {
		emit(results.Gap{Source: results.SourcePrometheus, From: p.Clock.At(blind), To: end, Why: "it did not answer"})
		return nil
	}
	p.lastBuckets(ctx, emit)
	return nil
}

// lastBuckets reads the histograms once more at the end.
func (p *Prometheus) lastBuckets(ctx context.Context, emit results.Emit) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	for _, q := range p.Queries {
		if !q.Buckets {
			continue
		}
		list, err := p.query(ctx, q.PromQL)
		if err != nil {
			return
		}
		p.record(&q, list, emit)
	}
}

// record emits a query's series as samples. found is false if none of them is a number, and
// why says what they are.
func (p *Prometheus) record(q *Query, list []promSample, emit results.Emit) (found bool, why string) {
	at := p.Clock.At(time.Now())
	why = "no longer has series"
	for _, s := range list {
		if math.IsNaN(s.value) || math.IsInf(s.value, 0) {
			why = fmt.Sprintf("is now %v", s.value)
			continue
		}
		name := q.Name
		if q.Buckets {
			le, err := strconv.ParseFloat(s.label("le"), 64)
			if err != nil {
				continue
			}
			name = bucketName(q.Name, le)
		}
		found = true
		emit(
			results.Sample{
				At:        at,
				Source:    "prometheus",
				Name:      name,
				Pod:       s.label("pod"),
				Container: s.label("container"),
				Value:     s.value,
				SampledAt: results.NotYet,
			},
		)
	}
	return found, why
}
