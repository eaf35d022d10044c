package loadgen

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/hpatune/hpatune/internal/plain"
	"github.com/hpatune/hpatune/results"
)

// answer reads an answer from its head on.
func (c *call) answer(resp *http.Response, total time.Time) (v verdict) {
	m := c.m
	c.rec.Code = resp.StatusCode
	addr := ""
	if c.conn != nil {
		addr = c.conn.addr
	}
	c.rec.Backend = m.backends.of(resp.Header.Get(m.backendHeader), addr)

	v, ok := statusVerdict(resp, m.url)
	if !ok {
		return v
	}
	if m.proto.stream {
		return c.readStream(resp, total)
	}
	return c.readWhole(resp, total)
}

// farFuture returns the instant d after t; no limit is a year.
func farFuture(t time.Time, d time.Duration) time.Time {
	if d <= 0 {
		d = 365 * 24 * time.Hour
	}
	return t.Add(d)
}

// idleEnd returns when an answer that made progress at t times out.
func (c *call) idleEnd(t, total time.Time) (time.Time, error) {
	if idle := c.m.timeouts.Idle; idle > 0 {
		if end := t.Add(idle); end.Before(total) {
			return end, errIdle
		}
	}
	return total, errTotal
}

// readWhole reads an answer in one piece.
func (c *call) readWhole(resp *http.Response, total time.Time) verdict {
	keep := c.m.proto.judge != nil || c.m.proto.grpc
	c.whole.Reset()
	for {
		k, err := resp.Body.Read(c.buf)
		if keep && k > 0 {
			if c.whole.Len()+k > maxAnswer {
				return inBand("answer is longer than 32 MB")
			}
			c.whole.Write(c.buf[:k])
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return c.failed(err)
		}
		// Most answers end with their first piece, and never come here.
		c.until(c.idleEnd(time.Now(), total))
	}
	c.rec.Done = c.m.now()
	if c.m.proto.grpc {
		v, code := judgeGRPC(resp, c.whole.Bytes())
		if code != 0 {
			c.rec.Code = code
		}
		return v
	}
	if !keep {
		return verdict{}
	}
	return c.m.proto.judge(resp.Header.Get("Content-Type"), c.whole.Bytes())
}

// readStream reads a streamed answer, and timestamps each read before it is parsed.
func (c *call) readStream(resp *http.Response, total time.Time) verdict {
	m, s := c.m, &c.stream
	s.reset()
	ct := resp.Header.Get("Content-Type")
	// A stream with another content type is detected by its first piece.
	sniff := m.proto.events == openaiStream && !isEventStream(ct)
	ended := resp.ContentLength >= 0 || len(resp.TransferEncoding) > 0 || resp.ProtoMajor >= 2
	s.plain = m.proto.events == anyStream
	s.pieces = s.plain && !isEventStream(ct)
	tokens := 0
	for {
		k, err := resp.Body.Read(c.buf)
		now := time.Now()
		at := m.clock.At(now)
		if sniff && (k > 0 || err != nil) {
			if !looksLikeEvents(c.buf[:k]) {
				return notEvents(ct, c.buf[:k], resp.Body)
			}
			sniff = false
			m.notes.add(noteContentType, fmt.Sprintf("%q", ct))
		}
		if k > 0 {
			s.feed(c.buf[:k], at)
		}
		if err != nil && err == io.EOF {
			s.end(at)
			c.rec.Done = at
		}
		c.rec.First, c.rec.Last, c.rec.GapMax = s.first, s.last, s.gap
		if err == io.EOF {
			return c.judged(nil, ended)
		}
		if err != nil {
			if s.done {
				break // the answer was complete, so the end of the connection is not a failure
			}
			return c.judged(err, false)
		}
		if s.done && c.rec.Done == results.NotYet {
			c.rec.Done = at
			c.until(now.Add(time.Second), errAfterDone)
		} else if s.tokens != tokens {
			end, why := c.idleEnd(now, total)
			if tokens == 0 || c.socket != nil {
				c.until(end, why)
			} else {
				c.limit.later(end, why)
			}
			tokens = s.tokens
		}
	}
	return c.judged(nil, ended)
}

// looksLikeEvents reports whether an answer's first piece can start an event stream: a
// field's name, a comment or a blank line.
func looksLikeEvents(b []byte) bool {
	b = bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), "\r\n")
	for _, name := range []string{"data:", "event:", "id:", "retry:", ":"} {
		n := min(len(b), len(name))
		if n > 0 && string(b[:n]) == name[:n] {
			return true
		}
	}
	return false
}

// notEvents describes an answer that is not an event stream, with the reason if known.
func notEvents(contentType string, head []byte, rest io.Reader) verdict {
	head = bytes.Clone(head)
	more, _ := io.ReadAll(io.LimitReader(rest, 64<<10))
	_, _ = io.CopyN(io.Discard, rest, 1<<20)
	all := append(head, more...)
	if text, failed := failureIn(all, false); failed {
		return inBand("error in a 200: %s", text)
	}
	why := ": check the URL and target.protocol"
	if _, is := decoded(all).(map[string]any); is {
		why = ": if the server does not stream, set target.stream: false"
	}
	return inBand("requested an event stream, but got %q%s", contentType, why)
}

// judged is the verdict on a stream that ended normally (ended: HTTP can tell this from a
// broken connection) or with err.
func (c *call) judged(err error, ended bool) verdict {
	v := judgeStream(&c.stream, c.m.lenient, ended)
	if err != nil && v.outcome != results.InBand {
		f := c.failed(err)
		v.outcome, v.text = f.outcome, f.text
	}
	c.rec.Pieces = c.stream.count
	if !c.stream.plain {
		c.m.notes.stream(&c.stream, v)
	}
	return v
}

// failed names an error of the connection.
func (c *call) failed(err error) verdict {
	if c.m.ctx.Err() != nil {
		return verdict{outcome: results.Canceled, text: "canceled: " + context.Cause(c.m.ctx).Error()}
	}
	switch {
	case c.socket != nil && errors.Is(err, os.ErrDeadlineExceeded):
		return verdict{outcome: results.Timeout, text: c.why.Error()}
	case c.ctx != nil && context.Cause(c.ctx) != nil:
		return verdict{outcome: results.Timeout, text: context.Cause(c.ctx).Error()}
	}
	text := plain.Error(err)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		text = "the answer was cut off (unexpected EOF)"
	}
	return verdict{outcome: connOutcome(err), text: text}
}

// connOutcome tells a connection that never came about (connect, or timeout
// where its time was over) from one that broke (reset) and from an answer that
// is shorter than announced (truncated).
func connOutcome(err error) results.Outcome {
	var (
		op   *net.OpError
		dns  *net.DNSError
		cert *tls.CertificateVerificationError
		rec  tls.RecordHeaderError
		host x509.HostnameError
		al   tls.AlertError
		ne   net.Error
	)
	timeout := errors.As(err, &ne) && ne.Timeout()
	switch {
	case errors.Is(err, errNoEndpoints),
		errors.Is(err, http.ErrSchemeMismatch), // https:// at a port that speaks plain HTTP
		errors.As(err, &cert),
		errors.As(err, &rec),
		errors.As(err, &host),
		errors.As(err, &al):
		return results.Connect
	case timeout:
		return results.Timeout
	case errors.As(err, &dns), errors.As(err, &op) && op.Op == "dial":
		return results.Connect
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return results.Reset
	case errors.Is(err, io.ErrUnexpectedEOF):
		return results.Truncated
	}
	return results.Reset
}
