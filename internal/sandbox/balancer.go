package sandbox

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"
)

// backendHeader names the pod that answered.
const backendHeader = "X-Backend"

// balancer spreads requests over the ready replicas in turn: round robin, request by
// request, regardless of how busy each is. The replay's plant knows this law.
type balancer struct {
	backends atomic.Pointer[[]backend]
	next     atomic.Uint64
	requests atomic.Int64 // completions taken, ever
	proxy    *httputil.ReverseProxy
}

// backend is a replica as the balancer knows it.
type backend struct {
	name, address string // address is "ip:port"
}

type chosen struct{} // context key

func newBalancer() *balancer {
	b := &balancer{}
	b.backends.Store(&[]backend{})
	b.proxy = &httputil.ReverseProxy{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConnsPerHost: 512,
			IdleConnTimeout:     30 * time.Second,
			DisableCompression:  true,
		},
		FlushInterval: -1, // a token goes out as it comes
		Rewrite: func(p *httputil.ProxyRequest) {
			to := p.In.Context().Value(chosen{}).(backend)
			p.SetURL(&url.URL{Scheme: "http", Host: to.address})
			p.Out.Header.Set(arrivedHeader, strconv.FormatInt(time.Now().UnixNano(), 10))
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Set(backendHeader, r.Request.Context().Value(chosen{}).(backend).name)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, q *http.Request, err error) {
			if errors.Is(err, context.Canceled) {
				return // the client has gone
			}
			writeError(w, http.StatusBadGateway, "bad_gateway", "the replica did not answer")
		},
		ErrorLog: log.New(io.Discard, "", 0), // the client sees and counts a stream that was cut off
	}
	return b
}

// set replaces the ready replicas.
func (b *balancer) set(backends []backend) { b.backends.Store(&backends) }

func (b *balancer) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	backends := *b.backends.Load()
	if len(backends) == 0 {
		writeError(w, http.StatusServiceUnavailable, "unavailable", "no replica is ready")
		return
	}
	if q.Method == http.MethodPost {
		b.requests.Add(1)
	}
	to := backends[(b.next.Add(1)-1)%uint64(len(backends))]
	b.proxy.ServeHTTP(w, q.WithContext(context.WithValue(q.Context(), chosen{}, to)))
}

func (b *balancer) close() {
	b.proxy.Transport.(*http.Transport).CloseIdleConnections()
}
