package loadgen

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/hpatune/hpatune/results"
)

// A served is a counter in which a server counts the requests that it served.
type served struct {
	name string
	good bool // only good answers; otherwise every answer
}

// servedBy lists the counters that are known, the most telling first.
var servedBy = []served{
	{"vllm:request_success_total", true},
	{"vllm:request_success", true}, // before the client library added _total
	{"sglang:num_requests_total", true},
	{"nv_inference_request_success", true},
	{"tgi_request_success", true},
	{"tgi_request_success_total", true},
	{"bentoml_service_request_total", false},
	{"http_requests_total", false},
	{"http_request_duration_seconds", false}, // its _count
	{"http_server_requests_seconds", false},
}

// pathLabels are the labels in which such counters name the path: series of
// other paths (probes, /metrics itself) are not requests like ours.
var pathLabels = map[string]bool{
	"path":       true,
	"handler":    true,
	"endpoint":   true,
	"uri":        true,
	"route":      true,
	"http_route": true,
}

// A census is what the servers had counted at one time, by counter.
type census map[string]float64

// take reads the /metrics of each address and adds up what they have counted
// under path. All must answer: half a count is none.
func (m *meter) take(ctx context.Context, addrs []string) (census, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	sum := census{}
	for _, a := range addrs {
		u := *m.url
		u.Path, u.RawPath, u.RawQuery = "/metrics", "", ""
		lane := m.conns.probe(a)
		req := (&http.Request{Method: http.MethodGet, URL: &u, Host: m.headers.host,
			Header: m.headers.forRequest()}).WithContext(
			ctx,
		)
		resp, err := lane.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
		resp.Body.Close()
		lane.CloseIdleConnections()
		if err != nil {
			return nil, err
		}
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("/metrics: HTTP %d", resp.StatusCode)
		}
		if err := sum.add(string(body), m.url.Path); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

// add reads one server's metrics.
func (c census) add(text, path string) error {
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return fmt.Errorf("/metrics: %w", err)
	}
	for _, s := range servedBy {
		f, ok := families[s.name]
		if !ok {
			continue
		}
		for _, x := range f.GetMetric() {
			ours := true
			for _, l := range x.GetLabel() {
				// vLLM counts what was broken off among its successes, too: requests
				// of ours that ran into a time-out.
				if pathLabels[l.GetName()] && l.GetValue() != path ||
					s.good && l.GetName() == "finished_reason" && l.GetValue() == "abort" {
					ours = false
				}
			}
			if !ours {
				continue
			}
			switch {
			case x.Counter != nil:
				c[s.name] += x.GetCounter().GetValue()
			case x.Histogram != nil:
				c[s.name] += float64(x.GetHistogram().GetSampleCount())
			case x.Summary != nil:
				c[s.name] += float64(x.GetSummary().GetSampleCount())
			case x.Untyped != nil:
				c[s.name] += x.GetUntyped().GetValue()
			}
		}
	}
	return nil
}

// foreign returns how much more the servers served between two censuses than
// we sent, as a share of ours: good answers of ours against counters of good
// answers, all that were answered against counters of all. ok is false where
// it cannot be known: no counter, none of ours, or a counter that missed more
// than 5 % of ours (a balancer showed one replica of many, a server began anew).
func foreign(before, after census, outcomes *[results.Outcomes]atomic.Int64) (ratio float64, ok bool) {
	for _, s := range servedBy {
		a, counted := after[s.name]
		if !counted {
			continue
		}
		ours := outcomes[results.OK].Load()
		if !s.good {
			for _, o := range []results.Outcome{results.HTTP429, results.HTTP4xx, results.HTTP5xx, results.InBand,
				results.Truncated} {
				ours += outcomes[o].Load()
			}
		}
		if ours == 0 {
			return 0, false
		}
		ratio = (a - before[s.name] - float64(ours)) / float64(ours)
		return ratio, ratio >= -0.05
	}
	return 0, false
}
