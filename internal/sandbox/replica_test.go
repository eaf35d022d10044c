package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hpatune/hpatune/results"
)

// inside makes a replica in a synctest bubble: its clock is simulated, so what
// it takes is exact.
func inside(service Service, speed float64) *replica {
	clock := results.Clock{Start: time.Now(), Speed: speed}
	return newReplica("r-1", service, clock, &sleeper{}, &lateness{})
}

// ask sends a completion through the handler, with no network, and returns the answer and when it was complete.
func ask(r *replica, body string) (*httptest.ResponseRecorder, time.Duration) {
	return askWithin(context.Background(), r, "/v1/completions", body)
}

func askWithin(ctx context.Context, r *replica, path, body string) (*httptest.ResponseRecorder, time.Duration) {
	start := time.Now()
	w := httptest.NewRecorder()
	r.handler().ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(body)))
	return w, time.Since(start)
}

func TestServiceTime(t *testing.T) {
	for _, c := range []struct {
		name   string
		prompt string
		tokens int
		speed  float64
		want   time.Duration // wall
	}{
		{"one token takes the prefill", "", 1, 1, 500 * time.Millisecond},
		{"each word of the prompt takes its time", "a b c", 1, 1, 503 * time.Millisecond},
		{"each token after the first takes its time", "", 11, 1, 1500 * time.Millisecond},
		{"at speed 20 the wall sees a twentieth", "", 11, 20, 75 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := inside(DefaultService(), c.speed)
				w, took := ask(r, fmt.Sprintf(`{"prompt":%q,"max_tokens":%d}`, c.prompt, c.tokens))
				if w.Code != http.StatusOK || took != c.want {
					t.Errorf("status %d after %v, want 200 after %v", w.Code, took, c.want)
				}
			})
		})
	}
}

func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := DefaultService()
		service.Slots, service.Queue = 2, 3
		r := inside(service, 1)
		var mu sync.Mutex
		codes, ends := map[int]int{}, map[time.Duration]int{}
		var all sync.WaitGroup
		for range 7 { // 2 are served, 3 wait, 2 are refused
			all.Go(func() {
				w, took := ask(r, `{"max_tokens":6}`) // 1 s
				mu.Lock()
				defer mu.Unlock()
				codes[w.Code]++
				ends[took]++
			})
		}
		synctest.Wait()
		if u := r.usage(); u.running != 2 || u.waiting != 3 {
			t.Errorf("usage() = %+v, want 2 running, 3 waiting", u)
		}
		all.Wait()
		if codes[200] != 5 || codes[429] != 2 {
			t.Errorf("statuses %v, want 5 of 200 and 2 of 429", codes)
		}
		for after, want := range map[time.Duration]int{0: 2, time.Second: 2, 2 * time.Second: 2, 3 * time.Second: 1} {
			if ends[after] != want {
				t.Errorf("%d answers after %v, want %d (all: %v)", ends[after], after, want, ends)
			}
		}
		if u := r.usage(); u.slotSeconds != 5 || u.running != 0 || u.waiting != 0 {
			t.Errorf("usage() = %+v, want 5 slot-seconds burnt and nothing inside", u)
		}
	})
}

func TestClientGoes(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration
		burnt float64
	}{
		{"in service: the slot is free at once", 300 * time.Millisecond, 0.3 + 0.5},
		{"in the queue: the place is free", 100 * time.Millisecond, 0.1 + 0.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service := DefaultService()
				service.Slots, service.Queue = 1, 1
				r := inside(service, 1)
				ctx, cancel := context.WithTimeout(t.Context(), c.after)
				defer cancel()
				var all sync.WaitGroup
				all.Go(func() { askWithin(ctx, r, "/v1/completions", `{"max_tokens":100}`) })
				synctest.Wait()
				all.Go(func() {
					if w, took := ask(r, `{"max_tokens":1}`); w.Code != 200 || took != c.after+500*time.Millisecond {
						t.Errorf("the one behind got %d after %v, want 200 after %v", w.Code, took, c.after+500*time.Millisecond)
					}
				})
				all.Wait()
				if u := r.usage(); u.slotSeconds < c.burnt-1e-9 || u.slotSeconds > c.burnt+1e-9 || u.running != 0 {
					t.Errorf("usage() = %+v, want %v slot-seconds and nothing running", u, c.burnt)
				}
			})
		})
	}
}

func TestStream(t *testing.T) {
	for _, c := range []struct {
		name, path, body string
		want             []string // the data of the events, in a few words
	}{
		{"completions: the first token alone, then eight to an event",
			"/v1/completions", `{"stream":true,"max_tokens":12}`,
			[]string{"1 word", "8 words", "3 words", "finish length", "[DONE]"}},
		{"usage comes before the end mark where it was asked for",
			"/v1/completions", `{"stream":true,"max_tokens":1,"prompt":"a b","stream_options":{"include_usage":true}}`,
			[]string{"1 word", "finish length", "usage 2+1", "[DONE]"}},
		{"chat: the first event carries only the role, the last an empty delta",
			"/v1/chat/completions", `{"stream":true,"max_tokens":2,"messages":[{"role":"user","content":"hi"}]}`,
			[]string{"role", "1 word", "1 word", "finish length", "[DONE]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _ := askWithin(t.Context(), inside(DefaultService(), 1), c.path, c.body)
				var got []string
				for block := range strings.SplitSeq(strings.TrimSuffix(w.Body.String(), "\n\n"), "\n\n") {
					got = append(got, describe(t, strings.TrimPrefix(block, "data: ")))
				}
				if strings.Join(got, ", ") != strings.Join(c.want, ", ") {
					t.Errorf("events: %q, want %q", got, c.want)
				}
			})
		})
	}
}

// describe tells an event's data in a few words.
func describe(t *testing.T, data string) string {
	if data == "[DONE]" {
		return data
	}
	var v struct {
		Choices []struct {
			Text  string
			Delta struct {
				Role    string
				Content string
			}
			Finish string `json:"finish_reason"`
		}
		Usage struct {
			Prompt int `json:"prompt_tokens"`
			Answer int `json:"completion_tokens"`
		}
	}
	if err := json.Unmarshal([]byte(data), &v); err != nil {
		t.Fatalf("event %q: %v", data, err)
	}
	if len(v.Choices) == 0 {
		return fmt.Sprintf("usage %d+%d", v.Usage.Prompt, v.Usage.Answer)
	}
	choice := v.Choices[0]
	switch n := words(choice.Text + choice.Delta.Content); {
	case choice.Finish != "":
		return "finish " + choice.Finish
	case choice.Delta.Role != "":
		return "role"
	case n == 1:
		return "1 word"
	default:
		return fmt.Sprintf("%d words", n)
	}
}

func TestBadRequests(t *testing.T) {
	for _, c := range []struct {
		name, path, body string
		want             int
	}{
		{"no JSON", "/v1/completions", "{", 400},
		{"chat without messages", "/v1/chat/completions", "{}", 400},
		{"negative tokens", "/v1/completions", `{"max_tokens":-1}`, 400},
		{"another model", "/v1/completions", `{"model":"gpt"}`, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := inside(DefaultService(), 1)
				w, took := askWithin(t.Context(), r, c.path, c.body)
				if w.Code != c.want || took != 0 || !strings.Contains(w.Body.String(), `"error"`) {
					t.Errorf("status %d after %v: %s; want %d at once, with an error object", w.Code, took, w.Body, c.want)
				}
				if u := r.usage(); u.running != 0 {
					t.Errorf("a slot is held after it: %+v", u)
				}
			})
		})
	}
}

func TestHealthBeforeReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inside(DefaultService(), 1)
		get := func(path string) int {
			w := httptest.NewRecorder()
			r.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
			return w.Code
		}
		if h, y := get("/health"), get("/ready"); h != 200 || y != 503 {
			t.Errorf("while it loads: health %d, ready %d; want 200, 503", h, y)
		}
		r.setReady(true)
		if y := get("/ready"); y != 200 {
			t.Errorf("loaded: ready %d, want 200", y)
		}
	})
}

func TestMetricsHaveVLLMNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inside(DefaultService(), 1)
		ask(r, `{"prompt":"a b c","max_tokens":11}`)
		w := httptest.NewRecorder()
		r.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		for _, want := range []string{
			`vllm:num_requests_running{model_name="sandbox-llm"} 0`,
			`vllm:num_requests_waiting{model_name="sandbox-llm"} 0`,
			`vllm:prompt_tokens_total{model_name="sandbox-llm"} 3`,
			`vllm:generation_tokens_total{model_name="sandbox-llm"} 11`,
			`vllm:request_success_total{model_name="sandbox-llm"} 1`,
			`vllm:e2e_request_latency_seconds_bucket{model_name="sandbox-llm",le="1.5"} 0`,
			`vllm:e2e_request_latency_seconds_bucket{model_name="sandbox-llm",le="2"} 1`,
		} {
			if !strings.Contains(w.Body.String(), want+"\n") {
				t.Errorf("metrics lack %q", want)
			}
		}
	})
}
