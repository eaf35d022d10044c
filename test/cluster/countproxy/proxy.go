// Package countproxy is an HTTP proxy in front of a workload that can be scaled to
// zero. It holds requests while no pod accepts connections, and counts the requests
// that came and those that are not answered yet. A KEDA trigger of type metrics-api
// reads the counts, which so exist even when there is no pod.
package countproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"
)

// CountsPath serves the counts as JSON; MetricsPath serves them for Prometheus.
const (
	CountsPath  = "/-/counts"
	MetricsPath = "/-/metrics"
)

const (
	// again is how long a held request waits between two attempts to reach a pod.
	again = 100 * time.Millisecond
	// attempt is how long one attempt may take. A connection to a pod that has just been
	// deleted gets no answer, and would else take all the time that a request may be held,
	// although other pods are ready.
	attempt = time.Second
	// largest is the longest body that is read, in bytes.
	largest = 16 << 20
)

// client is the key of the client's own context.
type client struct{}

// Counts are the proxy's counts of requests.
type Counts struct {
	Arrivals int64 `json:"arrivals"` // since the proxy started
	Pending  int64 `json:"pending"`  // not answered yet: held, or sent to a pod
	Held     int64 `json:"held"`     // of Pending, those that are held
	Refused  int64 `json:"refused"`  // since the proxy started: held for too long
	// Average is the mean of Pending over the last Window, in requests: at an instant, nothing
	// may be pending under any load of short requests, so a target scaled on Pending falls asleep.
	Average float64 `json:"average"`
}

// Window is what Counts.Average is taken over.
const Window = 15 * time.Second

// Proxy forwards requests to one address.
type Proxy struct {
	arrivals, held, refused atomic.Int64
	pending                 level

	hold    time.Duration
	forward *httputil.ReverseProxy
}

// New returns a proxy to a URL. A request is held for at most this long until a
// connection is accepted there.
func New(to *url.URL, hold time.Duration) *Proxy {
	p := &Proxy{hold: hold}
	p.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		// One connection per request, because kube-proxy balances connections.
		Transport:     &http.Transport{DialContext: p.dial, DisableKeepAlives: true},
		FlushInterval: -1, // forward tokens as they arrive
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			p.refused.Add(1)
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		},
	}
	return p
}

// dial connects. It tries again as long as nothing listens.
func (p *Proxy) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.hold)
	defer cancel()
	if own, ok := ctx.Value(client{}).(context.Context); ok { // the transport goes on dialing without its client
		defer context.AfterFunc(own, cancel)()
	}
	d := net.Dialer{Timeout: attempt}
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

// Counts returns the counts so far.
func (p *Proxy) Counts() Counts {
	now, mean := p.pending.read(time.Now())
	return Counts{p.arrivals.Load(), now, p.held.Load(), p.refused.Load(), mean}
}

// ServeHTTP forwards a request, or answers with the counts.
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
	p.pending.add(1, time.Now())
	defer func() { p.pending.add(-1, time.Now()) }()
	// Only when the body has been read does the server notice that the client has gone.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largest))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), client{}, r.Context()))
	r.Body = io.NopCloser(bytes.NewReader(body))
	p.forward.ServeHTTP(w, r)
}
