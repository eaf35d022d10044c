package loadgen

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hpatune/hpatune/internal/exposition"
	"github.com/hpatune/hpatune/results"
)

// A served is a counter of a server for the requests that it served.
type served struct {
	name string
	good bool // only good answers; otherwise every answer
}

// servedBy lists the known counters, the most specific first.
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

// A census is what the servers had counted at one time, by counter and then by server and
// labels. Each of these series only grows, unless its server restarts.
type census map[string]map[string]float64

// take reads the /metrics of each address, and what they have counted under path. All must
// answer, since a partial count is useless.
func (m *meter) take(ctx context.Context, addrs []string) (census, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	all := census{}
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
		if err := all.add(a, body, m.url.Path); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// add reads one server's metrics.
func (c census) add(server string, page []byte, path string) error {
	families, err := exposition.Read(page, func(name string) bool {
		return slices.ContainsFunc(servedBy, func(s served) bool { return s.name == name })
	})
	if err != nil {
		return fmt.Errorf("/metrics: %w", err)
	}
	for _, s := range servedBy {
		for _, x := range families[s.name].GetMetric() {
			series, ours := server, true
			for _, l := range x.GetLabel() {
				// vLLM also counts aborted requests as successes, such as our requests that
				// timed out.
				if pathLabels[l.GetName()] && l.GetValue() != path ||
					s.good && l.GetName() == "finished_reason" && l.GetValue() == "abort" {
					ours = false
				}
				series += "\x00" + l.GetName() + "\x00" + l.GetValue()
			}
			v := exposition.Value(x)
			if !ours || math.IsNaN(v) || math.IsInf(v, 0) {
				continue
			}
			if c[s.name] == nil {
				c[s.name] = map[string]float64{}
			}
			c[s.name][series] += v
		}
	}
	return nil
}

// since is the growth of a counter from one census to the next, over all series; a new
// series started at 0. ok is false if a series fell or disappeared: its server restarted,
// and its count in between is lost.
func (c census) since(before census, counter string) (grown float64, ok bool) {
	for series, was := range before[counter] {
		if now, there := c[counter][series]; !there || now < was {
			return 0, false
		}
	}
	for series, now := range c[counter] {
		grown += now - before[counter][series]
	}
	return grown, true
}

// foreign returns how many more requests the servers served between two censuses than we
// sent, relative to ours. Our good answers are compared with counters of good answers, all
// our answers with counters of all. ok is false if it is unknown: no counter, no requests
// of ours, or a counter that missed more than 5 % of ours (a load balancer showed one
// replica of many, or a server restarted).
func foreign(before, after census, outcomes *[results.Outcomes]atomic.Int64) (ratio float64, ok bool) {
	for _, s := range servedBy {
		if len(after[s.name]) == 0 {
			continue
		}
		grown, ok := after.since(before, s.name)
		if !ok {
			return 0, false
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
		ratio = (grown - float64(ours)) / float64(ours)
		return ratio, ratio >= -0.05
	}
	return 0, false
}
