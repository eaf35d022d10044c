package loadgen

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/hpatune/hpatune/profiles"
)

// Target says what a request looks like.
type Target struct {
	Protocol string // http | openai-chat | openai-completions | …
	Method   string // http only; "" = GET without a body, POST with one
	Path     string // appended to the URL where that has none; "" = the protocol's own
	Model    string
	Stream   bool
	Headers  map[string]string // public ones
	Body     string            // a template; "" = the protocol's own
}

// defaultPrompt is the prompt's length where neither class nor trace says one.
const defaultPrompt = 128

// newProtocol returns the protocol of a target.
func newProtocol(t Target, seed uint64) (*protocol, error) {
	model := t.Model
	if model == "" {
		model = "default"
	}
	switch t.Protocol {
	case "", "http":
		p := &protocol{name: "http", method: t.Method, path: "/", stream: t.Stream}
		if p.method == "" {
			p.method = http.MethodGet
		}
		return p, nil
	case "openai-chat", "openai-completions":
		chat := t.Protocol == "openai-chat"
		p := &protocol{name: t.Protocol, method: http.MethodPost, path: "/v1/completions", stream: t.Stream, events: openaiStream}
		if chat {
			p.path = "/v1/chat/completions"
		}
		p.judge = judgeCompletion(chat)
		p.body = func(dst []byte, a profiles.Arrival) ([]byte, string) {
			return appendCompletion(dst, a, chat, t.Stream, model, seed), "application/json"
		}
		return p, nil
	}
	return nil, fmt.Errorf("protocol %q: unknown; try one of %s", t.Protocol, strings.Join(Protocols(), ", "))
}

// Protocols lists the protocols that can be spoken, by the names that a
// profile gives them.
func Protocols() []string { return []string{"http", "openai-chat", "openai-completions"} }

// appendCompletion writes the body of a chat or text completion.
func appendCompletion(dst []byte, a profiles.Arrival, chat, stream bool, model string, seed uint64) []byte {
	n := a.Prompt
	if n <= 0 {
		n = defaultPrompt
	}
	dst = append(dst, `{"model":`...)
	dst = appendString(dst, model)
	if chat {
		dst = append(dst, `,"messages":[{"role":"user","content":"`...)
	} else {
		dst = append(dst, `,"prompt":"`...)
	}
	dst = appendPrompt(dst, n, seed, uint64(a.Index))
	dst = append(dst, '"')
	if chat {
		dst = append(dst, `}]`...)
	}
	if a.Max > 0 {
		dst = append(dst, `,"max_tokens":`...)
		dst = appendInt(dst, a.Max)
	}
	if stream {
		dst = append(dst, `,"stream":true,"stream_options":{"include_usage":true}`...)
	}
	return append(dst, '}')
}
