package loadgen

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A wire speaks HTTP/1.1 in clear text over connections of its own, on the request's
// goroutine: write, then read, with the deadlines on the socket. net/http parses the
// answers (http.ReadResponse).
//
// http.Transport passes every request through two other goroutines, needs a context, a
// timer and a trace per request, and takes half as much CPU again. On the machine that
// generates the load, that is load not generated. TLS and HTTP/2 still use it.
//
// A wire never sends a request a second time: what the server did not answer is a failure,
// and is recorded as one. A connection that the server closed while idle is noticed before
// it is used again.
type wire struct {
	dial  dialFunc
	addr  string // "host:port"
	fresh bool   // a connection per request

	mu   sync.Mutex
	idle []*wireConn
	all  map[*wireConn]struct{} // open ones, so that Ctrl-C reaches them
	over bool                   // closeIdle was called: keep none
}

// A wireConn is one connection, used by one request at a time.
type wireConn struct {
	*dialed
	br   *bufio.Reader
	bw   *bufio.Writer
	used bool
	body tail
	req  http.Request // for ReadResponse, which asks for the method
}

// tail is an answer's body; it knows whether its end was read.
type tail struct {
	io.Reader
	end bool
}

func (t *tail) Read(p []byte) (n int, err error) {
	if n, err = t.Reader.Read(p); err == io.EOF {
		t.end = true
	}
	return n, err
}

// Close belongs to the connection: net/http's would read to the end.
func (t *tail) Close() error { return nil }

// get returns an idle connection that is still open, or a new one.
func (w *wire) get(ctx context.Context) (c *wireConn, err error) {
	for !w.fresh {
		w.mu.Lock()
		n := len(w.idle)
		if n == 0 {
			w.mu.Unlock()
			break
		}
		c = w.idle[n-1]
		w.idle = w.idle[:n-1]
		w.mu.Unlock()
		if quiet(c.Conn) {
			return c, nil
		}
		w.close(c)
	}
	nc, err := w.dial(ctx, "tcp", w.addr)
	if err != nil {
		return nil, err
	}
	c = &wireConn{
		dialed: &dialed{nc, nc.RemoteAddr().String()},
		br:     bufio.NewReaderSize(nc, 4<<10),
		bw:     bufio.NewWriterSize(nc, 4<<10),
	}
	w.mu.Lock()
	if w.all == nil {
		w.all = map[*wireConn]struct{}{}
	}
	w.all[c] = struct{}{}
	w.mu.Unlock()
	return c, nil
}

// put gives a connection back after its answer; keep = it can take another.
func (w *wire) put(c *wireConn, keep bool) {
	w.mu.Lock()
	if keep && !w.fresh && !w.over {
		c.used = true
		w.idle = append(w.idle, c)
		w.mu.Unlock()
		return
	}
	w.mu.Unlock()
	w.close(c)
}

func (w *wire) close(c *wireConn) {
	w.mu.Lock()
	delete(w.all, c)
	w.mu.Unlock()
	_ = c.Close()
}

// closeIdle closes idle connections, and keeps none from now on.
func (w *wire) closeIdle() {
	w.mu.Lock()
	idle := w.idle
	w.idle, w.over = nil, true
	w.mu.Unlock()
	for _, c := range idle {
		w.close(c)
	}
}

// interrupt ends what is in flight: its reads and writes fail at once.
func (w *wire) interrupt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.all {
		_ = c.SetDeadline(longAgo)
	}
}

var errNoAnswer = errors.New("the server closed the connection without an answer")

var longAgo = time.Unix(1, 0)

// exchange writes a request and reads the head of its answer. The body is
// c.body, which is the answer's Body too.
func (c *wireConn) exchange(head []byte, arrival int, p payload, method string) (*http.Response, error) {
	b := c.bw
	b.Write(head) // errors stick, and show in Flush
	b.WriteString(ArrivalHeader + ": ")
	b.Write(strconv.AppendInt(b.AvailableBuffer(), int64(arrival), 10))
	if p.contentType != "" {
		b.WriteString("\r\nContent-Type: ")
		b.WriteString(p.contentType)
	}
	if len(p.body) > 0 || method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
		b.WriteString("\r\nContent-Length: ")
		b.Write(strconv.AppendInt(b.AvailableBuffer(), int64(len(p.body)), 10))
	}
	b.WriteString("\r\n\r\n")
	b.Write(p.body)
	written := b.Flush()
	// A server may answer before it has read everything, and close: the answer is then more
	// informative than the error of the write.
	c.req.Method = method
	for {
		if _, err := c.br.Peek(1); err != nil {
			switch {
			case written != nil:
				err = written
			case errors.Is(err, io.EOF):
				err = errNoAnswer
			}
			return nil, err
		}
		resp, err := http.ReadResponse(c.br, &c.req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
			continue // 100, 103: the answer comes after it
		}
		if written != nil {
			resp.Close = true
		}
		c.body = tail{Reader: resp.Body}
		resp.Body = &c.body
		return resp, nil
	}
}

// reusable reports whether another request may follow resp on the connection.
func (c *wireConn) reusable(resp *http.Response) bool {
	return resp != nil && c.body.end && !resp.Close && c.br.Buffered() == 0
}

// isPlain reports whether a wire can be used: HTTP/1.1 in clear text, on a system that can
// check idle connections.
func isPlain(scheme, http2 string) bool { return canPeek && scheme == "http" && http2 != "h2c" }

// hostPort returns where a clear-text URL's host listens.
func hostPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), "80")
}
