package loadgen

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

const token = `{"choices":[{"delta":{"content":"a"}}]}`

// raw answers by writing to the connection itself, and closes it.
func raw(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		nc, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer nc.Close()
		rw.WriteString(answer)
		rw.Flush()
	}
}

// reset answers with a RST after some bytes.
func reset(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		nc, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		rw.WriteString(answer)
		rw.Flush()
		if answer != "" {
			// The bytes must arrive before the reset throws them away: the client
			// has read them when it has nothing more to say.
			time.Sleep(300 * time.Millisecond)
		}
		nc.(*net.TCPConn).SetLinger(0)
		nc.Close()
	}
}

func stall(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func streamThen(then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { sse(w, token); then(w, r) }
}

const sseHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"

func TestFaultsAreCalledByTheirNames(t *testing.T) {
	whole := profiles.Target{Protocol: "openai-chat", Stream: new(false)}
	plain := profiles.Target{}
	quick := func(first, idle, total time.Duration) profiles.Timeouts {
		return profiles.Timeouts{Connect: time.Second, FirstToken: first, Idle: idle, Total: total}
	}
	const long, brief = 20 * time.Second, 60 * time.Millisecond
	for _, c := range []struct {
		name    string
		target  profiles.Target
		timeout profiles.Timeouts
		server  http.HandlerFunc
		want    results.Outcome
		text    string // in the error table
		token   bool   // a first token was stamped
	}{
		{"a server that resets at once", plain, short, reset(""), results.Reset, "connection reset", false},
		{"a server that closes without a word", plain, short, raw(""), results.Reset, "closed the connection without an answer", false},
		{"a reset in mid-stream keeps its first token", chat, short, reset(sseHead + "\r\ndata: " + token + "\n\n"), results.Reset, "reset", true},
		{"a stream closed before its end mark", chat, short, streamThen(func(http.ResponseWriter, *http.Request) {}), results.Truncated, "without finish_reason and [DONE]", true},
		{"a chunked answer cut off", chat, short, raw(sseHead + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello"), results.Truncated, "unexpected EOF", false},
		{"a finish reason without [DONE]", chat, short, func(w http.ResponseWriter, r *http.Request) {
			sse(w, token, `{"choices":[{"delta":{},"finish_reason":"stop"}]}`)
		}, results.Truncated, "without [DONE]", true},
		{"[DONE] without a finish reason", chat, short, func(w http.ResponseWriter, r *http.Request) { sse(w, token, "[DONE]") }, results.Truncated, "without finish_reason", true},
		{"fewer bytes than announced", plain, short, raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"), results.Truncated, "unexpected EOF", false},
		{"more bytes than announced are not read", plain, short, raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nlonger than that"), results.OK, "", false},
		{"early hints are not the answer", plain, short, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusServiceUnavailable)
		}, results.HTTP5xx, "HTTP 503", false},
		{"a head cut off", plain, short, raw("HTTP/1.1 200 OK\r\nContent-Le"), results.Reset, "malformed", false},
		{"an answer that is not HTTP", plain, short, raw("SSH-2.0-OpenSSH_9.2\r\n"), results.Reset, "malformed HTTP", false},
		{"an error inside a 200 stream", chat, short, func(w http.ResponseWriter, r *http.Request) {
			sse(w, token, `{"error":{"message":"KV cache exhausted"}}`)
		}, results.InBand, "KV cache exhausted", true},
		{"an error event", chat, short, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "event: error\ndata: engine died\n\n")
		}, results.InBand, "engine died", false},
		{"an error inside a 200 in one piece", whole, short, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"error":"no such model"}`) }, results.InBand, "no such model", false},
		{"JSON where a stream was asked for", chat, short, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"choices":[]}`)
		}, results.InBand, "requested an event stream", false},
		{"a chunk that is not JSON", chat, short, func(w http.ResponseWriter, r *http.Request) { sse(w, "<html>", "[DONE]") }, results.InBand, "not JSON", false},
		{"a page where a completion was asked for", whole, short, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>") }, results.InBand, "not a completion", false},
		{"an answer without choices", whole, short, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"object":"x"}`) }, results.InBand, "no choices", false},
		{"an answer without finish reason", whole, short, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"choices":[{"message":{"content":"a"}}]}`)
		}, results.Truncated, "finish_reason", false},
		{"a full queue", chat, short, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(429) }, results.HTTP429, "HTTP 429", false},
		{"a bad request", chat, short, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(400)
			fmt.Fprint(w, `{"error":{"message":"context of 4096 tokens exceeded"}}`)
		}, results.HTTP4xx, "HTTP 400: context of N tokens exceeded", false},
		{"a broken server", chat, short, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "boom", 502) }, results.HTTP5xx, "HTTP 502: boom", false},
		{"a redirect is not followed", plain, short, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", 302) }, results.InBand, "HTTP 302", false},
		{"no first byte", plain, quick(brief, long, long), stall, results.Timeout, "no first", false},
		{"no first token, though the head came", chat, quick(brief, long, long), func(w http.ResponseWriter, r *http.Request) {
			sse(w, `{"choices":[{"delta":{"role":"assistant"}}]}`)
			stall(w, r)
		}, results.Timeout, "no first token", false},
		{"a stall in mid-stream", chat, quick(long, brief, long), streamThen(stall), results.Timeout, "idle", true},
		{"a stall in mid-answer", plain, quick(long, brief, long), func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "some")
			w.(http.Flusher).Flush()
			stall(w, r)
		}, results.Timeout, "idle", false},
		{"a trickle never idle, never over", chat, quick(long, long, time.Second), func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				sse(w, token)
				time.Sleep(5 * time.Millisecond)
			}
		}, results.Timeout, "total", true},
		{"a stream kept open after [DONE] is good", chat, short, func(w http.ResponseWriter, r *http.Request) {
			sse(w, token, `{"choices":[{"delta":{},"finish_reason":"stop"}]}`, "[DONE]")
			stall(w, r)
		}, results.OK, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, rep := load(t, Options{Arrivals: constant(3, 0), Profile: plan(c.target, c.timeout)}, c.server)
			if len(got) != 3 {
				t.Fatalf("%d records, want 3", len(got))
			}
			for _, r := range got {
				text := ""
				if r.Err >= 0 {
					text = rep.Errors[r.Err]
				}
				if r.Outcome != c.want || !strings.Contains(text, c.text) || (c.text == "") != (r.Err < 0) {
					t.Errorf("outcome %v, %q; want %v, %q", r.Outcome, text, c.want, c.text)
				}
				if results.Happened(r.First) != c.token {
					t.Errorf("first token %v, want one: %v", r.First, c.token)
				}
				if !results.Happened(r.Done) || !results.Happened(r.Sent) {
					t.Errorf("instants %+v", r)
				}
			}
			if len(rep.Errors) > 1 {
				t.Errorf("one fault, %d texts: %q", len(rep.Errors), rep.Errors)
			}
		})
	}
}

// A server may close a connection that was idle for long: the next request
// must see that before it is sent, since no request is sent twice.
func TestIdleConnectionsThatTheServerClosedAreNotUsed(t *testing.T) {
	profile := plan(profiles.Target{Method: "POST"}, short)
	profile.Connections.Mode = "pinned"
	// It closes after each answer without saying so.
	list, rep := load(t, Options{Arrivals: constant(4, 300*time.Millisecond), Profile: profile}, raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	for _, r := range list {
		if r.Outcome != results.OK || !r.NewConn {
			t.Errorf("request %+v, %q", r, rep.Errors)
		}
	}
}

func TestConnectionsThatNeverCameAbout(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it will complain of its clients
	secure.StartTLS()
	defer secure.Close()
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer plain.Close()
	// A port where nobody listens.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	// One that takes connections and never speaks TLS.
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()

	other := x509.NewCertPool()
	for _, c := range []struct {
		name, url string
		o         Options
		want      results.Outcome
		text      string
	}{
		{"nobody listens", "http://" + nobody, Options{}, results.Connect, "connection refused"},
		{"a name that does not exist", "http://model.invalid", Options{Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "model.invalid", IsNotFound: true}}
		}}, results.Connect, "no such host"},
		{"a certificate that nobody vouches for", secure.URL, Options{TLS: &tls.Config{RootCAs: other}}, results.Connect, "certificate"},
		{"a certificate for another name", strings.Replace(secure.URL, "127.0.0.1", "localhost", 1),
			Options{TLS: &tls.Config{RootCAs: secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "other.test"}}, results.Connect, "certificate"},
		{"TLS to a plain server", strings.Replace(plain.URL, "http:", "https:", 1), Options{}, results.Connect, "does not answer with TLS"},
		{"a handshake without an end", "https://" + mute.Addr().String(), Options{Profile: plan(profiles.Target{}, profiles.Timeouts{Connect: 50 * time.Millisecond})}, results.Timeout, "handshake"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := c.o
			o.Arrivals, o.URL = constant(4, 0), c.url
			got, rep := loadURL(t, o)
			for _, r := range got {
				if r.Outcome != c.want || !strings.Contains(rep.Errors[r.Err], c.text) {
					t.Errorf("outcome %v, %q; want %v, %q", r.Outcome, rep.Errors[r.Err], c.want, c.text)
				}
			}
			if len(got) != 4 || len(rep.Errors) != 1 {
				t.Errorf("%d records, errors %q", len(got), rep.Errors)
			}
		})
	}
}

func TestSecretsNeverReachTheErrorTable(t *testing.T) {
	secret := http.Header{"Authorization": {"Bearer sk-canary-0123456789"}}
	seen := ""
	_, rep := load(t, Options{Arrivals: constant(1, 0), Secrets: secret}, func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Get("Authorization")
		http.Error(w, "bad key sk-canary-0123456789", 401)
	})
	if seen != "Bearer sk-canary-0123456789" {
		t.Errorf("the server saw %q", seen)
	}
	if all := strings.Join(rep.Errors, "\n"); strings.Contains(all, "canary") || !strings.Contains(all, "***") {
		t.Errorf("errors %q", all)
	}
}

func TestAbortRule(t *testing.T) {
	rule := abortRule{ErrorRate: 0.5, For: 10 * time.Second, Gone: 5 * time.Second}
	const ok, bad, gone, full = results.OK, results.HTTP5xx, results.Connect, results.HTTP429
	for _, c := range []struct {
		name string
		at   func(s int) []results.Outcome // answers in second s
		want float64                       // second of the abort; 0 = none in 60 s
		text string
	}{
		{"all is well", func(int) []results.Outcome { return []results.Outcome{ok, ok} }, 0, ""},
		{"half fail: not above half", func(int) []results.Outcome { return []results.Outcome{ok, bad} }, 0, ""},
		{"two of three fail for 10 s", func(int) []results.Outcome { return []results.Outcome{bad, ok, bad} }, 10, "error rate"},
		{"nine bad seconds and a good one", func(s int) []results.Outcome {
			if s%10 == 9 {
				return []results.Outcome{ok, ok}
			}
			return []results.Outcome{bad, bad}
		}, 0, ""},
		{"429 is the server's own guard", func(int) []results.Outcome { return []results.Outcome{full, full} }, 0, ""},
		{"the target is gone", func(int) []results.Outcome { return []results.Outcome{gone, gone} }, 5, "gone"},
		{"two failures at night", func(s int) []results.Outcome {
			if s == 1 || s == 30 {
				return []results.Outcome{bad}
			}
			return nil
		}, 0, ""},
	} {
		var text string
		var now, when time.Duration
		w := newWatch(rule, func(why string) { text, when = why, now })
		for s := range 60 {
			list := c.at(s)
			for i, o := range list {
				now = time.Duration(s)*time.Second + time.Duration(i)*100*time.Millisecond
				w.saw(now, o)
			}
			now = time.Duration(s+1) * time.Second
			w.tick(now)
		}
		if d := when.Seconds() - c.want; d < 0 || d > 1 || !strings.Contains(text, c.text) || (text == "") != (c.text == "") {
			t.Errorf("%s: ended at %v, %q; want %v s, %q", c.name, when, text, c.want, c.text)
		}
	}
}

func TestAbortStopsTheLoadAndKeepsTheRun(t *testing.T) {
	got, rep := load(t, Options{
		Arrivals: constant(100_000, 100*time.Millisecond), Clock: results.Clock{Speed: 100},
		Profile: &profiles.Profile{Abort: profiles.Abort{ErrorRate: 0.5, For: 10 * time.Second}},
	}, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) })
	if rep.Aborted == "" || rep.Client.Aborted != rep.Aborted || len(got) == 0 {
		t.Fatalf("aborted %q, %d records", rep.Aborted, len(got))
	}
	// When exactly is TestAbortRule's business; here the load must end.
	if len(got) > 50_000 {
		t.Errorf("%d requests after the rule", len(got))
	}
}

func TestStageAtZeroSendsNothing(t *testing.T) {
	// Two arrivals an hour apart in run time: nothing in between, and no flood.
	got, _ := load(t, Options{Arrivals: constant(3, time.Hour), Clock: results.Clock{Speed: 36_000}}, func(http.ResponseWriter, *http.Request) {})
	if len(got) != 3 {
		t.Errorf("%d requests, want 3", len(got))
	}
	for i, r := range got {
		if r.Sent < time.Duration(i)*time.Hour-36_000*maxLead {
			t.Errorf("request %d was sent at %v", i, r.Sent)
		}
	}
}
