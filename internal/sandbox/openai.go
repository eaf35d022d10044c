package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// arrivedHeader contains the wall time, in Unix nanoseconds, at which the balancer got the
// request: the way from there is part of the test bed's own delay.
const arrivedHeader = "X-Sandbox-Arrived"

// handler serves OpenAI's completions and chat completions, health, readiness,
// the model list and Prometheus' metrics.
func (r *replica) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/completions", func(w http.ResponseWriter, q *http.Request) { r.complete(w, q, false) })
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, q *http.Request) { r.complete(w, q, true) })
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(
			w,
			http.StatusOK,
			map[string]any{
				"object": "list",
				"data":   []any{map[string]any{"id": r.service.Model, "object": "model", "owned_by": "sandbox"}},
			},
		)
	})
	// As real servers do: alive from the first moment, ready only once the model is loaded.
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if !r.isReady() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.Handle("GET /metrics", r.metrics.handler())
	return mux
}

// request is the part of a body that matters here.
type request struct {
	Model     string `json:"model"`
	Prompt    string `json:"prompt"`
	Messages  []struct{ Role, Content string }
	MaxTokens int  `json:"max_tokens"`
	MaxNew    int  `json:"max_completion_tokens"`
	Stream    bool `json:"stream"`
	Options   struct {
		Usage bool `json:"include_usage"`
	} `json:"stream_options"`
}

// words counts what the sandbox uses as tokens: words.
func words(s string) int { return len(strings.Fields(s)) }

func (r *replica) complete(w http.ResponseWriter, q *http.Request, chat bool) {
	arrived := time.Now()
	r.enter()
	defer r.leave()
	var body request
	if err := json.NewDecoder(http.MaxBytesReader(w, q.Body, 16<<20)).Decode(&body); err != nil {
		writeError(w, http.StatusBadRequest, "invalid_request_error", "body is not JSON: "+err.Error())
		return
	}
	prompt := words(body.Prompt)
	for _, m := range body.Messages {
		prompt += words(m.Content)
	}
	switch {
	case chat && len(body.Messages) == 0:
		writeError(w, http.StatusBadRequest, "invalid_request_error", "messages: missing or empty")
		return
	case body.MaxTokens < 0 || body.MaxNew < 0:
		writeError(w, http.StatusBadRequest, "invalid_request_error", "max_tokens: negative")
		return
	case body.Model != "" && body.Model != r.service.Model:
		writeError(
			w,
			http.StatusNotFound,
			"not_found_error",
			fmt.Sprintf("model %q does not exist; this server has %q", body.Model, r.service.Model),
		)
		return
	}
	tokens := body.MaxTokens
	if tokens == 0 {
		tokens = body.MaxNew
	}
	if tokens == 0 {
		tokens = r.service.MaxTokens
	}
	from, err := r.admit(q.Context(), arrived)
	if errors.Is(err, errFull) {
		r.metrics.refused.Inc()
		w.Header().Set("Retry-After", "1")
		writeError(w, http.StatusTooManyRequests, "overloaded_error", "queue is full")
		return
	}
	if err != nil {
		return // the client has gone
	}
	first, total := r.service.hold(prompt, tokens)
	a := answer{
		replica: r, w: w, chat: chat, prompt: prompt, tokens: tokens, stream: body.Stream, usage: body.Options.Usage,
		first: from.Add(r.clock.Wall(first)), end: from.Add(r.clock.Wall(total)),
		id: q.Header.Get("X-Arrival"), arrived: arrived,
	}
	due := arrived
	if at, err := strconv.ParseInt(q.Header.Get(arrivedHeader), 10, 64); err == nil {
		due = time.Unix(0, at)
	}
	a.ideal = due.Add(from.Sub(arrived)).Add(r.clock.Wall(first))
	r.metrics.queue.Observe(worldSeconds(r.clock, from.Sub(arrived)))
	if !a.serve(q) {
		r.release(time.Now())
		return
	}
	r.metrics.done(prompt, tokens, worldSeconds(r.clock, time.Since(arrived)))
}

// answer is one good answer on its way out.
type answer struct {
	replica        *replica
	w              http.ResponseWriter
	id             string
	chat           bool
	stream, usage  bool
	prompt, tokens int
	arrived        time.Time // at the replica; like all three below, wall
	first, end     time.Time // due
	ideal          time.Time // when the first token would be out if the test bed cost nothing
}

// serve writes the answer in its time and releases the slot at its due end. It returns
// false, with the slot still held, if the client has gone.
func (a *answer) serve(q *http.Request) bool {
	ctx, r := q.Context(), a.replica
	if !a.stream {
		if r.sleep.until(ctx, a.end) != nil {
			return false
		}
		r.release(a.end)
		r.added.add(time.Since(a.ideal.Add(a.end.Sub(a.first))))
		writeJSON(a.w, http.StatusOK, a.body(text(0, a.tokens), "length", true))
		return true
	}
	a.w.Header().Set("Content-Type", "text/event-stream")
	a.w.Header().Set("Cache-Control", "no-store")
	flush := http.NewResponseController(a.w)
	per := r.service.perEvent()
	sent := 0
	for sent < a.tokens {
		// The first token goes alone: it is what TTFT waits for.
		n := min(per, a.tokens-sent)
		if sent == 0 {
			n = 1
		}
		due := a.first.Add(r.clock.Wall(time.Duration(sent+n-1) * r.service.PerToken))
		if r.sleep.until(ctx, due) != nil {
			return false
		}
		if sent == 0 {
			r.added.add(time.Since(a.ideal))
			r.metrics.ttft.Observe(worldSeconds(r.clock, time.Since(a.arrived)))
			if a.chat {
				a.event(a.delta(map[string]any{"role": "assistant", "content": ""}, nil))
			}
		}
		piece := text(sent, n)
		if a.chat {
			a.event(a.delta(map[string]any{"content": piece}, nil))
		} else {
			a.event(a.chunk(map[string]any{"index": 0, "text": piece, "finish_reason": nil}))
		}
		if sent += n; sent == a.tokens {
			r.release(a.end)
			a.finish()
		}
		if err := flush.Flush(); err != nil {
			// The client has gone; the loop's next wait says so, or this was the end.
			continue
		}
	}
	return true
}

// finish writes what follows the last token: the reason, the usage if asked for, the end mark.
func (a *answer) finish() {
	if a.chat {
		a.event(a.delta(map[string]any{}, "length"))
	} else {
		a.event(a.chunk(map[string]any{"index": 0, "text": "", "finish_reason": "length"}))
	}
	if a.usage {
		v := a.chunk(nil)
		v["choices"], v["usage"] = []any{}, a.counts()
		a.event(v)
	}
	_, _ = a.w.Write([]byte("data: [DONE]\n\n"))
}

func (a *answer) event(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings and numbers: cannot fail
	}
	_, _ = fmt.Fprintf(a.w, "data: %s\n\n", b) // a write error shows at the flush
}

func (a *answer) delta(delta map[string]any, finish any) map[string]any {
	return a.chunk(map[string]any{"index": 0, "delta": delta, "finish_reason": finish})
}

func (a *answer) chunk(choice any) map[string]any {
	object := "text_completion"
	if a.chat {
		object = "chat.completion.chunk"
	}
	return map[string]any{
		"id":      "cmpl-" + a.id,
		"object":  object,
		"model":   a.replica.service.Model,
		"choices": []any{choice},
	}
}

func (a *answer) counts() map[string]any {
	return map[string]any{"prompt_tokens": a.prompt, "completion_tokens": a.tokens, "total_tokens": a.prompt + a.tokens}
}

// body is the answer in one piece.
func (a *answer) body(piece, finish string, usage bool) map[string]any {
	choice := map[string]any{"index": 0, "finish_reason": finish}
	object := "text_completion"
	if a.chat {
		object = "chat.completion"
		choice["message"] = map[string]any{"role": "assistant", "content": piece}
	} else {
		choice["text"] = piece
	}
	v := map[string]any{"id": "cmpl-" + a.id, "object": object, "model": a.replica.service.Model, "choices": []any{choice}}
	if usage {
		v["usage"] = a.counts()
	}
	return v
}

var vocabulary = strings.Fields(
	"load comes and goes but replicas take their time to start so the queue remembers what the average forgets",
)

// text returns n words of an endless text, from its i-th on.
func text(i, n int) string {
	var b strings.Builder
	for k := range n {
		if i+k > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(vocabulary[(i+k)%len(vocabulary)])
	}
	return b.String()
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // a client that has gone needs no answer
}

func writeError(w http.ResponseWriter, code int, kind, message string) {
	writeJSON(w, code, map[string]any{"error": map[string]any{"message": message, "type": kind, "code": code}})
}
