package loadgen

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// The headers that identify a request's arrival: vegeta's, which the meter removes, and
// ours, which the server sees.
const (
	seqHeader     = "X-Vegeta-Seq"
	ArrivalHeader = "X-Arrival"
)

// A meter is the http.RoundTripper that vegeta's workers call. It sends the arrival with
// the request's number from the ring, follows the answer to its end, and emits one
// results.Request, whatever happens. vegeta itself gets an empty answer and keeps nothing:
// it paces, the meter measures.
type meter struct {
	ctx           context.Context // done: end what is in flight
	clock         results.Clock
	closed        bool // closed loop: an arrival is scheduled when it is sent
	ring          *ring
	lead          *lead
	proto         *protocol
	url           *url.URL
	headers       *headers
	conns         *conns
	backends      *backends
	backendHeader string
	errs          *table
	timeouts      profiles.Timeouts // in wall time
	cap           int64             // most requests in flight; 0 = no cap
	emit          results.Emit
	watch         *watch
	notes         *notes
	lenient       bool      // a stream may end without its end mark
	calls         sync.Pool // *call

	inFlight, peak atomic.Int64
	outcomes       [results.Outcomes]atomic.Int64
}

// answered is what vegeta gets to see of every request.
var answered = &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, ProtoMajor: 1, ProtoMinor: 1}

// RoundTrip sends the arrival whose number vegeta put on the request.
func (m *meter) RoundTrip(req *http.Request) (*http.Response, error) {
	k, err := strconv.ParseUint(req.Header.Get(seqHeader), 10, 64)
	if err != nil {
		return nil, err
	}
	a := m.ring.take(k)
	if !m.enter() {
		m.shed(a, "in-flight cap reached")
		return answered, nil
	}
	m.send(a)
	m.inFlight.Add(-1)
	return answered, nil
}

// enter takes one of the places in flight; false if all are taken.
func (m *meter) enter() bool {
	for {
		n := m.inFlight.Load()
		if m.cap > 0 && n >= m.cap {
			return false
		}
		if m.inFlight.CompareAndSwap(n, n+1) {
			for p := m.peak.Load(); n+1 > p && !m.peak.CompareAndSwap(p, n+1); p = m.peak.Load() {
			}
			return true
		}
	}
}

func (m *meter) now() time.Duration { return m.clock.At(time.Now()) }

// shed records an arrival that was never sent.
func (m *meter) shed(it item, why string) {
	rec := m.blank(it)
	rec.Outcome, rec.Err = results.Shed, m.errs.of(why)
	m.emit(rec)
}

// blank is the record of an arrival before anything happens.
func (m *meter) blank(a item) results.Request {
	return results.Request{
		Arrival: a.Index, Stage: a.Stage, Class: a.Class, Scheduled: a.At,
		Sent: results.NotYet, First: results.NotYet, Last: results.NotYet, Done: results.NotYet,
		Prompt: m.proto.texts.length(a), Err: -1, Backend: -1,
	}
}

// A call is what one request needs; calls are reused.
type call struct {
	m      *meter
	rec    results.Request
	conn   *dialed
	stream stream
	body   []byte       // request body
	whole  bytes.Buffer // answer in one piece
	buf    []byte       // reads
	why    error        // what a deadline that passes means
	socket *wireConn    // on a wire: its socket has the deadline
	trace  httptrace.ClientTrace
	ctx    context.Context // on http.Transport: its context has
	limit  *deadline       // a fresh one per request: its timer may outlive the call
}

func newCall(m *meter) *call {
	c := &call{m: m, buf: make([]byte, 8<<10)}
	c.trace.GotConn = func(info httptrace.GotConnInfo) {
		c.rec.NewConn = !info.Reused
		nc := info.Conn
		if t, ok := nc.(*tls.Conn); ok {
			nc = t.NetConn()
		}
		c.conn, _ = nc.(*dialed)
	}
	return c
}

// The reasons for which a deadline ended a request; the texts go to the error table.
var (
	errFirstToken = errors.New("time-out: no first token")
	errFirstByte  = errors.New("time-out: no first byte")
	errIdle       = errors.New("time-out: idle between tokens")
	errTotal      = errors.New("time-out: total")
	errAfterDone  = errors.New("stream not closed after its end mark")
)

// send sends one arrival and emits its result.
func (m *meter) send(a item) {
	c, _ := m.calls.Get().(*call)
	if c == nil {
		c = newCall(m)
	}
	c.rec, c.conn, c.ctx = m.blank(a), nil, nil
	v := c.run(a)
	c.rec.Outcome = v.outcome
	if v.text != "" {
		c.rec.Err = m.errs.of(fold(m.headers.redact(v.text)) + m.headers.redact(v.place))
	}
	if v.prompt > 0 {
		c.rec.Prompt = v.prompt
	}
	c.rec.Tokens, c.rec.TokensFrom = v.tokens, v.from
	m.notes.tokens(a.Max, v)
	m.outcomes[v.outcome].Add(1)
	m.watch.saw(c.rec.Done, v.outcome)
	m.emit(c.rec)
	// The transport may still read the body of a request that failed; and one
	// that the kernel's buffers cannot hold, of one that was answered early.
	if v.outcome == results.OK {
		if cap(c.body) > 64<<10 {
			c.body = nil
		}
		if c.whole.Cap() > 1<<20 {
			c.whole = bytes.Buffer{}
		}
		m.calls.Put(c)
	}
}

// run sends the request and reads the answer; it fills the record's instants.
func (c *call) run(a item) (v verdict) {
	m := c.m
	var p payload
	switch {
	case m.proto.fixed != nil:
		p = m.proto.fixed[a.Index%len(m.proto.fixed)]
	case m.proto.write != nil:
		c.body = m.proto.write(c.body[:0], a)
		p = payload{c.body, m.proto.contentType}
	}
	began := time.Now()
	c.rec.Sent = m.clock.At(began)
	if m.closed {
		c.rec.Scheduled = c.rec.Sent
	} else {
		m.lead.saw(m.clock.Wall(c.rec.Sent - c.rec.Scheduled))
	}
	defer func() {
		if c.rec.Done == results.NotYet {
			c.rec.Done = m.now()
		}
	}()
	total := farFuture(began, m.timeouts.Total)
	first, why := farFuture(began, m.timeouts.FirstToken), errFirstByte
	if m.proto.stream {
		why = errFirstToken
	}
	if !first.Before(total) {
		first, why = total, errTotal
	}
	lane, err := m.conns.lease(began)
	if err != nil {
		return c.failed(err)
	}
	defer m.conns.release(lane)
	if lane.wire != nil {
		return c.overWire(lane.wire, a.Index, p, first, total, why)
	}
	ctx, cancel := context.WithCancelCause(m.ctx)
	defer cancel(nil)
	c.ctx, c.limit = ctx, &deadline{cancel: cancel}
	c.until(first, why)
	defer c.limit.stop()
	req := m.request(a.Index, p)
	resp, err := lane.http.RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, &c.trace)))
	if err != nil {
		return c.failed(err)
	}
	defer resp.Body.Close()
	return c.answer(resp, total)
}

// overWire sends the request over a connection of a wire and reads the answer.
func (c *call) overWire(w *wire, arrival int, p payload, first, total time.Time, why error) verdict {
	m := c.m
	conn, err := w.get(m.ctx)
	if err != nil {
		return c.failed(err)
	}
	var resp *http.Response
	c.socket, c.conn, c.rec.NewConn = conn, conn.dialed, !conn.used
	defer func() {
		c.socket = nil
		w.put(conn, conn.reusable(resp))
	}()
	_ = conn.SetWriteDeadline(first) // fails on a closed connection only, and so does what follows
	c.until(first, why)
	if resp, err = conn.exchange(m.headers.forWire(), arrival, p, m.proto.method); err != nil {
		return c.failed(err)
	}
	return c.answer(resp, total)
}

// until moves the deadline of the request.
func (c *call) until(at time.Time, why error) {
	c.why = why
	if c.socket == nil {
		c.limit.set(at, why)
		return
	}
	_ = c.socket.SetReadDeadline(at)
	if c.m.ctx.Err() != nil { // Ctrl-C has set one that has passed: keep it
		_ = c.socket.SetDeadline(longAgo)
	}
}

// request makes the HTTP request of an arrival.
func (m *meter) request(arrival int, p payload) *http.Request {
	h := m.headers.forRequest()
	h[ArrivalHeader] = []string{strconv.Itoa(arrival)}
	if p.contentType != "" {
		h["Content-Type"] = []string{p.contentType}
	}
	req := &http.Request{
		Method: m.proto.method, URL: m.url, Host: m.headers.host, Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if m.proto.grpc {
		h["Te"] = []string{"trailers"}
	}
	if len(p.body) > 0 {
		req.Body = io.NopCloser(bytes.NewReader(p.body))
		req.ContentLength = int64(len(p.body))
	}
	return req
}
