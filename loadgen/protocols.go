package loadgen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/hpatune/hpatune/results"
)

// A protocol knows how a request looks and what a good answer is.
type protocol struct {
	name   string
	method string
	path   string // where the URL has none
	stream bool   // an event stream is asked for
	grpc   bool   // a gRPC call: HTTP/2, a framed message, a verdict in the trailers
	// The body: one of fixed in turn, or what write appends; both nil = none.
	fixed       []payload
	write       func(dst []byte, it item) []byte
	contentType string // of what write writes
	texts       *writer
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
	prompt  int    // usage; 0 = not said
	tokens  int
	from    results.TokenSource
}

func inBand(format string, args ...any) verdict {
	return verdict{outcome: results.InBand, text: fmt.Sprintf(format, args...)}
}

// maxAnswer bounds what is kept of an answer in one piece to judge it.
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
		Text         *string `json:"text"`
		FinishReason *string `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
	} `json:"usage"`
	Error json.RawMessage `json:"error"`
}

// judgeCompletion judges an answer of chat (chat true) or text completions in
// one piece: choices of the right shape with a finish reason, no error inside.
func judgeCompletion(chat bool) func(string, []byte) verdict {
	return func(_ string, body []byte) verdict {
		var c completion
		if err := json.Unmarshal(body, &c); err != nil {
			return inBand("answer is not a completion: %v", err)
		}
		v := verdict{}
		if c.Usage != nil {
			v.prompt, v.tokens, v.from = c.Usage.Prompt, c.Usage.Completion, results.TokensUsage
		}
		switch text, failed := errorText(c.Error); {
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
				case ch.FinishReason == nil || *ch.FinishReason == "":
					v.outcome, v.text = results.Truncated, "answer has no finish_reason"
				}
			}
		}
		return v
	}
}

// errorText reads an "error" member: null, "" and {} are no failure.
func errorText(raw json.RawMessage) (text string, failed bool) {
	if len(raw) == 0 {
		return "", false
	}
	s := scanner{b: raw}
	failed, message := s.failure()
	if failed && len(message) == 0 {
		message = []byte("no message")
	}
	return unquote(message), failed
}

// unquote decodes the inside of a JSON string, as far as it is one.
func unquote(b []byte) string {
	var s string
	if json.Unmarshal([]byte(`"`+string(b)+`"`), &s) == nil {
		return s
	}
	return string(b)
}

// judgeJSON judges an answer of a service that is not an LLM: where it says
// that it is JSON it must be, and must not hold an error.
func judgeJSON(contentType string, body []byte) verdict {
	if !isJSON(contentType) {
		return verdict{}
	}
	if !json.Valid(body) {
		return inBand("answer says that it is JSON, and is not")
	}
	var o struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &o) == nil { // an array is fine
		if text, failed := errorText(o.Error); failed {
			return inBand("error in a 200: %s", text)
		}
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
func statusVerdict(resp *http.Response) (v verdict, ok bool) {
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
	if text := errorBody(resp); text != "" {
		v.text += ": " + text
	}
	return v, false
}

// errorBody reads what an error answer says, and the rest of it, so that the
// connection can be used again.
func errorBody(resp *http.Response) string {
	head, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	_, _ = io.CopyN(io.Discard, resp.Body, 256<<10)
	if isJSON(resp.Header.Get("Content-Type")) {
		var o struct {
			Error   json.RawMessage `json:"error"`
			Message string          `json:"message"`
			Detail  json.RawMessage `json:"detail"`
		}
		if json.Unmarshal(head, &o) == nil {
			if text, failed := errorText(o.Error); failed {
				return text
			}
			if o.Message != "" {
				return o.Message
			}
			if text, failed := errorText(o.Detail); failed && text != "no message" {
				return text
			}
		}
		return ""
	}
	// Of a page only the first line is telling, and of HTML not even that.
	line, _, _ := bytes.Cut(bytes.TrimSpace(head), []byte{'\n'})
	if bytes.HasPrefix(line, []byte("<")) || len(line) > 120 {
		return ""
	}
	return string(line)
}

// judgeStream judges a stream that came to its end: one of chat or text
// completions needs a finish_reason and [DONE]; any other only its last byte.
func judgeStream(m *stream) verdict {
	if m.plain {
		if m.failed {
			return inBand("error in the stream: %s", m.message)
		}
		return verdict{}
	}
	v := verdict{tokens: m.tokens, from: results.TokensChunks}
	if m.usage.seen {
		v.prompt, v.tokens, v.from = m.usage.prompt, m.usage.completion, results.TokensUsage
	} else if m.tokens == 0 {
		v.from = results.TokensNone
	}
	switch {
	case m.failed:
		v.outcome, v.text = results.InBand, "error in the stream: "+unquote([]byte(m.message))
	case m.bad:
		v.outcome, v.text = results.InBand, m.message
	case !m.finish && !m.done:
		v.outcome, v.text = results.Truncated, "stream ended without finish_reason and [DONE]"
	case !m.finish:
		v.outcome, v.text = results.Truncated, "stream ended without finish_reason"
	case !m.done:
		v.outcome, v.text = results.Truncated, "stream ended without [DONE]"
	}
	return v
}
