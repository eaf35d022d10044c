package loadgen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/hpatune/hpatune/results"
)

// A protocol defines what a request looks like and what a good answer is.
type protocol struct {
	name   string
	method string
	path   string // where the URL has none
	base   string // what a base URL of the protocol ends with, where it has one: /v2
	stream bool   // an event stream is asked for
	grpc   bool   // a gRPC call: HTTP/2, a framed message, a verdict in the trailers
	// The body: one of fixed in turn, or what write appends; both nil = none.
	fixed       []payload
	write       func(dst []byte, it item) []byte
	contentType string // of what write writes
	texts       *writer
	extras      []extra // by class, at least one; nil = the profile adds no fields
	// judge says what a complete 2xx answer in one piece is worth; nil = good.
	judge func(contentType string, body []byte) verdict
	// events reads a streamed answer: openai (JSON chunks with an end mark), or
	// any (each event, or each piece, is progress).
	events streamKind
}

type streamKind int

const (
	anyStream streamKind = iota
	openaiStream
)

// verdict is what became of an answer.
type verdict struct {
	outcome results.Outcome
	text    string // why it is not OK
	place   string // an address that belongs to the text, and must not be folded
	prompt  int    // usage; 0 = not said
	tokens  int
	from    results.TokenSource
}

func inBand(format string, args ...any) verdict {
	return verdict{outcome: results.InBand, text: fmt.Sprintf(format, args...)}
}

// maxAnswer limits how much of a non-streamed answer is kept to judge it.
const maxAnswer = 32 << 20

// completion is the part of an answer of chat or text completions in one piece
// that decides whether it is good.
type completion struct {
	Choices []struct {
		Message *struct {
			Content          json.RawMessage `json:"content"`
			Reasoning        string          `json:"reasoning"`
			ReasoningContent string          `json:"reasoning_content"`
			Refusal          string          `json:"refusal"`
			ToolCalls        json.RawMessage `json:"tool_calls"`
		} `json:"message"`
		Text         *string         `json:"text"`
		FinishReason json.RawMessage `json:"finish_reason"`
	} `json:"choices"`
	Usage map[string]any `json:"usage"`
}

// says reports whether a choice holds any text or tool call.
func (c *completion) says() bool {
	for _, ch := range c.Choices {
		if ch.Text != nil && *ch.Text != "" {
			return true
		}
		if m := ch.Message; m != nil &&
			(m.Reasoning+m.ReasoningContent+m.Refusal != "" || full(decoded(m.Content)) || full(decoded(m.ToolCalls))) {
			return true
		}
	}
	return false
}

// used returns a figure of usage under either of its names; 0 = not said.
func (c *completion) used(names ...string) int {
	for _, name := range names {
		if n, is := c.Usage[name].(float64); is && n > 0 && n < 1<<40 {
			return int(n)
		}
	}
	return 0
}

// judgeCompletion judges a non-streamed answer of chat (chat true) or text completions:
// choices of the right form with a finish reason, and no failure inside. A usage of 0
// although there is text is ignored: the tokens are then unknown.
func judgeCompletion(chat bool) func(string, []byte) verdict {
	return func(_ string, body []byte) verdict {
		var c completion
		if err := json.Unmarshal(body, &c); err != nil {
			return inBand("answer is not a completion: %v", err)
		}
		v := verdict{prompt: c.used("prompt_tokens", "input_tokens"), tokens: c.used("completion_tokens", "output_tokens")}
		if v.tokens > 0 || c.Usage != nil && !c.says() {
			v.from = results.TokensUsage
		}
		text, failed := failureIn(body, false)
		switch {
		case failed:
			v.outcome, v.text = results.InBand, "error in a 200: "+text
		case len(c.Choices) == 0:
			v.outcome, v.text = results.InBand, "answer has no choices"
		default:
			for _, ch := range c.Choices {
				switch {
				case chat && ch.Message == nil:
					v.outcome, v.text = results.InBand, "choice has no message"
				case !chat && ch.Text == nil:
					v.outcome, v.text = results.InBand, "choice has no text"
				case !full(decoded(ch.FinishReason)):
					v.outcome, v.text = results.Truncated, "answer has no finish_reason"
				}
			}
		}
		return v
	}
}

// judgeJSON judges an answer of a service that is not an LLM: if its type is JSON, it must
// be valid JSON, and must not contain an error.
func judgeJSON(contentType string, body []byte) verdict {
	if !isJSON(contentType) {
		return verdict{}
	}
	if !json.Valid(body) {
		return inBand("the answer's type is JSON, but it is not valid JSON")
	}
	// An array is fine, and a member "detail" of a service's own, too.
	if o, is := decoded(body).(map[string]any); is && full(o["error"]) {
		return inBand("error in a 200: %s", orNothing(wordsOf(o["error"])))
	}
	return verdict{}
}

func isJSON(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && (t == "application/json" || strings.HasSuffix(t, "+json"))
}

func isEventStream(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && t == "text/event-stream"
}

// statusVerdict names an answer by its status; ok is true for 2xx.
func statusVerdict(resp *http.Response, from *url.URL) (v verdict, ok bool) {
	code := resp.StatusCode
	switch {
	case code >= 200 && code < 300:
		return verdict{}, true
	case code == http.StatusTooManyRequests:
		v.outcome = results.HTTP429
	case code >= 400 && code < 500:
		v.outcome = results.HTTP4xx
	case code >= 500:
		v.outcome = results.HTTP5xx
	default: // a redirect is not followed: it would be another target's latency
		v.outcome = results.InBand
	}
	v.text = fmt.Sprintf("HTTP %d", code)
	if code >= 300 && code < 400 {
		v.place = redirect(resp, from)
	}
	if text := errorBody(resp); text != "" {
		v.text += ": " + text
	}
	return v, false
}

// redirect is where a redirect leads: its Location, without user and query, which may
// contain a token. "" = it has none.
func redirect(resp *http.Response, from *url.URL) string {
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" {
		return ""
	}
	to = from.ResolveReference(to)
	return " to " + (&url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path}).String() + " (redirects are not followed)"
}

// errorBody reads the message of an error answer, and the rest of it, so that the
// connection can be reused.
func errorBody(resp *http.Response) string {
	head, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	_, _ = io.CopyN(io.Discard, resp.Body, 256<<10)
	if v := decoded(head); v != nil {
		return wordsOf(v)
	}
	if isJSON(resp.Header.Get("Content-Type")) {
		return "" // cut off, or broken
	}
	// Of a page only the first line is telling, and of HTML not even that.
	line, _, _ := bytes.Cut(bytes.TrimSpace(head), []byte{'\n'})
	if bytes.HasPrefix(line, []byte("<")) || len(line) > 120 {
		return ""
	}
	return string(line)
}

// judgeStream judges a stream that came to its end. Chat and text completions need a
// finish_reason and [DONE] or, if the profile has stream_end: lenient, only an end that
// HTTP can tell from a broken connection (ended true). Any other stream needs only its last
// byte.
func judgeStream(m *stream, lenient, ended bool) verdict {
	if m.plain {
		if m.failed {
			return inBand("error in the stream: %s", m.message)
		}
		return verdict{}
	}
	v := verdict{prompt: m.usage.prompt, tokens: m.tokens, from: results.TokensChunks}
	switch {
	case m.usage.seen && m.believes(m.usage.completion):
		v.tokens, v.from = m.usage.completion, results.TokensUsage
	case m.tokens == 0:
		v.from = results.TokensNone
	}
	missing := ""
	switch {
	case !m.finish && !m.done:
		missing = "finish_reason and [DONE]"
	case !m.finish:
		missing = "finish_reason"
	case !m.done:
		missing = "[DONE]"
	}
	acceptable := (ended || m.done || m.finish) && (m.finish || m.tokens > 0)
	switch {
	case m.failed:
		v.outcome, v.text = results.InBand, "error in the stream: "+m.message
	case m.bad:
		v.outcome, v.text = results.InBand, m.message
	case missing == "", lenient && acceptable:
	default:
		v.outcome, v.text = results.Truncated, "stream ended without "+missing
		if m.said != "" {
			v.text += "; it contained: " + m.said
		} else if acceptable {
			v.text += " (accepted with target.stream_end: lenient)"
		}
	}
	return v
}

// believes reports whether a usage figure is plausible. A chunk with text contains at least
// one token, or half of one if a server splits the last token of the reasoning from the
// first of the answer. A figure of 0 although there is text, or one for each chunk, comes
// from a gateway that does not count.
func (m *stream) believes(completion int) bool { return 2*completion >= m.tokens }
