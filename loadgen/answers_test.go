package loadgen

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

const (
	finished = `{"choices":[{"delta":{},"finish_reason":"stop"}]}`
	fiveUsed = `{"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":5}}`
	noneUsed = `{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}`
	endedBy  = `{"choices":[{"delta":{},"finish_reason":`
)

// spaced answers with events a few milliseconds apart, so that they are seen
// one by one.
func spaced(chunks ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, c := range chunks {
			sse(w, c)
			time.Sleep(3 * time.Millisecond)
		}
	}
}

// lines answers with bytes under a content type.
func lines(contentType, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if contentType == "" {
			w.Header()["Content-Type"] = nil // none at all, not a guessed one
		} else {
			w.Header().Set("Content-Type", contentType)
		}
		fmt.Fprint(w, text)
	}
}

func five(rest ...string) []string {
	return append([]string{token, token, token, token, token}, rest...)
}

// What a server sends is judged by what it says, in whatever shape, and what
// says nothing of the answer does not void it.
func TestAnswersAsServersReallySendThem(t *testing.T) {
	whole := profiles.Target{Protocol: "openai-chat", Stream: new(false)}
	lenient := profiles.Target{Protocol: "openai-chat", StreamEnd: "lenient"}
	good := strings.Join([]string{"data: " + token, "data: " + finished, "data: [DONE]", ""}, "\n\n")
	inOne := func(finish string) http.HandlerFunc {
		return lines("application/json", `{"choices":[{"message":{"content":"hi"},"finish_reason":`+finish+`}],"usage":{"prompt_tokens":11,"completion_tokens":5}}`)
	}
	for _, c := range []struct {
		name   string
		target profiles.Target
		server http.HandlerFunc
		want   results.Outcome
		text   string // in the error table
		tokens int
		from   results.TokenSource
		notes  string // ids of warnings, by comma
	}{
		// Aborted by the server.
		{"an abort in a stream", chat, spaced(five(endedBy+`"abort"}]}`, "[DONE]")...), results.InBand, "the server aborted the answer (finish_reason abort)", 5, results.TokensChunks, ""},
		{"an abort before the first token", chat, spaced(endedBy+`"abort"}]}`, "[DONE]"), results.InBand, "aborted", 0, results.TokensNone, ""},
		{"an error as finish reason", chat, spaced(five(endedBy+`"error"}]}`, "[DONE]")...), results.InBand, "finish_reason error", 5, results.TokensChunks, ""},
		{"an abort as an object, with words", chat, spaced(five(endedBy+`{"type":"abort","message":"scheduler died"}}]}`, "[DONE]")...), results.InBand, "finish_reason abort): scheduler died", 5, results.TokensChunks, ""},
		{"an abort in capitals", chat, spaced(five(endedBy+`"ABORT"}]}`, "[DONE]")...), results.InBand, "aborted", 5, results.TokensChunks, ""},
		{"a good end as an object", chat, spaced(five(endedBy+`{"type":"length"}}]}`, fiveUsed, "[DONE]")...), results.OK, "", 5, results.TokensUsage, ""},
		{"a tool call is a good end", chat, spaced(five(endedBy+`"tool_calls"}]}`, fiveUsed, "[DONE]")...), results.OK, "", 5, results.TokensUsage, ""},
		{"an abort without a stream", whole, inOne(`"abort"`), results.InBand, "finish_reason abort", 5, results.TokensUsage, ""},
		{"an abort as an object without a stream", whole, inOne(`{"type":"abort","message":"gone"}`), results.InBand, "gone", 5, results.TokensUsage, ""},
		{"an error without a stream", whole, inOne(`"error"`), results.InBand, "finish_reason error", 5, results.TokensUsage, ""},
		{"a good end without a stream", whole, inOne(`"stop"`), results.OK, "", 5, results.TokensUsage, ""},
		{"no end without a stream", whole, inOne(`null`), results.Truncated, "no finish_reason", 5, results.TokensUsage, ""},
		{"one of two choices aborted", chat, spaced(token, `{"choices":[{"delta":{},"finish_reason":"stop"},{"delta":{},"finish_reason":"abort"}]}`, "[DONE]"), results.InBand, "abort", 1, results.TokensChunks, ""},

		// Errors in a 200.
		{"an error object", chat, spaced(token, `{"error":{"message":"CUDA out of memory","code":500}}`, "[DONE]"), results.InBand, "CUDA out of memory", 1, results.TokensChunks, ""},
		{"an error text", chat, spaced(token, `{"error":"overloaded","error_type":"generation"}`), results.InBand, "overloaded", 1, results.TokensChunks, ""},
		{"an error object of old vLLM", chat, spaced(token, `{"object":"error","message":"engine dead","code":500}`, "[DONE]"), results.InBand, "engine dead", 1, results.TokensChunks, ""},
		{"FastAPI's detail", chat, spaced(`{"detail":"Not enough replicas"}`, "[DONE]"), results.InBand, "Not enough replicas", 0, results.TokensNone, ""},
		{"FastAPI's detail as a list", chat, spaced(`{"detail":[{"loc":["body","model"],"msg":"field required","type":"missing"}]}`), results.InBand, "body.model: field required", 0, results.TokensNone, ""},
		{"a list of errors", chat, spaced(`{"errors":[{"message":"first"},{"message":"second"}]}`), results.InBand, "first; second", 0, results.TokensNone, ""},
		{"an error of a choice", chat, spaced(token, `{"choices":[{"delta":{"content":""},"finish_reason":"error","error":{"message":"Provider disconnected"}}]}`, "[DONE]"), results.InBand, "Provider disconnected", 1, results.TokensChunks, ""},
		{"an error event with a message", chat, lines("text/event-stream", "data: "+token+"\n\nevent: error\ndata: {\"message\":\"boom\"}\n\n"), results.InBand, "boom", 1, results.TokensChunks, ""},
		{"an error event with a text", chat, lines("text/event-stream", "event: error\ndata: \"boom\"\n\n"), results.InBand, "error in the stream: boom", 0, results.TokensNone, ""},
		{"an error with an escape in it", chat, spaced(`{"error":{"message":"a \"quote\""}}`), results.InBand, `a "quote"`, 0, results.TokensNone, ""},
		{"an error without words", chat, spaced(`{"error":{"message":"","code":null,"status":7}}`), results.InBand, `{"code":null`, 0, results.TokensNone, ""},
		{"an empty error is none", chat, spaced(five(`{"error":{},"choices":[]}`, finished, fiveUsed, "[DONE]")...), results.OK, "", 5, results.TokensUsage, ""},
		{"an error of false is none", chat, spaced(five(`{"error":false,"choices":[]}`, finished, fiveUsed, "[DONE]")...), results.OK, "", 5, results.TokensUsage, ""},
		{"FastAPI's detail with a 422", chat, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(422)
			fmt.Fprint(w, `{"detail":[{"loc":["body","stream_options"],"msg":"extra fields not permitted"}]}`)
		}, results.HTTP4xx, "HTTP 422: body.stream_options: extra fields not permitted", 0, results.TokensNone, ""},
		{"old vLLM's error with a 404", chat, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(404)
			fmt.Fprint(w, `{"object":"error","message":"The model m does not exist.","code":404}`)
		}, results.HTTP4xx, "HTTP 404: The model m does not exist.", 0, results.TokensNone, ""},
		{"an error in one piece of old vLLM", whole, lines("application/json", `{"object":"error","message":"engine dead"}`), results.InBand, "engine dead", 0, results.TokensNone, ""},
		{"FastAPI's detail in one piece", whole, lines("application/json", `{"detail":"no replicas"}`), results.InBand, "no replicas", 0, results.TokensNone, ""},

		// Usage.
		{"usage of 0 beside text", chat, spaced(five(finished, noneUsed, "[DONE]")...), results.OK, "", 5, results.TokensChunks, "usage-not-believed"},
		{"usage of 0 with each chunk, real at the end", chat, spaced(`{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":0,"completion_tokens":0}}`, finished, `{"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":4}}`, "[DONE]"), results.OK, "", 4, results.TokensUsage, ""},
		{"real usage, then 0", chat, spaced(five(finished, fiveUsed, noneUsed, "[DONE]")...), results.OK, "", 5, results.TokensUsage, ""},
		{"usage of one for each chunk", chat, spaced(five(finished, `{"choices":[],"usage":{"completion_tokens":1}}`, "[DONE]")...), results.OK, "", 5, results.TokensChunks, "usage-not-believed"},
		{"usage as text", chat, spaced(five(finished, `{"choices":[],"usage":{"completion_tokens":"5"}}`, "[DONE]")...), results.OK, "", 5, results.TokensChunks, "usage-not-believed"},
		{"usage under other names", chat, spaced(five(finished, `{"choices":[],"usage":{"input_tokens":11,"output_tokens":5}}`, "[DONE]")...), results.OK, "", 5, results.TokensUsage, ""},
		{"usage of 0 beside text in one piece", whole, lines("application/json", `{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"completion_tokens":0}}`), results.OK, "", 0, results.TokensNone, ""},
		{"usage of 0 and no text in one piece", whole, lines("application/json", `{"choices":[{"message":{"content":""},"finish_reason":"stop"}],"usage":{"completion_tokens":0}}`), results.OK, "", 0, results.TokensUsage, "short-answers"},
		{"tokens without text", chat, spaced(`{"choices":[{"delta":{"role":"assistant","content":""}}]}`, finished, fiveUsed, "[DONE]"), results.OK, "", 5, results.TokensUsage, "no-first-token"},
		{"several tokens in one piece", chat, func(w http.ResponseWriter, r *http.Request) {
			sse(w, five(finished, fiveUsed, "[DONE]")...)
		}, results.OK, "", 5, results.TokensUsage, "not-streamed"},
		{"one token is no proof", chat, spaced(token, finished, `{"choices":[],"usage":{"completion_tokens":1}}`, "[DONE]"), results.OK, "", 1, results.TokensUsage, "short-answers"},

		// Sloppy ends, frames and content types.
		{"[DONE] with blanks around", chat, spaced(five(finished, fiveUsed, " [DONE] \t")...), results.OK, "", 5, results.TokensUsage, ""},
		{"[done] in small letters", chat, spaced(five(finished, fiveUsed, "[done]")...), results.OK, "", 5, results.TokensUsage, ""},
		{"frames that say nothing", chat, spaced(five(`""`, "null", "{}", "[]", "", finished, fiveUsed, "[DONE]")...), results.OK, "", 5, results.TokensUsage, ""},
		{"a ping in a frame", chat, spaced(five("ping", finished, fiveUsed, "[DONE]")...), results.OK, "", 5, results.TokensUsage, "odd-frames"},
		{"a broken chunk", chat, spaced(token, `{"choices":[{"delta":{"content":"a`, finished, "[DONE]"), results.InBand, "not JSON", 1, results.TokensChunks, ""},
		{"words, and no end", chat, spaced(token, "upstream connect error"), results.Truncated, "without finish_reason and [DONE]; it contained: upstream connect error", 1, results.TokensChunks, "odd-frames"},
		{"a message of no known shape, and no end", chat, spaced(`{"message":"Internal server error"}`), results.Truncated, "it contained: Internal server error", 0, results.TokensNone, "odd-frames"},
		{"an event stream as text/plain", chat, lines("text/plain", good), results.OK, "", 1, results.TokensChunks, "content-type"},
		{"an event stream as JSON", chat, lines("application/json", good), results.OK, "", 1, results.TokensChunks, "content-type"},
		{"an event stream without a content type", chat, lines("", ": hello\n\n"+good), results.OK, "", 1, results.TokensChunks, "content-type"},
		{"a completion where a stream was asked for", chat, inOne(`"stop"`), results.InBand, "stream: false", 0, results.TokensNone, ""},
		{"a page where a stream was asked for", chat, lines("text/html", "<html>login"), results.InBand, `requested an event stream, but got "text/html"`, 0, results.TokensNone, ""},
		{"detail where a stream was asked for", chat, lines("application/json", `{"detail":"no"}`), results.InBand, "error in a 200: no", 0, results.TokensNone, ""},
		{"no [DONE], strict", chat, spaced(five(finished, fiveUsed)...), results.Truncated, "without [DONE]", 5, results.TokensUsage, ""},
		{"no [DONE], lenient", lenient, spaced(five(finished, fiveUsed)...), results.OK, "", 5, results.TokensUsage, "no-end-mark"},
		{"no finish reason, lenient", lenient, spaced(five(fiveUsed, "[DONE]")...), results.OK, "", 5, results.TokensUsage, "no-end-mark"},
		{"neither, lenient", lenient, spaced(five()...), results.OK, "", 5, results.TokensChunks, "no-end-mark"},
		{"neither and no text, lenient", lenient, spaced(`{"choices":[{"delta":{"role":"assistant"}}]}`), results.Truncated, "without finish_reason", 0, results.TokensNone, ""},
		{"[DONE] alone, lenient", lenient, spaced("[DONE]"), results.Truncated, "without finish_reason", 0, results.TokensNone, ""},
		{"an abort, lenient", lenient, spaced(five(endedBy + `"abort"}]}`)...), results.InBand, "aborted", 5, results.TokensChunks, ""},
		{"a cut stream, lenient", lenient, raw(sseHead + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\ndata: %s\n\n\r\n", len(token)+8, token)), results.Truncated, "unexpected EOF", 1, results.TokensChunks, ""},
		{"a connection closed where only that ends the answer, lenient", lenient, raw(sseHead + "\r\ndata: " + token + "\n\n"), results.Truncated, "without finish_reason and [DONE]", 1, results.TokensChunks, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var notes []string
			var s sink
			srv := serve(t, c.server)
			profile := plan(c.target, short)
			rep, err := Run(t.Context(), Options{Arrivals: constant(2, 0), Profile: profile, URL: srv, Emit: func(r results.Record) {
				s.emit(r)
				if w, is := r.(results.Warning); is {
					mu.Lock()
					notes = append(notes, string(w.ID))
					mu.Unlock()
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range s.sorted() {
				text := ""
				if r.Err >= 0 {
					text = rep.Errors[r.Err]
				}
				if r.Outcome != c.want || !strings.Contains(text, c.text) || (c.text == "") != (r.Err < 0) {
					t.Errorf("outcome %v, %q; want %v, %q", r.Outcome, text, c.want, c.text)
				}
				if r.Tokens != c.tokens || r.TokensFrom != c.from {
					t.Errorf("%d tokens from %v, want %d from %v", r.Tokens, r.TokensFrom, c.tokens, c.from)
				}
			}
			if got := strings.Join(slices.Sorted(slices.Values(notes)), ","); got != c.notes {
				t.Errorf("warnings %q, want %q", got, c.notes)
			}
		})
	}
}

// A redirect is not followed, and says where it would have led, without what
// may be a token.
func TestARedirectNamesWhereItLeads(t *testing.T) {
	for _, c := range []struct{ name, location, want string }{
		{"an address", "https://other.example:8443/v1/x?key=secret", "HTTP 307 to https://other.example:8443/v1/x (redirects are not followed)"},
		{"a path", "/v1/", "HTTP 307 to http://HOST/v1/ (redirects are not followed)"},
		{"a user in it", "http://me:pw@other.example/", "HTTP 307 to http://other.example/ (redirects are not followed)"},
		{"none", "", "HTTP 307"},
	} {
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if c.location != "" {
				w.Header().Set("Location", c.location)
			}
			w.WriteHeader(http.StatusTemporaryRedirect)
		})
		rep, err := Run(t.Context(), Options{Arrivals: constant(1, 0), Profile: plan(chat, short), URL: srv, Emit: func(results.Record) {}})
		if err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(c.want, "HOST", strings.TrimPrefix(srv, "http://"))
		if len(rep.Errors) != 1 || rep.Errors[0] != want {
			t.Errorf("%s: Location %q gives %q, want %q", c.name, c.location, rep.Errors, want)
		}
	}
}
