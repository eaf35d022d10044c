package tinyllm

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// maxBody is the largest body of a request, in bytes.
const maxBody = 4 << 20

// request is the body of a request to either endpoint. Fields that a transformer
// without a stop token cannot honour (stop, ignore_eos, top_p …) are ignored.
type request struct {
	Model               string
	Prompt              prompt
	Messages            []struct{ Content content }
	MaxTokens           *int `json:"max_tokens"`
	MaxCompletionTokens *int `json:"max_completion_tokens"`
	Temperature         *float64
	Seed                *uint64
	N                   *int
	Stream              bool
	StreamOptions       struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

// prompt is a string, or a list with a single one.
type prompt string

func (p *prompt) UnmarshalJSON(b []byte) error {
	var list []string
	if json.Unmarshal(b, &list) == nil {
		if len(list) != 1 {
			return fmt.Errorf("prompt has %d texts; this server takes one", len(list))
		}
		*p = prompt(list[0])
		return nil
	}
	return json.Unmarshal(b, (*string)(p))
}

// content is the text of a chat message: a string, or a list of parts as in OpenAI's API.
type content string

func (c *content) UnmarshalJSON(b []byte) error {
	var parts []struct{ Text string }
	if json.Unmarshal(b, &parts) == nil {
		for _, p := range parts {
			*c += content(p.Text + " ")
		}
		return nil
	}
	return json.Unmarshal(b, (*string)(c))
}

type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

// job checks the request, and returns the engine's job for it.
func (s *Server) job(r *http.Request, q request, chat bool) (*job, error) {
	text := string(q.Prompt)
	if chat {
		if len(q.Messages) == 0 {
			return nil, errors.New("messages: missing or empty")
		}
		var b strings.Builder
		for _, m := range q.Messages {
			fmt.Fprintln(&b, string(m.Content))
		}
		text = b.String()
	}
	if q.N != nil && *q.N != 1 {
		return nil, fmt.Errorf("n %d: this server gives one choice", *q.N)
	}
	limit := 16 // the default of OpenAI's completions
	if q.MaxTokens != nil {
		limit = *q.MaxTokens
	}
	if q.MaxCompletionTokens != nil {
		limit = *q.MaxCompletionTokens
	}
	tokens := s.opts.Model.Encode(text)
	if limit < 1 {
		return nil, fmt.Errorf("max_tokens %d: must be at least 1", limit)
	}
	if n := len(tokens) + limit; n > s.opts.Model.Context {
		return nil, fmt.Errorf(
			"this model's maximum context length is %d tokens, but %d were asked for (%d in the prompt, %d in the completion)",
			s.opts.Model.Context,
			n,
			len(tokens),
			limit,
		)
	}
	j := &job{ctx: r.Context(), prompt: tokens, max: limit, arrived: time.Now(), tokens: make(chan int, limit)}
	if q.Temperature != nil {
		j.temperature = *q.Temperature
	}
	seed := s.opts.Model.Seed
	if q.Seed != nil {
		seed = *q.Seed
	}
	j.rng = rand.New(rand.NewPCG(seed, 1))
	return j, nil
}

// complete answers a request to either endpoint, in one piece or as a stream of events.
func (s *Server) complete(w http.ResponseWriter, r *http.Request, chat bool) {
	if !s.ready.Load() {
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusServiceUnavailable, "service_unavailable", "model is loading")
		return
	}
	var q request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&q); err != nil {
		fail(w, http.StatusBadRequest, "invalid_request_error", "body: %v", err)
		return
	}
	if s.opts.Name != "" && q.Model != s.opts.Name {
		fail(w, http.StatusNotFound, "not_found_error", "model %q does not exist; this server has %q", q.Model, s.opts.Name)
		return
	}
	j, err := s.job(r, q, chat)
	if err != nil {
		fail(w, http.StatusBadRequest, "invalid_request_error", "%v", err)
		return
	}
	if err := s.e.submit(j); err != nil {
		w.Header().Set("Retry-After", "1")
		fail(
			w,
			http.StatusTooManyRequests,
			"rate_limit_error",
			"%v: %d slots and %d places are taken",
			err,
			s.opts.Slots,
			s.opts.Queue,
		)
		return
	}
	a := answer{chat: chat, model: q.Model, created: j.arrived.Unix(), id: fmt.Sprintf("cmpl-%d", s.ids.Add(1))}
	if chat {
		a.id = "chat" + a.id
	}
	if q.Stream {
		a.stream(w, j, q.StreamOptions.IncludeUsage)
		return
	}
	var text strings.Builder
	n := 0
	for t := range j.tokens {
		text.WriteString(Decode(t))
		n++
	}
	if j.err != nil {
		fail(w, http.StatusServiceUnavailable, "service_unavailable", "generation ended early: %v", j.err)
		return
	}
	body := a.envelope(a.wholeChoice(text.String()))
	body["usage"] = usage{len(j.prompt), n, len(j.prompt) + n}
	writeJSON(w, http.StatusOK, body)
}

// answer writes responses in the shape of one endpoint.
type answer struct {
	chat      bool
	id, model string
	created   int64
}

func (a answer) envelope(choices ...any) map[string]any {
	object := "text_completion"
	if a.chat {
		object = "chat.completion"
	}
	if choices == nil {
		choices = []any{}
	}
	return map[string]any{"id": a.id, "object": object, "created": a.created, "model": a.model, "choices": choices}
}

func (a answer) wholeChoice(text string) any {
	if a.chat {
		return map[string]any{
			"index":         0,
			"message":       map[string]string{"role": "assistant", "content": text},
			"finish_reason": "length",
		}
	}
	return map[string]any{"index": 0, "text": text, "finish_reason": "length"}
}

// delta returns the choice of one event: the delta of a chat, or the text of a
// completion. finish is nil except in the last one.
func (a answer) delta(delta map[string]string, finish any) any {
	if a.chat {
		return map[string]any{"index": 0, "delta": delta, "finish_reason": finish}
	}
	return map[string]any{"index": 0, "text": delta["content"], "finish_reason": finish}
}

// stream sends server-sent events as OpenAI and vLLM do: for a chat, first the role
// alone; then one event per token; an empty delta with the reason; the usage without
// choices, if requested; and [DONE]. If a job ends early, the error is sent in the
// stream, because the status was already sent as 200.
func (a answer) stream(w http.ResponseWriter, j *job, withUsage bool) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	flush := http.NewResponseController(w).Flush
	send := func(v map[string]any) {
		if v["object"] == "chat.completion" {
			v["object"] = "chat.completion.chunk"
		}
		b, _ := json.Marshal(v) // cannot fail: maps of strings and numbers
		fmt.Fprintf(w, "data: %s\n\n", b)
		_ = flush() // the job's context ends when the reader disconnects
	}
	n := 0
	for t := range j.tokens {
		if n == 0 && a.chat {
			send(a.envelope(a.delta(map[string]string{"role": "assistant", "content": ""}, nil)))
		}
		n++
		send(a.envelope(a.delta(map[string]string{"content": Decode(t)}, nil)))
	}
	if j.err != nil {
		send(
			map[string]any{
				"error": map[string]any{"message": fmt.Sprintf("generation ended early: %v", j.err), "type": "service_unavailable"},
			},
		)
		return
	}
	send(a.envelope(a.delta(map[string]string{}, "length")))
	if withUsage {
		v := a.envelope()
		v["usage"] = usage{len(j.prompt), n, len(j.prompt) + n}
		send(v)
	}
	fmt.Fprint(w, "data: [DONE]\n\n")
	_ = flush()
}
