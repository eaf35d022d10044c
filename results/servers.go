package results

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MeanSuffix is at the end of the name of a sample that is the mean of a histogram over the
// last minute: no server exports it.
const MeanSuffix = ":mean1m"

// ServerTime is how long requests took according to the servers' own histograms, without
// warm-up, beside what the client measured. The difference is spent on the network, in
// the load balancer and in queues in front of the servers.
type ServerTime struct {
	Metric string `json:"metric"` // the histogram, as the servers name it
	Source string `json:"source"` // of the samples: prometheus, scrape
	Of     string `json:"of"`     // what it measures: ttft, e2e, itl, queue
	N      int    `json:"n"`      // observations
	// FromS is the first reading at or after the end of the warm-up, seconds of run time:
	// what the servers did before it is in no figure here. Of several pods, the latest.
	FromS float64 `json:"from_s"`
	// P50S and P95S are linear within a bucket, as histogram_quantile has them. One
	// that lies beyond the last bound is that bound, and Beyond is set.
	P50S   float64 `json:"p50_s"`
	P95S   float64 `json:"p95_s"`
	Beyond bool    `json:"beyond,omitempty"`
	// FinestS is the lowest bound of the buckets, seconds. Of a shorter time it is only
	// known that it is shorter.
	FinestS float64 `json:"finest_s"`
	// ClientP50S and ClientP95S are the client's, from the actual send, of requests sent
	// since FromS; nil = not measured, or nothing that a client sees (queue, itl).
	ClientP50S *float64 `json:"client_p50_s"`
	ClientP95S *float64 `json:"client_p95_s"`
}

// serverTimes are the histograms of a request's time. Of each kind, the first that a run
// has is used.
//
// Sources: docs.vllm.ai usage/metrics; docs.sglang.io production_metrics; TGI
// reference/metrics; docs.bentoml.com observability/metrics; KServe pythonserver.
var serverTimes = []struct{ of, metric string }{
	{"ttft", "vllm:time_to_first_token_seconds"},
	{"ttft", "sglang:time_to_first_token_seconds"},
	{"e2e", "vllm:e2e_request_latency_seconds"},
	{"e2e", "sglang:e2e_request_latency_seconds"},
	{"e2e", "tgi_request_duration"},
	{"e2e", "bentoml_service_request_duration_seconds"},
	{"e2e", "request_predict_seconds"},
	{"queue", "vllm:request_queue_time_seconds"},
	{"queue", "sglang:queue_time_seconds"},
	{"queue", "tgi_request_queue_duration"},
	{"itl", "vllm:inter_token_latency_seconds"},
	{"itl", "vllm:time_per_output_token_seconds"},
	{"itl", "sglang:inter_token_latency_seconds"},
}

// ServerTimeOf returns what a server's histogram measures: ttft, e2e, itl or queue; "" = not
// known. Adapters write _ for the : in its name.
func ServerTimeOf(metric string) string {
	for _, t := range serverTimes {
		if t.metric == metric || strings.ReplaceAll(t.metric, ":", "_") == metric {
			return t.of
		}
	}
	return ""
}

// RequestTimeOf is ServerTimeOf for a time of whole requests, which their log tells: ttft, e2e or
// queue; "" = not known, or the gap between two tokens.
func RequestTimeOf(metric string) string {
	if of := ServerTimeOf(metric); of != "itl" {
		return of
	}
	return ""
}

// ServerTimes returns what the servers' histograms counted after the warm-up, all pods
// together; empty where none were recorded.
func (r *Run) ServerTimes() []ServerTime {
	out := []ServerTime{}
	from := r.warmedUpBy()
	for _, s := range serverTimes {
		if slices.ContainsFunc(out, func(t ServerTime) bool { return t.Of == s.of }) {
			continue
		}
		source, since, buckets := r.bucketsOf(s.metric, from)
		total := buckets[math.Inf(1)]
		if total < 1 {
			continue
		}
		t := ServerTime{Metric: s.metric, Source: source, Of: s.of, N: int(total), FinestS: math.MaxFloat64,
			FromS: since.Seconds()}
		for le := range buckets {
			t.FinestS = min(t.FinestS, le)
		}
		var beyond bool
		t.P50S, beyond = bucketQuantile(0.5, buckets)
		t.P95S, t.Beyond = bucketQuantile(0.95, buckets)
		t.Beyond = t.Beyond || beyond
		sent := latenciesOf(slices.DeleteFunc(r.measured(), func(q *Request) bool { return q.Sent < since }))
		if q := map[string]*Q{"ttft": sent.TTFTFromSent, "e2e": sent.E2EFromSent}[s.of]; q != nil {
			t.ClientP50S, t.ClientP95S = number(q.P50), number(q.P95)
		}
		out = append(out, t)
	}
	return out
}

// warmedUpBy is when the warm-up stages at the start are over.
func (r *Run) warmedUpBy() time.Duration {
	end := 0.0
	for _, s := range r.Meta.Stages {
		if !s.Warmup {
			break
		}
		end = s.ToS
	}
	return time.Duration(end * float64(time.Second))
}

// bucketsOf is how much the cumulative buckets of a histogram grew from an instant on,
// over all pods, by bound. A pod that was created later starts at 0; of the others, only
// what they counted since their first reading at or after the instant is used. since is
// the latest of these readings. A count that falls means that the server restarted.
func (r *Run) bucketsOf(metric string, from time.Duration) (
	source string, since time.Duration, grown map[float64]float64,
) {
	type series struct {
		pod string
		le  float64
	}
	created := map[string]time.Duration{}
	for _, p := range r.Pods {
		if p.Phase == PodCreated {
			created[p.Name] = p.At
		}
	}
	grown = map[float64]float64{}
	seen := map[series]float64{}
	samples := slices.Clone(r.Samples)
	slices.SortStableFunc(samples, func(a, b Sample) int { return cmp.Compare(a.At, b.At) })
	for i := range samples {
		x := &samples[i]
		le, ok := bucketBound(x.Name, metric)
		if !ok || source != "" && x.Source != source {
			continue
		}
		source = x.Source
		if x.At < from && from > 0 {
			continue // what follows it is partly warm-up
		}
		k := series{x.Pod, le}
		was, known := seen[k]
		switch at, born := created[x.Pod]; {
		case x.At < from: // before the run, in which nothing was sent yet
		case known && x.Value >= was:
			grown[le] += x.Value - was
		case known || born && at > from:
			grown[le] += x.Value
		default:
			since = max(since, x.At)
		}
		seen[k] = x.Value
	}
	return source, max(since, from), grown
}

// bucketBound reads the bound of a histogram's bucket off a sample's name.
func bucketBound(name, metric string) (float64, bool) {
	rest, ok := strings.CutPrefix(name, metric+`_bucket{le="`)
	if !ok {
		return 0, false
	}
	le, err := strconv.ParseFloat(strings.TrimSuffix(rest, `"}`), 64)
	return le, err == nil
}

// bucketQuantile is the q-quantile of cumulative buckets, linear within a bucket; beyond
// reports that it is above the last bound.
//
// Source: prometheus/promql/quantile.go (bucketQuantile).
func bucketQuantile(q float64, cumulative map[float64]float64) (v float64, beyond bool) {
	bounds := make([]float64, 0, len(cumulative))
	for le := range cumulative {
		bounds = append(bounds, le)
	}
	slices.Sort(bounds)
	rank := q * cumulative[math.Inf(1)]
	below, under := 0.0, 0.0
	for _, le := range bounds {
		n := cumulative[le]
		if n >= rank && n > under {
			if math.IsInf(le, 1) {
				return below, true
			}
			return below + (le-below)*(rank-under)/(n-under), false
		}
		if !math.IsInf(le, 1) {
			below, under = le, max(under, n)
		}
	}
	return below, true
}
