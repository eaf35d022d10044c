// Package countproxy is an HTTP proxy before a workload that may stand at zero: it
// holds a request while nothing answers behind it, and counts what came and what is
// not answered yet. A KEDA trigger of type metrics-api reads the counts, so that they
// are there when no pod is.
package countproxy

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"
)

// CountsPath is where the counts are, as JSON; MetricsPath has them for Prometheus.
const (
	CountsPath  = "/-/counts"
	MetricsPath = "/-/metrics"
)

// again is how long a held request waits from one attempt to reach a pod to the next.
const again = 100 * time.Millisecond

// Counts is what the proxy has seen.
type Counts struct {
	Arrivals int64 `json:"arrivals"` // requests, since it started
	Pending  int64 `json:"pending"`  // not answered yet: held, or with a pod
	Held     int64 `json:"held"`     // of these, those for which nothing has answered
	Refused  int64 `json:"refused"`  // since it started: held for too long
}

// Proxy forwards requests to one address.
type Proxy struct {
	arrivals, pending, held, refused atomic.Int64

	hold    time.Duration
	forward *httputil.ReverseProxy
}

// New returns a proxy to a URL, which holds a request for at most so long until a
// connection is accepted there.
func New(to *url.URL, hold time.Duration) *Proxy {
	p := &Proxy{hold: hold}
	p.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		// A connection is one request's: kube-proxy balances connections.
		Transport:     &http.Transport{DialContext: p.dial, DisableKeepAlives: true},
		FlushInterval: -1, // tokens go on as they come
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			p.refused.Add(1)
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		},
	}
	return p
}

// dial connects, again and again while nothing listens.
func (p *Proxy) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.hold)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err == nil {
		return conn, nil
	}
	p.held.Add(1)
	defer p.held.Add(-1)
	t := time.NewTicker(again)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("nothing answers at %s within %v: %w", addr, p.hold, err)
		case <-t.C:
		}
		var failed error
		if conn, failed = d.DialContext(ctx, network, addr); failed == nil {
			return conn, nil
		}
	}
}

// Counts returns what has been seen so far.
func (p *Proxy) Counts() Counts {
	return Counts{p.arrivals.Load(), p.pending.Load(), p.held.Load(), p.refused.Load()}
}

// ServeHTTP forwards a request, or tells the counts.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case CountsPath:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(p.Counts())
		return
	case MetricsPath:
		c := p.Counts()
		fmt.Fprintf(w, "# TYPE countproxy_requests_total counter\ncountproxy_requests_total %d\n"+
			"# TYPE countproxy_requests_pending gauge\ncountproxy_requests_pending %d\n"+
			"# TYPE countproxy_requests_held gauge\ncountproxy_requests_held %d\n"+
			"# TYPE countproxy_requests_refused_total counter\ncountproxy_requests_refused_total %d\n",
			c.Arrivals, c.Pending, c.Held, c.Refused)
		return
	}
	p.arrivals.Add(1)
	p.pending.Add(1)
	defer p.pending.Add(-1)
	p.forward.ServeHTTP(w, r)
}
